"""What the sidecar itself answers: metrics, probes, reload, and the API.

====================================  ===============================================================
``GET  /metrics``                     every family of every model, as text or OpenMetrics
``GET  /-/healthy``                   200 while the process answers at all
``GET  /-/ready``                     200 when models are loaded and nothing is being stopped, else 503
``POST /-/reload``                    reads every reference again; 500 when one could not be read
``GET  /api/v1/snapshot``             everything that is known, as JSON; ``?model=`` for one model
``GET  /api/v1/state``                models, references and windows, as JSON; ``?model=`` for one model
``GET  /api/v1/state?model=&window=`` the state of one window: a file for `WindowState.load`
``GET  /openapi.json``                all of this, for machines
====================================  ===============================================================

Whatever takes longer than a millisecond is done on a thread, and one at a time for each address, so that
readers in a hurry wait for each other and the traffic for none.
"""

from __future__ import annotations

import asyncio
import logging
import math
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from driftgauge.errors import DriftgaugeError
from driftgauge.exporters import exporter
from driftgauge.sidecar.auth import Guard
from driftgauge.sidecar.ingest_http import problem, told
from driftgauge.sidecar.models import ModelHandle, ModelRegistry

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Api", "Condition", "guarded"]

MOST_WAITING: Final = 16
PROBE_HEADERS: Final = {"Cache-Control": "no-store"}

_log = logging.getLogger("driftgauge.sidecar.http")

Answer = TypeVar("Answer")
Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]


class Condition(Protocol):
    """How the sidecar is."""

    @property
    def why_not_ready(self) -> str:
        """Empty when it is ready."""


class _Busy(Exception):  # noqa: N818 - caught in this module, never seen by anybody
    pass


class _InTurn:
    """Calls on threads, one at a time; when too many wait, the next is turned away."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def __call__(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        if self._waiting >= MOST_WAITING:
            raise _Busy
        self._waiting += 1
        try:
            async with self._lock:
                return await asyncio.to_thread(function, *arguments)
        finally:
            self._waiting -= 1


def guarded(guard: Guard) -> Any:
    """Middleware: who may, what went wrong, and nothing of it to strangers."""
    from aiohttp import web

    @web.middleware
    async def middle(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = guard.refuses(request)
        if refused is not None:
            status, reason, detail = refused
            response = problem(status, reason, detail)
            if status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer realm="driftgauge", Basic realm="driftgauge"'
            # Its body was not read, and would be taken for the next request.
            response.force_close()
            return response
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            answer = problem(error.status, "http_error", error.reason)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        except _Busy:
            return problem(503, "busy", "too many such requests wait already", retry_seconds=1)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("a request for %s could not be answered", _route_of(request))
            return problem(500, "internal_error", "this is a fault in driftgauge; its log says where")

    return middle


def _route_of(request: web.Request) -> str:
    """The path of the route and not that of the request, which anyone may invent."""
    resource = request.match_info.route.resource
    return "no route" if resource is None else resource.canonical


class Api:
    """Handlers over a registry.

    Parameters
    ----------
    registry : ModelRegistry
    condition : Condition
    reload : async callable
        Reads references again and returns the change as a dict.
    describe : callable
        The OpenAPI description.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        condition: Condition,
        reload: Callable[[], Awaitable[dict[str, list[str]]]],
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self._registry = registry
        self._condition = condition
        self._reload = reload
        self._describe = describe
        self._scraping, self._reading = _InTurn(), _InTurn()

    def routes(self) -> list[web.RouteDef]:
        """Of the main listener."""
        from aiohttp import web

        return [
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.ready),
            web.post("/-/reload", self.reload),
            web.get("/api/v1/snapshot", self.snapshot),
            web.get("/api/v1/state", self.state),
            web.get("/openapi.json", self.openapi),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        """What Prometheus asks for."""
        from aiohttp import web

        def text() -> tuple[dict[str, str], bytes]:
            found: tuple[dict[str, str], bytes] = exporter("prometheus").scrape(
                self._registry,
                accept=", ".join(request.headers.getall("Accept", [])),
                encodings=", ".join(request.headers.getall("Accept-Encoding", [])),
                names=request.query.getall("name[]", []),
            )
            return found

        headers, body = await self._scraping(text)
        return web.Response(body=body, headers=headers)

    async def healthy(self, _: web.Request) -> web.Response:
        """For a liveness probe: the loop turns."""
        from aiohttp import web

        return web.Response(text="healthy\n", headers=PROBE_HEADERS)

    async def ready(self, _: web.Request) -> web.Response:
        """For a readiness probe."""
        from aiohttp import web

        why = self._condition.why_not_ready
        status, text = (503, f"not ready: {why}\n") if why else (200, "ready\n")
        return web.Response(status=status, text=text, headers=PROBE_HEADERS)

    async def reload(self, _: web.Request) -> web.Response:
        """Read every reference again, now."""
        change = await self._reload()
        answer = {**change, "troubles": list(self._registry.troubles())}
        return told(500 if change["failed"] else 200, answer)

    async def snapshot(self, request: web.Request) -> web.Response:
        """Snapshots as JSON; a number that is none is null."""
        name = request.query.get("model", "")
        handles = list(self._registry) if not name else [self._registry.get(name)]
        if None in handles:
            return self._unknown(name)

        def made() -> web.Response:
            found = [asdict(handle.snapshot()) for handle in handles if handle is not None]
            return told(200, {"snapshots": _plain(found)})

        return await self._reading(made)

    async def state(self, request: web.Request) -> web.Response:
        """What there is; or the state of one window, which can be merged with others."""
        name, window = request.query.get("model", ""), request.query.get("window", "")
        if not window:
            return await self._reading(self._listing, name)
        handle = self._registry.get(name)
        if handle is None:
            return self._unknown(name)
        return await self._reading(_state_of, handle, window)

    def _listing(self, name: str) -> web.Response:
        if name and self._registry.get(name) is None:
            return self._unknown(name)
        models = []
        for handle in self._registry:
            if name not in ("", handle.name):
                continue
            snapshot = handle.snapshot()
            models.append(
                {
                    "model": handle.name,
                    "model_version": snapshot.model_version,
                    "reference": {**asdict(snapshot.reference), "path": handle.path},
                    "windows": [
                        {"name": each.name, "rows": each.rows, "seconds": each.seconds}
                        for each in snapshot.windows
                    ],
                    "rows": snapshot.rows,
                    "rows_sampled": snapshot.rows_sampled,
                    "drift_score": None if snapshot.drift is None else snapshot.drift.score,
                    "drift_evaluations": 0 if snapshot.drift is None else snapshot.drift.evaluations,
                }
            )
        answer = {
            "ready": not self._condition.why_not_ready,
            "models": models,
            "of_no_model": self._registry.strays(),
            "troubles": list(self._registry.troubles()),
        }
        return told(200, _plain(answer))

    def _unknown(self, name: str) -> web.Response:
        names = ", ".join(map(repr, self._registry.names())) or "none"
        what = "give ?model=, there is not exactly one" if not name else "there is no model of that name"
        return problem(404, "unknown_model", f"{what}; there are: {names}")

    async def openapi(self, _: web.Request) -> web.Response:
        """The description of all this."""
        return told(200, self._describe())


def _state_of(handle: ModelHandle, window: str) -> web.Response:
    from aiohttp import web

    monitor = handle.monitor
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        try:
            monitor.save_state(folder)
        except (DriftgaugeError, OSError) as error:
            return problem(500, "internal_error", f"the state could not be written: {type(error).__name__}")
        states = {each.stem: each for each in Path(folder).glob("*.window")}
        if window not in states:
            names = ", ".join(map(repr, sorted(states)))
            return problem(404, "unknown_window", f"the model has no such window; it has {names}")
        body = states[window].read_bytes()
    return web.Response(
        body=body,
        content_type="application/zip",
        headers={"X-Driftgauge-Reference-Id": monitor.reference.id},
    )


def _plain(value: Any) -> Any:
    """Values of JSON: what is not a number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value

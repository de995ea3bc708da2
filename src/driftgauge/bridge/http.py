"""What the bridge answers.

=========================  ==========================================================================
``POST /api/v1/alerts``    Alertmanager's and Grafana's webhook: 200 once stored, duplicates included
``GET  /api/v1/runs``      the newest runs, as JSON
``GET  /metrics``          the bridge's own metrics
``GET  /-/healthy``        200 while the process answers at all
``GET  /-/ready``          200 when alerts are taken, else 503
=========================  ==========================================================================

Alertmanager repeats what was not answered with 2xx: 5xx within a minute, 4xx at every interval of the group.
So a message is refused only where it is none at all; what is wrong about single alerts is counted and told.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from driftgauge.bridge.alerts import Unreadable, read_message
from driftgauge.bridge.engine import Engine, TooManyWaiting
from driftgauge.bridge.families import samples
from driftgauge.bridge.records import Run
from driftgauge.exporters import exporter
from driftgauge.sidecar.ingest_http import BodyRoom, problem, told

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["BridgeApi", "told_run"]

PROBE_HEADERS: Final = {"Cache-Control": "no-store"}
BODIES_AT_A_TIME: Final = 16
SHOWN_RUNS: Final = 100
STATUS: Final = {"too_large": 413, "queue_full": 503, "aborted": 400}

_log = logging.getLogger("driftgauge.bridge.http")


class BridgeApi:
    """Handlers over an engine.

    Parameters
    ----------
    engine : Engine
    why_not_ready : callable
        Empty when it is ready.
    """

    def __init__(self, engine: Engine, why_not_ready: Callable[[], str]) -> None:
        self._engine = engine
        self._why_not_ready = why_not_ready
        webhook = engine.wiring.settings.webhook
        self._path = webhook.path
        self._limits = webhook.limits()
        self._room = BodyRoom(webhook.body_bytes, BODIES_AT_A_TIME * webhook.body_bytes)
        self._scraping = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Of the listener."""
        from aiohttp import web

        return [
            web.post(self._path, self.alerts),
            web.get("/api/v1/runs", self.runs),
            web.get("/metrics", self.metrics),
            web.get("/-/healthy", self.healthy),
            web.get("/-/ready", self.ready),
        ]

    async def alerts(self, request: web.Request) -> web.Response:
        """Store what is posted, and answer when it is safe."""
        body = await self._room.read(request)
        if isinstance(body, str):
            self._engine.received[body] += 1
            return problem(STATUS[body], body, "the body was not taken", retry_seconds=body == "queue_full")
        with self._room.held(len(body)):  # until its alerts are stored: they take more than the body did
            return await self._store(body)

    async def _store(self, body: bytes) -> web.Response:
        message = read_message(body, self._limits)
        if isinstance(message, Unreadable):
            self._engine.received[message.reason] += 1
            return problem(413 if message.reason == "too_large" else 400, message.reason, message.detail)
        self._engine.received.update(message.refused)
        stored = {}
        if message.alerts:
            try:
                stored = dict(await self._engine.post(message.alerts))
            except TooManyWaiting:
                self._engine.received["queue_full"] += len(message.alerts)
                return problem(503, "queue_full", "too many messages wait to be stored", retry_seconds=1)
            except (sqlite3.Error, OSError):
                self._engine.received["not_stored"] += len(message.alerts)
                return problem(503, "not_stored", "the alerts could not be stored", retry_seconds=5)
        return told(200, {"stored": stored, "refused": dict(message.refused)})

    async def runs(self, request: web.Request) -> web.Response:
        """The newest runs."""
        del request
        return told(200, {"runs": [told_run(run) for run in await self._engine.runs(SHOWN_RUNS)]})

    async def metrics(self, request: web.Request) -> web.Response:
        """What Prometheus asks for."""
        from aiohttp import web

        async with self._scraping:
            snapshot = await self._engine.snapshot()
        headers, body = exporter("prometheus").scrape_families(
            lambda: samples(snapshot),
            accept=", ".join(request.headers.getall("Accept", [])),
            encodings=", ".join(request.headers.getall("Accept-Encoding", [])),
            names=request.query.getall("name[]", []),
        )
        return web.Response(body=body, headers=headers)

    async def healthy(self, _: web.Request) -> web.Response:
        """For a liveness probe: the loop turns."""
        from aiohttp import web

        return web.Response(text="healthy\n", headers=PROBE_HEADERS)

    async def ready(self, _: web.Request) -> web.Response:
        """For a readiness probe."""
        from aiohttp import web

        why = self._why_not_ready()
        status, text = (503, f"not ready: {why}\n") if why else (200, "ready\n")
        return web.Response(status=status, text=text, headers=PROBE_HEADERS)


def told_run(run: Run) -> dict[str, object]:
    """A run for JSON."""
    request = run.request
    return {
        "run_id": request.run_id,
        "model": request.model,
        "model_version": request.model_version,
        "route": request.route,
        "target": request.target,
        "state": run.state,
        "reason": run.reason,
        "attempts": run.attempts,
        "created_seconds": run.created_seconds,
        "changed_seconds": run.changed_seconds,
        "external_id": run.external_id,
        "url": run.url,
        "alerts": len(request.alert_keys),
        "features": [each.name for each in request.features if each.name],
        "reference_before": run.before.reference_id,
        "score_before": run.before.score,
        "reference_after": run.after.reference_id,
        "score_after": run.after.score,
    }

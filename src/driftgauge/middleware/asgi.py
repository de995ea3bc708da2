"""Watches an ASGI application: of FastAPI, Starlette, Litestar, Django or anything else that makes one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from driftgauge.middleware._exchange import Exchange
from driftgauge.middleware._routes import Route
from driftgauge.middleware._watcher import Watcher

__all__ = ["DriftgaugeMiddleware", "Route"]

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Event, Receive, Send], Awaitable[Any]]

# Bodies that the server reads from a file by itself.
_UNSEEN: Final = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class DriftgaugeMiddleware(Watcher):
    """An application whose exchanges on some routes are counted by a monitor, and which is otherwise itself.

    Parameters
    ----------
    app : ASGI application
    monitor : Monitor
    routes : iterable of Route
        Which requests carry rows; the first that matches counts. All else passes untouched.
    limits : Limits
        How large an exchange may be; a larger one is dropped as ``too_large``, and passes all the same.
    queue_payloads, queue_bytes : int
        How many exchanges may wait to be decoded, and what they and those under way may hold, for each
        protocol. Default 1,000 and 64 MiB; what comes on top is dropped as ``queue_full``.

    Raises
    ------
    ConfigError
        When a parameter is of a wrong type or out of its range.
    MissingExtraError
        When a protocol needs a library that is not installed.

    Examples
    --------
    With FastAPI and Starlette: ``app.add_middleware(DriftgaugeMiddleware, monitor=monitor,
    routes=[Route("/predict", protocol="json")])``. By hand:

    >>> import asyncio
    >>> import numpy as np
    >>> from driftgauge import Monitor, Reference
    >>> train = {"age": np.arange(20.0, 60.0), "score": np.linspace(0.0, 1.0, 40)}
    >>> monitor = Monitor(Reference.fit(train, outputs=["score"]), min_rows=1)
    >>> async def serve(scope, receive, send):
    ...     await receive()
    ...     await send({"type": "http.response.start", "status": 200, "headers": []})
    ...     await send({"type": "http.response.body", "body": b'{"predictions": [0.5]}'})
    >>> app = DriftgaugeMiddleware(serve, monitor, [Route("/v1/models/*:predict", protocol="kserve_v1")])
    >>> async def receive():
    ...     return {"type": "http.request", "body": b'{"instances": [[33]]}'}
    >>> async def send(event):
    ...     pass
    >>> scope = {"type": "http", "method": "POST", "path": "/v1/models/fraud:predict", "headers": []}
    >>> asyncio.run(app(scope, receive, send))
    >>> app.drain(5.0), monitor.snapshot().rows, monitor.snapshot().payloads[0].decoded
    (True, 1, 1)

    Notes
    -----
    Events are passed on as they are and when they are: no body is held back, so streaming and backpressure
    are the host's. Bytes are not copied but held until the answer is complete, and then decoded on a thread.
    Exchanges are counted when the last of the answer has been sent, before background tasks. Answers with a
    status other than 2xx are dropped as ``not_ok``, those cut short as ``aborted``, and those given before
    the request was read, or sent by the server from a file, as ``unpaired``.
    """

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> Any:
        """Serve one connection."""
        exchange = self._begin(scope) if scope["type"] == "http" else None
        if exchange is None:
            return await self.app(scope, receive, send)

        async def hear() -> Event:
            event = await receive()
            _heard(exchange, event)
            return event

        async def say(event: Event) -> None:
            await send(event)
            _said(exchange, event)

        try:
            return await self.app(scope, hear, say)
        except Exception:
            exchange.fail()
            raise
        finally:
            exchange.finish(complete=False)

    def _begin(self, scope: Event) -> Exchange | None:
        try:
            exchange = self.begin(scope["method"], _path(scope))
            if exchange is not None:
                exchange.request.see(_texts(scope["headers"]))
        except Exception:  # a server of its own kind: nobody's business here
            return None
        return exchange


def _path(scope: Event) -> str:
    """The path below where the application is mounted: servers and frameworks leave the prefix in it."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path[len(root) :] or "/" if root and (path == root or path.startswith(root + "/")) else path


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
    return ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


def _heard(exchange: Exchange, event: Event) -> None:
    try:
        if event["type"] == "http.request":
            exchange.request.add(event.get("body", b""))
            if not event.get("more_body", False):
                exchange.request_complete = True
    except Exception:
        exchange.request.lose("internal_error")


def _said(exchange: Exchange, event: Event) -> None:
    try:
        kind = event["type"]
        if kind == "http.response.start":
            exchange.status = event["status"]
            exchange.response.see(_texts(event.get("headers", ())))
        elif kind == "http.response.body":
            exchange.response.add(event.get("body", b""))
            if not event.get("more_body", False):
                exchange.finish(complete=True)
        elif kind in _UNSEEN:
            exchange.response.lose("unpaired")
            if not event.get("more_body", False):
                exchange.finish(complete=True)
    except Exception:
        exchange.response.lose("internal_error")

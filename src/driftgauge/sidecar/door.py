"""Connections to the main listener: not more than a number, and none that never asks.

aiohttp has neither. Without them whoever opens connections takes all file descriptors of the process, and
then the proxy has none for its traffic.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Door"]

FIRST_SECONDS: Final = 30.0
"""How long the headers of a connection's first request may take; before a later one it is the keep-alive."""
LOG_SECONDS: Final = 60.0
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_log = logging.getLogger("driftgauge.sidecar.http")


class Door:
    """What a connection becomes: a handler of `server`, or 503.

    Parameters
    ----------
    most : int
        Connections at a time.
    first_seconds : float
        One that has asked nothing for so long is closed.
    """

    def __init__(self, most: int, first_seconds: float = FIRST_SECONDS) -> None:
        self.server: web.Server | None = None
        """To be set before a connection comes."""
        self._most = most
        self._first_seconds = first_seconds
        # By age. At most `most`: of those that are gone nobody tells.
        self._silent: dict[web.RequestHandler, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._told_seconds = -math.inf

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        loop = asyncio.get_running_loop()
        assert self.server is not None
        if len(self.server.connections) >= self._most:
            if loop.time() - self._told_seconds >= LOG_SECONDS:
                self._told_seconds = loop.time()
                _log.warning("a connection was refused: there are server.max_connections = %d", self._most)
            return _Full()
        handler = self.server()
        self._silent[handler] = loop.time()
        if len(self._silent) > self._most:
            self._end(next(iter(self._silent)))
        self._look_later()
        return handler

    def _end(self, handler: web.RequestHandler) -> None:
        del self._silent[handler]
        handler.force_close()

    def _look_later(self) -> None:
        if self._timer is None and self._silent:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._first_seconds / 4, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for handler, since_seconds in list(self._silent.items()):
            if now - since_seconds >= self._first_seconds:
                self._end(handler)
        self._look_later()

    def close(self) -> None:
        """Look no more."""
        self._silent.clear()
        if self._timer is not None:
            self._timer.cancel()

    def middleware(self) -> Any:
        """Of the application: has heard of each request."""
        from aiohttp import web

        @web.middleware
        async def middle(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            self._silent.pop(request.protocol, None)
            return await handler(request)

        return middle


class _Full(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        made.write(_FULL)
        made.close()

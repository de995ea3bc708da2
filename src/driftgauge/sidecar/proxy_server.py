"""The reverse proxy in front of a model server: it passes bytes on, and has configured routes watched."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from driftgauge.errors import ConfigError
from driftgauge.sidecar.proxy_link import Connect, Link, Timeouts
from driftgauge.sidecar.proxy_tap import Find, Tap
from driftgauge.sidecar.settings_types import upstream_of

__all__ = ["Proxy", "connector"]

BACKLOG: Final = 1_024
LOOK_SECONDS: Final = 1.0


def connector(upstream: str, tls: ssl.SSLContext | None = None, server_name: str = "") -> Connect:
    """What opens connections to *upstream*.

    Parameters
    ----------
    upstream : str
        ``http://host:port``, ``https://host:port``, or ``unix:/path`` of a socket.
    tls : ssl.SSLContext, optional
        For https; default what the system trusts.
    server_name : str
        In its certificate, where the URL has another.

    Raises
    ------
    ConfigError
        When it is none of these, or has a path: paths are passed on as they are.
    """
    try:
        scheme, host, port = upstream_of(upstream)
    except ValueError as error:
        message = f"upstream {error}, got {upstream!r}"
        raise ConfigError(message) from error
    loop_of = asyncio.get_running_loop
    if scheme == "unix":
        return lambda protocol: loop_of().create_unix_connection(protocol, host)
    if scheme == "http":
        return lambda protocol: loop_of().create_connection(protocol, host, port)
    context = tls or ssl.create_default_context()
    name = server_name or host
    return lambda protocol: loop_of().create_connection(
        protocol, host, port, ssl=context, server_hostname=name
    )


class Proxy:
    """Listens, and links each client to the server.

    Parameters
    ----------
    connect : callable
        From `connector`.
    find : callable
        Given method and path, the `Intake` of a configured route or None.
    body_bytes : int
        Longer bodies are passed on and not looked into. Default 16 MiB.
    timeouts : Timeouts
    most : int
        Clients at a time; more get 503. Default 0: no limit.
    failed : callable, optional
        Told of errors of ours, which the traffic does not see.
    gave_up : callable, optional
        Called for each connection that cannot be followed.
    """

    def __init__(
        self,
        connect: Connect,
        find: Find,
        *,
        body_bytes: int = 16 << 20,
        timeouts: Timeouts | None = None,
        most: int = 0,
        failed: Callable[[Exception], None] | None = None,
        gave_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._find = find
        self._body_bytes = body_bytes
        self._timeouts = timeouts or Timeouts()
        self._most = most
        self._failed = failed
        self._gave_up = gave_up
        self._links: set[Link] = set()
        self._server: asyncio.AbstractServer | None = None
        self._looker: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        return len(self._links)

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on *host* and *port*, 0 for any; the port that it is."""
        loop = asyncio.get_running_loop()

        def linked() -> asyncio.Protocol:
            tap = Tap(self._find, self._body_bytes, self._gave_up)
            return Link(loop, self._connect, tap, self._timeouts, self._links, self._most).client

        server = await loop.create_server(linked, host, port, ssl=tls, backlog=BACKLOG)
        self._server = server
        self._looker = loop.create_task(self._look())
        found: socket.socket = server.sockets[0]
        return int(found.getsockname()[1])

    async def _look(self) -> None:
        limits = [
            seconds for seconds in (self._timeouts.response_seconds, self._timeouts.idle_seconds) if seconds
        ]
        every = min(LOOK_SECONDS, *(seconds / 4 for seconds in limits)) if limits else LOOK_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            now = loop.time()
            for link in list(self._links):
                link.look(now)
                error = link.tap.failed
                if error is not None and self._failed is not None:
                    link.tap.failed = None
                    self._failed(error)

    async def stop(self, drain_seconds: float) -> None:
        """Take no more clients, let answers that are due go out for so long, and end."""
        loop = asyncio.get_running_loop()
        end = loop.time() + drain_seconds
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.drain()
        while self._links and loop.time() < end:
            await asyncio.sleep(0.01)
        for link in list(self._links):
            link.abort()
        if self._looker is not None:
            self._looker.cancel()
            with suppress(asyncio.CancelledError):
                await self._looker
        self._looker = self._server = None

"""A proxy on a thread with an event loop, and servers in front of which it stands, scripted byte by byte."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import uvloop

from driftgauge import Monitor, Reference
from driftgauge._payload_intake import Intake
from driftgauge.protocols import decoder
from driftgauge.sidecar.proxy_link import Timeouts
from driftgauge.sidecar.proxy_server import Proxy, connector

PATH = "/v1/models/churn:predict"
ASKED = b'{"instances": [[33.0], [51.0]]}'
ANSWERED = b'{"predictions": [0.25, 0.75]}'
SECONDS = 20  # what anything here may take; it takes milliseconds

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def reference() -> Reference:
    rng = np.random.default_rng(7)
    train = {"age": rng.normal(40, 10, 2_000), "score": rng.uniform(size=2_000)}
    return Reference.fit(train, outputs=["score"], model="churn")


def request(body: bytes = ASKED, path: str = PATH, headers: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: m\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def answer(body: bytes = ANSWERED, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def _nowhere(_: str, __: str) -> None:
    """No route is decoded."""


class World:
    """An event loop on a thread."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.seen = bytearray()
        """All that servers have received."""
        self.lost = 0
        """Connections that servers have seen the end of."""
        self.gave_up = 0
        """Connections that proxies could not follow."""
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._proxies: list[Proxy] = []

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(SECONDS)

    def server(self, serve: Serve, **settings: Any) -> int:
        """A server that does *serve* with each connection; its port."""

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                self.lost += 1
                writer.close()

        server = self.run(asyncio.start_server(guarded, "127.0.0.1", 0, **settings))
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def scripted(self, *answers: bytes, after: int = 1) -> int:
        """A server that sends the answers in one piece once it has *after* bytes, and reads on."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got = 0
            sent = False
            while data := await reader.read(65_536):
                self.seen += data
                got += len(data)
                if got >= after and not sent:
                    sent = True
                    writer.write(b"".join(answers))

        return self.server(serve)

    def proxy(
        self, upstream: int | str, find: Callable[[str, str], Intake | None] | None = None, **settings: Any
    ) -> int:
        """A proxy in front of a server; its port."""
        timeouts = Timeouts(
            connect_seconds=settings.pop("connect_seconds", 5.0),
            response_seconds=settings.pop("response_seconds", 300.0),
            idle_seconds=settings.pop("idle_seconds", 75.0),
        )
        url = f"http://127.0.0.1:{upstream}" if isinstance(upstream, int) else upstream
        own_tls = settings.pop("own_tls", None)
        connect = connector(url, settings.pop("tls", None), settings.pop("server_name", ""))
        proxy = Proxy(connect, find or _nowhere, timeouts=timeouts, gave_up=self._count, **settings)
        self._proxies.append(proxy)
        return int(self.run(proxy.start("127.0.0.1", 0, own_tls)))

    def _count(self) -> None:
        self.gave_up += 1

    def stop(self, drain_seconds: float = 0.0) -> None:
        for proxy in self._proxies:
            self.run(proxy.stop(drain_seconds))
        self._proxies.clear()

    @property
    def connections(self) -> int:
        return sum(proxy.connections for proxy in self._proxies)

    def close(self) -> None:
        self.stop()
        for server in self._servers:
            server.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SECONDS)


@contextmanager
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def watched(protocol: str = "kserve_v1", **settings: Any) -> Iterator[tuple[Monitor, Intake]]:
    """A monitor and the intake of a route."""
    monitor = Monitor(reference(), min_rows=1, budget=None)
    intake = Intake(monitor, decoder(protocol), "proxy", **settings)
    try:
        yield monitor, intake
    finally:
        intake.close()
        monitor.close()


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def received(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer where the connection ends."""
    found = bytearray()
    while len(found) < size:
        data = connection.recv(min(size - len(found), 1 << 20))
        if not data:
            break
        found += data
    return bytes(found)


def rest(connection: socket.socket) -> bytes:
    """All bytes until the connection ends."""
    return received(connection, 1 << 62)

"""One client's connection and its own connection to the server: bytes pass from one to the other unchanged.

One for one, as if nobody stood between. So nothing of HTTP has to be understood to pass it on: header case,
chunk borders, trailers, 100 Continue, pipelining, WebSocket and HTTP/2 are what they were. Only where the
server cannot be reached or does not answer do we speak ourselves: 502, 503 and 504.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from driftgauge.sidecar.proxy_tap import Tap

__all__ = ["Link", "Timeouts"]

LINGER_SECONDS: Final = 2.0
FLUSH_SECONDS: Final = 60.0  # for a client that reads slowly to take what is left of its answer
REASONS: Final = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long the proxy waits, in seconds.

    Parameters
    ----------
    connect_seconds : float
        For the server to accept; then 502. Default 5.
    response_seconds : float
        For the next bytes of an answer; then 504, or the end of the connection where the answer had begun.
        Default 300.
    idle_seconds : float
        Between two requests. Default 75. What is no HTTP, a WebSocket say, may be silent for ever.

    Notes
    -----
    0 for the last two is no limit.
    """

    connect_seconds: float = 5.0
    response_seconds: float = 300.0
    idle_seconds: float = 75.0


class _Side(asyncio.Protocol):
    """One of the two connections."""

    __slots__ = ("link", "other", "transport")

    transport: Any
    other: _Side

    def __init__(self, link: Link) -> None:
        self.link = link
        self.transport = None

    def pause_writing(self) -> None:
        """Our peer reads slowly: read less from the other one."""
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Our peer has caught up."""
        if self.other.transport is not None:
            self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        """Our peer sends no more. It may still read, so only this direction ends."""
        return self.link.ended(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self.transport = None
        self.link.lost(error)


class _Client(_Side):
    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.link.opened()

    def data_received(self, data: bytes) -> None:
        link = self.link
        link.active_seconds = link.loop.time()
        server = self.other.transport
        if server is None:
            link.unserved(data)
            return
        server.write(data)
        link.tap.from_client(data)


class _Server(_Side):
    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.link.closing:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        link = self.link
        link.active_seconds = link.loop.time()
        client = self.other.transport
        if client is None:
            return
        client.write(data)
        link.tap.from_upstream(data)
        if link.draining and link.tap.idle:
            link.close()


class Link:
    """A pair of connections.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    connect : callable
        Opens the connection to the server.
    tap : Tap
    timeouts : Timeouts
    links : set of Link
        Where it is as long as it lives.
    most : int
        More links than that are refused; 0 for no limit.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connect: Connect,
        tap: Tap,
        timeouts: Timeouts,
        links: set[Link],
        most: int = 0,
    ) -> None:
        self.loop = loop
        self.tap = tap
        self.active_seconds = loop.time()
        self.draining = False
        self.closing = False
        self.client: _Side = _Client(self)
        self._server: _Side = _Server(self)
        self.client.other, self._server.other = self._server, self.client
        self._connect = connect
        self._timeouts = timeouts
        self._links = links
        self._most = most
        self._task: asyncio.Task[None] | None = None
        self._refusal: tuple[int, str] | None = None
        self._held = b""
        self._half_closed = False
        self._refused = False

    # ------------------------------------------------------------------ beginning

    def opened(self) -> None:
        """A client is there: connect to the server."""
        self._links.add(self)
        if self._most and len(self._links) > self._most:
            self._refusal = (503, f"there are {self._most} connections already")
            return
        self._task = self.loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._timeouts.connect_seconds):
                await self._connect(lambda: self._server)
        except TimeoutError:
            seconds = self._timeouts.connect_seconds
            self._refusal = (504, f"the server did not accept a connection within {seconds:g} s")
        except Exception as error:  # OSError, ssl.CertificateError, a name that is none
            self._refusal = (502, f"the server cannot be reached: {type(error).__name__}")
        self._task = None
        if self.closing:
            return
        held, self._held = self._held, b""
        if held:
            # A refusal waits for the request: sent before it, it is lost with the client's first write.
            self.client.data_received(held)
            self.client.transport.resume_reading()

    def unserved(self, data: bytes) -> None:
        """Bytes of a client that has no server."""
        if self._task is not None:
            # Not paused when it was opened: uvloop starts to read after `connection_made` all the same.
            self._held += data
            self.client.transport.pause_reading()
            return
        if self._refusal is None or self._refused:
            return  # what a client still sends while it is refused
        self.tap.from_client(data)
        if self.tap.begun or self.tap.method:
            self._refuse(*self._refusal)

    def _refuse(self, status: int, why: str) -> None:
        """Answer in the server's place, and end."""
        self._refused = True
        body = f"driftgauge proxy: {why}\n".encode()
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode()
        client = self.client.transport
        client.write(head if self.tap.method == "HEAD" else head + body)
        self.tap.close("not_ok")
        # Closed at once, with bytes unread, the client would be reset and never see the answer.
        if client.can_write_eof():
            client.write_eof()
        self._end_soon()

    # ------------------------------------------------------------------ end

    def ended(self, side: _Side) -> bool:
        """One side sends no more; tell the other. Whether the side stays open."""
        whole = bool(side.transport.can_write_eof())  # TLS has no half
        if side is self._server:
            self.tap.upstream_ended()
        other = side.other.transport
        if other is None or self._half_closed or not whole:
            self.close()
        elif other.can_write_eof():
            self._half_closed = True
            other.write_eof()
            if side is self._server:
                self._end_soon()
        elif side is self.client and self.tap.watching and not self.tap.idle:
            self.draining = True  # it waits for its answer, and then both end
        else:
            self.close()
        return whole

    def lost(self, error: Exception | None) -> None:
        """One connection is gone: so is the other, once what was written to it is sent."""
        if error is not None:
            self.tap.close()
        self.close()
        if self.client.transport is None and self._server.transport is None:
            self._links.discard(self)

    def _end_soon(self) -> None:
        self.loop.call_later(LINGER_SECONDS, self.close)

    def close(self) -> None:
        """Close both connections; what was written to them is sent first."""
        if self.closing:
            return
        self.closing = True
        self.active_seconds = self.loop.time()
        self.tap.close()
        if self._task is not None:
            self._task.cancel()
        for side in (self.client, self._server):
            if side.transport is not None:
                side.transport.close()

    def abort(self) -> None:
        """Close both connections at once."""
        self.close()
        for side in (self.client, self._server):
            if side.transport is not None:
                side.transport.abort()

    # ------------------------------------------------------------------ time

    def look(self, now_seconds: float) -> None:
        """End what has waited too long; called about once a second."""
        quiet_seconds = now_seconds - self.active_seconds
        if self.closing:
            if quiet_seconds > FLUSH_SECONDS:
                self.abort()
        elif self._task is not None or not self.tap.watching:
            return
        elif self.tap.idle:
            if 0 < self._timeouts.idle_seconds < quiet_seconds:
                self.close()
        elif 0 < self._timeouts.response_seconds < quiet_seconds:
            self._too_slow()

    def _too_slow(self) -> None:
        server = self._server.transport
        if self.tap.begun or self.tap.asking or server is None or self._half_closed:
            self.abort()  # in the middle of an answer there is nothing to be said
            return
        seconds = self._timeouts.response_seconds
        self._refuse(504, f"the server did not answer within {seconds:g} s")
        server.abort()

    def drain(self) -> None:
        """End as soon as no answer is due."""
        self.draining = True
        if self.tap.idle and self._task is None:
            self.close()

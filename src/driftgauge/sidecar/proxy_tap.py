"""Watches the bytes of one connection after they have been passed on, and copies those of configured routes.

It has no way to touch the traffic. Where it cannot follow, it stops watching that connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from driftgauge._payload_intake import Intake
from driftgauge.protocols import Message
from driftgauge.sidecar.proxy_framing import (
    TO_CLOSE,
    TUNNEL,
    Framer,
    Head,
    UnreadableError,
    body_length,
    parse_head,
)

__all__ = ["Find", "Tap"]

Find = Callable[[str, str], Intake | None]
"""Where the exchanges of a method and a path go; None: nowhere."""

NO_BODY: Final = frozenset({"204", "304"})
MOST_PENDING: Final = 1_000  # requests sent ahead of their answers; more is nobody's normal client


class _Exchange:
    """A request and its answer, copied as they pass if somebody wants them."""

    __slots__ = (
        "answer",
        "answer_head",
        "answered",
        "asked",
        "head",
        "intake",
        "method",
        "path",
        "size",
        "told",
    )

    def __init__(self, method: str, path: str, intake: Intake | None) -> None:
        self.method = method
        self.path = path
        self.intake = intake
        self.head: Head | None = None
        self.asked: bytes | bytearray = b""
        self.answer: bytes | bytearray = b""
        self.answer_head: Head | None = None
        self.size = 0
        self.told = False  # the request is complete
        self.answered = False

    def ask(self, data: bytes, most: int) -> None:
        """Copy a part of the request."""
        if self._room(data, len(self.asked) + len(data), most):
            self.asked = _longer(self.asked, data)

    def reply(self, data: bytes, most: int) -> None:
        """Copy a part of the answer."""
        if self._room(data, len(self.answer) + len(data), most):
            self.answer = _longer(self.answer, data)

    def _room(self, data: bytes, length: int, most: int) -> bool:
        intake = self.intake
        if intake is None:
            return False
        if length > most:
            self.give_up("too_large")
            return False
        if not intake.reserve(len(data)):
            self.give_up("queue_full")
            return False
        self.size += len(data)
        return True

    def give_up(self, reason: str) -> None:
        """Count it as dropped, if it has not been offered or dropped already."""
        intake, self.intake = self.intake, None
        if intake is not None:
            intake.give_back(self.size)
            intake.drop(reason)
        self.asked = self.answer = b""

    def offer(self) -> None:
        """Hand it over, when both halves are complete."""
        intake, asked, answered = self.intake, self.head, self.answer_head
        if intake is None or asked is None or answered is None or not (self.told and self.answered):
            return
        self.intake = None
        intake.give_back(self.size)
        request = Message(bytes(self.asked), asked.headers, self.path)
        intake.put(request, Message(bytes(self.answer), answered.headers, self.path))


def _longer(body: bytes | bytearray, data: bytes) -> bytes | bytearray:
    """*body* with *data* after it; most bodies come in one piece and are not copied at all."""
    if not body:
        return data
    if isinstance(body, bytes):  # 16 MiB in chunks of a byte must not become as many objects
        body = bytearray(body)
    body += data
    return body


class Tap:
    """Follows the requests and answers of one connection.

    Parameters
    ----------
    find : callable
        Given method and path, the `Intake` of a configured route or None.
    body_bytes : int
        A longer body is not copied, and its payload dropped as ``too_large``.
    gave_up : callable, optional
        Called when the traffic cannot be followed. Requests that wait for their answers are dropped as
        ``unfollowed``; those that come after are not known.

    Examples
    --------
    >>> tap = Tap(lambda method, path: None, 1_000)
    >>> tap.from_client(b"GET / HTTP/1.1\\r\\n\\r\\n")
    >>> tap.idle, tap.begun
    (False, False)
    >>> tap.from_upstream(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    >>> tap.idle
    True
    """

    __slots__ = (
        "_answers",
        "_asking",
        "_body_bytes",
        "_find",
        "_gave_up",
        "_pending",
        "_requests",
        "failed",
        "watching",
    )

    def __init__(self, find: Find, body_bytes: int, gave_up: Callable[[], None] = lambda: None) -> None:
        self._find = find
        self._body_bytes = body_bytes
        self._gave_up = gave_up
        self._pending: deque[_Exchange] = deque()
        self._asking: _Exchange | None = None
        self._requests = Framer(self._request_head, self._request_body, self._request_end)
        self._answers = Framer(self._answer_head, self._answer_body, self._answer_end)
        self.watching = True
        self.failed: Exception | None = None
        """What went wrong in us, where it was not the traffic that cannot be followed."""

    @property
    def idle(self) -> bool:
        """Whether every request that has come is answered, as far as we can follow."""
        return self.watching and not self._pending and self._requests.between

    @property
    def begun(self) -> bool:
        """Whether an answer has begun and not ended, or we do not know."""
        return not self.watching or not self._answers.between

    @property
    def asking(self) -> bool:
        """Whether a request has begun and not ended."""
        return self.watching and not self._requests.between

    @property
    def method(self) -> str:
        """Of the request that waits longest, or empty."""
        return self._pending[0].method if self._pending else ""

    def from_client(self, data: bytes) -> None:
        """Bytes that were passed on to the server. Never raises."""
        self._feed(self._requests, data)

    def from_upstream(self, data: bytes) -> None:
        """Bytes that were passed on to the client. Never raises."""
        self._feed(self._answers, data)
        if self.watching and not self._pending and not self._answers.between:
            self._give_up()  # more than the answer's length said: what follows belongs to no request

    def _feed(self, framer: Framer, data: bytes) -> None:
        if not self.watching:
            return
        try:
            framer.feed(data)
            if framer.tunnel:
                self.close()
        except UnreadableError:
            self._give_up()
        except Exception as error:
            self.failed = error
            self.close("internal_error")

    def _give_up(self) -> None:
        self.close("unfollowed")
        self._gave_up()

    def upstream_ended(self) -> None:
        """The server has said that it sends no more."""
        if self.watching:
            try:
                self._answers.eof()
            except Exception as error:
                self.failed = error
                self.close("internal_error")

    def close(self, reason: str = "aborted") -> None:
        """Stop watching; what is not complete is dropped."""
        self.watching = False
        for exchange in self._pending:
            exchange.give_up(reason)
        if self._asking is not None:
            self._asking.give_up(reason)
        self._pending.clear()
        self._asking = None

    # ------------------------------------------------------------------ requests

    def _request_head(self, data: bytes) -> int:
        method, _, rest = data.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        target, _, version = rest.rpartition(" ")
        if not version.startswith("HTTP/1.") or not target or len(self._pending) >= MOST_PENDING:
            raise UnreadableError
        path = target.partition("?")[0]
        intake = self._find(method, path)
        if intake is not None and not intake.admit():
            intake = None
        asking = self._asking = _Exchange(method, path, intake)
        self._pending.append(asking)
        # Only now: one whose headers cannot be followed is counted where its path belongs.
        head = asking.head = parse_head(data)
        return body_length(head.headers, 0)

    def _request_body(self, data: bytes) -> None:
        if self._asking is not None and self._asking.intake is not None:
            self._asking.ask(data, self._body_bytes)

    def _request_end(self) -> None:
        if self._asking is not None:
            self._asking.told = True
            self._asking.offer()
            self._asking = None

    # ------------------------------------------------------------------ answers

    def _answer_head(self, data: bytes) -> int:
        if not self._pending:
            raise UnreadableError
        exchange = self._pending[0]
        head = parse_head(data)
        version, _, rest = head.first.partition(" ")
        status = rest[:3]
        if not version.startswith("HTTP/1.") or not status.isdigit():
            raise UnreadableError
        if status == "101" or (exchange.method == "CONNECT" and status[0] == "2"):
            exchange.give_up("not_ok")
            return TUNNEL
        if status[0] == "1":
            return 0
        exchange.answer_head = head
        if status[0] != "2":
            exchange.give_up("not_ok")
        if exchange.method == "HEAD" or status in NO_BODY:
            return 0
        return body_length(head.headers, TO_CLOSE)

    def _answer_body(self, data: bytes) -> None:
        exchange = self._pending[0]
        if exchange.intake is not None:
            exchange.reply(data, self._body_bytes)

    def _answer_end(self) -> None:
        if self._pending[0].answer_head is None:  # 100 Continue and its like: the answer is still to come
            return
        exchange = self._pending.popleft()
        exchange.answered = True
        exchange.offer()

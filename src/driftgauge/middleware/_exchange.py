"""One exchange as it goes by: a copy of both bodies within limits, given away when the answer is complete."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from driftgauge.protocols import Limits, Message

if TYPE_CHECKING:
    from driftgauge._payload_intake import Intake

__all__ = ["Exchange", "Half", "Line"]

HEADERS: Final = frozenset({"content-encoding", "content-type", "inference-header-content-length"})
HEADER_CHARS: Final = 1_000  # a longer value names nothing that a decoder knows
CHUNK_BYTES: Final = 64  # what a chunk takes beside its bytes: 41 as bytes and in a list, rounded up


class Half:
    """The body of a request or of a response, chunk by chunk.

    Parameters
    ----------
    line : Line
    wanted : bool
        False: nothing is kept, because the reference has no use for it.
    """

    __slots__ = ("_chunks", "_line", "_size", "_wanted", "headers", "held", "lost")

    def __init__(self, line: Line, *, wanted: bool) -> None:
        self._line = line
        self._wanted = wanted
        self._chunks: list[bytes] = []
        self._size = 0
        self.headers: dict[str, str] = {}
        self.held = 0
        self.lost = ""

    def add(self, chunk: Any) -> None:
        """Keep a chunk: bytes without copying them, anything else as it is now. Never raises."""
        if self.lost or not self._wanted:
            return
        try:
            kept = chunk if type(chunk) is bytes else bytes(memoryview(chunk))
            if not kept:
                return
            room = len(kept) + CHUNK_BYTES
            if self._size + len(kept) > self._line.limits.body_bytes:
                self.lose("too_large")
            elif not self._line.intake.reserve(room):
                self.lose("queue_full")
            else:
                self._size += len(kept)
                self.held += room
                self._chunks.append(kept)
        except Exception:  # no bytes, say: the server will tell
            self.lose("internal_error")

    def see(self, headers: Iterable[tuple[str, str]]) -> None:
        """Keep the headers that decoders read."""
        self.headers = {
            name: value[:HEADER_CHARS]
            for given, value in headers
            if (name := given.lower()) in HEADERS and value
        }

    def lose(self, reason: str) -> None:
        """Forget the body; *reason* is what counters say. Never raises."""
        self.lost = self.lost or reason
        self._chunks = []
        held, self.held = self.held, 0
        with contextlib.suppress(Exception):
            self._line.intake.give_back(held)

    def message(self, path: str) -> Message:
        """The whole of it."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        return Message(body, self.headers, path)


class Exchange:
    """A request and its answer. Given to the intake, or dropped for a reason, exactly once.

    Parameters
    ----------
    line : Line
    path : str
    """

    __slots__ = ("_line", "_open", "path", "request", "request_complete", "response", "status")

    def __init__(self, line: Line, path: str) -> None:
        self._line = line
        self._open = True
        self.path = path
        self.status = 0
        self.request = Half(line, wanted=line.wants_request)
        self.request_complete = not line.wants_request
        self.response = Half(line, wanted=line.wants_response)

    def fail(self) -> None:
        """The application raised: whoever catches it answers with an error, unless the answer had begun."""
        self.status = self.status or 500
        self.finish(complete=False)

    def finish(self, *, complete: bool) -> None:
        """The answer is over, to its end or not. Never raises."""
        if not self._open:
            return
        self._open = False
        line, intake = self._line, self._line.intake
        try:
            # The host's own refusals are told from answers cut short: nothing is wrong with the former.
            if self.status and not 200 <= self.status < 300:
                reason = "not_ok"
            elif not complete:
                reason = "aborted"
            elif not self.request_complete:
                reason = "unpaired"
            else:
                reason = self.request.lost or self.response.lost
            asked = None if reason or not line.wants_request else self.request.message(self.path)
            answered = None if reason or not line.wants_response else self.response.message(self.path)
            intake.give_back(self.request.held + self.response.held)
            self.request.held = self.response.held = 0
            if reason:
                intake.drop(reason)
            else:
                intake.put(asked, answered)
        except Exception:
            intake.drop("internal_error")

    def __del__(self) -> None:
        # A server may forget an answer. The collector runs in whatever thread has the intake's lock, so this
        # only leaves a note.
        if self._open:
            self._line.forgotten.append(self.request.held + self.response.held)


class Line:
    """Where the exchanges of some routes go.

    Parameters
    ----------
    intake : Intake
    limits : Limits
    wants_request, wants_response : bool
        Whether the reference has inputs and outputs.
    """

    def __init__(self, intake: Intake, limits: Limits, *, wants_request: bool, wants_response: bool) -> None:
        self.intake = intake
        self.limits = limits
        self.wants_request = wants_request
        self.wants_response = wants_response
        self.forgotten: deque[int] = deque()

    def begin(self, path: str) -> Exchange | None:
        """The exchange that begins now; None when it is not looked into, which is counted."""
        self.settle()
        return Exchange(self, path) if self.intake.admit() else None

    def settle(self) -> None:
        """Count exchanges that were forgotten, and free what they held."""
        with contextlib.suppress(IndexError):  # two threads may settle at once
            while self.forgotten:
                self.intake.give_back(self.forgotten.popleft())
                self.intake.drop("aborted")

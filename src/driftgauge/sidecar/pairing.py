"""Halves of exchanges that come in any order, brought together by key: bounded in time, number and bytes."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from driftgauge.protocols import Message

__all__ = ["Half", "Pair", "Pairing"]

Key = tuple[str, ...]

HALF_BYTES: Final = 1_000  # what a half takes beside its body: key, headers, entries in tables


@dataclass(frozen=True, slots=True)
class Half:
    """A half that waits for the other."""

    key: Key
    is_request: bool
    message: Message
    seconds: float
    """When it came, on the caller's clock."""

    @property
    def size(self) -> int:
        """What it is taken to hold in memory, in bytes."""
        return len(self.message.body) + HALF_BYTES


@dataclass(frozen=True, slots=True)
class Pair:
    """A request and its response."""

    request: Message
    response: Message


class Pairing:
    """What waits for its other half.

    Parameters
    ----------
    seconds : float
        How long a half may wait.
    halves, size_bytes : int
        How many may wait, and what they may hold. Where there are more, those that wait longest go first.

    Examples
    --------
    >>> pairing = Pairing(seconds=30, halves=1_000, size_bytes=1 << 20)
    >>> pairing.add(("7",), False, Message(b"answer"), now=0.0) is None
    True
    >>> pairing.add(("7",), True, Message(b"question"), now=0.1).response.body
    b'answer'
    >>> pairing.add(("8",), True, Message(b"question"), now=0.2), len(pairing.overdue(now=31.0))
    (None, 1)

    Notes
    -----
    A client may give all its requests one id. Then halves are paired in the order in which they came: the
    oldest request with the oldest response. That is right as long as the client waits for each answer. It
    costs O(1) a half. One thread at a time.
    """

    def __init__(self, *, seconds: float, halves: int, size_bytes: int) -> None:
        self._seconds = seconds
        self._halves = halves
        self._most_bytes = size_bytes
        # By age, oldest first; the halves of one key are in the order in which they came.
        self._waiting: OrderedDict[int, Half] = OrderedDict()
        self._by_key: dict[tuple[Key, bool], deque[int]] = {}
        self._seen: OrderedDict[tuple[Key, bool, str], float] = OrderedDict()
        self._next = 0
        self._bytes = 0

    def __len__(self) -> int:
        """How many halves wait."""
        return len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """What the halves that wait hold, in bytes."""
        return self._bytes

    def is_again(self, key: Key, is_request: bool, stamp: str, now: float) -> bool:
        """Whether a half of this key and stamp came before, within the time: a broker delivered it twice.

        Without a stamp nothing can be told, so the answer is no.
        """
        if not stamp:
            return False
        while self._seen:
            oldest, seconds = next(iter(self._seen.items()))
            if now - seconds <= self._seconds and len(self._seen) <= 2 * self._halves:
                break
            del self._seen[oldest]
        again = (key, is_request, stamp)
        if again in self._seen:
            return True
        self._seen[again] = now
        return False

    def add(self, key: Key, is_request: bool, message: Message, now: float) -> Pair | None:
        """The pair that this half completes; None when it waits now."""
        others = self._by_key.get((key, not is_request))
        if others:
            other = self._take(others[0]).message
            return Pair(message, other) if is_request else Pair(other, message)
        half = Half(key, is_request, message, now)
        self._waiting[self._next] = half
        self._by_key.setdefault((key, is_request), deque()).append(self._next)
        self._next += 1
        self._bytes += half.size
        return None

    def overdue(self, now: float) -> list[Half]:
        """Halves that wait no longer: their time is over, or there is no room for them."""
        gone = []
        while self._waiting:
            number, half = next(iter(self._waiting.items()))
            full = len(self._waiting) > self._halves or self._bytes > self._most_bytes
            if not full and now - half.seconds <= self._seconds:
                break
            gone.append(self._take(number))
        return gone

    def everything(self) -> list[Half]:
        """All that wait, at the end."""
        return [self._take(number) for number in list(self._waiting)]

    def _take(self, number: int) -> Half:
        half = self._waiting.pop(number)
        place = (half.key, half.is_request)
        numbers = self._by_key[place]
        numbers.popleft()  # always the first of its key: both orders are those of arrival
        if not numbers:
            del self._by_key[place]
        self._bytes -= half.size
        return half

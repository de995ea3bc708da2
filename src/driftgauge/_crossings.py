"""Scores that cross 1: who is told, and the trace of a request that brought a row of the evidence.

What notices a crossing holds the lock of the engine; listeners are called later, without it, by whoever
noticed: the background thread, a scrape, or a request that counts its own rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from driftgauge.snapshot import Crossing, DriftSnapshot, FeatureDrift

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["Crossings", "Listener", "TraceSource"]

Listener = Callable[[Crossing], object]
TraceSource = Callable[[], tuple[str, str] | None]

# A request in so many seconds is asked for its trace: it pays 2.5 µs, the others nothing.
TRACE_SECONDS: Final = 1.0
WAITING: Final = 10_000  # crossings that may wait for their listeners


class Heard:
    """One listener, and what it was told is above 1."""

    def __init__(self, listener: Listener, trace: TraceSource | None) -> None:
        self.listener = listener
        self.trace = trace
        self.above: dict[tuple[str, str], FeatureDrift] = {}


class Crossings:
    """Which scores are above 1, and the listeners that hear when that changes.

    Nothing is compared while nobody listens. Who begins to listen hears at the next evaluation of what is
    above 1 already, and then of what crosses.
    """

    def __init__(self) -> None:
        self.listeners: tuple[Heard, ...] = ()
        self.window = ""
        self.clear()

    def clear(self) -> None:
        """Know of nothing above 1, and of no trace; listeners stay. For a child process."""
        self.last: Crossing | None = None
        self._waiting: deque[tuple[Heard, Crossing]] = deque(maxlen=WAITING)
        self._trace: tuple[str, str] | None = None
        self._asked_seconds: float | None = None
        for each in self.listeners:
            each.above = {}

    def listen(self, listener: Listener, trace: TraceSource | None) -> Callable[[], None]:
        """Have *listener* told, until what is returned is called."""
        heard = Heard(listener, trace)
        self.listeners = (*self.listeners, heard)

        def stop() -> None:
            self.listeners = tuple(each for each in self.listeners if each is not heard)

        return stop

    def wants_trace(self, now_seconds: float) -> bool:
        """Whether the next request is to be asked for its trace; at most once in `TRACE_SECONDS`."""
        if all(each.trace is None for each in self.listeners):
            return False
        asked = self._asked_seconds
        if asked is not None and 0 <= now_seconds - asked < TRACE_SECONDS:
            return False
        self._asked_seconds = now_seconds
        return True

    def take_trace(self) -> None:
        """Note the trace of the request that is served in this thread. Raises what its source does."""
        for each in self.listeners:
            found = None if each.trace is None else each.trace()
            if found is not None:
                self._trace = found
                return

    def compare(self, drift: DriftSnapshot, reference: Reference, now_seconds: float) -> None:
        """Find what has crossed 1 since the last evaluation."""
        here = {(each.kind, each.name): each for each in (_model(drift), *drift.features, *drift.virtual)}
        above = {key: each for key, each in here.items() if each.score > 1}
        trace, self._trace = self._trace, None
        for heard in self.listeners:
            before, heard.above = heard.above, above
            changed = [(each, "up") for key, each in above.items() if key not in before]
            changed += [(here.get(key, gone), "down") for key, gone in before.items() if key not in above]
            for each, direction in changed:
                self.last = self._crossing(each, direction, reference, now_seconds, trace)
                self._waiting.append((heard, self.last))

    def _crossing(
        self,
        drift: FeatureDrift,
        direction: str,
        reference: Reference,
        now_seconds: float,
        trace: tuple[str, str] | None,
    ) -> Crossing:
        return Crossing(
            model=reference.model,
            model_version=reference.version,
            reference_id=reference.id,
            window=self.window,
            feature=drift.name,
            kind=drift.kind,
            direction=direction,
            score=drift.score,
            cause=drift.cause,
            cell=drift.cell,
            words=drift.words,
            onset_timestamp_seconds=drift.onset_timestamp_seconds,
            timestamp_seconds=now_seconds,
            trace=trace,
        )

    def told(self) -> Iterator[tuple[Listener, Crossing]]:
        """What waits, with who is to hear it; in the order in which it was noticed."""
        while self._waiting:
            try:
                heard, crossing = self._waiting.popleft()
            except IndexError:  # another thread took it
                return
            if heard in self.listeners:
                yield heard.listener, crossing


def _model(drift: DriftSnapshot) -> FeatureDrift:
    """The model as a whole, as if it were a feature."""
    strongest: Any = max(drift.features, key=lambda each: each.score, default=None)
    return FeatureDrift(
        name="",
        kind="model",
        score=drift.score,
        log_evidence=drift.log_evidence,
        drifted=drift.score > 1,
        cause="none" if strongest is None else strongest.cause,
        cell="",
        words="" if strongest is None else strongest.words,
        onset_timestamp_seconds=None if strongest is None else strongest.onset_timestamp_seconds,
    )

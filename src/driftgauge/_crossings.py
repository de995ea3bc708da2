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

# A request in so many seconds is asked for its trace: it pays 2 µs, the others nothing.
TRACE_SECONDS: Final = 1.0
WAITING: Final = 10_000  # crossings that may wait for their listeners


class Crossings:
    """Which scores are above 1, and the listeners that hear when that changes.

    Nothing is compared while nobody listens. Who begins to listen later hears at the next evaluation of what
    is above 1 already, and then of what crosses.
    """

    def __init__(self) -> None:
        self.listeners: tuple[tuple[Listener, TraceSource | None], ...] = ()
        self.window = ""
        self.clear()

    def clear(self) -> None:
        """Know of nothing above 1, and of no trace; listeners stay. For a child process."""
        self.last: Crossing | None = None
        self._above: dict[tuple[str, str], FeatureDrift] = {}
        self._waiting: deque[Crossing] = deque(maxlen=WAITING)
        self._trace: tuple[str, str] | None = None
        self._asked_seconds: float | None = None

    def wants_trace(self, now_seconds: float) -> bool:
        """Whether the next request is to be asked for its trace; at most once in `TRACE_SECONDS`."""
        if not any(trace for _, trace in self.listeners):
            return False
        asked = self._asked_seconds
        if asked is not None and 0 <= now_seconds - asked < TRACE_SECONDS:
            return False
        self._asked_seconds = now_seconds
        return True

    def take_trace(self) -> None:
        """Note the trace of the request that is being served in this thread. Raises what its source does."""
        for _, source in self.listeners:
            found = None if source is None else source()
            if found is not None:
                self._trace = found
                return

    def compare(self, drift: DriftSnapshot, reference: Reference, now_seconds: float) -> None:
        """Find what has crossed 1 since the last evaluation."""
        here = {(each.kind, each.name): each for each in (_model(drift), *drift.features, *drift.virtual)}
        above = {key: each for key, each in here.items() if each.score > 1}
        before, self._above = self._above, above
        changed = [(here[key], "up") for key in above if key not in before]
        changed += [(here.get(key, gone), "down") for key, gone in before.items() if key not in above]
        trace, self._trace = self._trace, None
        for each, direction in changed:
            crossing = Crossing(
                model=reference.model,
                model_version=reference.version,
                reference_id=reference.id,
                window=self.window,
                feature="" if each.kind == "model" else each.name,
                kind=each.kind,
                direction=direction,
                score=each.score,
                cause=each.cause,
                cell=each.cell,
                words=each.words,
                onset_timestamp_seconds=each.onset_timestamp_seconds,
                timestamp_seconds=now_seconds,
                trace=trace,
            )
            self.last = crossing
            self._waiting.append(crossing)

    def told(self) -> Iterator[tuple[Listener, Crossing]]:
        """What waits, with each listener; in the order in which it was noticed."""
        while self._waiting:
            try:
                crossing = self._waiting.popleft()
            except IndexError:  # another thread took it
                return
            for listener, _ in self.listeners:
                yield listener, crossing


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

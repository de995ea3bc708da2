"""The state of a monitor: windows, counts and evidence, under one lock that watched calls never take."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._buffer import Buffer
from driftgauge._capture import Call
from driftgauge._evaluate import Counters
from driftgauge._evidence import Evidence
from driftgauge._intake import Row
from driftgauge._outputs import NOT_RECORDED
from driftgauge._rows import Block, Entry, Indexer
from driftgauge.cells import Counts, Floats
from driftgauge.detectors.protocol import Detector
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot
from driftgauge.windows import Window, WindowSpec, WindowState

__all__ = ["Engine", "Frozen", "View", "unanswered"]

# Compiling takes seconds of CPU that compete with the host for the interpreter. A process that sees few rows
# never does it; `Monitor.warm_up` does it at once.
COMPILE_AFTER_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class View:
    """A window at one moment, for an evaluation that no lock covers."""

    name: str
    reference_id: str
    counts: Counts
    rows: int
    reach_seconds: float

    def seconds(self, now_seconds: float) -> float:  # noqa: ARG002 - the moment is this view's own
        """How far back the window reached."""
        return self.reach_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A monitor at one moment: all that an evaluation needs."""

    now_seconds: float
    views: tuple[View, ...]
    bin_rows: NDArray[np.int64]
    counters: Counters
    drift: DriftSnapshot | None
    shares: Floats | None


class Engine:
    """Empties the buffer into the windows, for whoever asks: the background thread, a scrape, a test.

    Parameters
    ----------
    reference : Reference
    specs : sequence of window specifications
    buffer : Buffer
    clock : callable
        Seconds since the epoch. Where it raises or is not finite, the last good time stands in and an error
        of the stage ``clock`` is counted; `time.time` while there has been no good time.
    detector : Detector or None
        Given every row that the windows are given, and asked to weigh them when its budget says.
    """

    def __init__(
        self,
        reference: Reference,
        specs: Sequence[WindowSpec],
        buffer: Buffer,
        clock: Callable[[], float],
        detector: Detector | None = None,
    ) -> None:
        self.buffer = buffer
        self._reference = reference
        self._specs = tuple(specs)
        self._clock = clock
        self._good_seconds: float | None = None
        self._indexer = Indexer(reference, buffer)
        self._evidence = Evidence(detector, reference, buffer)
        self.start()

    def start(self) -> None:
        """Begin with nothing counted, no evidence and a lock of its own: anew, or after a fork."""
        layout = self._reference.layout
        self._lock = threading.RLock()
        self._windows: tuple[Window, ...] = tuple(
            spec.open(layout, self._reference.id) for spec in self._specs
        )
        self._bin_rows: NDArray[np.int64] = np.zeros(layout.bins, np.int64)
        self._rows_sampled = 0
        self._evidence.forget()
        self._compiles = False

    def work(self) -> int:
        """What the background thread does each tick: `flush`, and compile once it pays. Returns the rows."""
        try:
            handled = self.flush()
            if self._rows_sampled >= COMPILE_AFTER_ROWS and not self._compiles:
                self._compiles = True
                if kernels.status() == "numpy":
                    # A thread of its own, for the buffer must be emptied meanwhile.
                    threading.Thread(target=self._compile, name="driftgauge-warm-up", daemon=True).start()
        except Exception as error:
            self.buffer.failed("thread", error)
            return 0
        return handled

    def _compile(self) -> None:
        try:
            kernels.warm_up()
        except Exception as error:
            self.buffer.failed("warm_up", error)

    def flush(self, now_seconds: float | None = None, entries: Sequence[Any] = ()) -> int:
        """Count what is in the buffer, and then *entries*; weigh the evidence if it is time. The rows."""
        with self._lock:
            handled = self._take(now_seconds, entries)
        self.buffer.log_notes()
        return handled

    def flush_within(self, timeout_seconds: float) -> None:
        """`flush`, unless the state stays locked for so long; then what waits goes on waiting."""
        if self._lock.acquire(timeout=timeout_seconds):
            try:
                self._take(None)
            finally:
                self._lock.release()
        self.buffer.log_notes()

    def _take(self, now_seconds: float | None, entries: Sequence[Any] = ()) -> int:
        """Count what is in the buffer now; not what comes meanwhile, or it might never end."""
        ready = self.buffer.ready
        taken = []
        for _ in range(len(ready)):
            taken.append(ready.popleft())  # noqa: PERF401 - a list display would lose all at an interrupt
        taken.extend(entries)
        if not taken and not self._evidence.waiting:
            return 0  # and the clock is not read
        now = self._time(now_seconds)
        handled = self._count(taken, now)
        self._evidence.look(now)
        return handled

    def _count(self, entries: Sequence[Any], now_seconds: float) -> int:
        handled = 0
        for block in self._indexer.blocks(entries):
            handled += block.rows
            try:
                self._push(block, now_seconds)
            except Exception as error:
                self.buffer.failed("push", error)
                self.buffer.dropped["internal_error"].add(block.rows)
        return handled

    def _time(self, now_seconds: float | None) -> float:
        """The time to count with: always finite, so that no window refuses what another has taken."""
        try:
            now = float(self._clock() if now_seconds is None else now_seconds)
            if not math.isfinite(now):
                raise ArithmeticError  # noqa: TRY301 - counted like a clock that raises
        except Exception as error:
            self.buffer.failed("clock", error)
            return time.time() if self._good_seconds is None else self._good_seconds
        self._good_seconds = now
        return now

    def _push(self, block: Block, now_seconds: float) -> None:
        """Let a block into the windows and the cumulative counts. Raises when no window has taken it."""
        bin_rows = self._bin_rows.copy()
        # First, and into a copy: a block at fault fails here, before a window holds it.
        kernels.add_bin_rows(block.indices, self._reference.layout, bin_rows)
        taken = False
        for window in self._windows:
            try:
                window.push(block.indices, now_seconds)
            except Exception as error:
                # Only for want of memory. Windows cannot give rows back, so the others take the block too,
                # and it counts as sampled: rows that a window shows are never rows that were dropped.
                if not taken and window is self._windows[-1]:
                    raise
                self.buffer.failed("push", error)
            else:
                taken = True
        self._bin_rows = bin_rows
        self._rows_sampled += block.rows
        self._evidence.add(block.indices, now_seconds)

    def freeze(self, now_seconds: float | None) -> Frozen:
        """All that an evaluation needs, as it is when every row that has come is counted."""
        with self._lock:
            now = self._time(now_seconds)
            self._take(now)
            for window in self._windows:
                window.advance(now)
            drift = self._evidence.snapshot()  # before the counters, which count its errors
            frozen = Frozen(
                now_seconds=now,
                views=tuple(
                    View(w.name, w.reference_id, w.counts.copy(), w.rows, w.seconds(now))
                    for w in self._windows
                ),
                bin_rows=self._bin_rows.copy(),
                counters=self._counters(),
                drift=drift,
                shares=None if drift is None else self._evidence.shares(),
            )
        self.buffer.log_notes()
        return frozen

    def _counters(self) -> Counters:
        buffer = self.buffer
        dropped = {reason: tally.read() for reason, tally in buffer.dropped.items()}
        sampled_out = buffer.sampled_out.read()
        return Counters(
            rows=sampled_out + self._rows_sampled + sum(dropped.values()),
            rows_sampled=self._rows_sampled,
            rows_sampled_out=sampled_out,
            rows_dropped=dropped,
            internal_errors={stage: tally.read() for stage, tally in buffer.errors.items()},
        )

    def states(self) -> list[WindowState]:
        """A copy of each window; the first carries the evidence."""
        with self._lock:
            self._take(None)
            states = [window.state() for window in self._windows]
            evidence = self._evidence.state()
        self.buffer.log_notes()
        return [replace(states[0], evidence=evidence), *states[1:]]

    def restore(self, states: Sequence[WindowState]) -> None:
        """Go on from *states*, one a window; all of them or, where one raises, none."""
        layout = self._reference.layout
        fresh = tuple(spec.open(layout, self._reference.id) for spec in self._specs)
        for window, state in zip(fresh, states, strict=True):
            window.restore(state)
        detector = self._evidence.restored(states[0].evidence)
        with self._lock:
            self._take(None)
            self._windows = fresh
            self._evidence.go_on(detector)
        self.buffer.log_notes()

    def acknowledge(self) -> None:
        """Forget the evidence of all rows that have come. Windows and counts stay."""
        with self._lock:
            self._take(None)
            self._evidence.forget()
        self.buffer.log_notes()

    def reset(self) -> None:
        """Forget all rows and count from 0 again."""
        with self._lock:
            self._take(None)
            for window in self._windows:
                window.clear()
            self._bin_rows[:] = 0
            self._rows_sampled = 0
            self._evidence.forget()
            self.buffer.clear_counts()


def unanswered(begun: Call | Row) -> Entry:
    """An entry of the buffer for rows without outputs."""
    if isinstance(begun, tuple):
        return (*begun, NOT_RECORDED)
    begun.result = NOT_RECORDED
    return begun

"""The state of a monitor: windows, counts and evidence, under one lock that watched calls never take."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._buffer import Buffer
from driftgauge._capture import Call
from driftgauge._evaluate import Counters
from driftgauge._evidence import Evidence
from driftgauge._frozen import Frozen, View
from driftgauge._intake import Row
from driftgauge._outputs import NOT_RECORDED
from driftgauge._payload_sources import PayloadSources
from driftgauge._rows import Block, Entry, Indexer
from driftgauge.detectors.protocol import Detector
from driftgauge.reference import Reference
from driftgauge.snapshot import PayloadCounts
from driftgauge.windows import Window, WindowSpec, WindowState

if TYPE_CHECKING:
    from driftgauge.shared._publication import Publication
    from driftgauge.shared._sharing import Sharing

__all__ = ["Engine", "unanswered"]

# Compiling takes seconds of CPU that compete with the host for the interpreter. A process that sees few rows
# never does it; `Monitor.warm_up` does it at once.
COMPILE_AFTER_ROWS: Final = 100_000


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
    sharing : Sharing or None
        How it counts together with other processes: then what it says is what they all have counted, and the
        evidence is weighed there.
    """

    def __init__(
        self,
        reference: Reference,
        specs: Sequence[WindowSpec],
        buffer: Buffer,
        clock: Callable[[], float],
        detector: Detector | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.buffer = buffer
        self._reference = reference
        self._specs = tuple(specs)
        self._clock = clock
        self._good_seconds: float | None = None
        self._indexer = Indexer(reference, buffer)
        self._evidence = Evidence(detector, reference, buffer)
        self._sharing = sharing
        self.payloads = PayloadSources(buffer.failed)
        self.start()

    def start(self) -> None:
        """Begin with nothing counted, no evidence and a lock of its own: anew, or after a fork."""
        layout = self._reference.layout
        self._lock = threading.RLock()
        # Who publishes holds this one first and then the other, so that nobody says less than was said.
        self._sharing_lock = threading.RLock()
        self._windows: tuple[Window, ...] = tuple(
            spec.open(layout, self._reference.id) for spec in self._specs
        )
        self._bin_rows: NDArray[np.int64] = np.zeros(layout.bins, np.int64)
        self._rows_sampled = 0
        self._newest_seconds = -math.inf
        self._evidence.forget()
        self.payloads.clear()
        if self._sharing is not None:
            self._sharing.begin()
        self._compiles = False

    def work(self) -> int:
        """What the background thread does each tick: `flush`, and compile once it pays. Returns the rows."""
        try:
            handled = self.flush()
            if self._sharing is not None and self._sharing.due():
                self.share()
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
        """Count what is in the buffer and *entries*, and weigh the evidence if it is time."""
        taken = [*self._ready(), *entries]
        if not taken and not self._evidence.waiting:
            return 0  # and the clock is not read
        now = self._time(now_seconds)
        handled = self._count(taken, now)
        if self._sharing is None:
            self._evidence.look(now)
        return handled

    def _drain(self) -> None:
        """Count what is in the buffer."""
        taken = self._ready()
        if taken:
            self._count(taken, self._time(None))

    def _ready(self) -> list[Any]:
        """What is in the buffer now; not what comes meanwhile, or it might never end."""
        ready = self.buffer.ready
        taken = []
        for _ in range(len(ready)):
            taken.append(ready.popleft())  # noqa: PERF401 - a list display would lose all at an interrupt
        return taken

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
        self._newest_seconds = max(self._newest_seconds, now_seconds)
        self._evidence.add(block.indices, now_seconds)

    def share(self, now_seconds: float | None = None, timeout_seconds: float = -1) -> float:
        """Have other processes know what this one has counted. The time; nothing is done after a timeout.

        Only with `sharing`.
        """
        sharing = self._sharing
        now = self._time(now_seconds)
        if sharing is None or not self._sharing_lock.acquire(timeout=timeout_seconds):
            return now
        try:
            payloads = self.payloads.read()
            if not self._lock.acquire(timeout=timeout_seconds):
                return now
            try:
                self._take(now)
                if sharing.was_reset():
                    self._clear()
                said = self._said(sharing, payloads)
            finally:
                self._lock.release()
            if said is not None:
                sharing.publish(said)
            sharing.look(now)
            if self.buffer.crossings.listeners and (drift := sharing.weighed_anew()) is not None:
                self.buffer.crossings.compare(drift, self._reference, now)
        finally:
            self._sharing_lock.release()
        self.buffer.log_notes()
        return now

    def _said(self, sharing: Sharing, payloads: tuple[PayloadCounts, ...]) -> Publication | None:
        """What is to be published; None when it was already."""
        counters = replace(self._counters(), payloads=payloads)
        if not sharing.is_news(counters):
            return None
        windows = [window.counted() for window in self._windows]
        taken = self._evidence.take()
        return sharing.say(windows, counters, self._bin_rows.copy(), taken, self._newest_seconds)

    def freeze(self, now_seconds: float | None) -> Frozen:
        """All that an evaluation needs, as it is when every row that has come is counted."""
        if self._sharing is not None:
            with self._sharing_lock:
                now = self.share(now_seconds)
                return self._sharing.freeze(self._specs, now, self._evidence.shares())
        payloads = self.payloads.read()
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
                counters=replace(self._counters(), payloads=payloads),
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
        if self._sharing is not None:
            with self._sharing_lock:
                return self._sharing.states(self._specs, self.share())
        with self._lock:
            self._drain()
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
            self._drain()
            self._windows = fresh
            self._evidence.go_on(detector)
        self.buffer.log_notes()

    def acknowledge(self) -> None:
        """Forget the evidence of all rows that have come. Windows and counts stay."""
        if self._sharing is not None:
            with self._sharing_lock:
                self._sharing.acknowledge(self.share())
            return
        with self._lock:
            self._drain()
            self._evidence.forget()
        self.buffer.log_notes()

    def reset(self) -> None:
        """Forget all rows and count from 0 again."""
        if self._sharing is not None:
            with self._sharing_lock:
                self._sharing.reset()
                self.share()
            return
        with self._lock:
            self._drain()
            self._clear()

    def _clear(self) -> None:
        """Have counted nothing."""
        for window in self._windows:
            window.clear()
        self._bin_rows[:] = 0
        self._rows_sampled = 0
        self._newest_seconds = -math.inf
        self._evidence.forget()
        self.buffer.clear_counts()


def unanswered(begun: Call | Row) -> Entry:
    """An entry of the buffer for rows without outputs."""
    if isinstance(begun, tuple):
        return (*begun, NOT_RECORDED)
    begun.result = NOT_RECORDED
    return begun

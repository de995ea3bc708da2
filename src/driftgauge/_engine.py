"""The state of a monitor: its windows and counts, under one lock that watched calls never take."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._buffer import Buffer
from driftgauge._capture import Call
from driftgauge._evaluate import Counters
from driftgauge._intake import Row
from driftgauge._outputs import NOT_RECORDED
from driftgauge._rows import Block, Entry, Indexer
from driftgauge.cells import Counts
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.windows import Window, WindowSpec, WindowState

__all__ = ["Engine", "View", "check_settings", "unanswered"]

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
    """

    def __init__(
        self,
        reference: Reference,
        specs: Sequence[WindowSpec],
        buffer: Buffer,
        clock: Callable[[], float],
    ) -> None:
        self.buffer = buffer
        self._reference = reference
        self._specs = tuple(specs)
        self._clock = clock
        self._good_seconds: float | None = None
        self._indexer = Indexer(reference, buffer)
        self.start()

    def start(self) -> None:
        """Begin with empty windows, nothing counted and a lock of its own: anew, or after a fork."""
        layout = self._reference.layout
        self._lock = threading.RLock()
        self._windows: tuple[Window, ...] = tuple(
            spec.open(layout, self._reference.id) for spec in self._specs
        )
        self._bin_rows: NDArray[np.int64] = np.zeros(layout.bins, np.int64)
        self._rows_sampled = 0
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
        """Count what is in the buffer, and then *entries*. The number of rows."""
        with self._lock:
            handled = self._drain(now_seconds)
            if entries:
                handled += self._count(entries, now_seconds)
        self.buffer.log_notes()
        return handled

    def flush_within(self, timeout_seconds: float) -> None:
        """`flush`, unless the state stays locked for so long; then what waits goes on waiting."""
        if self._lock.acquire(timeout=timeout_seconds):
            try:
                self._drain(None)
            finally:
                self._lock.release()
        self.buffer.log_notes()

    def _drain(self, now_seconds: float | None) -> int:
        """Count what is in the buffer now; not what comes meanwhile, or it might never end."""
        ready = self.buffer.ready
        entries = []
        for _ in range(len(ready)):
            entries.append(ready.popleft())  # noqa: PERF401 - a list display would lose all at an interrupt
        return self._count(entries, now_seconds) if entries else 0

    def _count(self, entries: Sequence[Any], now_seconds: float | None) -> int:
        handled = 0
        now = self._time(now_seconds)
        for block in self._indexer.blocks(entries):
            handled += block.rows
            try:
                self._push(block, now)
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

    def freeze(self, now_seconds: float | None) -> tuple[float, list[View], NDArray[np.int64], Counters]:
        """All that an evaluation needs, the time first, as it is when every row that has come is counted."""
        with self._lock:
            now = self._time(now_seconds)
            self._drain(now)
            for window in self._windows:
                window.advance(now)
            views = [
                View(w.name, w.reference_id, w.counts.copy(), w.rows, w.seconds(now)) for w in self._windows
            ]
            bin_rows = self._bin_rows.copy()
            counters = self._counters()
        self.buffer.log_notes()
        return now, views, bin_rows, counters

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
        """A copy of each window."""
        with self._lock:
            self._drain(None)
            return [window.state() for window in self._windows]

    def restore(self, states: Sequence[WindowState]) -> None:
        """Go on from *states*, one a window; all of them or, where one raises, none."""
        layout = self._reference.layout
        fresh = tuple(spec.open(layout, self._reference.id) for spec in self._specs)
        for window, state in zip(fresh, states, strict=True):
            window.restore(state)
        with self._lock:
            self._drain(None)
            self._windows = fresh

    def reset(self) -> None:
        """Forget all rows and count from 0 again."""
        with self._lock:
            self._drain(None)
            for window in self._windows:
                window.clear()
            self._bin_rows[:] = 0
            self._rows_sampled = 0
            self.buffer.clear_counts()


def unanswered(begun: Call | Row) -> Entry:
    """An entry of the buffer for rows without outputs."""
    if isinstance(begun, tuple):
        return (*begun, NOT_RECORDED)
    begun.result = NOT_RECORDED
    return begun


def check_settings(
    reference: object,
    windows: object,
    min_rows: object,
    buffer_rows: object,
    tick_seconds: object,
    clock: object,
    rng: object,
) -> tuple[WindowSpec, ...]:
    """The windows of a monitor; settings of a wrong type or out of their range raise `ConfigError`."""
    if not isinstance(reference, Reference):
        hint = "Reference.fit(training_data)"
        if isinstance(reference, (str, PathLike)):
            hint = f"Reference.load({str(reference)!r})"
        message = f"reference must be a Reference, got {_shown(reference)}; use driftgauge.{hint}"
        raise ConfigError(message)
    specs = _specs(windows)
    for name, value in (("min_rows", min_rows), ("buffer_rows", buffer_rows)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:  # type: ignore[operator]
            message = f"{name} must be a whole number and at least 1, got {_shown(value)}"
            raise ConfigError(message)
    real = isinstance(tick_seconds, (int, float, np.number)) and not isinstance(tick_seconds, bool)
    if not real or not 0.001 <= tick_seconds <= 10:  # type: ignore[operator]
        message = f"tick_seconds must be a number from 0.001 to 10, got {_shown(tick_seconds)}"
        raise ConfigError(message)
    if not callable(clock):
        message = (
            "clock must be a function without arguments that returns seconds since the epoch, such as "
            f"time.time, got {_shown(clock)}"
        )
        raise ConfigError(message)
    if rng is not None and not isinstance(rng, np.random.Generator):
        hint = f"{int(rng)}" if isinstance(rng, (int, np.integer)) else "7"
        message = (
            f"rng must be a numpy.random.Generator or None, got {_shown(rng)}; "
            f"use numpy.random.default_rng({hint})"
        )
        raise ConfigError(message)
    return specs


def _specs(windows: object) -> tuple[WindowSpec, ...]:
    """*windows* as a tuple of specifications, each of its own name."""
    if isinstance(windows, WindowSpec):
        message = f"windows must be a list of windows, got one by itself; use windows=[{windows!r}]"
        raise ConfigError(message)
    if isinstance(windows, (str, bytes)) or not isinstance(windows, Iterable):
        message = f"windows must be a list, got {_shown(windows)}; {_hint(windows)}"
        raise ConfigError(message)
    specs = tuple(windows)
    for spec in specs:
        if not isinstance(spec, WindowSpec):
            message = f"windows holds {_shown(spec)}, which is no window; {_hint(spec)}"
            raise ConfigError(message)
    names = [spec.name for spec in specs]
    if not names or len(set(names)) < len(names):
        message = f"windows must be at least one and of different names, got {names!r}"
        raise ConfigError(message)
    return specs


def _hint(window: object) -> str:
    """What to write for something that is no window."""
    made = "rows(10_000)"
    if isinstance(window, str):
        made = f"duration({window!r})"
    elif isinstance(window, int) and not isinstance(window, bool):
        made = f"rows({window})"
    return f"use windows=[driftgauge.{made}]"


def _shown(value: object) -> str:
    """A value in a message, shortened: it may be a table."""
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"

"""Where rows wait between the predict call and the background thread, and how each of them is accounted for.

Everything that a predict call touches here is one atomic operation of a deque or of `itertools.count`: no
lock to wait for, no clock, nothing to wake. What is read or folded is read by one thread at a time, the one
that holds the monitor's state lock.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from driftgauge._crossings import Crossings

__all__ = ["DROP_REASONS", "ERROR_STAGES", "Buffer", "Tally"]

DROP_REASONS: Final = ("buffer_full", "internal_error", "predict_error", "shape_mismatch", "unsupported_type")
ERROR_STAGES: Final = (
    "capture",
    "clock",
    "detector",
    "export",
    "index",
    "inputs",
    "listener",
    "log",
    "names",
    "outputs",
    "push",
    "shared",
    "thread",
    "warm_up",
)

TOKEN_ROWS: Final = 32  # rows that one token of the batch budget stands for
BATCH_FACTOR: Final = 16  # batches may hold so many times buffer_rows rows

_log = logging.getLogger("driftgauge")


class Tally:
    """A counter that any thread adds to without a lock and one thread at a time reads.

    `one` adds 1 and costs one C call, for it is the ``__next__`` of an `itertools.count`. Reading takes a
    number from the same count, so the reader subtracts how often it has read. `add` adds any number.
    """

    __slots__ = ("_bulk", "_count", "_folded", "_reads", "one")

    def __init__(self) -> None:
        self._count = itertools.count()
        self._bulk: deque[int] = deque()
        self._folded = 0
        self._reads = 0
        self.one: Callable[[], int] = self._count.__next__

    def add(self, rows: int) -> None:
        """Add *rows*, from any thread."""
        self._bulk.append(rows)
        if len(self._bulk) > 1000:  # nobody reads: stay small, lose nothing
            self._bulk.append(self._drain())

    def _drain(self) -> int:
        total = 0
        while True:
            try:
                total += self._bulk.popleft()
            except IndexError:
                return total

    def read(self) -> int:
        """The total so far. Never falls, whoever is adding meanwhile."""
        self._folded += self._drain()
        ones = next(self._count) - self._reads
        self._reads += 1
        return ones + self._folded

    def clear(self) -> None:
        """Count from 0 again, from what the calling thread sees now."""
        total = self.read()
        self._folded -= total


class Buffer:
    """A bounded queue of captured rows, the tallies beside it, and the sign that the thread behind it sleeps.

    Parameters
    ----------
    buffer_rows : int
        How many one-row calls may wait. Calls with several rows draw on a budget of `BATCH_FACTOR` times
        that many rows, in tokens of `TOKEN_ROWS`.

    Notes
    -----
    `ready` holds what `driftgauge._watch` appends and `driftgauge._rows` understands. Its length is looked at
    before appending, so that threads which look at the same instant may exceed `buffer_rows` by one row each.
    """

    __slots__ = (
        "_all_tokens",
        "_noted",
        "_notes",
        "asleep",
        "buffer_rows",
        "crossings",
        "dropped",
        "errors",
        "ready",
        "ring",
        "sampled_out",
        "tokens",
    )

    def __init__(self, buffer_rows: int) -> None:
        self.buffer_rows = buffer_rows
        self.ready: deque[Any] = deque()
        self._all_tokens = max(1, buffer_rows * BATCH_FACTOR // TOKEN_ROWS)
        self.tokens: deque[None] = deque([None] * self._all_tokens)
        self.dropped = {reason: Tally() for reason in DROP_REASONS}
        self.errors = {stage: Tally() for stage in ERROR_STAGES}
        self.sampled_out = Tally()
        self.crossings = Crossings()
        self.asleep: list[None] = [None]
        self.ring: Callable[[], None] | None = None
        self._notes: deque[str] = deque()
        self._noted: set[str] = set()

    def grant(self, rows: int) -> tuple[int, int]:
        """Reserve room for a call of *rows* rows: how many fit, and how many tokens to give back after."""
        wanted = -(-rows // TOKEN_ROWS)
        taken = 0
        try:
            while taken < wanted:
                self.tokens.popleft()
                taken += 1
        except IndexError:
            pass
        return min(rows, taken * TOKEN_ROWS), taken

    def give_back(self, tokens: int) -> None:
        """Return what `grant` took."""
        if tokens:
            self.tokens.extend([None] * tokens)

    def wake(self) -> None:
        """Have the sleeping thread woken, or started when there is none yet; one of the callers does it."""
        try:
            self.asleep.pop()
        except IndexError:
            return
        try:
            if self.crossings.listeners:
                self.crossings.take_trace()
        except Exception as error:
            self.failed("listener", error)
        try:
            if self.ring is not None:
                self.ring()
        except (
            Exception
        ) as error:  # no more threads: rows wait for `flush`, and are dropped when there is no room
            self.failed("thread", error)

    def failed(self, stage: str, error: BaseException) -> None:
        """Count an error of our own; the first of its stage and type is to be logged, by type and place only.

        Neither the message nor a traceback is kept: both may hold values.
        """
        self.errors[stage].one()
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "?" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        name = type(error).__name__
        self.note(
            f"{stage}/{name}",
            f"{name} at {where} while working on {stage!r}; the host was not touched, further ones are only "
            f'counted in driftgauge_internal_errors_total{{stage="{stage}"}}',
        )

    def note(self, key: str, message: str) -> None:
        """Have *message* logged, once for each *key*, by whoever is not in a predict call."""
        # 100 keys: a host that makes up exception types must not make us grow.
        if key not in self._noted and len(self._noted) < 100:
            self._noted.add(key)
            self._notes.append(message)

    def log_notes(self) -> None:
        """Log what is noted and tell what crossed. Never called with a lock held: both may do anything."""
        for listener, crossing in self.crossings.told():
            try:
                listener(crossing)
            except Exception as error:
                self.failed("listener", error)
        while self._notes:
            try:
                message = self._notes.popleft()
            except IndexError:  # another thread took it
                return
            try:
                _log.warning(message)
            except Exception:  # the host's handler raises: not its caller's business, and not to be logged
                self.errors["log"].one()

    def clear(self) -> None:
        """Forget waiting rows and all counts, in place: running calls hold on to the parts."""
        self.ready.clear()
        self.crossings.clear()
        self.tokens.clear()
        self.tokens.extend([None] * self._all_tokens)
        self.clear_counts()

    def clear_counts(self) -> None:
        """Count from 0 again."""
        for tally in (self.sampled_out, *self.dropped.values(), *self.errors.values()):
            tally.clear()

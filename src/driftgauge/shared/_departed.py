"""What processes have counted that are gone: added up once each, and their rows until they leave the windows.

A dead process's row window is kept as counts with a time. Its rows leave when those of the living have taken
their place: when a window of the living is full and every full one holds newer rows only, or when as many
newer rows have come as the windows of the living have room for. While nobody lives they stay. Rows in
windows of time leave by time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from driftgauge._evaluate import Counters
from driftgauge._window_specs import Duration, Rows
from driftgauge._window_state import Marks, WindowState
from driftgauge.shared._packing import Arrays, pack, unpack
from driftgauge.shared._parts import add_counters, counters_of, counters_parts, exact, state_of, state_parts
from driftgauge.shared._publication import Publication, Sizes, Totals, add_totals

__all__ = ["DeadWindow", "Departed", "is_ahead", "staying"]

KIND: Final = "departed"

# Windows of the dead that are kept apart, of each kind. Workers that end after every request must not make
# the file grow; neighbours in time are put together and leave together.
MOST_WINDOWS: Final = 16
MOST_MARKS: Final = 64

# A reader lists the folder, reads the living, and then this file. A process that was folded in between is
# known by its name here; no reader takes so long that a thousand processes end meanwhile.
MOST_NAMES: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeadWindow:
    """Rows of a row window of a process that is gone, and when the newest of them arrived."""

    state: WindowState
    newest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Departed:
    """The sum of all processes that are gone.

    Parameters
    ----------
    epoch : int
        How often the directory was reset.
    names : tuple of str
        Of the files that are in the sum, the last of them: a file that is still there is not counted twice.
    windows : tuple of DeadWindow
        Row windows, oldest first.
    durations : tuple of WindowState
        Duration windows, one a specification.
    counters, bin_rows, ecell_rows, bucket_rows
        As in `Publication`.
    """

    counters: Counters
    bin_rows: Totals
    ecell_rows: Totals
    bucket_rows: Totals
    epoch: int = 0
    names: tuple[str, ...] = ()
    windows: tuple[DeadWindow, ...] = ()
    durations: tuple[WindowState, ...] = ()

    @classmethod
    def nobody(cls, sizes: Sizes, epoch: int = 0) -> Departed:
        """Nobody has gone yet."""
        return cls(
            epoch=epoch,
            counters=Counters(),
            bin_rows=np.zeros(sizes.bins, np.int64),
            ecell_rows=np.zeros(sizes.ecells or 0, np.int64),
            bucket_rows=np.zeros(sizes.buckets or 0, np.int64),
        )

    def with_processes(
        self, dead: Mapping[str, Publication], living: Iterable[Publication], now_seconds: float
    ) -> Departed:
        """This sum with the processes *dead* in it, by the names of their files."""
        living = list(living)
        gone = [one for one in dead.values() if one.epoch == self.epoch]
        # Who dies now has lived until now: its window still says which of the older rows have left.
        kept = self.staying([*gone, *living])
        for one in gone:
            kept += [
                DeadWindow(state=replace(state, marks=_fewer(state.marks)), newest_seconds=one.newest_seconds)
                for state in one.windows
                if isinstance(state.spec, Rows) and state.rows
            ]
        return Departed(
            epoch=self.epoch,
            names=(*self.names, *dead)[-MOST_NAMES:],
            windows=tuple(_fewer_windows(kept)),
            durations=tuple(_merged_durations([*self.durations, *_durations(gone)], now_seconds)),
            counters=add_counters([self.counters, *(one.counters for one in gone)]),
            bin_rows=add_totals([self.bin_rows, *(one.bin_rows for one in gone)]),
            ecell_rows=add_totals([self.ecell_rows, *(one.ecell_rows for one in gone)]),
            bucket_rows=add_totals([self.bucket_rows, *(one.bucket_rows for one in gone)]),
        )

    def staying(self, living: Iterable[Publication]) -> list[DeadWindow]:
        """The row windows whose rows have not left, given what the living hold."""
        living = list(living)
        kept: list[DeadWindow] = []
        for spec in dict.fromkeys(window.state.spec for window in self.windows):
            if isinstance(spec, Rows):
                own = [window for window in self.windows if window.state.spec == spec]
                held = [state for one in living for state in one.windows if state.spec == spec]
                kept += staying(spec.size, own, held)
        return kept

    def to_bytes(self) -> bytes:
        """For its file."""
        states = [window.state for window in self.windows] + list(self.durations)
        parts = [state_parts(f"w{place}_", state) for place, state in enumerate(states)]
        header = {
            "epoch": self.epoch,
            "names": list(self.names),
            "newest_seconds": [window.newest_seconds for window in self.windows],
            "windows": [own for own, _ in parts],
            **counters_parts(self.counters),
        }
        arrays: Arrays = {
            "bin_rows": self.bin_rows,
            "ecell_rows": self.ecell_rows,
            "bucket_rows": self.bucket_rows,
        }
        for _, own in parts:
            arrays.update(own)
        return pack(KIND, header, arrays)

    @classmethod
    def of_bytes(cls, data: bytes, sizes: Sizes) -> Departed:
        """What `to_bytes` gave; ValueError when it is none of this reference."""
        try:
            header, arrays = unpack(KIND, data)
            states = [
                state_of(f"w{place}_", sizes.reference_id, sizes.cells, own, arrays)
                for place, own in enumerate(header["windows"])
            ]
            ages = [float(seconds) for seconds in header["newest_seconds"]]
            ecell_rows, bucket_rows = sizes.totals(arrays)
            return cls(
                epoch=int(header["epoch"]),
                names=tuple(str(name) for name in header["names"]),
                windows=tuple(
                    DeadWindow(state=state, newest_seconds=age)
                    for state, age in zip(states, ages, strict=False)
                ),
                durations=tuple(states[len(ages) :]),
                counters=counters_of(header),
                bin_rows=exact(arrays["bin_rows"], np.int64, sizes.bins),
                ecell_rows=ecell_rows,
                bucket_rows=bucket_rows,
            )
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            message = f"a part is missing or of another kind: {type(error).__name__}"
            raise ValueError(message) from error


def staying(size: int, dead: Sequence[DeadWindow], living: Sequence[WindowState]) -> list[DeadWindow]:
    """Those of *dead* whose rows have not left the merged window of *size* rows a process; oldest first."""
    ordered = sorted(dead, key=lambda window: window.newest_seconds)
    if not living:
        return ordered
    full = [state.marks[0][1] for state in living if state.rows >= size]
    turned_over = min(full, default=-math.inf)
    room = size * len(living)
    kept: list[DeadWindow] = []
    for window in reversed(ordered):
        at = window.newest_seconds
        newer = sum(_rows_after(state.marks, at) for state in living)
        newer += sum(_rows_after(other.state.marks, at) for other in kept)
        if turned_over <= at and newer < room:
            kept.append(window)
    return kept[::-1]


def _rows_after(marks: Marks, seconds: float) -> int:
    """Rows that surely arrived after *seconds*: a run that had begun before is not counted."""
    return sum(rows for rows, first in marks if first > seconds)


def _fewer(marks: Marks) -> Marks:
    """At most `MOST_MARKS` runs; a run has the time of its first row."""
    step = -(-len(marks) // MOST_MARKS) or 1
    return tuple(
        (sum(rows for rows, _ in marks[at : at + step]), marks[at][1]) for at in range(0, len(marks), step)
    )


def _fewer_windows(windows: list[DeadWindow]) -> list[DeadWindow]:
    """At most `MOST_WINDOWS` a specification: the two neighbours in time with the fewest rows, together."""
    kept: list[DeadWindow] = []
    for spec in dict.fromkeys(window.state.spec for window in windows):
        own = sorted((w for w in windows if w.state.spec == spec), key=lambda w: w.newest_seconds)
        while len(own) > MOST_WINDOWS:
            sizes = [a.state.rows + b.state.rows for a, b in pairwise(own)]
            at = sizes.index(min(sizes))
            own[at : at + 2] = [_together(own[at], own[at + 1])]
        kept += own
    return kept


def _together(first: DeadWindow, second: DeadWindow) -> DeadWindow:
    merged = WindowState.merge([first.state, second.state])
    marks = tuple(sorted((*first.state.marks, *second.state.marks), key=lambda mark: mark[1]))
    return DeadWindow(
        state=replace(merged, marks=_fewer(marks)),
        newest_seconds=max(first.newest_seconds, second.newest_seconds),
    )


def _durations(publications: Iterable[Publication]) -> list[WindowState]:
    return [state for one in publications for state in one.windows if not isinstance(state.spec, Rows)]


def _merged_durations(states: Sequence[WindowState], now_seconds: float) -> list[WindowState]:
    """One state a specification."""
    merged = []
    for spec in dict.fromkeys(state.spec for state in states):
        own = [state for state in states if state.spec == spec and not is_ahead(state, now_seconds)]
        if own:
            merged.append(WindowState.merge(own, now_seconds=now_seconds))
    return merged


def is_ahead(state: WindowState, now_seconds: float) -> bool:
    """Whether a duration window is ahead of the time by more than its length: the clock was set back.

    A process that goes on moves its panes to the new time. One that is idle or gone would otherwise pass
    for the newest, and its rows for the only ones that have not left.
    """
    spec = state.spec
    return (
        isinstance(spec, Duration)
        and state.newest is not None
        and state.newest > spec.pane_number(now_seconds) + spec.panes
    )

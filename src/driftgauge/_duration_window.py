"""The window over the last T seconds: one open pane, and closed panes packed."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._window_checks import check_block, check_state
from driftgauge._window_specs import Duration
from driftgauge._window_state import Pane, WindowState
from driftgauge.errors import StateError

if TYPE_CHECKING:
    from driftgauge.layout import Layout

__all__ = ["DurationWindow"]


class DurationWindow:
    """The last `spec.seconds` seconds. Made by ``duration("1h").open(layout, reference_id)``.

    Time is cut into panes of ``spec.seconds / spec.panes`` seconds, counted from the epoch. At any moment
    the window holds the pane of now and the ``spec.panes - 1`` before it, whole. So it reaches back less
    than `spec.seconds`, and at least that minus one pane.

    Attributes
    ----------
    counts : uint32[C]
        Rows of the window by cell, all features end to end as in `Layout`. It is the window's own array,
        which the next `push` or `advance` changes: read it, never write to it.
    rows : int
    late_rows : int
        Rows that came with a time before the newest pane, because the clock went back; they are in the
        newest pane.

    Notes
    -----
    A clock that steps back by less than the window's length is waited for. A clock that steps back by
    more was set: the panes are moved to the new time and keep their rows and their distance.

    Memory: 8 bytes a cell, and each closed pane packed, see `Pane`. Closing or dropping a pane costs one pass
    over the cells; a push none.
    """

    __slots__ = (
        "_cell_offsets",
        "_closed",
        "_newest",
        "_open_first_seconds",
        "_open_rows",
        "_panes",
        "counts",
        "late_rows",
        "reference_id",
        "rows",
        "spec",
    )

    def __init__(self, spec: Duration, layout: Layout, reference_id: str) -> None:
        self.spec = spec
        self.reference_id = reference_id
        self._cell_offsets = layout.cell_offsets
        # The open pane is counts - _closed: an array of its own would have to be pushed to as well.
        self.counts = np.zeros(int(self._cell_offsets[-1]), dtype=np.uint32)
        self._closed = np.zeros_like(self.counts)
        self.clear()

    @property
    def name(self) -> str:
        """Name of the window: the value of the label `window`."""
        return self.spec.name

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.counts.nbytes + self._closed.nbytes + sum(pane.nbytes for pane in self._panes)

    def clear(self) -> None:
        """Forget all rows, and the time."""
        self.late_rows = 0
        self._newest: int | None = None
        self._empty()

    def push(self, indices: NDArray[np.uint16], now_seconds: float) -> None:
        """Let the rows of a block into the pane of *now_seconds*, after the panes that are over have left.

        Parameters
        ----------
        indices : uint16[F, n]
            Cell of each value, from `Reference.index`. A number that is not a cell of its feature is not
            looked for: it would be counted for another feature.
        now_seconds : float
            When they arrived, seconds since the epoch.
        """
        check_block(indices, self._cell_offsets)
        number = self.spec.pane_number(now_seconds)
        self.advance(now_seconds)
        arriving = indices.shape[1]
        if arriving == 0:
            return
        if self._newest is None:
            self._newest = number
        if number < self._newest:
            self.late_rows += arriving
        if self._open_rows == 0:
            self._open_first_seconds = now_seconds
        kernels.add_counts(indices, self._cell_offsets, self.counts)
        self._open_rows += arriving
        self.rows += arriving

    def advance(self, now_seconds: float) -> None:
        """Let out the panes that are over at *now_seconds*. Call it before reading: rows may have stopped."""
        number = self.spec.pane_number(now_seconds)
        if self._newest is None or number == self._newest:
            return
        if number <= self._newest - self.spec.panes:
            self._set_clock(number)
            return
        if number < self._newest:
            return
        if number - self._newest >= self.spec.panes:
            self._empty()
        else:
            self._close()
            while self._panes and self._panes[0].number <= number - self.spec.panes:
                pane = self._panes.popleft()
                pane.take_from(self.counts, self._closed)
                self.rows -= pane.rows
        self._newest = number

    def seconds(self, now_seconds: float) -> float:
        """How long ago the oldest row arrived, in seconds; 0 when there is none."""
        if self._panes:
            return max(0.0, now_seconds - self._panes[0].first_seconds)
        return max(0.0, now_seconds - self._open_first_seconds) if self._open_rows else 0.0

    def state(self) -> WindowState:
        """A copy of what the window holds, pane by pane, so that a window can go on from it."""
        panes = tuple(self._panes)
        if self._open_rows and self._newest is not None:
            panes += (self._open_pane(self._newest),)
        return WindowState(
            spec=self.spec,
            reference_id=self.reference_id,
            counts=self.counts.copy(),
            rows=self.rows,
            late_rows=self.late_rows,
            newest=self._newest,
            panes=panes,
        )

    def counted(self) -> WindowState:
        """The same: panes are small."""
        return self.state()

    def restore(self, state: WindowState) -> None:
        """Hold what *state* holds, and forget what was here. Merged states will do.

        Raises
        ------
        StateError
            When the state is of another reference or window, or contradicts itself; then the window is as
            it was.
        """
        check_state(state, self.spec, self.reference_id, self._cell_offsets)
        counts = np.zeros_like(self.counts)
        for pane in state.panes:
            pane.add_to(counts)
        numbers = [pane.number for pane in state.panes]
        fits = np.array_equal(counts, state.counts) and sum(pane.rows for pane in state.panes) == state.rows
        if numbers:
            fits = fits and state.newest is not None and state.newest - self.spec.panes < numbers[0]
            fits = (
                fits
                and numbers == sorted(set(numbers))
                and state.newest is not None
                and numbers[-1] <= state.newest
            )
        if not fits:
            message = f"the panes of a state of {self.spec!r} do not add up to its counts; it is damaged"
            raise StateError(message)
        self.clear()
        self.late_rows = state.late_rows
        self._newest = state.newest
        self.rows = state.rows
        self.counts[:] = counts
        self._panes.extend(pane for pane in state.panes if pane.number != state.newest)
        for pane in self._panes:
            pane.add_to(self._closed)
        for pane in state.panes[len(self._panes) :]:
            self._open_rows, self._open_first_seconds = pane.rows, pane.first_seconds

    def _empty(self) -> None:
        self.counts.fill(0)
        self._closed.fill(0)
        self.rows = self._open_rows = 0
        self._open_first_seconds = 0.0
        self._panes: deque[Pane] = deque()

    def _open_pane(self, number: int) -> Pane:
        return Pane.of(number, self._open_rows, self._open_first_seconds, self.counts - self._closed)

    def _close(self) -> None:
        if self._open_rows and self._newest is not None:
            self._panes.append(self._open_pane(self._newest))
            self._closed[:] = self.counts
            self._open_rows = 0

    def _set_clock(self, number: int) -> None:
        back = (self._newest or 0) - number
        back_seconds = back * self.spec.pane_seconds
        self._panes = deque(
            replace(pane, number=pane.number - back, first_seconds=pane.first_seconds - back_seconds)
            for pane in self._panes
        )
        self._open_first_seconds -= back_seconds
        self._newest = number

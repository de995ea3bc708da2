"""The window over the last N rows: a ring of cell numbers, exact row by row."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._window_checks import check_block, check_state
from driftgauge._window_specs import Rows
from driftgauge._window_state import WindowState
from driftgauge.errors import StateError

if TYPE_CHECKING:
    from driftgauge.layout import Layout

__all__ = ["RowWindow"]

# A row window remembers when its rows arrived in runs of size / 256 rows, so that one row at a time does not
# cost a pair of numbers a row; `seconds` is late by the time of one such run at most.
MARKS: Final = 256


class RowWindow:
    """The last `spec.size` rows. Made by ``rows(size).open(layout, reference_id)``.

    Attributes
    ----------
    counts : uint32[C]
        Rows of the window by cell, all features end to end as in `Layout`. It is the window's own array,
        which the next `push` changes: read it, never write to it.
    rows : int
        0 to `spec.size`.

    Notes
    -----
    Memory: 2 bytes a row and feature, 4 a cell. A push costs the same for every size of window.
    """

    __slots__ = ("_cell_offsets", "_head", "_marks", "_ring", "counts", "reference_id", "rows", "spec")

    def __init__(self, spec: Rows, layout: Layout, reference_id: str) -> None:
        self.spec = spec
        self.reference_id = reference_id
        self._cell_offsets = layout.cell_offsets
        self._ring = np.zeros((self._cell_offsets.size - 1, spec.size), dtype=np.uint16)
        self.counts = np.zeros(int(self._cell_offsets[-1]), dtype=np.uint32)
        self.clear()

    @property
    def name(self) -> str:
        """Name of the window: the value of the label `window`."""
        return self.spec.name

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self._ring.nbytes + self.counts.nbytes

    def clear(self) -> None:
        """Forget all rows."""
        self.counts.fill(0)
        self.rows = 0
        self._head = 0
        self._marks: deque[tuple[int, float]] = deque()

    def push(self, indices: NDArray[np.uint16], now_seconds: float) -> None:
        """Let the rows of a block in, and as many of the oldest out as then are too many.

        Parameters
        ----------
        indices : uint16[F, n]
            Cell of each value, from `Reference.index`; the last column is the newest row. A number that is
            not a cell of its feature is not looked for: it would be counted for another feature.
        now_seconds : float
            When they arrived, seconds since the epoch. It may go backwards: rows count in the order of
            arrival.
        """
        check_block(indices, self._cell_offsets)
        size = self.spec.size
        block = indices[:, -size:]
        arriving = block.shape[1]
        if arriving == 0:
            return
        kernels.push_rows(self._ring, self._head, self.rows, block, self._cell_offsets, self.counts)
        leaving = max(0, self.rows + arriving - size)
        self._head = (self._head + arriving) % size
        self.rows += arriving - leaving
        self._mark(arriving, leaving, now_seconds)

    def advance(self, now_seconds: float) -> None:
        """Nothing: rows leave when rows arrive, not by time."""

    def seconds(self, now_seconds: float) -> float:
        """How long ago the oldest row arrived, in seconds; 0 when there is none. How exact: `MARKS`."""
        return max(0.0, now_seconds - self._marks[0][1]) if self._marks else 0.0

    def state(self) -> WindowState:
        """A copy of what the window holds: the cell of every row, so that a window can go on from it."""
        oldest_first = (self._head - self.rows + np.arange(self.rows)) % self.spec.size
        return WindowState(
            spec=self.spec,
            reference_id=self.reference_id,
            counts=self.counts.copy(),
            rows=self.rows,
            ring=np.ascontiguousarray(self._ring[:, oldest_first]),
            marks=tuple(self._marks),
        )

    def counted(self) -> WindowState:
        """A copy without the cell of every row: for a merge, at the cost of a copy of the counts."""
        return WindowState(
            spec=self.spec,
            reference_id=self.reference_id,
            counts=self.counts.copy(),
            rows=self.rows,
            marks=tuple(self._marks),
        )

    def restore(self, state: WindowState) -> None:
        """Hold what *state* holds, and forget what was here. Pushes go on as if nothing had been in between.

        Raises
        ------
        StateError
            When the state is of another reference or window, was merged, or contradicts itself; then the
            window is as it was.
        """
        check_state(state, self.spec, self.reference_id, self._cell_offsets)
        ring = state.ring
        if ring is None:
            message = (
                f"a merged state of {self.spec!r} holds counts and no order of rows, so no window can go on "
                "from it; evaluate it as it is, or restore the state of one window"
            )
            raise StateError(message)
        widths = np.diff(self._cell_offsets)
        fits = ring.shape == (widths.size, state.rows) and state.rows <= self.spec.size
        if fits and not (ring < widths[:, None]).all():
            fits = False
        counts = np.zeros_like(self.counts)
        if fits:
            kernels.add_counts(ring, self._cell_offsets, counts)
        if not (
            fits and np.array_equal(counts, state.counts) and sum(n for n, _ in state.marks) == state.rows
        ):
            message = f"the rows of a state of {self.spec!r} do not add up to its counts; it is damaged"
            raise StateError(message)
        self.counts[:] = counts
        self._ring[:, : state.rows] = ring
        self.rows = state.rows
        self._head = state.rows % self.spec.size
        self._marks = deque(state.marks)

    def _mark(self, arriving: int, leaving: int, now_seconds: float) -> None:
        marks = self._marks
        while leaving > 0:
            count, seconds = marks[0]
            if count > leaving:
                marks[0] = (count - leaving, seconds)
                break
            marks.popleft()
            leaving -= count
        # Two neighbours together hold more than size / 256 rows, so there are never more than 513 runs.
        if marks and marks[-1][0] + arriving <= self.spec.size // MARKS:
            count, seconds = marks.pop()
            marks.append((count + arriving, seconds))
        else:
            marks.append((arriving, now_seconds))

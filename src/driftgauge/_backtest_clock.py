"""Where a history is cut into evaluations: at multiples of a length of time, or of a number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.cells import Floats
from driftgauge.errors import DataError

__all__ = ["Clock", "Piece"]

# A history may have a few rows out of order, as a live service has. More is a file that was never sorted.
MAX_LATE_RATIO: Final = 0.01


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring rows of one batch that belong to one evaluation."""

    start: int
    stop: int
    seconds: Floats | float
    """When each came, or all of them."""
    due_seconds: float | None
    """When the evaluation of what came before is due; None when these rows belong to it too."""


class Clock:
    """Cuts batches into pieces, and tells when an evaluation is due.

    Parameters
    ----------
    evaluate_seconds : float
    rows_per_evaluation : int or None
        None: rows are cut at multiples of *evaluate_seconds*, and every batch comes with times. Else at
        multiples of this many rows; without times the evaluations are *evaluate_seconds* apart, from 0 on.

    Attributes
    ----------
    rows, late_rows : int
        Rows cut so far, and those whose evaluation was over when they came.
    first_seconds, last_seconds : float or None
        Times of the first row and of the last; None before any row and without times.
    """

    def __init__(self, evaluate_seconds: float, rows_per_evaluation: int | None) -> None:
        self._every = evaluate_seconds
        self._per = rows_per_evaluation
        self._number = 0
        self._filled = 0
        self.rows = 0
        self.late_rows = 0
        self.first_seconds: float | None = None
        self.last_seconds: float | None = None

    @property
    def due_seconds(self) -> float:
        """When the evaluation of the rows that came last is due."""
        if self._per is not None and self.last_seconds is not None:
            return self.last_seconds
        return (self._number + 1) * self._every

    def cut(self, rows: int, seconds: Floats | None) -> Iterator[Piece]:
        """Pieces of a batch of so many rows, in their order; *seconds* rise within it.

        Raises
        ------
        DataError
            When more than 1 % of all rows come after their evaluation is over.
        """
        if seconds is not None and rows:
            seconds = self._in_order(seconds)
            if self.first_seconds is None:
                self.first_seconds = float(seconds[0])
        for start, stop, number in self._runs(rows, seconds):
            due = self.due_seconds if self.rows and number != self._number else None
            self._number = number
            yield Piece(start, stop, number * self._every if seconds is None else seconds[start:stop], due)
            self.rows += stop - start
            if seconds is not None:
                self.last_seconds = float(seconds[stop - 1])

    def _runs(self, rows: int, seconds: Floats | None) -> Iterator[tuple[int, int, int]]:
        """Start, stop and evaluation of each run of rows that belong to one evaluation."""
        if self._per is not None:
            before = self.rows
            ends = [*range(self._per - before % self._per, rows, self._per), rows] if rows else []
            for start, stop in zip([0, *ends], ends, strict=False):
                yield start, stop, (before + start) // self._per
        elif seconds is not None and rows:
            numbers = np.floor(seconds / self._every)
            starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
            for start, stop in zip(starts, [*starts[1:], rows], strict=True):
                yield start, stop, int(numbers[start])

    def _in_order(self, seconds: Floats) -> Floats:
        """*seconds* with those that are before the open evaluation moved to the last time there was."""
        if self.last_seconds is None:
            return seconds
        over = self.last_seconds if self._per is not None else self._number * self._every
        self.late_rows += int((seconds < over).sum())
        rows = self.rows + seconds.size
        if self.late_rows > max(MAX_LATE_RATIO * rows, 1):
            message = (
                f"{self.late_rows:,} of the first {rows:,} rows come after rows with a later time; "
                "sort the history by time"
            )
            raise DataError(message)
        return np.maximum(seconds, self.last_seconds)

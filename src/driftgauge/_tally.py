"""What is counted of one column while rows go by: numbers and categories, both in bounded memory."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._columns import Categories
from driftgauge._summary import QuantileSummary, distinct
from driftgauge.cells import MAX_EXACT_POINTS, Floats, is_missing

__all__ = ["MAX_LABELS", "CategoryTally", "NumberTally"]

Weights = NDArray[np.int64]

CHUNK_ROWS: Final = 65_536  # finite values between two looks; batches of any size are cut at the same rows
MAX_LABELS: Final = 100_000  # our choice: about 12 MB of Python strings a column


class NumberTally:
    """Counts of a numeric column: every distinct value while there are few, a `QuantileSummary` after.

    Values are looked at in chunks of 65,536 whatever the size of the batches, so that one stream gives one
    result. With ``bounded=False`` all values are kept until the end: for data that are in memory anyway.
    """

    def __init__(self, *, bounded: bool = True) -> None:
        self.bounded = bounded
        self.minus_infinity = 0
        self.plus_infinity = 0
        self.not_a_number = 0
        self.missing = 0
        self.least = np.inf
        self.greatest = -np.inf
        self.table: tuple[Floats, Weights] = (np.empty(0), np.empty(0, np.int64))
        self.summary: QuantileSummary | None = None
        self.pending: list[Floats] = []
        self.pending_rows = 0

    @property
    def rows(self) -> int:
        """Rows seen, of every kind."""
        special = self.minus_infinity + self.plus_infinity + self.not_a_number + self.missing
        summarised = self.summary.rows if self.summary else 0
        return special + int(self.table[1].sum()) + summarised + self.pending_rows

    def update(self, values: Floats) -> None:
        """Count float64[n]."""
        finite = np.isfinite(values)
        if not finite.all():
            odd = values[~finite]
            missing = int(is_missing(odd).sum())
            self.missing += missing
            self.minus_infinity += int((odd == -np.inf).sum())
            self.plus_infinity += int((odd == np.inf).sum())
            self.not_a_number += int(np.isnan(odd).sum()) - missing
            values = values[finite]
        if values.size == 0:
            return
        values = values + 0.0  # a copy, and -0.0 becomes 0.0
        self.least = min(self.least, float(values.min()))
        self.greatest = max(self.greatest, float(values.max()))
        while self.bounded and self.pending_rows + values.size >= CHUNK_ROWS:
            taken = CHUNK_ROWS - self.pending_rows
            self.pending.append(values[:taken])
            self.pending_rows = CHUNK_ROWS
            self._flush()
            values = values[taken:]
        if values.size:
            self.pending.append(values.copy() if self.bounded else values)
            self.pending_rows += values.size

    def _flush(self) -> None:
        """Take the pending values into the table, or into the summary once there is one."""
        chunk, weights = self._pending_distinct()
        self.pending, self.pending_rows = [], 0
        self._absorb(chunk, weights)

    def _pending_distinct(self) -> tuple[Floats, Weights]:
        if not self.pending:
            return np.empty(0), np.empty(0, np.int64)
        values, counts = np.unique(np.concatenate(self.pending), return_counts=True)
        return values, counts.astype(np.int64)

    def _absorb(self, values: Floats, weights: Weights) -> None:
        values, weights = _join(self.table, (values, weights))
        if self.summary is None:
            if not self.bounded or values.size <= MAX_EXACT_POINTS:
                self.table = (values, weights)
                return
            self.summary = QuantileSummary()
        least_stride = max(1, CHUNK_ROWS // self.summary.size)
        # what fills no run waits in the table, always fewer than CHUNK_ROWS rows
        self.table = self.summary.add_sorted(values, weights, least_stride)

    def merge(self, other: NumberTally) -> None:
        """Take in what *other* counted; *other* is left as it was."""
        self.minus_infinity += other.minus_infinity
        self.plus_infinity += other.plus_infinity
        self.not_a_number += other.not_a_number
        self.missing += other.missing
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        if other.summary is not None:
            if self.summary is None:
                self.summary = QuantileSummary(other.summary.size)
            self.summary.merge(other.summary)
        self._flush()
        self._absorb(*_join(other.table, other._pending_distinct()))

    def distinct(self) -> tuple[Floats, Weights, float]:
        """All values kept, rising, the rows of each, and the rank error (0 when nothing was lost)."""
        values, weights = _join(self.table, self._pending_distinct())
        if self.summary is None:
            return values, weights, 0.0
        lost = max(-self.summary.error_low, self.summary.error_high)
        values, weights = _join((values, weights), self.summary.values())
        return values, weights, lost / int(weights.sum())

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a saved partial holds of this column: JSON values and arrays."""
        values, weights = _join(self.table, (np.empty(0), np.empty(0, np.int64)))
        header: dict[str, Any] = {
            "special": [self.minus_infinity, self.plus_infinity, self.not_a_number, self.missing],
            "summary": None,
        }
        arrays: dict[str, NDArray[Any]] = {
            "values": values,
            "weights": weights,
            "pending": np.concatenate([*self.pending, np.empty(0)]),
            "range": np.array([self.least, self.greatest]),
        }
        if self.summary is not None:
            summary = self.summary
            strides = sorted(summary.buffers)
            header["summary"] = {
                "size": summary.size,
                "rows": summary.rows,
                "error": [summary.error_low, summary.error_high],
                "strides": strides,
                "turns": sorted(summary.turns.items()),
            }
            arrays["buffers"] = np.concatenate(
                [np.empty(0), *(summary.buffers[stride] for stride in strides)]
            )
        return header, arrays

    @classmethod
    def restore(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> NumberTally:
        """The tally that `state` was taken of."""
        tally = cls()
        special = (int(count) for count in header["special"])
        tally.minus_infinity, tally.plus_infinity, tally.not_a_number, tally.missing = special
        tally.least, tally.greatest = map(float, arrays["range"])
        tally.table = (arrays["values"], arrays["weights"])
        tally.pending = [arrays["pending"]]
        tally.pending_rows = int(arrays["pending"].size)
        saved = header["summary"]
        if saved is not None:
            summary = QuantileSummary(int(saved["size"]))
            summary.rows = int(saved["rows"])
            summary.error_low, summary.error_high = map(int, saved["error"])
            summary.turns = {int(stride): int(turn) for stride, turn in saved["turns"]}
            rows = arrays["buffers"].reshape(len(saved["strides"]), summary.size)
            summary.buffers = {int(stride): row for stride, row in zip(saved["strides"], rows, strict=True)}
            tally.summary = summary
        return tally


def _join(one: tuple[Floats, Weights], other: tuple[Floats, Weights]) -> tuple[Floats, Weights]:
    if other[0].size == 0:
        return one
    if one[0].size == 0:
        return other
    return distinct(np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]]))


class CategoryTally:
    """Counts of a categorical or boolean column by label.

    Exact up to 100,000 labels. Beyond, the rarer half is let go and every count is lowered by the same
    number, so that `error` is at most how much too low any count is, and *every* label with more than
    `error` rows is still there.

    Notes
    -----
    Misra & Gries, *Finding repeated elements*, 1982, in the mergeable form of Agarwal and others, *Mergeable
    summaries*, PODS 2012, section 3.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.missing = 0
        self.unlisted = 0
        """Rows whose label was let go, or by which counts were lowered."""
        self.error = 0

    @property
    def rows(self) -> int:
        """Rows seen, missing ones too."""
        return sum(self.counts.values()) + self.unlisted + self.missing

    def update(self, column: Categories) -> None:
        """Count one column of a batch."""
        counted = np.bincount(column.codes + 1, minlength=len(column.labels) + 1)
        self.missing += int(counted[0])
        self._add(zip(column.labels, counted[1:].tolist(), strict=True))

    def _add(self, pairs: Any) -> None:
        counts = self.counts
        for text, count in pairs:
            if count:
                counts[text] = counts.get(text, 0) + count
        if len(counts) > MAX_LABELS:
            self._shrink()

    def _shrink(self) -> None:
        before = sum(self.counts.values())
        level = sorted(self.counts.values(), reverse=True)[MAX_LABELS // 2]
        self.counts = {text: count - level for text, count in self.counts.items() if count > level}
        self.error += level
        self.unlisted += before - sum(self.counts.values())

    def merge(self, other: CategoryTally) -> None:
        """Take in what *other* counted; *other* is left as it was."""
        self.missing += other.missing
        self.unlisted += other.unlisted
        self.error += other.error
        self._add(other.counts.items())

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a saved partial holds of this column: JSON values and arrays."""
        header = {
            "labels": sorted(self.counts),
            "missing": self.missing,
            "unlisted": self.unlisted,
            "error": self.error,
        }
        return header, {"counts": np.array([self.counts[text] for text in sorted(self.counts)], np.int64)}

    @classmethod
    def restore(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> CategoryTally:
        """The tally that `state` was taken of."""
        tally = cls()
        tally.counts = dict(zip(header["labels"], arrays["counts"].tolist(), strict=True))
        tally.missing, tally.unlisted, tally.error = (
            int(header["missing"]),
            int(header["unlisted"]),
            int(header["error"]),
        )
        return tally

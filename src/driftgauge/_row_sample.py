"""A sample of the rows of a stream, of which the e-cells of virtual features are cut."""

from __future__ import annotations

from typing import Final

import numpy as np

from driftgauge._columns import Categories, Columns
from driftgauge.cells import MISSING, Floats

__all__ = ["SAMPLE_ROWS", "RowSample", "sample_stride"]

# At most. A cell with 0.1 % of the rows then has 50 or more in the sample.
SAMPLE_ROWS: Final = 100_000


def sample_stride(rows: int) -> int:
    """Every how many rows one is sampled: a power of two, so that a sample can be thinned as it grows."""
    stride = 1
    while -(-rows // stride) > SAMPLE_ROWS:
        stride *= 2
    return stride


class RowSample:
    """Every so many rows of the columns that are numbers, in memory that does not grow with the rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._stride = 1
        self._kept: dict[str, list[Floats]] = {}
        self._sizes: list[int] = []
        self._single: set[str] = set()

    def add(self, columns: Columns) -> None:
        """Take in the rows of the next batch."""
        first = -self.rows % self._stride
        size = len(range(first, columns.rows, self._stride))
        self.rows += columns.rows
        for name, values in zip(columns.names, columns.values, strict=True):
            if isinstance(values, Categories):
                continue
            known = self._kept.setdefault(name, [np.full(held, MISSING) for held in self._sizes])
            known.append(values[first :: self._stride].copy())
        self._sizes.append(size)
        for parts in self._kept.values():
            if len(parts) < len(self._sizes):
                parts.append(np.full(size, MISSING))
        self._single.update(columns.single)
        while sum(self._sizes) > SAMPLE_ROWS:
            self._stride *= 2
            self._kept = {name: [np.concatenate(parts)[::2]] for name, parts in self._kept.items()}
            self._sizes = [-(-sum(self._sizes) // 2)]

    def columns(self) -> Columns:
        """The sampled rows; columns of categories are not among them."""
        return Columns(
            names=tuple(self._kept),
            rows=sum(self._sizes),
            values=tuple(np.concatenate(parts) for parts in self._kept.values()),
            dtypes=tuple("numeric" for _ in self._kept),
            single=frozenset(self._single),
        )

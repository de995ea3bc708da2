"""Counts go up by one when a row comes and down by one when it leaves."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.kernels._jit import (
    INDEX_BLOCK,
    INTEGERS,
    NUMBER,
    OUT_BINS,
    OUT_COUNTS,
    OUT_INDEX_ROWS,
    SMALL_INTEGERS,
    VOID,
    kernel,
)

__all__ = ["add_bin_rows", "add_counts", "push_rows"]


@kernel(VOID, OUT_INDEX_ROWS, NUMBER, NUMBER, INDEX_BLOCK, INTEGERS, OUT_COUNTS)
def push_rows(ring: Any, head: int, filled: int, indices: Any, cell_offsets: Any, counts: Any) -> None:
    """See `driftgauge.kernels.push_rows`."""
    capacity = ring.shape[1]
    rows = indices.shape[1]
    leaving = max(0, filled + rows - capacity)
    oldest = head - filled
    if oldest < 0:
        oldest += capacity
    for f in range(indices.shape[0]):
        cells = counts[cell_offsets[f] : cell_offsets[f + 1]]
        slots = ring[f]
        slot = oldest
        for _ in range(leaving):
            cells[slots[slot]] -= np.uint32(1)
            slot = slot + 1 if slot + 1 < capacity else 0
        slot = head
        for j in range(rows):
            cell = indices[f, j]
            slots[slot] = cell
            cells[cell] += np.uint32(1)
            slot = slot + 1 if slot + 1 < capacity else 0


@kernel(VOID, INDEX_BLOCK, INTEGERS, OUT_COUNTS)
def add_counts(indices: Any, cell_offsets: Any, counts: Any) -> None:
    """See `driftgauge.kernels.add_counts`."""
    for f in range(indices.shape[0]):
        cells = counts[cell_offsets[f] : cell_offsets[f + 1]]
        for j in range(indices.shape[1]):
            cells[indices[f, j]] += np.uint32(1)


@kernel(VOID, INDEX_BLOCK, INTEGERS, SMALL_INTEGERS, OUT_BINS)
def add_bin_rows(indices: Any, bin_offsets: Any, bin_starts: Any, bin_rows: Any) -> None:
    """See `driftgauge.kernels.add_bin_rows`.

    Notes
    -----
    Counting the cells from each bin's start on, bin after bin, is one comparison for many values at a time:
    cheaper than a search per value for the dozen or two of bins there are. The copy makes them neighbours,
    without which nothing runs side by side (3.8 against 1.3 ns a value at 11 bins).
    """
    rows = indices.shape[1]
    cells = np.empty(rows, np.uint16)
    for f in range(indices.shape[0]):
        for j in range(rows):
            cells[j] = indices[f, j]
        first = bin_offsets[f]
        last = bin_offsets[f + 1]
        above = np.int64(rows)
        for b in range(first, last):
            reached = np.int64(0)
            if b + 1 < last:
                start = np.uint16(bin_starts[f + b + 1])
                for j in range(rows):
                    reached += np.int64(cells[j] >= start)
            bin_rows[b] += above - reached
            above = reached

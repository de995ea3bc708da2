"""Sums of counts by blocks of cells, from which the sum up to any cell is a few additions away."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.kernels._blocks import BLOCK_CELLS
from driftgauge.kernels._jit import COUNTS, INTEGERS, NUMBER, OUT_BINS, VOID, kernel

__all__ = ["block_sums", "up_to"]


@kernel(VOID, COUNTS, OUT_BINS)
def block_sums(counts: Any, out: Any) -> None:
    """Write the sum of all cells before each block, and at the end the total.

    Parameters
    ----------
    counts : uint32[cells]
    out : int64[ceil(cells / BLOCK_CELLS) + 1]
    """
    total = np.int64(0)
    out[0] = 0
    for b in range(out.size - 1):
        held = np.int64(0)
        for c in range(b * BLOCK_CELLS, min((b + 1) * BLOCK_CELLS, counts.size)):
            held += np.int64(counts[c])
        total += held
        out[b + 1] = total


@kernel(NUMBER, COUNTS, INTEGERS, NUMBER)
def up_to(counts: Any, blocks: Any, cell: int) -> int:
    """Sum of the cells before *cell*, given the block sums of *counts*."""
    b = cell // BLOCK_CELLS
    total = blocks[b]
    for c in range(b * BLOCK_CELLS, cell):
        total += np.int64(counts[c])
    return total  # type: ignore[no-any-return]

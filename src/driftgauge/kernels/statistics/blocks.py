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

    Notes
    -----
    Inner loops run over slices from 0 on: an index that numba cannot see to be positive is tested at every
    turn, which cost a factor of 3 here (9.7 against 3.1 us at 20,005 cells).
    """
    total = np.int64(0)
    out[0] = 0
    whole = counts.size // BLOCK_CELLS
    for b in range(whole):
        block = counts[b * BLOCK_CELLS : b * BLOCK_CELLS + BLOCK_CELLS]
        held = np.int64(0)
        for c in range(BLOCK_CELLS):
            held += np.int64(block[c])
        total += held
        out[b + 1] = total
    if out.size > whole + 1:
        rest = counts[whole * BLOCK_CELLS :]
        for c in range(rest.size):
            total += np.int64(rest[c])
        out[whole + 1] = total


@kernel(NUMBER, COUNTS, INTEGERS, NUMBER)
def up_to(counts: Any, blocks: Any, cell: int) -> Any:
    """Sum of the cells before *cell*, given the block sums of *counts*."""
    b = cell // BLOCK_CELLS
    total = blocks[b]
    rest = counts[b * BLOCK_CELLS : cell]
    for c in range(rest.size):
        total += np.int64(rest[c])
    return total

"""The largest difference of two distribution functions, looking closely only where it can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.kernels._blocks import BLOCK_CELLS
from driftgauge.kernels._jit import COUNTS, FLOAT, INTEGERS, NUMBER, kernel
from driftgauge.kernels.statistics.blocks import block_sums, up_to

__all__ = ["ks", "largest_difference"]

_EXACT_PRODUCT = float(2**62)


@kernel(FLOAT, COUNTS, COUNTS, INTEGERS, INTEGERS, NUMBER)
def largest_difference(reference: Any, live: Any, reference_blocks: Any, live_blocks: Any, cells: int) -> Any:
    """The KS statistic of the first *cells* cells, given block sums of both sides.

    Notes
    -----
    ``d = n W - m R`` is an integer that a block can raise by at most ``up = n`` times its live rows and lower
    by at most ``down = m`` times its reference rows, so inside it ``|d|`` stays under its larger end plus the
    smaller of the two. Blocks that cannot beat the best block end are not opened.
    """
    n = up_to(reference, reference_blocks, cells)
    m = up_to(live, live_blocks, cells)
    if n == 0 or m == 0:
        return np.nan
    if np.float64(n) * np.float64(m) >= _EXACT_PRODUCT:  # three thousand million rows on both sides
        widest = 0.0
        left: Any = np.int64(0)
        right: Any = np.int64(0)
        for c in range(cells):
            left += np.int64(reference[c])
            right += np.int64(live[c])
            widest = max(widest, abs(right / m - left / n))
        return widest
    best = np.int64(0)
    for b in range(1, cells // BLOCK_CELLS + 1):
        best = max(best, abs(n * live_blocks[b] - m * reference_blocks[b]))
    for start in range(0, cells, BLOCK_CELLS):
        b = start // BLOCK_CELLS
        stop = start + BLOCK_CELLS
        left = reference_blocks[b + 1]
        right = live_blocks[b + 1]
        if stop > cells:
            stop = cells
            left = n
            right = m
        difference = n * live_blocks[b] - m * reference_blocks[b]
        end = n * right - m * left
        up = n * (right - live_blocks[b])
        down = m * (left - reference_blocks[b])
        if max(abs(difference), abs(end)) + min(up, down) > best:
            right_cells = live[start:stop]
            left_cells = reference[start:stop]
            for c in range(right_cells.size):
                difference += n * np.int64(right_cells[c]) - m * np.int64(left_cells[c])
                best = max(best, abs(difference))
    return np.float64(best) / np.float64(n * m)


@kernel(FLOAT, COUNTS, COUNTS)
def ks(reference: Any, live: Any) -> Any:
    """See `driftgauge.kernels.ks`."""
    blocks = (reference.size + BLOCK_CELLS - 1) // BLOCK_CELLS + 1
    reference_blocks = np.empty(blocks, np.int64)
    live_blocks = np.empty(blocks, np.int64)
    block_sums(reference, reference_blocks)
    block_sums(live, live_blocks)
    return largest_difference(reference, live, reference_blocks, live_blocks, reference.size)

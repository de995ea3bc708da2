"""Moments, quantiles and the earth mover's distance: cells have places on the number line.

A point's cell lies at the point, a gap's cell in its middle, all below at the first point and all above at the last.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from driftgauge.kernels._blocks import BLOCK_CELLS
from driftgauge.kernels._jit import (
    COUNTS,
    FLOAT,
    FLOATS,
    INTEGERS,
    NUMBER,
    OUT_FLOATS,
    VOID,
    kernel,
)
from driftgauge.kernels.statistics.blocks import up_to

__all__ = ["area_between", "moments", "quantile"]

_LANES = (
    16  # sums run side by side in lanes: without fast-math one running sum waits 4 cycles for each addition
)


@kernel(FLOAT, FLOATS)
def unit(points: Any) -> float:
    """What to divide points by so that their squares stay in float64; 1 for all ordinary data."""
    largest = max(abs(points[0]), abs(points[points.size - 1]))
    if 1e-150 <= largest <= 1e150 or largest == 0.0:
        return 1.0
    return min(max(largest, 1e-300), 1e300)


@kernel(FLOAT, FLOATS, COUNTS, INTEGERS, FLOAT)
def quantile(points: Any, counts: Any, blocks: Any, level: float) -> float:
    """The first place that a share *level* of the numbers has reached; NaN when there is none."""
    cells = 2 * points.size + 3
    total = up_to(counts, blocks, cells)
    if total == 0:
        return np.nan
    wanted = max(level * total, 1.0)
    low = 0
    high = (cells - 1) // BLOCK_CELLS
    while low < high:  # last block that starts before the wanted row
        middle = (low + high + 1) // 2
        if blocks[middle] < wanted:
            low = middle
        else:
            high = middle - 1
    reached = blocks[low]
    cell = low * BLOCK_CELLS
    while cell < cells - 1:
        reached += np.int64(counts[cell])
        if reached >= wanted:
            break
        cell += 1
    place = min(max(cell - 2, 0), 2 * points.size - 2)
    return 0.5 * points[place // 2] + 0.5 * points[(place + 1) // 2]


@kernel(VOID, FLOATS, COUNTS, INTEGERS, OUT_FLOATS)
def moments(points: Any, counts: Any, blocks: Any, out: Any) -> None:
    """Write mean, standard deviation and the mean's error bound into ``out[:3]``.

    Notes
    -----
    One pass of sums and squares, measured from the median. A mean is never further from the median than one standard
    deviation, so the subtraction in ``E a**2 - (E a)**2`` loses one bit and not, as from zero, all of them.
    """
    k = points.size
    total = up_to(counts, blocks, 2 * k + 3)
    if total == 0:
        out[:3] = np.nan
        return
    size = unit(points)
    inverse = 1.0 / size
    start = quantile(points, counts, blocks, 0.5) * inverse
    sums = np.zeros((3, _LANES))
    first, second, width = sums[0], sums[1], sums[2]
    whole = (k - 1) // _LANES * _LANES
    for i in range(0, whole, _LANES):
        for lane in range(_LANES):
            here = points[i + lane] * inverse
            following = points[i + lane + 1] * inverse
            at_point = np.float64(counts[2 * (i + lane) + 2])
            in_gap = np.float64(counts[2 * (i + lane) + 3])
            away = here - start
            middle = 0.5 * here + 0.5 * following - start
            first[lane] += at_point * away + in_gap * middle
            second[lane] += at_point * away * away + in_gap * middle * middle
            width[lane] += in_gap * (following - here)
    for i in range(whole, k - 1):
        here = points[i] * inverse
        following = points[i + 1] * inverse
        at_point = np.float64(counts[2 * i + 2])
        in_gap = np.float64(counts[2 * i + 3])
        away = here - start
        middle = 0.5 * here + 0.5 * following - start
        first[0] += at_point * away + in_gap * middle
        second[0] += at_point * away * away + in_gap * middle * middle
        width[0] += in_gap * (following - here)
    below = np.float64(counts[0]) + np.float64(counts[1])
    above = np.float64(counts[2 * k]) + np.float64(counts[2 * k + 1]) + np.float64(counts[2 * k + 2])
    low = points[0] * inverse - start
    high = points[k - 1] * inverse - start
    mean = (below * low + above * high + first.sum()) / total
    square = (below * low * low + above * high * high + second.sum()) / total
    out[0] = (start + mean) * size
    out[1] = sqrt(max(square - mean * mean, 0.0)) * size
    out[2] = 0.5 * width.sum() / total * size


@kernel(FLOAT, FLOATS, COUNTS, COUNTS, NUMBER, NUMBER)
def area_between(points: Any, reference: Any, live: Any, n: int, m: int) -> float:
    """Area between the distribution functions of *n* reference and *m* live numbers, in the points' unit."""
    inverse_size = 1.0 / unit(points)
    of_live = 1.0 / np.float64(m)
    of_reference = 1.0 / np.float64(n)
    left = np.int64(reference[0]) + np.int64(reference[1])
    right = np.int64(live[0]) + np.int64(live[1])
    area = 0.0
    for i in range(points.size - 1):
        left += np.int64(reference[2 * i + 2])
        right += np.int64(live[2 * i + 2])
        apart = abs(right * of_live - left * of_reference)
        left += np.int64(reference[2 * i + 3])
        right += np.int64(live[2 * i + 3])
        apart += abs(right * of_live - left * of_reference)
        area += apart * (0.5 * inverse_size * points[i + 1] - 0.5 * inverse_size * points[i])
    return area / inverse_size

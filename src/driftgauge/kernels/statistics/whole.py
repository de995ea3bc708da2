"""Every statistic of every feature in one compiled call."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.kernels._jit import (
    BOOLEANS,
    COUNTS,
    FLAG,
    FLOAT_ROWS,
    FLOATS,
    INTEGERS,
    NUMBER,
    OUT_BINS,
    OUT_FLOAT_ROWS,
    OUT_FLOATS,
    SMALL_INTEGERS,
    VOID,
    kernel,
)
from driftgauge.kernels.statistics.blocks import block_sums, up_to
from driftgauge.kernels.statistics.distribution import largest_difference
from driftgauge.kernels.statistics.histograms import distances
from driftgauge.kernels.statistics.places import area_between, moments, quantile

__all__ = ["evaluate"]


@kernel(
    VOID, FLOATS, COUNTS, COUNTS, INTEGERS, INTEGERS, FLOAT_ROWS, SMALL_INTEGERS, FLOATS, NUMBER, OUT_FLOATS
)
def numeric_feature(
    points: Any,
    reference: Any,
    live: Any,
    reference_blocks: Any,
    live_blocks: Any,
    group_scores: Any,
    group_ends: Any,
    levels: Any,
    rows: Any,
    out: Any,
) -> None:
    """Write what only ordered numbers have into columns 5 to the end; ``out[15]`` on are the quantiles."""
    cells = live.size - 2
    numbers = up_to(live, live_blocks, cells)
    out[9] = (rows - numbers) / rows
    outside = np.int64(live[0]) + np.int64(live[1]) + np.int64(live[cells - 2]) + np.int64(live[cells - 1])
    out[11] = outside / rows
    if numbers == 0 or points.size == 0:
        return
    out[5] = largest_difference(reference, live, reference_blocks, live_blocks, cells)
    if group_ends.size > 0:
        location = 0.0
        scale = 0.0
        before: Any = np.int64(0)
        for g in range(group_ends.size):
            reached = up_to(live, live_blocks, group_ends[g])
            location += (reached - before) * group_scores[g, 0]
            scale += (reached - before) * group_scores[g, 1]
            before = reached
        out[7] = location / numbers
        out[8] = scale / numbers
    for level in range(levels.size):
        out[15 + level] = quantile(points, live, live_blocks, levels[level])


@kernel(
    VOID,
    INTEGERS,
    INTEGERS,
    SMALL_INTEGERS,
    COUNTS,
    INTEGERS,
    BOOLEANS,
    FLOATS,
    INTEGERS,
    INTEGERS,
    INTEGERS,
    FLOATS,
    INTEGERS,
    SMALL_INTEGERS,
    FLOAT_ROWS,
    FLOATS,
    COUNTS,
    OUT_FLOAT_ROWS,
    OUT_BINS,
    FLAG,
)
def evaluate(
    cell_offsets: Any,
    bin_offsets: Any,
    bin_starts: Any,
    reference: Any,
    reference_bins: Any,
    numeric: Any,
    edges: Any,
    edge_offsets: Any,
    block_offsets: Any,
    reference_blocks: Any,
    deviations: Any,
    group_offsets: Any,
    group_ends: Any,
    group_scores: Any,
    levels: Any,
    live: Any,
    out: Any,
    bin_out: Any,
    places: bool,
) -> None:
    """See `driftgauge.kernels.evaluate`; all parameters before `live` are fields of a `Layout`."""
    out[:] = np.nan
    widest = np.int64(0)
    for f in range(numeric.size):
        widest = max(widest, block_offsets[f + 1] - block_offsets[f])
    room = np.empty(widest, np.int64)
    for f in range(numeric.size):
        cells = live[cell_offsets[f] : cell_offsets[f + 1]]
        blocks = room[: block_offsets[f + 1] - block_offsets[f]]
        block_sums(cells, blocks)
        first = bin_offsets[f]
        last = bin_offsets[f + 1]
        before: Any = np.int64(0)
        for b in range(first, last):
            reached = up_to(cells, blocks, bin_starts[f + b + 1])
            bin_out[b] = reached - before
            before = reached
        rows = before
        if rows == 0:
            continue
        distances(reference_bins[first:last], bin_out[first:last], out[f])
        if not numeric[f]:
            out[f, 9] = cells[cells.size - 1] / rows
            out[f, 10] = cells[cells.size - 2] / rows
            continue
        points = edges[edge_offsets[f] + 1 : edge_offsets[f] + 1 + (cells.size - 5) // 2]
        of_reference = reference[cell_offsets[f] : cell_offsets[f + 1]]
        before_blocks = reference_blocks[block_offsets[f] : block_offsets[f + 1]]
        first_group = group_offsets[f]
        last_group = group_offsets[f + 1]
        numeric_feature(
            points,
            of_reference,
            cells,
            before_blocks,
            blocks,
            group_scores[first_group:last_group],
            group_ends[first_group:last_group],
            levels,
            rows,
            out[f],
        )
        if not places or points.size == 0 or up_to(cells, blocks, cells.size - 2) == 0:
            continue
        moments(points, cells, blocks, out[f, 12:15])
        if deviations[f] > 0.0:
            out[f, 6] = area_between(points, of_reference, cells, before_blocks, blocks, deviations[f])

"""The compiled functions under the names and parameters of their twins. Importing it compiles them all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels._blocks import BLOCK_CELLS
from driftgauge.kernels._evidence_compiled import advance, count_virtual, virtual_values
from driftgauge.kernels._search import Search
from driftgauge.kernels._types import Bins, Counts, Floats, Indices, Tables
from driftgauge.kernels.binning import index_columns, index_values
from driftgauge.kernels.evidence import count_ecells
from driftgauge.kernels.statistics.blocks import block_sums
from driftgauge.kernels.statistics.distribution import ks
from driftgauge.kernels.statistics.histograms import distances
from driftgauge.kernels.statistics.places import area_between, moments, quantile
from driftgauge.kernels.statistics.whole import evaluate as evaluate_arrays
from driftgauge.kernels.windows import add_bin_rows as add_bin_rows_arrays
from driftgauge.kernels.windows import add_counts, push_rows

__all__ = [
    "add_bin_rows",
    "add_counts",
    "advance",
    "chi_square",
    "count_ecells",
    "count_virtual",
    "evaluate",
    "hellinger",
    "index_numeric",
    "index_numeric_columns",
    "js",
    "ks",
    "mean_and_deviation",
    "psi",
    "push_rows",
    "quantiles",
    "total_variation",
    "virtual_values",
    "wasserstein",
]


def index_numeric(values: Floats, search: Search, out: Indices) -> None:
    """See `driftgauge.kernels.index_numeric`."""
    index_values(
        values, search.edges, search.table, search.low, search.scale, search.steps, search.ordered, out
    )


def index_numeric_columns(values: Floats, layout: Tables, columns: NDArray[np.int32], out: Indices) -> None:
    """See `driftgauge.kernels.index_numeric_columns`."""
    index_columns(
        values,
        layout.edges,
        layout.edge_offsets,
        layout.tables,
        layout.table_offsets,
        layout.lows,
        layout.scales,
        layout.steps,
        layout.ordered,
        columns,
        out,
    )


def add_bin_rows(indices: Indices, layout: Tables, bin_rows: Bins) -> None:
    """See `driftgauge.kernels.add_bin_rows`."""
    add_bin_rows_arrays(indices, layout.bin_offsets, layout.bin_starts, bin_rows)


def _distance(reference: Bins, live: Bins, column: int) -> float:
    out = np.empty(5)
    distances(reference, live, out)
    return float(out[column])


def psi(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.psi`."""
    return _distance(reference, live, 0)


def js(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.js`."""
    return _distance(reference, live, 1)


def hellinger(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.hellinger`."""
    return _distance(reference, live, 2)


def total_variation(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.total_variation`."""
    return _distance(reference, live, 3)


def chi_square(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.chi_square`."""
    return _distance(reference, live, 4)


def _blocks(counts: Counts) -> Bins:
    blocks = np.empty(-(-counts.size // BLOCK_CELLS) + 1, dtype=np.int64)
    block_sums(counts, blocks)
    return blocks


def mean_and_deviation(points: Floats, counts: Counts) -> tuple[float, float, float]:
    """See `driftgauge.kernels.mean_and_deviation`."""
    out = np.full(3, np.nan)
    if points.size:
        moments(points, counts, _blocks(counts), out)
    return float(out[0]), float(out[1]), float(out[2])


def quantiles(points: Floats, counts: Counts, levels: Floats, out: Floats) -> None:
    """See `driftgauge.kernels.quantiles`."""
    out[: levels.size] = np.nan
    if points.size:
        blocks = _blocks(counts)
        for position, level in enumerate(levels):
            out[position] = quantile(points, counts, blocks, level)


def wasserstein(points: Floats, reference: Counts, live: Counts) -> float:
    """See `driftgauge.kernels.wasserstein`."""
    deviation = mean_and_deviation(points, reference)[1]
    if not deviation > 0.0 or not live[: 2 * points.size + 3].any():  # NaN when the reference is empty
        return np.nan
    return float(area_between(points, reference, live, _blocks(reference), _blocks(live), deviation))


def evaluate(layout: Tables, live: Counts, out: Floats, bin_out: Bins, *, places: bool = True) -> None:
    """See `driftgauge.kernels.evaluate`."""
    evaluate_arrays(
        layout.cell_offsets,
        layout.bin_offsets,
        layout.bin_starts,
        layout.reference,
        layout.reference_bins,
        layout.numeric,
        layout.edges,
        layout.edge_offsets,
        layout.block_offsets,
        layout.reference_blocks,
        layout.deviations,
        layout.group_offsets,
        layout.group_ends,
        layout.group_scores,
        layout.quantile_levels,
        live,
        out,
        bin_out,
        places,
    )

"""NumPy twins of the compiled kernels: they serve until compilation is done, and where numba cannot run.

The compiled functions have the same names, parameters and results; ``tests/kernels`` holds all of them
against plain definitions in ``tests/oracles.py``. What the functions mean is said in ``driftgauge.kernels``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels._evidence_twins import advance, count_ecells, count_virtual, virtual_values
from driftgauge.kernels._search import Search
from driftgauge.kernels._types import Bins, Counts, Floats, Indices, Tables

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

_MISSING_BITS = np.uint64(
    0x7FF8_0000_0000_07A2
)  # driftgauge.cells.MISSING_BITS; a kernel imports nothing above it
_EXACT_PRODUCT = float(2**62)  # rows times rows beyond this could leave int64


def index_numeric(values: Floats, search: Search, out: Indices) -> None:
    """See `driftgauge.kernels.index_numeric`."""
    _index(values, search.edges, search.steps, out)


def index_numeric_columns(values: Floats, layout: Tables, columns: NDArray[np.int32], out: Indices) -> None:
    """See `driftgauge.kernels.index_numeric_columns`."""
    for column, feature in enumerate(columns):
        edges = layout.edges[layout.edge_offsets[feature] : layout.edge_offsets[feature + 1]]
        _index(values[:, column], edges, int(layout.steps[feature]), out[feature])


def _index(values: Floats, edges: Floats, steps: int, out: Indices) -> None:
    real = edges[: edges.size - (1 << steps)]  # without the NaN padding
    position = np.searchsorted(real, values, side="right") - 1
    cell = 2 * position + 1 - (real[position] == values)
    nan = np.isnan(values)
    if nan.any():
        missing = np.ascontiguousarray(values).view(np.uint64) == _MISSING_BITS
        cell = np.where(nan, 2 * real.size - 1 + missing, cell)
    out[: values.size] = cell


def push_rows(
    ring: Indices, head: int, filled: int, indices: Indices, cell_offsets: NDArray[np.int64], counts: Counts
) -> None:
    """See `driftgauge.kernels.push_rows`."""
    capacity = ring.shape[1]
    rows = indices.shape[1]
    leaving = max(0, filled + rows - capacity)
    first = cell_offsets[:-1, np.newaxis]
    if leaving:
        slots = (head - filled + np.arange(leaving)) % capacity
        np.subtract.at(counts, (ring[:, slots] + first).ravel(), np.uint32(1))
    ring[:, (head + np.arange(rows)) % capacity] = indices
    add_counts(indices, cell_offsets, counts)


def add_counts(indices: Indices, cell_offsets: NDArray[np.int64], counts: Counts) -> None:
    """See `driftgauge.kernels.add_counts`."""
    np.add.at(counts, (indices + cell_offsets[:-1, np.newaxis]).ravel(), np.uint32(1))


def add_bin_rows(indices: Indices, layout: Tables, bin_rows: Bins) -> None:
    """See `driftgauge.kernels.add_bin_rows`."""
    for feature in range(indices.shape[0]):
        first, last = layout.bin_offsets[feature : feature + 2]
        starts = layout.bin_starts[first + feature : last + feature]
        bins = np.searchsorted(starts, indices[feature], side="right") - 1
        bin_rows[first:last] += np.bincount(bins, minlength=int(last - first))


def _shares(reference: Bins, live: Bins) -> tuple[Floats, Floats] | None:
    """Smoothed shares of reference and live over the bins that hold anything; None when a side is empty."""
    reference_rows, live_rows = int(reference.sum()), int(live.sum())
    if reference_rows == 0 or live_rows == 0:
        return None
    kept = (reference > 0) | (live > 0)
    half = 0.5 * np.count_nonzero(kept)
    return (reference[kept] + 0.5) / (reference_rows + half), (live[kept] + 0.5) / (live_rows + half)


def psi(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.psi`."""
    shares = _shares(reference, live)
    if shares is None:
        return np.nan
    q, p = shares
    return float(np.sum((p - q) * np.log(p / q)))


def js(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.js`."""
    shares = _shares(reference, live)
    if shares is None:
        return np.nan
    q, p = shares
    middle = 0.5 * (p + q)
    divergence = 0.5 * np.sum(p * np.log2(p / middle) + q * np.log2(q / middle))
    return float(np.sqrt(min(max(float(divergence), 0.0), 1.0)))


def hellinger(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.hellinger`."""
    shares = _shares(reference, live)
    if shares is None:
        return np.nan
    q, p = shares
    return float(np.sqrt(min(0.5 * float(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2)), 1.0)))


def total_variation(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.total_variation`."""
    reference_rows, live_rows = int(reference.sum()), int(live.sum())
    if reference_rows == 0 or live_rows == 0:
        return np.nan
    return 0.5 * float(np.sum(np.abs(live / live_rows - reference / reference_rows)))


def chi_square(reference: Bins, live: Bins) -> float:
    """See `driftgauge.kernels.chi_square`."""
    reference_rows, live_rows = int(reference.sum()), int(live.sum())
    if reference_rows == 0 or live_rows == 0:
        return np.nan
    both = reference + live
    kept = both > 0
    ratio = np.sqrt(live_rows / reference_rows)
    return float(np.sum((ratio * reference[kept] - live[kept] / ratio) ** 2 / both[kept]))


def ks(reference: Counts, live: Counts) -> float:
    """See `driftgauge.kernels.ks`."""
    left = np.cumsum(reference, dtype=np.int64)
    right = np.cumsum(live, dtype=np.int64)
    if left.size == 0 or left[-1] == 0 or right[-1] == 0:
        return np.nan
    n, m = int(left[-1]), int(right[-1])
    if float(n) * float(m) >= _EXACT_PRODUCT:
        return float(np.max(np.abs(right / m - left / n)))
    return int(np.max(np.abs(n * right - m * left))) / (n * m)


def _unit(points: Floats) -> float:
    """What to divide points by so that their squares stay in float64; 1 for all ordinary data."""
    largest = max(abs(float(points[0])), abs(float(points[-1])))
    if 1e-150 <= largest <= 1e150 or largest == 0.0:
        return 1.0
    return min(max(largest, 1e-300), 1e300)


def _half_gaps(points: Floats) -> Floats:
    return 0.5 * points[1:] - 0.5 * points[:-1]


def _merged(counts: Counts, points: int) -> Floats:
    """Counts at the 2k - 1 places where values are thought to lie: points[0], a midpoint, points[1], …"""
    number = counts[: 2 * points + 3].astype(np.float64)
    places = number[2 : 2 * points + 1].copy()
    places[0] += number[0] + number[1]
    places[-1] += number[-2] + number[-1]
    return places


def _places(points: Floats) -> Floats:
    places = np.repeat(points, 2)[:-1]
    places[1::2] = 0.5 * points[1:] + 0.5 * points[:-1]
    return places


def wasserstein(points: Floats, reference: Counts, live: Counts) -> float:
    """See `driftgauge.kernels.wasserstein`."""
    if points.size == 0:
        return np.nan
    deviation = mean_and_deviation(points, reference)[1]
    left, right = np.cumsum(_merged(reference, points.size)), np.cumsum(_merged(live, points.size))
    if left[-1] == 0 or right[-1] == 0 or not deviation > 0.0:
        return np.nan
    unit = _unit(points)
    apart = np.abs(right[:-1] / right[-1] - left[:-1] / left[-1])
    width = np.repeat(_half_gaps(points / unit), 2)
    return float(np.sum(apart * width)) / (deviation / unit)


def mean_and_deviation(points: Floats, counts: Counts) -> tuple[float, float, float]:
    """See `driftgauge.kernels.mean_and_deviation`."""
    if points.size == 0:
        return np.nan, np.nan, np.nan
    held = _merged(counts, points.size)
    rows = held.sum()
    if rows == 0:
        return np.nan, np.nan, np.nan
    unit = _unit(points)
    scaled = points / unit
    places = _places(scaled)
    start = float(scaled[points.size // 2])  # so that values around 1e9 that differ by 1 keep their digits
    away = places - start
    mean = float(held @ away) / rows
    deviation = np.sqrt(float(held @ (away - mean) ** 2) / rows)
    bound = float(held[1::2] @ _half_gaps(scaled)) / rows
    return float(start + mean) * unit, float(deviation) * unit, float(bound) * unit


def quantiles(points: Floats, counts: Counts, levels: Floats, out: Floats) -> None:
    """See `driftgauge.kernels.quantiles`."""
    out[: levels.size] = np.nan
    if points.size == 0:
        return
    reached = np.cumsum(_merged(counts, points.size))
    if reached[-1] > 0:
        wanted = np.maximum(levels * reached[-1], 1.0)
        out[: levels.size] = _places(points)[np.searchsorted(reached, wanted)]


def evaluate(layout: Tables, live: Counts, out: Floats, bin_out: Bins, *, places: bool = True) -> None:
    """See `driftgauge.kernels.evaluate`."""
    out[:] = np.nan
    for feature in range(layout.numeric.size):
        first, last = layout.cell_offsets[feature : feature + 2]
        cells = live[first:last]
        first_bin, last_bin = layout.bin_offsets[feature : feature + 2]
        starts = layout.bin_starts[first_bin + feature : last_bin + feature]
        bins = bin_out[first_bin:last_bin]
        bins[:] = np.add.reduceat(cells, starts, dtype=np.int64)
        reference_bins = layout.reference_bins[first_bin:last_bin]
        row = out[feature]
        for column, statistic in enumerate((psi, js, hellinger, total_variation, chi_square)):
            row[column] = statistic(reference_bins, bins)
        rows = int(bins.sum())
        if layout.numeric[feature]:
            _evaluate_numeric(layout, feature, layout.reference[first:last], cells, rows, row, places)
        elif rows > 0:
            row[9] = cells[-1] / rows
            row[10] = cells[-2] / rows


def _evaluate_numeric(
    layout: Tables, feature: int, reference: Counts, cells: Counts, rows: int, row: Floats, places: bool
) -> None:
    size = cells.size - 2
    first_edge = layout.edge_offsets[feature] + 1
    points = layout.edges[first_edge : first_edge + (size - 3) // 2]
    number = cells[:size]
    row[5] = ks(reference[:size], number)
    if places:
        row[6] = wasserstein(points, reference, cells)
        row[12:15] = mean_and_deviation(points, cells)
    ends = layout.group_ends[layout.group_offsets[feature] : layout.group_offsets[feature + 1]]
    scores = layout.group_scores[layout.group_offsets[feature] : layout.group_offsets[feature + 1]]
    numbers = int(number.sum(dtype=np.int64))
    if ends.size and numbers:
        held = np.add.reduceat(number, np.append(0, ends[:-1]), dtype=np.int64)
        row[7:9] = held @ scores / numbers
    if rows > 0:
        row[9] = (rows - numbers) / rows
        outside = int(cells[0]) + int(cells[1]) + int(cells[size - 1]) + int(cells[size - 2])
        row[11] = outside / rows
    quantiles(points, cells, layout.quantile_levels, row[15:])

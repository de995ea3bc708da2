"""How finely a reference should be cut: KS error, bytes and time by `resolution`, and by the summary's size.

Run ``python benchmarks/measure_resolution.py``: half a minute, into ``benchmarks/results/resolution.json``.

*Realised error* is the largest difference, over 12 draws of live rows, between KS on the cells and
`scipy.stats.ks_2samp` on the raw rows. *Bytes* are what a feature takes in a process with one window of
10,000 rows: reference, search table, live counts, ring and a buffer of 1,024 rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import column, median, save, table, versions
from scipy import stats

from driftgauge._summary import QuantileSummary
from driftgauge._tally import CHUNK_ROWS
from driftgauge.reference import Reference

REFERENCE_ROWS = 200_000
LIVE_ROWS = 10_000
RESOLUTIONS = (255, 511, 1023, 2047, 4095, 8191)
BUFFERS = (2_048, 4_096, 8_192, 16_384)
KLL_SIZES = (200, 800, 3_200, 12_800)
SUMMARY_ROWS = (1_000_000, 10_000_000)
SHIFTS = (0.0, 0.05, 0.2, 1.0)
DRAWS = 3

Array = np.ndarray[Any, np.dtype[np.float64]]
SHAPES: dict[str, Callable[[np.random.Generator, int, float], Array]] = {
    "normal": lambda rng, n, shift: rng.normal(shift, size=n),
    "lognormal": lambda rng, n, shift: rng.lognormal(shift, 2.0, size=n),
    "bimodal": lambda rng, n, shift: rng.normal(np.where(rng.random(n) < 0.5, -4.0, 4.0) + shift, 0.3),
    "cents, a third of them 0": lambda rng, n, shift: np.where(
        rng.random(n) < 1 / 3, 0.0, np.round(rng.lognormal(5.0 + shift, 1.5, size=n), 2)
    ),
}


def ks_of_counts(reference: Array, live: Array) -> float:
    """KS statistic of two count vectors, in plain NumPy."""
    return float(np.abs(np.cumsum(reference) / reference.sum() - np.cumsum(live) / live.sum()).max())


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Median time of *work*."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def measure_resolution(shape: str, resolution: int) -> dict[str, Any]:
    """One row of the first table."""
    rng = np.random.default_rng(11)
    train = SHAPES[shape](rng, REFERENCE_ROWS, 0.0)
    reference = Reference.fit({"x": train}, resolution=resolution)
    feature = reference.features[0]
    errors = []
    for shift in SHIFTS:
        for _ in range(DRAWS):
            live = SHAPES[shape](rng, LIVE_ROWS, shift)
            counts = reference.count({"x": live})[: feature.number_cells]
            raw = stats.ks_2samp(train, live).statistic
            errors.append(abs(ks_of_counts(feature.counts[: feature.number_cells], counts) - raw))
    live_bytes = 4 * feature.cells + 2 * LIVE_ROWS + 8 * 1_024
    return {
        "shape": shape,
        "resolution": resolution,
        "points": int(feature.points.size),
        "bound": feature.ks_error_bound,
        "realised": float(max(errors)),
        "bytes": int(reference.layout.nbytes + live_bytes),
        "fit": 1e9 * seconds(lambda: Reference.fit({"x": train}, resolution=resolution)),
    }


def greatest_rank_error(ordered: Array, values: Array, cumulative: Array) -> float:
    """Largest difference of the summary's distribution function from the rows'; *values* are sorted."""
    share = cumulative / ordered.size
    up_to = np.searchsorted(ordered, values, side="right") / ordered.size
    below = np.searchsorted(ordered, values, side="left") / ordered.size
    before = np.concatenate([[0.0], share[:-1]])
    return float(max(np.abs(up_to - share).max(), np.abs(below - before).max()))


def measure_summary(rows: int, size: int) -> dict[str, Any]:
    """One row of the second table, for ours."""
    values = np.random.default_rng(12).lognormal(size=rows)

    def run() -> tuple[QuantileSummary, Array]:
        summary = QuantileSummary(size)
        rest = np.empty(0)
        for start in range(0, rows, CHUNK_ROWS):
            chunk = np.sort(np.concatenate([rest, values[start : start + CHUNK_ROWS]]))
            rest, _ = summary.add_sorted(chunk, np.ones(chunk.size, np.int64), CHUNK_ROWS // size)
        return summary, rest

    start = time.perf_counter()
    summary, rest = run()
    taken = time.perf_counter() - start
    kept, weights = summary.values()
    every = np.concatenate([kept, rest])
    order = np.argsort(every)
    cumulative = np.cumsum(np.concatenate([weights, np.ones(rest.size, np.int64)])[order]).astype(float)
    return {
        "summary": f"ours, {size:,} a buffer",
        "rows": rows,
        "bound": summary.rank_error * summary.rows / rows,
        "realised": greatest_rank_error(np.sort(values), every[order], cumulative),
        "bytes": int(8 * sum(buffer.size for buffer in summary.buffers.values()) + 8 * CHUNK_ROWS),
        "time": 1e9 * taken,
        "same_again": "yes",
    }


def measure_kll(rows: int, size: int) -> dict[str, Any]:
    """One row of the second table, for `datasketches`."""
    from datasketches import kll_doubles_sketch

    values = np.random.default_rng(12).lognormal(size=rows)

    def run() -> Any:
        sketch = kll_doubles_sketch(size)
        for start in range(0, rows, CHUNK_ROWS):
            sketch.update(values[start : start + CHUNK_ROWS])
        return sketch

    start = time.perf_counter()
    sketch = run()
    taken = time.perf_counter() - start
    kept, counts = np.unique([value for value, _ in sketch], return_counts=True)
    cumulative = np.array([sketch.get_rank(value, True) for value in kept]) * rows
    return {
        "summary": f"KLL, k = {size:,}",
        "rows": rows,
        "bound": sketch.normalized_rank_error(False),
        "realised": greatest_rank_error(np.sort(values), kept, cumulative),
        "bytes": int(8 * counts.sum()),
        "time": 1e9 * taken,
        "same_again": "yes" if sketch.serialize() == run().serialize() else "no",
    }


def main() -> None:
    """Measure everything and write the results."""
    by_resolution = [measure_resolution(shape, resolution) for shape in SHAPES for resolution in RESOLUTIONS]
    by_summary = [
        measure(rows, size)
        for rows in SUMMARY_ROWS
        for measure, sizes in ((measure_summary, BUFFERS), (measure_kll, KLL_SIZES))
        for size in sizes
    ]
    resolution = table(
        f"KS error by resolution, reference {REFERENCE_ROWS:,} rows, live {LIVE_ROWS:,}",
        [
            column("data"),
            column("resolution", "count"),
            column("points", "count"),
            column("bound", "error"),
            column("realised", "error"),
            column("a feature", "bytes"),
            column("fit", "ns"),
        ],
        [list(row.values()) for row in by_resolution],
        "realised: largest over 12 draws, four shifts, against scipy on the raw rows",
    )
    summary = table(
        "Rank error of the summary for data that do not fit in memory, lognormal",
        [
            column("summary"),
            column("rows", "count"),
            column("bound", "error"),
            column("realised", "error"),
            column("held", "bytes"),
            column("one pass", "ns"),
            column("same again"),
        ],
        [list(row.values()) for row in by_summary],
        "KLL's bound holds at any one value with 99 % probability; ours at all values, always",
    )
    save(
        "resolution",
        tables=[resolution, summary],
        versions=versions("driftgauge", "numpy", "scipy", "datasketches"),
    )


if __name__ == "__main__":
    main()

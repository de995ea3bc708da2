"""Evidence of drift: what one evaluation costs, what a row costs, and what is held for a feature.

    python benchmarks/bench_evidence.py

Read it with these in mind. A tick is `DriftScore.evaluate`: all features and all virtual features take one
step, whatever the number of rows since the last. Beside it, what a monitor that tests each feature with
`scipy.stats.ks_2samp` pays for one look. Every other feature is rounded so that its values repeat: no two of
their tables are alike, which is the worst case for memory and caches. Continuous features of one reference
share a table. Words and onsets are only looked for where the score is over a half.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from data import sample
from measure import column, goal, interleave, machine, median, options, save, table, versions
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.detectors import DriftScore
from driftgauge.kernels import twins
from driftgauge.reference import Reference

SIZES = (1, 20, 100, 1_000)
BLOCK_ROWS = 100
LOOK_ROWS = 1_000  # of a window that a two-sample test looks at
KINDS = ("normal", "integer", "lognormal", "price")


def columns_of(features: int, rows: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """So many columns, half of them of values that repeat."""
    return {
        f"f{number}": sample(KINDS[number % len(KINDS)], rows, seed * 100_003 + number)
        for number in range(features)
    }


def tick(detector: DriftScore, state: dict[str, NDArray[Any]], serve: ModuleType | None) -> None:
    """One evaluation of the same block of rows, by whoever serves."""
    detector.absorb(state["pending"], state["bucket_rows"], 0.0)
    active = kernels._warm_up.active
    if serve is not None:
        kernels._warm_up.active = serve
    detector.evaluate(0.0)
    kernels._warm_up.active = active


def one_look(reference: dict[str, NDArray[np.float64]], live: dict[str, NDArray[np.float64]]) -> None:
    """A Kolmogorov-Smirnov test of every feature, as scipy computes it."""
    from scipy.stats import ks_2samp

    for name, values in live.items():
        ks_2samp(reference[name], values, method="asymp")


def measure(features: int, reference_rows: int, repeats: int) -> dict[str, Any]:
    """Times in nanoseconds and sizes of one number of features."""
    data = columns_of(features, reference_rows, 1)
    reference = Reference.fit(data)
    detector = DriftScore(reference)
    live = columns_of(features, LOOK_ROWS, 2)
    indices = np.ascontiguousarray(reference.index(live)[:, :BLOCK_ROWS])
    ecells = np.empty(indices.shape, np.uint8)
    detector.add(indices, 0.0)
    state = detector.state()
    detector.evaluate(0.0)
    offsets = detector._recursion.tables.ecell_offsets
    counts = np.zeros(offsets[-1], np.uint32)
    layout = reference.layout
    matrix = np.ascontiguousarray(np.column_stack([values[:BLOCK_ROWS] for values in live.values()]))
    numbers = layout.numeric_columns
    times = interleave(
        {
            "tick": lambda: tick(detector, state, None),
            "twin": lambda: tick(detector, state, twins),
            "ks_2samp": lambda: one_look(data, live),
            "snapshot": detector.snapshot,
            "index": lambda: kernels.index_numeric_columns(matrix, layout, numbers, indices),
            "count_ecells": lambda: kernels.count_ecells(
                indices, layout.cell_offsets, detector._cell_map, offsets, counts, ecells
            ),
            "count_virtual": lambda: kernels.count_virtual(
                ecells, detector._scores, offsets, detector._virtual, counts
            ),
        },
        repeats=repeats,
    )
    return {
        "times": times,
        "virtual": len(detector.streams) - features,
        "components": int(detector._recursion.evidence.size),
        "bytes": detector.nbytes,
        "tables": detector._recursion.tables.nbytes,
        "shared": _bytes_when_shared(reference_rows, features),
    }


def _bytes_when_shared(reference_rows: int, features: int) -> int:
    """Bytes of a detector whose features are all continuous, without virtual features."""
    data = {f"f{number}": sample("normal", reference_rows, number) for number in range(features)}
    return DriftScore(Reference.fit(data, joint=False)).nbytes


def main(arguments: list[str] | None = None) -> Path:
    """Run everything, print the table and write ``results/evidence.json``."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=5_000, help="reference rows")
    parser.add_argument("--repeats", type=int, default=11)
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    kernels.warm_up()
    if not kernels.compiled():
        message = "the kernels did not compile here; there is nothing to measure"
        raise RuntimeError(message)
    repeats = 1 if chosen.smoke else chosen.repeats
    ticks: list[list[object]] = []
    per_row: list[list[object]] = []
    held: list[list[object]] = []
    raw: dict[str, Any] = {}
    goals = []
    for features in SIZES[:2] if chosen.smoke else SIZES:
        found = measure(features, 500 if chosen.smoke else chosen.rows, repeats)
        raw[str(features)] = found["times"]
        time = {name: median(samples) for name, samples in found["times"].items()}
        ours = time["tick"]
        ticks.append(
            [
                features,
                found["virtual"],
                found["components"],
                ours,
                time["twin"],
                time["ks_2samp"],
                time["twin"] / ours,
                time["ks_2samp"] / ours,
                time["snapshot"],
            ]
        )
        added = (time["count_ecells"] + time["count_virtual"]) / BLOCK_ROWS
        per_row.append(
            [
                features,
                found["virtual"],
                time["count_ecells"] / BLOCK_ROWS,
                time["count_virtual"] / BLOCK_ROWS,
                added / features,
                time["index"] / BLOCK_ROWS,
                added * BLOCK_ROWS / time["index"],
            ]
        )
        streams = features + found["virtual"]
        held.append(
            [
                features,
                found["virtual"],
                found["bytes"] / streams,
                found["tables"] / streams,
                found["bytes"] / features,
                found["shared"] / features,
            ]
        )
        print(f"{features:>5} features  {ours / 1e6:.3f} ms a tick  {added:.0f} ns a row")  # noqa: T201
        if features in (100, 1_000):
            goals.append(
                goal(
                    f"a tick of evidence, {features:,} features with virtual features",
                    features * 1e4,
                    ours,
                    better="lower",
                    unit="ns",
                )
            )
    counted = [column("features", "count"), column("virtual features", "count")]
    return save(
        "evidence",
        tables=[
            table(
                "One evaluation of the drift score",
                [
                    *counted,
                    column("components", "count"),
                    column("driftgauge", "ns"),
                    column("its NumPy twin", "ns"),
                    column("scipy ks_2samp", "ns"),
                    column("twin / ours", "ratio"),
                    column("ks_2samp / ours", "ratio"),
                    column("a snapshot in words", "ns"),
                ],
                ticks,
                f"Median of {repeats} interleaved repeats, one core. Every component is one exponential. "
                f"ks_2samp is one test a feature of {LOOK_ROWS:,} live rows against {chosen.rows:,}, a "
                "single look without any bound over looks or features.",
                headline=True,
            ),
            table(
                "What a row costs",
                [
                    *counted,
                    column("count by e-cell, a row", "ns"),
                    column("virtual features, a row", "ns"),
                    column("both, a feature of a row", "ns"),
                    column("index, a row", "ns"),
                    column("both / index", "ratio"),
                ],
                per_row,
                f"Blocks of {BLOCK_ROWS} rows on the background thread. Index is the mapping of the values "
                "to cells that every row needs in any case.",
            ),
            table(
                "Bytes held",
                [
                    *counted,
                    column("a stream", "bytes"),
                    column("of that tables", "bytes"),
                    column("a feature", "bytes"),
                    column("a continuous feature, not joint", "bytes"),
                ],
                held,
                "A stream is a feature or a virtual feature. Continuous features of one reference share a "
                "table.",
            ),
        ],
        goals=goals,
        versions=versions("driftgauge", "numpy", "numba", "scipy"),
        smoke=chosen.smoke,
        raw=raw,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(machine()["cpu"])  # noqa: T201
    print(main())  # noqa: T201

"""Binning: nanoseconds per value from value to cell, against NumPy and a plain compiled binary search.

    python benchmarks/bench_binning.py

Read it with these in mind. driftgauge writes the final cell: on or between edges, below, above, infinities,
NaN and missing told apart. `np.searchsorted` and the plain search give only the insertion position,
`np.histogram` only counts. Edges are quantiles of a reference sample of the same distribution (for integers
every value). Values come in random order and are finite, because the others do not tell NaN apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numba
import numpy as np
from data import sample
from measure import column, goal, interleave, machine, options, save, table, versions
from numpy.typing import NDArray

from driftgauge import kernels

Floats = NDArray[np.float64]

SIZES = (31, 255, 1023, 32_000)
DATA = ("normal", "lognormal", "uniform", "integer", "heavy", "crowded")
BLOCK = 512


@numba.njit("void(float64[::1], float64[::1], int64, uint32[::1])", nogil=True)
def plain_search(values: Floats, padded: Floats, steps: int, out: NDArray[np.uint32]) -> None:
    """Binary search over edges padded with infinity to a power of two, block-wise and without branches.

    The same loops and the same arithmetic as driftgauge's, without its table.
    """
    position = np.empty(BLOCK, np.uint32)
    for start in range(0, values.size, BLOCK):
        size = min(BLOCK, values.size - start)
        for j in range(size):
            position[j] = 0
        for s in range(steps - 1, -1, -1):
            step = np.uint32(1) << np.uint32(s)
            for j in range(size):
                here = position[j]
                under = np.uint32(padded[np.uint64(here + step - np.uint32(1))] < values[start + j])
                position[j] = np.uint32(here + under * step)
        for j in range(size):
            out[start + j] = position[j]


def edges_and_values(kind: str, size: int, rows: int) -> tuple[Floats, Floats]:
    """At most *size* edges from a reference and *rows* live values of the same distribution."""
    if kind == "integer":
        rng = np.random.Generator(np.random.PCG64(7))
        return np.arange(size, dtype=np.float64), np.floor(rng.random(rows) * 1.02 * size - 0.01 * size)
    if kind == "crowded":  # five tight clusters far apart: neither map can tell neighbours apart
        rng = np.random.Generator(np.random.PCG64(8))
        centres = np.array([-1e9, -1.0, 1e3, 1e6, 1e12])
        reference, live = (
            centres[np.floor(rng.random(n) * 5).astype(int)] * (1 + 1e-9 * rng.random(n))
            for n in (200_000, rows)
        )
    else:
        reference, live = sample(kind, 200_000, 1), sample(kind, rows, 2)
    levels = (np.arange(size) + 0.5) / size
    return np.unique(np.quantile(reference, levels, method="inverted_cdf")), live


def contest(edges: Floats, values: Floats, search: kernels.Search, repeats: int) -> dict[str, list[float]]:
    """Nanoseconds per value of each contender in each repeat, after all have found the same places."""
    cells = np.empty(values.size, np.uint16)
    positions = np.empty(values.size, np.uint32)
    steps = int(edges.size).bit_length()
    padded = np.append(edges, np.full((1 << steps) - edges.size, np.inf))
    samples = interleave(
        {
            "driftgauge": lambda: kernels.index_numeric(values, search, cells),
            "plain": lambda: plain_search(values, padded, steps, positions),
            "searchsorted": lambda: np.searchsorted(edges, values),
            "histogram": lambda: np.histogram(values, bins=edges),
        },
        repeats=repeats,
    )
    expected = np.searchsorted(edges, values)
    on_edge = edges[np.minimum(expected, edges.size - 1)] == values
    if not (positions == expected).all() or not (cells == 2 * expected + 1 + on_edge).all():
        message = "contenders disagree about where values fall"
        raise AssertionError(message)
    return {name: [time / values.size for time in times] for name, times in samples.items()}


def main(arguments: list[str] | None = None) -> Path:
    """Run everything, print the table and write ``results/binning.json``."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="values per call")
    parser.add_argument("--repeats", type=int, default=15)
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    kernels.warm_up()
    if not kernels.compiled():
        message = "the kernels did not compile here; there is nothing to measure"
        raise RuntimeError(message)
    rows = 2_000 if chosen.smoke else chosen.rows
    repeats = 1 if chosen.smoke else chosen.repeats
    lines: list[list[object]] = []
    raw: dict[str, dict[str, list[float]]] = {}
    for size in SIZES[:2] if chosen.smoke else SIZES:
        for kind in DATA:
            edges, values = edges_and_values(kind, size, rows)
            search = kernels.build_search(edges)
            samples = contest(edges, values, search, repeats)
            raw[f"{kind} {size}"] = samples
            best = {name: min(times) for name, times in samples.items()}
            ours = best["driftgauge"]
            others = [best["plain"], best["searchsorted"], best["histogram"]]
            ratios = [other / ours for other in others]
            lines.append([kind, int(edges.size), ours, *others, *ratios, search.steps, search.table.nbytes])
            told = "  ".join(f"{name} {time:.2f} ns" for name, time in best.items())
            print(f"{kind:>10} {edges.size:>6} edges  {told}  searchsorted / ours {ratios[1]:.1f}")  # noqa: T201
    columns = [
        column("data"),
        column("edges", "count"),
        column("driftgauge", "ns"),
        column("plain compiled search", "ns"),
        column("np.searchsorted", "ns"),
        column("np.histogram", "ns"),
        column("plain / ours", "ratio"),
        column("searchsorted / ours", "ratio"),
        column("histogram / ours", "ratio"),
        column("steps", "count"),
        column("table", "bytes"),
    ]
    note = (
        f"Nanoseconds per value, best of {repeats} interleaved repeats over {rows:,} values in random order. "
        "driftgauge writes the final cell, specials included; searchsorted and the plain search only the "
        "insertion position, histogram only counts. `crowded` is made to defeat the table: five clusters a "
        "billion times tighter than their distance."
    )
    goals = []
    for kind in ("normal", "lognormal", "uniform", "integer"):
        at_goal = [line for line in lines if line[0] == kind and line[1] in (1022, 1023)]
        if at_goal:
            what = f"binning at 1,023 edges, {kind}, against np.searchsorted"
            goals.append(goal(what, 6.0, float(str(at_goal[0][7])), better="higher", unit="ratio"))
    return save(
        "binning",
        tables=[table("Binning", columns, lines, note)],
        goals=goals,
        versions=versions("driftgauge", "numpy", "numba", "llvmlite"),
        smoke=chosen.smoke,
        raw=raw,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(machine()["cpu"])  # noqa: T201
    print(main())  # noqa: T201

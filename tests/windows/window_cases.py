"""Features, values and an oracle of cells for the tests of windows: short loops, no cleverness."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftgauge.cells import MISSING, FeatureReference, is_missing
from driftgauge.layout import Layout

REFERENCE_ID = "a1b2c3"


def cell_of(value: float, points: Sequence[float]) -> int:
    """Cell of a numeric value, read off the table in `driftgauge.cells`."""
    k = len(points)
    if math.isnan(value):
        return 2 * k + (4 if is_missing(np.array([value]))[0] else 3)
    if math.isinf(value):
        return 0 if value < 0 else 2 * k + 2
    place = bisect_left(points, value)
    if place < k and points[place] == value:
        return 2 * place + 2
    return 2 * place + 1


def numeric_feature(name: str, values: Sequence[float], bins: int = 4) -> FeatureReference:
    """Exact reference of *values*: a point for each distinct finite value, *bins* bins of equal mass."""
    numbers = sorted(value for value in values if math.isfinite(value))
    points = sorted(set(numbers)) or [0.0]
    counts = [0] * (2 * len(points) + 5)
    for value in values:
        counts[cell_of(value, points)] += 1
    inner = {numbers[len(numbers) * b // bins] for b in range(1, bins)} if numbers else set()
    # (lo, hi]: a bin ends after the cell of its upper edge
    ends = sorted({2 * points.index(edge) + 3 for edge in inner} | {2 * len(points) + 3})
    starts = [0, *ends, len(counts)]
    return FeatureReference(
        name=name,
        kind="input",
        dtype="numeric",
        points=np.array(points),
        categories=(),
        counts=np.array(counts, dtype=np.uint32),
        bin_starts=np.array(starts, dtype=np.int32),
        bin_labels=(*(f"bin {b}" for b in range(len(starts) - 2)), "missing"),
        exact=True,
        ks_error_bound=0.0,
    )


def categorical_feature(name: str, counts: Sequence[int]) -> FeatureReference:
    """Reference of a category for each of *counts*, the last two of which are unseen and missing."""
    categories = tuple(f"c{place}" for place in range(len(counts) - 2))
    return FeatureReference(
        name=name,
        kind="input",
        dtype="categorical",
        points=np.empty(0),
        categories=categories,
        counts=np.array(counts, dtype=np.uint32),
        bin_starts=np.arange(len(counts) + 1, dtype=np.int32),
        bin_labels=(*categories, "unseen", "missing"),
        exact=True,
        ks_error_bound=0.0,
    )


def index_block(layout: Layout, columns: Sequence[Sequence[float]]) -> NDArray[np.uint16]:
    """uint16[F, n] of the values of numeric features, one sequence a feature, by the oracle."""
    rows = [
        [cell_of(value, feature.points.tolist()) for value in column]
        for feature, column in zip(layout.features, columns, strict=True)
    ]
    return np.array(rows, dtype=np.uint16).reshape(len(columns), -1)


def counted(layout: Layout, indices: NDArray[np.uint16]) -> list[int]:
    """Counts by cell of a block, one by one."""
    counts = [0] * layout.cells
    for first, row in zip(layout.cell_offsets.tolist(), indices.tolist(), strict=False):
        for cell in row:
            counts[first + cell] += 1
    return counts


def psi_by_definition(reference: Sequence[int], live: Sequence[int]) -> float:
    """PSI from its definition: half a row for every bin that is not empty on both sides."""
    pairs = [(r, w) for r, w in zip(reference, live, strict=True) if r + w > 0]
    n, rows, bins = sum(reference), sum(live), len(pairs)
    terms = []
    for r, w in pairs:
        q = (r + 0.5) / (n + bins / 2)
        p = (w + 0.5) / (rows + bins / 2)
        terms.append((p - q) * math.log(p / q))
    return math.fsum(terms)


@dataclass(frozen=True)
class StandIn:
    """As much of a `Reference` as an evaluation reads."""

    layout: Layout
    rows: int
    id: str = REFERENCE_ID
    model: str = "model"
    version: str = "1"
    created_timestamp_seconds: float = 0.0


def stand_in(*features: FeatureReference) -> Any:
    return StandIn(Layout.of(features), features[0].rows)


# Kinds of columns: each draws one value. Heavily tied and constant columns are those where a KS that counts
# in the wrong order at a tie goes wrong.
KINDS: dict[str, st.SearchStrategy[float]] = {
    "continuous": st.floats(-1e6, 1e6),
    "integer": st.integers(-50, 50).map(float),
    "tied": st.sampled_from([0.0, 1.0, 2.0]),
    "constant": st.just(7.0),
    "mixed": st.one_of(
        st.floats(-10, 10),
        st.sampled_from([math.nan, MISSING, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e308]),
    ),
}


def small_layout() -> Layout:
    """A numeric, a heavily tied and a categorical feature, 60 reference rows each."""
    spread = [math.sin(7.0 * i) for i in range(57)] + [math.nan, MISSING, math.inf]
    return Layout.of(
        [
            numeric_feature("spread", spread),
            numeric_feature("tied", [float(i % 3) for i in range(60)]),
            categorical_feature("colour", [30, 20, 7, 2, 1]),
        ]
    )


def any_block(layout: Layout, rows: int, seed: int) -> NDArray[np.uint16]:
    """A block of *rows* rows of any cells."""
    rng = np.random.default_rng(seed)
    widths = np.diff(layout.cell_offsets)
    return (rng.random((widths.size, rows)) * widths[:, None]).astype(np.uint16)

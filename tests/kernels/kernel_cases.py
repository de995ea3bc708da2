"""Data for kernel tests: points, values, counts and features, as hypothesis strategies and as builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import oracles
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftgauge.cells import MISSING, FeatureReference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """A statistic of two histograms: its name in the kernels and what is true of it."""

    name: str
    oracle: Any
    highest: float
    symmetric_at_any_size: bool


DISTANCES = (
    Distance("psi", oracles.psi, np.inf, True),
    Distance("js", oracles.js, 1.0, True),
    Distance("hellinger", oracles.hellinger, 1.0, True),
    Distance("total_variation", oracles.total_variation, 1.0, True),
    Distance("chi_square", oracles.chi_square, np.inf, True),
)

finite = st.floats(allow_nan=False, allow_infinity=False)
nasty = st.sampled_from(
    [0.0, -0.0, 5e-324, -5e-324, 1.0, np.nextafter(1.0, 2.0), 2.0**53, 2.0**53 + 2, 1e300, -1e300, 1.7e308]
)


@st.composite
def point_sets(draw: st.DrawFn, most: int = 40) -> Floats:
    """Sorted distinct finite points: anything, whole numbers, or neighbours one ulp apart."""
    kind = draw(st.sampled_from(["any", "whole", "neighbours"]))
    if kind == "any":
        drawn = draw(st.lists(finite | nasty, min_size=1, max_size=most))
    elif kind == "whole":
        drawn = [float(i) for i in draw(st.lists(st.integers(-50, 50), min_size=1, max_size=most))]
    else:
        drawn = [draw(finite.filter(lambda x: abs(x) < 1e308))]
        for _ in range(draw(st.integers(0, most - 1))):
            drawn.append(float(np.nextafter(drawn[-1], np.inf)))
    return np.unique(np.array(drawn))


@st.composite
def values_around(draw: st.DrawFn, points: Floats) -> Floats:
    """Values on, just beside and between the points, and all the special ones."""
    chosen = draw(st.lists(st.sampled_from(points.tolist()), max_size=20))
    with np.errstate(over="ignore"):
        beside = [float(np.nextafter(x, side)) for x in chosen for side in (-np.inf, np.inf)]
    special = [np.nan, MISSING, np.inf, -np.inf, 0.0, -0.0, -np.nan]
    anything = draw(st.lists(finite | nasty, max_size=20))
    return np.array([*chosen, *beside, *anything, *special])


def counts_of(size: int, most: int = 60) -> st.SearchStrategy[list[int]]:
    """Counts that are often zero."""
    return st.lists(st.just(0) | st.integers(0, most), min_size=size, max_size=size)


def numeric_feature(
    points: Sequence[float] | Floats, counts: Sequence[int] | NDArray[Any], name: str = "x"
) -> FeatureReference:
    """A numeric feature whose bins are four runs of number cells, and missing."""
    cells = len(counts)
    cuts = np.unique(np.linspace(0, cells - 2, 5).astype(np.int32))
    starts = np.append(cuts, cells).astype(np.int32)
    return FeatureReference(
        name=name,
        kind="input",
        dtype="numeric",
        points=np.asarray(points, dtype=np.float64),
        categories=(),
        counts=np.asarray(counts, dtype=np.uint32),
        bin_starts=starts,
        bin_labels=tuple(f"bin {b}" for b in range(starts.size - 1)),
        exact=True,
        ks_error_bound=0.0,
    )


def categorical_feature(counts: Sequence[int], name: str = "colour") -> FeatureReference:
    """A categorical feature with a bin for each cell."""
    categories = tuple(f"category {c}" for c in range(len(counts) - 2))
    return FeatureReference(
        name=name,
        kind="input",
        dtype="categorical",
        points=np.empty(0),
        categories=categories,
        counts=np.asarray(counts, dtype=np.uint32),
        bin_starts=np.arange(len(counts) + 1, dtype=np.int32),
        bin_labels=(*categories, "unseen", "missing"),
        exact=True,
        ks_error_bound=0.0,
    )

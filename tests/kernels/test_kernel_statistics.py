"""Every statistic of two count vectors: its laws, its definition, scipy's, and the edges."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import DISTANCES, Distance, counts_of, point_sets
from scipy import stats

from driftgauge.kernels import build_search

pairs = st.integers(1, 24).flatmap(lambda bins: st.tuples(counts_of(bins), counts_of(bins)))
each_distance = pytest.mark.parametrize("distance", DISTANCES, ids=lambda d: d.name)


def close(value: float, expected: float, tolerance: float = 1e-12) -> bool:
    if math.isnan(expected):
        return math.isnan(value)
    return value == pytest.approx(expected, rel=tolerance, abs=tolerance)


def bins(counts: list[int]) -> np.ndarray:
    return np.array(counts, np.int64)


def cells(counts: list[int]) -> np.ndarray:
    return np.array(counts, np.uint32)


# laws


@each_distance
@given(pair=pairs)
@settings(max_examples=60, deadline=None)
def test_a_distance_is_symmetric_in_range_and_blind_to_the_order_of_bins(
    served_by: ModuleType, distance: Distance, pair: tuple[list[int], list[int]]
) -> None:
    function = getattr(served_by, distance.name)
    reference, live = map(bins, pair)
    value = function(reference, live)
    if math.isnan(value):
        assert not reference.any() or not live.any()
        return
    assert 0.0 <= value <= distance.highest * (1 + 1e-12)
    assert close(function(live, reference), value)
    assert close(function(reference[::-1].copy(), live[::-1].copy()), value)


@each_distance
@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
@settings(max_examples=30, deadline=None)
def test_the_distance_of_a_histogram_from_itself_is_zero(
    served_by: ModuleType, distance: Distance, counts: list[int]
) -> None:
    assert getattr(served_by, distance.name)(bins(counts), bins(counts)) == pytest.approx(0.0, abs=1e-7)


@each_distance
@given(pair=pairs)
@settings(max_examples=30, deadline=None)
def test_bins_that_are_empty_on_both_sides_change_nothing(
    served_by: ModuleType, distance: Distance, pair: tuple[list[int], list[int]]
) -> None:
    function = getattr(served_by, distance.name)
    reference, live = pair
    assert close(
        function(bins([0, *reference, 0, 0]), bins([0, *live, 0, 0])), function(bins(reference), bins(live))
    )


# oracles


@each_distance
@given(pair=pairs)
@settings(max_examples=100, deadline=None)
def test_a_distance_is_its_definition(
    served_by: ModuleType, distance: Distance, pair: tuple[list[int], list[int]]
) -> None:
    reference, live = pair
    # the root of a difference of near-equal sums keeps half the digits when it is near 0
    tolerance = 1e-7 if distance.name == "js" else 1e-12
    assert close(
        getattr(served_by, distance.name)(bins(reference), bins(live)),
        distance.oracle(reference, live),
        tolerance,
    )


def test_chi_square_is_scipys_statistic(served_by: ModuleType) -> None:
    table = np.random.default_rng(0).integers(1, 100, size=(2, 9))
    expected = stats.chi2_contingency(table, correction=False).statistic
    assert served_by.chi_square(table[0], table[1]) == pytest.approx(expected, rel=1e-12)


def test_jensen_shannon_is_scipys_distance_of_the_smoothed_shares(served_by: ModuleType) -> None:
    from scipy.spatial.distance import jensenshannon

    table = np.random.default_rng(0).integers(1, 100, size=(2, 9))
    assert served_by.js(*table) == pytest.approx(
        jensenshannon(table[0] + 0.5, table[1] + 0.5, base=2), rel=1e-12
    )


@given(pair=st.integers(1, 200).flatmap(lambda n: st.tuples(counts_of(n), counts_of(n))))
@settings(max_examples=100, deadline=None)
def test_ks_is_its_definition(served_by: ModuleType, pair: tuple[list[int], list[int]]) -> None:
    assert close(served_by.ks(cells(pair[0]), cells(pair[1])), oracles.ks(*pair), 1e-15)


@pytest.mark.parametrize(
    "kind", ["continuous", "integer", "tied", "constant", "mixed", "shifted", "far apart"]
)
def test_ks_and_wasserstein_of_cells_are_scipys_of_rows(served_by: ModuleType, kind: str) -> None:
    rng = np.random.default_rng(2)
    sides = {
        "continuous": (rng.normal(size=900), rng.normal(size=700)),
        "integer": (rng.integers(0, 50, 900), rng.integers(0, 55, 700)),
        "tied": (rng.integers(0, 3, 900), rng.integers(0, 3, 700)),
        "constant": (np.r_[np.zeros(899), 1], np.zeros(700)),
        "mixed": (np.r_[np.zeros(500), rng.normal(size=400)], np.r_[np.zeros(100), rng.normal(size=600)]),
        "shifted": (rng.normal(size=900), rng.normal(0.7, 1, size=700)),
        "far apart": (rng.normal(size=900), rng.normal(50, 1, size=700)),
    }
    reference, live = (np.asarray(side, float) for side in sides[kind])
    points = np.unique(reference)
    search = build_search(points)

    def counted(values: np.ndarray) -> np.ndarray:
        index = np.empty(values.size, np.uint16)
        served_by.index_numeric(values, search, index)
        return np.bincount(index, minlength=2 * points.size + 5).astype(np.uint32)

    reference_counts, live_counts = counted(reference), counted(live)
    ks = served_by.ks(reference_counts[:-2], live_counts[:-2])
    assert ks == pytest.approx(stats.ks_2samp(reference, live).statistic, abs=1e-12)
    # Wasserstein of the rows put where the cells are: that is all that cells know
    placed = np.clip(live, points[0], points[-1])
    above = np.minimum(np.searchsorted(points, placed), points.size - 1)
    middle = (points[np.maximum(above - 1, 0)] + points[above]) / 2
    placed = np.where(points[above] == placed, placed, middle)
    expected = stats.wasserstein_distance(reference, placed) / reference.std()
    value = served_by.wasserstein(points, reference_counts, live_counts)
    assert value == pytest.approx(expected, rel=1e-10, abs=1e-12)


@st.composite
def counted_points(draw: st.DrawFn) -> tuple[np.ndarray, list[int], list[int]]:
    points = draw(point_sets(most=80))
    size = 2 * points.size + 5
    return points, draw(counts_of(size)), draw(counts_of(size))


@given(case=counted_points())
@settings(max_examples=150, deadline=None)
def test_moments_quantiles_and_wasserstein_are_their_definitions(
    served_by: ModuleType, case: tuple[np.ndarray, list[int], list[int]]
) -> None:
    points, _, live = case
    listed = points.tolist()
    width = float(np.abs(points).max())
    # denormal points have no more digits than their own spacing
    grain = max(width * 1e-12, 1e-322)
    mean, deviation, bound = served_by.mean_and_deviation(points, cells(live))
    expected = oracles.mean_and_deviation(listed, live)
    if math.isnan(expected[0]):
        assert np.isnan([mean, deviation, bound]).all()
    else:
        assert mean == pytest.approx(expected[0], abs=grain)
        # squares lose half the digits of a spread that is small beside the points
        assert deviation == pytest.approx(expected[1], abs=max(width * 1e-7, 1e-322))
        assert bound == pytest.approx(expected[2], abs=grain)
    levels = np.array([0.0, 0.05, 0.5, 0.75, 1.0])
    out = np.empty(5)
    served_by.quantiles(points, cells(live), levels, out)
    for level, value in zip(levels, out, strict=True):
        wanted = oracles.quantile(listed, live, float(level))
        assert (
            math.isnan(value) if math.isnan(wanted) else value == pytest.approx(wanted, rel=1e-15, abs=1e-323)
        )


@given(case=counted_points())
@settings(max_examples=100, deadline=None)
def test_wasserstein_is_its_definition(
    served_by: ModuleType, case: tuple[np.ndarray, list[int], list[int]]
) -> None:
    points, reference, live = case
    spread = oracles.mean_and_deviation(points.tolist(), reference)[1]
    # Where the spread is below the points' own rounding, distance in spreads is rounding too.
    if spread > 0 and spread < 1e-6 * np.abs(points).max():
        return
    value = served_by.wasserstein(points, cells(reference), cells(live))
    assert close(value, oracles.wasserstein(points.tolist(), reference, live), 1e-8)


# edges


def test_an_empty_side_has_no_statistic(served_by: ModuleType) -> None:
    nothing, something = np.zeros(4, np.int64), np.array([1, 2, 0, 3])
    for distance in DISTANCES:
        assert math.isnan(getattr(served_by, distance.name)(nothing, something))
        assert math.isnan(getattr(served_by, distance.name)(something, nothing))
    assert math.isnan(served_by.ks(nothing.astype(np.uint32), something.astype(np.uint32)))
    assert math.isnan(served_by.ks(np.empty(0, np.uint32), np.empty(0, np.uint32)))


def test_ks_of_thousands_of_millions_of_rows_does_not_overflow(served_by: ModuleType) -> None:
    reference = np.full(4, 2**32 - 1, np.uint32)
    live = np.array([2**32 - 1, 0, 0, 2**32 - 1], np.uint32)
    assert served_by.ks(reference, live) == pytest.approx(0.25, abs=1e-12)


def test_a_reference_that_does_not_vary_has_no_wasserstein(served_by: ModuleType) -> None:
    assert math.isnan(
        served_by.wasserstein(np.array([3.0]), cells([0, 0, 9, 0, 0, 0, 0]), cells([0, 0, 4, 2, 0, 0, 0]))
    )


def test_one_value_of_1e300_moves_mean_and_wasserstein_by_its_share_only(served_by: ModuleType) -> None:
    points = np.linspace(-3, 3, 101)
    reference = cells([0, 0, *([10, 0] * 100), 10, 0, 0, 0, 0])
    live = reference.copy()
    live[2 * points.size + 1] += 1  # above
    mean, deviation, _ = served_by.mean_and_deviation(points, live)
    assert mean == pytest.approx(3 / 1011, abs=1e-12)
    assert served_by.wasserstein(points, reference, live) < 3 / 1011 * 3
    assert deviation < 1.76


def test_a_window_far_from_the_reference_keeps_the_digits_of_its_deviation(served_by: ModuleType) -> None:
    points = np.arange(1e9, 1e9 + 200)
    live = np.zeros(405, np.uint32)
    live[2 * 198 + 2] = live[2 * 199 + 2] = 500
    mean, deviation, _ = served_by.mean_and_deviation(points, live)
    assert mean == 1e9 + 198.5
    assert deviation == pytest.approx(0.5, rel=1e-12)


# story


def test_all_distances_rise_when_rows_move_from_one_end_to_the_other(served_by: ModuleType) -> None:
    reference = np.full(10, 100, np.int64)
    before = dict.fromkeys([d.name for d in DISTANCES], -1.0)
    for moved in (0, 20, 50, 100):
        live = reference.copy()
        live[0] -= moved
        live[9] += moved
        for distance in DISTANCES:
            value = getattr(served_by, distance.name)(reference, live)
            assert value > before[distance.name]
            before[distance.name] = value

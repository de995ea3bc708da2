"""All statistics of all features in one call."""

from __future__ import annotations

import math
from itertools import pairwise
from types import ModuleType

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import DISTANCES, categorical_feature, counts_of, numeric_feature

from driftgauge.kernels import QUANTILE_LEVELS, STATISTICS, build_search
from driftgauge.layout import Layout


def table_of(served_by: ModuleType, layout: Layout, live: np.ndarray) -> list[dict[str, float]]:
    out = np.zeros((len(layout.features), len(STATISTICS)))
    served_by.evaluate(layout, live, out, np.full(layout.bins, -1, np.int64))
    return [dict(zip(STATISTICS, row, strict=True)) for row in out.tolist()]


def same(value: float, expected: float) -> bool:
    return (math.isnan(value) and math.isnan(expected)) or value == pytest.approx(
        expected, rel=1e-7, abs=1e-9
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Layout, np.ndarray]:
    features = []
    live: list[int] = []
    for number in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            points = sorted(draw(st.sets(st.integers(-99, 99), min_size=1, max_size=70)))
            counts = draw(counts_of(2 * len(points) + 5))
            features.append(numeric_feature([float(p) for p in points], counts, f"number {number}"))
        else:
            counts = draw(counts_of(draw(st.integers(2, 9))))
            features.append(categorical_feature(counts, f"category {number}"))
        live += draw(counts_of(len(counts)))
    return Layout.of(features), np.array(live, np.uint32)


@given(case=cases())
@settings(max_examples=120, deadline=None)
def test_each_column_is_its_definition_or_nan_where_it_has_no_meaning(
    served_by: ModuleType, case: tuple[Layout, np.ndarray]
) -> None:
    layout, counts = case
    for f, row in enumerate(table_of(served_by, layout, counts)):
        feature = layout.features[f]
        live = counts[layout.cell_offsets[f] : layout.cell_offsets[f + 1]].tolist()
        reference = feature.counts.tolist()
        starts = feature.bin_starts.tolist()
        binned = [sum(live[a:b]) for a, b in pairwise(starts)]
        rows = sum(live)
        expected = dict.fromkeys(STATISTICS, math.nan)
        for distance in DISTANCES:
            expected[distance.name] = distance.oracle(feature.reference_bins.tolist(), binned)
        if rows and feature.dtype == "numeric":
            points = feature.points.tolist()
            expected["missing_ratio"] = (live[-1] + live[-2]) / rows
            expected["out_of_range_ratio"] = (live[0] + live[1] + live[-3] + live[-4]) / rows
            expected["ks"] = oracles.ks(reference[:-2], live[:-2])
            expected["wasserstein"] = oracles.wasserstein(points, reference, live)
            moments = oracles.mean_and_deviation(points, live)
            expected["mean"], expected["standard_deviation"], expected["mean_error_bound"] = moments
            for level in QUANTILE_LEVELS:
                name = f"quantile_{round(100 * level):02d}"
                expected[name] = oracles.quantile(points, live, level)
        elif rows:
            expected["missing_ratio"] = live[-1] / rows
            expected["unseen_ratio"] = live[-2] / rows
        for name in STATISTICS:
            if name not in ("shift", "scale_shift"):  # below
                assert same(row[name], expected[name]), (name, row[name], expected[name])


@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_without_places_the_other_columns_are_the_same(
    served_by: ModuleType, case: tuple[Layout, np.ndarray]
) -> None:
    layout, counts = case
    some, bins = np.empty((len(layout.features), len(STATISTICS))), np.empty(layout.bins, np.int64)
    served_by.evaluate(layout, counts, some, bins, places=False)
    for few, row in zip(some, table_of(served_by, layout, counts), strict=True):
        for name, value in zip(STATISTICS, few, strict=True):
            if name in ("wasserstein", "mean", "standard_deviation", "mean_error_bound"):
                assert math.isnan(value)
            else:
                assert same(value, row[name])


def test_bins_of_the_window_are_written_too(served_by: ModuleType) -> None:
    layout = Layout.of([numeric_feature([1.0, 2.0], [1] * 9), categorical_feature([3, 2, 1, 0])])
    live = np.arange(13, dtype=np.uint32)
    bins = np.full(layout.bins, -1, np.int64)
    served_by.evaluate(layout, live, np.empty((2, len(STATISTICS))), bins)
    assert bins.sum() == live.sum()
    assert bins[layout.bin_offsets[1] :].tolist() == [9, 10, 11, 12]


def test_the_scores_of_groups_are_mean_normal_scores(served_by: ModuleType) -> None:
    # 1,000 distinct points: each 5 % step is a group, and the cuts in the tails too
    layout = Layout.of([numeric_feature(np.arange(1000.0), [0, *[0, 1] * 1000, 0, 0, 0, 0])])
    ends = layout.group_ends
    shares = np.cumsum(layout.reference[:-2])[ends - 1] / 1000
    before = np.r_[0.0, shares[:-1]]
    means = np.array([oracles.mean_scores(a, b) for a, b in zip(before, shares, strict=True)])
    variance = (shares - before) @ means**2
    # the midpoint rule is off by 1e-5 where the score runs to infinity
    assert layout.group_scores == pytest.approx(means / variance, rel=1e-3, abs=1e-4)
    assert ends.size == 24
    row = table_of(served_by, layout, layout.reference.copy())[0]
    assert row["shift"] == pytest.approx(0.0, abs=1e-12)
    assert row["scale_shift"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("moved", [-0.5, -0.1, 0.1, 0.3])
@pytest.mark.parametrize("stretched", [1.0, 1.1])
def test_a_gaussian_that_moves_by_d_shifts_by_about_d(
    served_by: ModuleType, moved: float, stretched: float
) -> None:
    rng = np.random.default_rng(5)
    points = np.unique(rng.normal(size=20_000))
    layout = Layout.of([numeric_feature(points, [0, *[0, 1] * points.size, 0, 0, 0, 0])])
    values = moved + stretched * rng.normal(size=40_000)
    index = np.empty(values.size, np.uint16)
    served_by.index_numeric(values, build_search(points), index)
    row = table_of(served_by, layout, np.bincount(index, minlength=layout.cells).astype(np.uint32))[0]
    # sampling: 1/sqrt(20,000) + 1/sqrt(40,000) = 0.012, three of them; second order in d and s
    assert row["shift"] == pytest.approx(moved, abs=0.036 + 0.03 * abs(moved))
    wanted = (stretched**2 - 1 + moved**2) / math.sqrt(2)
    assert row["scale_shift"] == pytest.approx(wanted, abs=0.04 + 0.1 * wanted)


def test_a_reference_of_one_value_has_no_shift(served_by: ModuleType) -> None:
    layout = Layout.of([numeric_feature([3.0], [0, 0, 10, 0, 0, 0, 0])])
    row = table_of(served_by, layout, np.array([0, 1, 5, 4, 0, 0, 0], np.uint32))[0]
    assert math.isnan(row["shift"])
    assert math.isnan(row["wasserstein"])
    assert row["ks"] == pytest.approx(0.4)


def test_an_empty_window_has_no_statistic_and_zero_bins(served_by: ModuleType) -> None:
    layout = Layout.of([numeric_feature([1.0, 2.0], [1] * 9), categorical_feature([3, 2, 1, 0])])
    out, bins = np.zeros((2, len(STATISTICS))), np.full(layout.bins, -1, np.int64)
    served_by.evaluate(layout, np.zeros(13, np.uint32), out, bins)
    assert np.isnan(out).all()
    assert not bins.any()


def test_a_window_of_missing_values_only_has_a_missing_ratio_of_one(served_by: ModuleType) -> None:
    layout = Layout.of([numeric_feature([1.0, 2.0], [1] * 9)])
    row = table_of(served_by, layout, np.array([0] * 7 + [3, 5], np.uint32))[0]
    assert row["missing_ratio"] == 1.0
    assert row["out_of_range_ratio"] == 0.0
    assert math.isnan(row["ks"])
    assert math.isnan(row["mean"])
    assert row["psi"] > 1.0

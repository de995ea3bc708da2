"""Cells, counts and bins of a fitted reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from driftgauge import _fit
from driftgauge.cells import MISSING, FeatureReference
from driftgauge.errors import ConfigError, DataError
from driftgauge.reference import Reference

VALUES = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0, 2.0, -0.0, np.inf, -np.inf, np.nan, MISSING]), st.floats(width=32)),
    min_size=1,
    max_size=200,
)


def fit_one(values: Any, **settings: Any) -> FeatureReference:
    return Reference.fit({"x": values}, created_timestamp_seconds=0.0, **settings).features[0]


def check_invariants(feature: FeatureReference) -> None:
    """What every feature must be, however it was made."""
    k = feature.points.size
    if feature.dtype == "numeric":
        assert feature.cells == 2 * k + 5
        assert np.isfinite(feature.points).all()
        assert (np.diff(feature.points) > 0).all()
        # no reference row lies outside the reference
        assert feature.counts[1] == feature.counts[2 * k + 1] == 0
    else:
        assert feature.cells == len(feature.categories) + 2
    starts = feature.bin_starts
    assert starts[0] == 0
    assert starts[-1] == feature.cells
    assert (np.diff(starts) > 0).all()
    assert len(feature.bin_labels) == starts.size - 1
    assert feature.bin_labels[-1] == "missing"
    assert starts[-2] == feature.cells - (2 if feature.dtype == "numeric" else 1)
    assert len(set(feature.bin_labels)) == len(feature.bin_labels)
    assert feature.reference_bins.sum() == feature.rows


# law


@settings(deadline=None)
@given(values=VALUES)
def test_every_row_is_in_the_cell_it_is_indexed_to(values: list[float]) -> None:
    array = np.array(values)
    if not np.isfinite(array).any():
        with pytest.raises(DataError):
            Reference.fit({"x": array})
        return
    reference = Reference.fit({"x": array})
    feature = reference.features[0]
    check_invariants(feature)
    np.testing.assert_array_equal(reference.count({"x": array}), feature.counts)


@settings(deadline=None, max_examples=50)
@given(values=VALUES, seed=st.integers(0, 99))
def test_the_order_of_rows_makes_no_difference(values: list[float], seed: int) -> None:
    array = np.array([*values, 1.0])
    shuffled = np.random.default_rng(seed).permutation(array)
    one = Reference.fit({"x": array}, created_timestamp_seconds=0.0)
    assert one.id == Reference.fit({"x": shuffled}, created_timestamp_seconds=0.0).id


@pytest.mark.parametrize("shape", ["normal", "lognormal", "half zero"])
@pytest.mark.parametrize("resolution", [21, 255, 1023])
def test_a_quantile_reference_counts_its_own_rows(shape: str, resolution: int) -> None:
    rng = np.random.default_rng(6)
    values = {
        "normal": rng.normal(size=50_000),
        "lognormal": rng.lognormal(sigma=2, size=50_000),
        "half zero": np.where(rng.random(80_000) < 0.5, 0.0, rng.normal(size=80_000)),
    }[shape]
    reference = Reference.fit({"x": values}, resolution=resolution)
    feature = reference.features[0]
    check_invariants(feature)
    assert not feature.exact
    assert resolution // 2 - 12 < feature.points.size <= resolution
    assert feature.points[[0, -1]].tolist() == [values.min(), values.max()]
    np.testing.assert_array_equal(reference.count({"x": values}), feature.counts)


@given(values=st.lists(st.integers(0, 40), min_size=2, max_size=300), bins=st.integers(2, 12))
@settings(deadline=None)
def test_bins_of_tied_data_are_no_more_than_asked_and_hide_no_value(values: list[int], bins: int) -> None:
    feature = fit_one(values, bins=bins)
    check_invariants(feature)
    # two open tails of their own, and what is missing
    assert len(feature.bin_labels) <= bins + 3
    # a value that holds two levels or more has a bin without any other value
    points, counts = np.unique(values, return_counts=True)
    for point, count in zip(points, counts, strict=True):
        if count >= 2 * len(values) / bins + 1:
            cell = 2 * int(np.searchsorted(feature.points, point)) + 2
            home = int(np.searchsorted(feature.bin_starts, cell, side="right")) - 1
            assert feature.reference_bins[home] == count


# oracle


@pytest.mark.parametrize("shape", ["normal", "lognormal", "integers beyond 32,000"])
def test_ks_on_quantile_cells_is_within_its_bound_of_scipy(shape: str) -> None:
    rng = np.random.default_rng(7)
    make = {
        "normal": lambda n, shift: rng.normal(shift, size=n),
        "lognormal": lambda n, shift: rng.lognormal(shift, 2, size=n),
        "integers beyond 32,000": lambda n, shift: rng.integers(0, 60_000 + int(1000 * shift), n).astype(
            float
        ),
    }[shape]
    train = make(60_000, 0.0)
    reference = Reference.fit({"x": train}, resolution=101)
    feature = reference.features[0]
    assert 0.009 < feature.ks_error_bound < 0.0115  # 92 points evenly by rank, and the bins' levels
    for shift in (0.0, 0.1, 1.0):
        live = make(3_000, shift)
        counted = reference.count({"x": live})[: feature.number_cells]
        found = np.abs(
            np.cumsum(counted) / 3_000 - np.cumsum(feature.counts[: feature.number_cells]) / 60_000
        ).max()
        assert abs(found - stats.ks_2samp(train, live).statistic) <= feature.ks_error_bound


def test_quantile_bins_are_numpys_inverted_cdf() -> None:
    values = np.random.default_rng(8).normal(size=40_000)
    feature = fit_one(values)
    ends = feature.bin_starts[1:-2]  # an inner bin begins in the gap after its lower edge
    edges = feature.points[(ends - 3) // 2]
    levels = np.arange(1, 10) / 10
    np.testing.assert_array_equal(edges, np.quantile(values, levels, method="inverted_cdf"))
    assert feature.reference_bins.tolist() == [4_000] * 10 + [0]


# edge


def test_a_constant_has_bins_below_at_and_above_it() -> None:
    feature = fit_one([5.0] * 7)
    assert feature.bin_labels == ("(-inf, 5)", "5", "(5, inf)", "missing")
    assert feature.reference_bins.tolist() == [0, 7, 0, 0]


def test_a_zero_one_column_has_a_bin_for_each_and_for_what_lies_beyond() -> None:
    feature = fit_one([0.0] * 95 + [1.0] * 5)
    assert feature.bin_labels == ("(-inf, 0)", "0", "(0, 1]", "(1, inf)", "missing")
    assert feature.reference_bins.tolist() == [0, 95, 5, 0, 0]
    mirrored = fit_one([0.0] * 5 + [1.0] * 95)
    assert mirrored.reference_bins.tolist() == [0, 5, 95, 0, 0]


def test_one_row_is_enough() -> None:
    reference = Reference.fit({"x": [1.0], "c": ["a"], "b": [True]}, min_category_count=1)
    assert reference.rows == 1
    for feature in reference.features:
        check_invariants(feature)


def test_exactly_32_000_values_are_exact_and_one_more_is_not() -> None:
    assert fit_one(np.arange(32_000.0)).exact
    assert fit_one(np.arange(32_000.0)).ks_error_bound == 0.0
    one_more = fit_one(np.arange(32_001.0))
    assert not one_more.exact
    assert one_more.points.size == 1_023


def test_extremes_of_float64_are_points_like_any_other() -> None:
    feature = fit_one([-1.7e308, -5e-324, 0.0, 5e-324, 1.7e308])
    check_invariants(feature)
    assert feature.points.size == 5


def test_labels_of_bins_differ_where_numbers_nearly_do() -> None:
    feature = fit_one(1e9 + np.arange(100) / 1000)
    assert len(set(feature.bin_labels)) == len(feature.bin_labels)


def test_boolean_cells_are_false_true_unseen_missing() -> None:
    feature = fit_one([True, False, True, None])
    assert (feature.dtype, feature.categories) == ("boolean", ("false", "true"))
    assert feature.counts.tolist() == [1, 2, 0, 1]
    assert feature.bin_labels == ("false", "true", "unseen", "missing")
    assert fit_one([True, True]).counts.tolist() == [0, 2, 0, 0]


def test_categories_are_named_by_falling_count_then_name() -> None:
    values = ["b"] * 6 + ["c"] * 6 + ["a"] * 5 + ["rare"] * 4 + ["once", "twice", "twice", None]
    reference = Reference.fit({"x": values})
    feature = reference.features[0]
    assert feature.categories == ("b", "c", "a")
    assert feature.counts.tolist() == [6, 6, 5, 7, 1]
    assert feature.bin_labels == ("b", "c", "a", "unseen", "missing")
    assert reference.unnamed_counts == {"x": ((1, 1), (2, 1), (4, 1))}


def test_a_rare_category_is_not_named_anywhere_in_the_file(tmp_path: Any) -> None:
    reference = Reference.fit({"x": ["common"] * 9 + ["secret"] * 4})
    reference.save(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    assert b"common" in content
    assert b"secret" not in content


def test_more_categories_than_bins_share_other() -> None:
    values = [f"c{i:02d}" for i in range(30) for _ in range(60 - i)]
    feature = fit_one(values, category_bins=3)
    check_invariants(feature)
    assert feature.bin_labels == ("c00", "c01", "c02", "other", "unseen", "missing")
    assert feature.reference_bins.tolist() == [60, 59, 58, len(values) - 177, 0, 0]


def test_at_most_32_000_categories_are_named() -> None:
    feature = fit_one(np.arange(32_001).repeat(2), categorical="x", min_category_count=2)
    assert len(feature.categories) == 32_000
    assert feature.counts[feature.unseen_cell] == 2


def test_inputs_come_first_and_outputs_as_named() -> None:
    data = {"score": [0.1], "age": [3], "label": [1], "plan": [2]}
    reference = Reference.fit(data, outputs=["label", "score"], exclude="plan")
    assert reference.names == ("age", "label", "score")
    assert reference.inputs == ("age",)
    assert reference.outputs == ("label", "score")
    assert [feature.kind for feature in reference.features] == ["input", "output", "output"]
    assert reference.feature("score") is reference.features[reference.number("score")]


def test_an_array_is_fitted_with_names() -> None:
    reference = Reference.fit(np.eye(3), names=["a", "b", "c"], model="m", version="7")
    assert reference.inputs == ("a", "b", "c")
    assert (reference.model, reference.version) == ("m", "7")
    assert "3 features, 3 rows" in repr(reference)


@pytest.mark.parametrize(
    ("data", "settings", "reason"),
    [
        ({}, {}, "no column"),
        ({"x": []}, {}, "no rows"),
        ({"x": [1]}, {"exclude": "x"}, "no column"),
        ({"x": [None, None]}, {}, "'x' has no value at all in 2 rows; name it in exclude="),
        ({"x": [np.nan, None]}, {}, "'x' has no value at all"),
        ({"x": [np.inf, None]}, {}, "'x' has no finite number"),
        ({"x": ["a", "b"]}, {}, "none 5 times or more; if it names rows, give it in exclude="),
        ({"x": np.array([None, None])}, {"categorical": "x"}, "no value at all"),
        ({"x": np.array(["2026-01-01"], "M8[D]")}, {}, "dates or durations.*time=.*exclude="),
        ({"x": [2**53 + 1]}, {}, r"integers beyond 2\*\*53.*exclude=.*categorical="),
        ({"x": [1]}, {"outputs": "y"}, "outputs= names 'y', which is not a column; there are x"),
        ({"x": [1]}, {"categorical": ["z"]}, "categorical= names 'z'"),
        ({"x": [1], "": [1]}, {}, "the name of column 2, '', is empty.*rename it"),
        ({"half\ud800": [1], "half?": [1]}, {}, r"'half\\ud800', has half a surrogate pair.*rename it"),
    ],
)
def test_data_that_make_no_reference_say_why(data: Any, settings: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Reference.fit(data, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"resolution": 19},
        {"resolution": 32_001},
        {"resolution": 100.0},
        {"bins": 1},
        {"bins": True},
        {"category_bins": 0},
        {"min_category_count": 0},
        {"model": ""},
        {"version": ""},
        {"model": "half\ud800"},
        {"version": "half\udfff"},
    ],
)
def test_settings_out_of_range_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Reference.fit({"x": [1.0]}, **settings)


def test_a_column_that_can_have_no_label_may_be_left_out() -> None:
    assert Reference.fit({"x": [1], "": [1], "half\ud800": [2]}, exclude=["", "half\ud800"]).names == ("x",)
    assert Reference.fit({"größe \N{DRAGON}": [1]}, model="模型").names == ("größe \N{DRAGON}",)


def test_an_unknown_feature_lists_those_there_are() -> None:
    with pytest.raises(DataError, match="no feature 'z' in this reference; there are a, b"):
        Reference.fit({"b": [1], "a": [1]}).feature("z")


def test_fit_leaves_the_data_as_they_were() -> None:
    values = np.array([[3.0, -0.0], [1.0, np.nan], [2.0, 5.0]])
    before = values.copy()
    Reference.fit(values)
    np.testing.assert_array_equal(values, before)
    assert np.signbit(values[0, 1])


def test_more_rows_than_32_bits_count_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fit, "MAX_ROWS", 3)
    for column in ([1.0] * 4, ["a"] * 4, [True] * 4):
        with pytest.raises(DataError, match="has 4 rows, a reference counts at most 3; take a sample"):
            Reference.fit({"x": column}, min_category_count=1)

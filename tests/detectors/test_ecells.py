"""E-cells: which cells of a feature are one place to look at, and how many reference rows each has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.cells import FeatureReference
from driftgauge.ecells import MAX_ECELLS, MIN_ROWS, ECells, ecells_of
from driftgauge.reference import Reference


def fitted(values: Any, **options: Any) -> tuple[ECells, FeatureReference, Reference]:
    reference = Reference.fit({"x": values}, joint=False, **options)
    feature = reference.features[0]
    return ecells_of(feature, reference.unnamed_counts.get("x", ())), feature, reference


COLUMNS = st.one_of(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=300),
    st.lists(st.sampled_from([0.0, float("nan"), 2.5, float("inf"), 1e300]), min_size=1, max_size=60),
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=20, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=40),
)


@given(COLUMNS)
@settings(max_examples=150, deadline=None)
def test_every_cell_is_in_one_ecell_and_rows_are_those_of_its_cells(values: list[Any]) -> None:
    try:
        ecells, feature, _ = fitted(np.array(values, dtype=object), min_category_count=1)
    except ValueError:  # nothing but missing or infinite values: no reference
        return
    assert ecells.cell_map.shape == (feature.cells,)
    assert len(ecells.labels) == ecells.counts.size == ecells.inflation.size <= MAX_ECELLS + 1
    assert int(ecells.cell_map.max()) < ecells.size
    rows = np.bincount(ecells.cell_map, weights=feature.counts, minlength=ecells.size)
    estimated = np.isin(ecells.labels, ["between", "unseen", "other"])
    assert (ecells.counts[~estimated] == rows[~estimated]).all()
    assert (ecells.inflation >= 1).all()
    ordered = ecells.cell_map[: feature.number_cells]
    inside = ordered[ordered < ecells.ordered]
    if feature.dtype == "numeric":
        assert (np.diff(inside.astype(int)) >= 0).all()


def test_a_continuous_feature_has_fine_tails_and_rows_in_each() -> None:
    ecells, _, reference = fitted(np.random.default_rng(1).normal(size=10_000))
    assert ecells.ordered == 24
    assert ecells.labels[24:] == ("below", "above", "missing")
    assert ecells.counts[:3].tolist() == [10, 90, 400]
    assert reference.index({"x": np.array([-100.0, 100.0, np.nan])})[0].tolist() == [
        1,
        reference.features[0].cells - 4,
        reference.features[0].cells - 2,
    ]
    found = ecells.cell_map[reference.index({"x": np.array([-100.0, 100.0, np.inf, np.nan])})[0]]
    assert [ecells.labels[place] for place in found] == ["below", "above", "above", "missing"]


@pytest.mark.parametrize("rows", [20, 100, 1_000])
def test_few_rows_make_few_ecells(rows: int) -> None:
    ecells, _, _ = fitted(np.random.default_rng(2).normal(size=rows))
    assert (ecells.counts[: ecells.ordered] >= MIN_ROWS).all()


def test_a_number_never_seen_between_values_that_repeat_is_news() -> None:
    ecells, _, reference = fitted(np.random.default_rng(3).integers(0, 5, 5_000).astype(float))
    assert ecells.labels == ("0", "1", "2", "3", "4", "below", "above", "between", "missing")
    cell = reference.index({"x": np.array([1.5])})[0, 0]
    assert ecells.labels[ecells.cell_map[cell]] == "between"


def test_values_that_repeat_in_bursts_only_are_not_taken_as_all_there_are() -> None:
    # each value twenty times: the next row's value is new in one row of twenty, and not in none
    ecells, _, _ = fitted(np.repeat(np.random.default_rng(4).normal(size=2_500), 20))
    assert "between" not in ecells.labels


def test_a_frequent_value_is_alone() -> None:
    rng = np.random.default_rng(5)
    ecells, _, _ = fitted(np.where(rng.random(10_000) < 0.5, 0.0, rng.normal(size=10_000)))
    assert "0" in ecells.labels
    assert ecells.counts[ecells.labels.index("0")] == pytest.approx(5_000, abs=200)


def good_turing(seen: list[int], first: int, last: int) -> tuple[float, float]:
    """Sum over s of s N[s], and its inflation, as the formula says."""
    number = {s: seen.count(s) for s in range(1, max(seen) + 2)}
    rows = sum(s * number.get(s, 0) for s in range(first, last + 1))
    return rows, 1 + last * (last + 1) * number.get(last + 1, 0) / max(rows, 1)


def zipf(levels: int, rows: int, seed: int) -> tuple[np.ndarray, list[int]]:
    weights = 1 / np.arange(1, levels + 1) ** 1.1
    counts = np.random.default_rng(seed).multinomial(rows, weights / weights.sum())
    names = np.array([f"c{number:04d}" for number in range(levels)])
    return np.repeat(names, counts), counts[counts > 0].tolist()


@pytest.mark.parametrize("levels", [50, 200, 1_000])
@pytest.mark.parametrize("seed", range(3))
def test_unseen_has_the_count_of_good_and_turing(levels: int, seed: int) -> None:
    values, seen = zipf(levels, 10_000, seed)
    ecells, _, _ = fitted(values)
    if min(seen) < 5:
        unseen = ecells.labels.index("unseen")
        rows, inflation = good_turing(seen, 1, 5)
        assert ecells.counts[unseen] == rows
        assert ecells.inflation[unseen] == pytest.approx(inflation)


def test_the_others_are_cut_at_a_count_and_have_the_count_of_good_and_turing() -> None:
    values, seen = zipf(1_000, 20_000, 0)
    ecells, feature, _ = fitted(values)
    other = ecells.labels.index("other")
    own = feature.counts[:other].tolist()
    others = feature.counts[other : len(feature.categories)].tolist()
    assert min(own) > max(others)
    assert len(own) <= 250
    rows, inflation = good_turing(seen, min(others) + 1, max(others) + 1)
    assert ecells.counts[other] == rows
    assert ecells.inflation[other] == pytest.approx(inflation)


@pytest.mark.slow
def test_good_and_turings_counts_are_right_in_the_mean_and_as_uncertain_as_they_say() -> None:
    weights = 1 / np.arange(1, 201) ** 1.1
    shares = weights / weights.sum()
    rng = np.random.default_rng(6)
    errors, variances = [], []
    for _ in range(400):
        counts = rng.multinomial(10_000, shares)
        seen = counts[counts > 0].tolist()
        estimate, inflation = good_turing(seen, 1, 5)
        errors.append(estimate - 10_000 * shares[counts < 5].sum())
        variances.append(estimate * inflation)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / 20
    assert np.var(errors) == pytest.approx(np.mean(variances), rel=0.25)


def test_a_category_of_one_session_counts_as_new_where_rows_come_in_sessions() -> None:
    # a next reference as large brings new categories, in about as many sessions of 8 rows
    names = np.repeat([f"s{k}" for k in range(200)] + [f"often{k % 10}" for k in range(500)], 8)
    by_row, feature, reference = fitted(np.append(names, "once"))
    unseen = by_row.labels.index("unseen")
    assert by_row.counts[unseen] == 1
    by_session = ecells_of(feature, reference.unnamed_counts["x"], 8.0)
    assert by_session.counts[unseen] == 1_601
    assert by_session.inflation[unseen] == 8

"""A snapshot is what the functions of `statistics`, `detectors` and `kernels` say, and nothing is added."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from window_cases import (
    MISSING,
    REFERENCE_ID,
    StandIn,
    any_block,
    categorical_feature,
    counted,
    index_block,
    numeric_feature,
    small_layout,
    stand_in,
)

from driftgauge import kernels, statistics
from driftgauge._evaluate import Counters, evaluate
from driftgauge.detectors import ks_critical, psi_critical
from driftgauge.detectors.run_length import ks_critical_run_length, psi_critical_run_length
from driftgauge.errors import ConfigError, StateError
from driftgauge.layout import Layout
from driftgauge.snapshot import DriftSnapshot, FeatureStatistics, Snapshot
from driftgauge.windows import WindowState, duration, rows

REFERENCE: Any = StandIn(small_layout(), rows=60)
LAYOUT: Layout = REFERENCE.layout


def filled(count: int = 400, size: int = 300) -> Any:
    window = rows(size).open(LAYOUT, REFERENCE_ID)
    window.push(any_block(LAYOUT, count, 1), 990.0)
    return window


def evaluated(*windows: Any, **settings: Any) -> Snapshot:
    return evaluate(REFERENCE, windows, now_seconds=1_000.0, **settings)


def sides(place: int, counts: Any) -> tuple[Any, Any, Any, Any]:
    """Reference and live counts of one feature, by cell and by bin."""
    first, last = LAYOUT.cell_offsets[place : place + 2]
    feature = LAYOUT.features[place]
    live = counts[first:last]
    bins = [
        int(live[a:b].sum()) for a, b in zip(feature.bin_starts[:-1], feature.bin_starts[1:], strict=True)
    ]
    return feature.counts, live, feature.reference_bins, bins


# Oracle


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_statistic_is_that_of_its_own_function(place: int) -> None:
    window = filled()
    found = evaluated(window).windows[0].features[place]
    feature = LAYOUT.features[place]
    reference, live, reference_bins, bins = sides(place, window.counts)
    n, m = 60, 300
    used = sum(r + w > 0 for r, w in zip(reference_bins, bins, strict=True))
    assert (found.name, found.bin_rows) == (feature.name, tuple(bins))
    expected: dict[str, Any] = {
        "psi": statistics.psi(reference_bins, bins),
        "psi_debiased": statistics.psi_debiased(reference_bins, bins),
        "psi_critical": float(psi_critical(used, n, m)),
        "js": statistics.js(reference_bins, bins),
        "hellinger": statistics.hellinger(reference_bins, bins),
        "total_variation": statistics.total_variation(reference_bins, bins),
        "chi_square": statistics.chi_square(reference_bins, bins),
        "missing_ratio": bins[-1] / m,
    }
    numeric = dict.fromkeys(
        (
            "ks",
            "ks_critical",
            "wasserstein",
            "out_of_range_ratio",
            "mean",
            "standard_deviation",
            "mean_error_bound",
        )
    )
    expected |= numeric | {"unseen_ratio": None}
    expected_quantiles: dict[float, float] = {}
    if feature.dtype == "categorical":
        expected["unseen_ratio"] = int(live[-2]) / m
    else:
        end = feature.number_cells
        mean, deviation, bound = kernels.mean_and_deviation(feature.points, live)
        levels = np.array(kernels.QUANTILE_LEVELS)
        quantiles = np.empty(levels.size)
        kernels.quantiles(feature.points, live, levels, quantiles)
        expected |= {
            "ks": statistics.ks(reference[:end], live[:end]),
            "ks_critical": float(ks_critical(reference[:end].sum(), live[:end].sum())),
            "wasserstein": statistics.wasserstein(feature.points, reference[:end], live[:end]),
            "out_of_range_ratio": int(live[[0, 1, end - 2, end - 1]].sum()) / m,
            "mean": mean,
            "standard_deviation": deviation,
            "mean_error_bound": bound,
        }
        expected_quantiles = dict(zip(levels.tolist(), quantiles.tolist(), strict=True))
    assert dict(found.quantiles) == expected_quantiles
    for name, value in expected.items():
        if value is None:
            assert getattr(found, name) is None, name
        else:  # the same sums in another order when compiled: some 60 terms of at most 1e2
            assert getattr(found, name) == pytest.approx(value, rel=1e-12, abs=1e-13), name
    checked = set(expected) | {"name", "bin_rows", "quantiles", "shift", "scale_shift"}
    assert checked == {each.name for each in dataclasses.fields(FeatureStatistics)}
    assert (found.shift is None) == (found.scale_shift is None) == (feature.dtype == "categorical")


def test_what_does_not_depend_on_a_window_is_the_reference() -> None:
    bin_rows = np.arange(LAYOUT.bins)
    spread, tied, colour = evaluated(bin_rows=bin_rows).features
    assert [feature.name for feature in (spread, tied, colour)] == ["spread", "tied", "colour"]
    assert spread.reference_bin_rows == tuple(LAYOUT.features[0].reference_bins)
    assert sum(spread.bin_rows + tied.bin_rows + colour.bin_rows, 0) == bin_rows.sum()
    assert spread.bin_rows == tuple(range(len(spread.bin_labels)))
    assert spread.reference_missing_ratio == 2 / 60
    assert spread.reference_out_of_range_ratio == 1 / 60
    assert (tied.reference_mean, tied.reference_standard_deviation) == pytest.approx((1.0, math.sqrt(2 / 3)))
    assert dict(tied.reference_quantiles)[0.5] == 1.0
    assert (colour.reference_unseen_ratio, colour.reference_missing_ratio) == (2 / 60, 1 / 60)
    assert (spread.ks_error_bound, colour.ks_error_bound) == (0.0, None)
    assert (colour.reference_mean, colour.reference_quantiles) == (None, ())


def test_without_a_count_of_bins_there_are_zeros() -> None:
    assert all(set(feature.bin_rows) == {0} for feature in evaluated().features)


def drift(evaluate_seconds: float = 60.0) -> DriftSnapshot:
    return DriftSnapshot(
        score=0.2,
        log_evidence=2.0,
        budget_evaluations=1e5,
        budget_seconds=1e5 * evaluate_seconds,
        evaluate_seconds=evaluate_seconds,
        min_effect=0.01,
        evaluations=3,
        pending_rows=0,
        dependence="assumed",
        drifted_features=(),
        features=(),
        virtual=(),
    )


@pytest.mark.parametrize(
    ("evaluate_seconds", "block"),
    [(4.0, 120.0), (0.001, 1.0), (60.0, 300.0)],  # 300 rows in 10 s; at least a row, at most the window
)
def test_with_a_budget_noise_is_that_of_all_looks_at_the_share_of_the_feature(
    evaluate_seconds: float, block: float
) -> None:
    window, shares = filled(), np.array([0.5, 0.3, 0.2])
    given = drift(evaluate_seconds)
    snapshot = evaluated(window, drift=given, shares=shares)
    assert snapshot.drift is given
    for place, found in enumerate(snapshot.windows[0].features):
        reference, live, reference_bins, bins = sides(place, window.counts)
        used = sum(r + w > 0 for r, w in zip(reference_bins, bins, strict=True))
        evaluations = 1e5 / shares[place]
        assert found.psi_critical == float(psi_critical_run_length(used, 60, 300, block, evaluations))
        if found.ks_critical is not None:
            end = LAYOUT.features[place].number_cells
            numbers = int(live[:end].sum())
            per_look = max(block * numbers / 300, 1.0)
            expected = ks_critical_run_length(reference[:end].sum(), numbers, per_look, evaluations)
            assert found.ks_critical == float(expected)


def test_without_shares_features_share_the_budget_equally() -> None:
    window = filled()
    equal = evaluated(window, drift=drift(), shares=np.full(3, 1 / 3))
    assert evaluated(window, drift=drift()).windows == equal.windows


# Laws


@pytest.mark.parametrize("spec", [rows(500), duration(60, panes=6)], ids=repr)
def test_a_merged_state_evaluates_like_one_window_fed_with_both(spec: Any) -> None:
    first, second, union = (spec.open(LAYOUT, REFERENCE_ID) for _ in range(3))
    for place in range(6):
        block = any_block(LAYOUT, 40, place)
        now = 900.0 + 15 * place
        (first, second)[place % 2].push(block, now)
        union.push(block, now)
    merged = WindowState.merge([first.state(), second.state()])
    one, other = evaluated(merged).windows[0], evaluated(union).windows[0]
    assert one == other
    assert one.features


def test_a_state_evaluates_like_its_window() -> None:
    window = filled()
    assert evaluated(window.state()).windows == evaluated(window).windows


def test_several_windows_keep_their_order() -> None:
    hour = duration("1h").open(LAYOUT, REFERENCE_ID)
    hour.push(any_block(LAYOUT, 150, 2), 400.0)
    snapshot = evaluated(filled(), hour, filled(50, 70))
    assert [(w.name, w.rows, w.seconds, len(w.features)) for w in snapshot.windows] == [
        ("300rows", 300, 10.0, 3),
        ("1h", 150, 600.0, 3),
        ("70rows", 50, 10.0, 0),
    ]


def test_an_evaluation_changes_no_window() -> None:
    window = filled()
    before = window.counts.copy()
    assert evaluated(window).windows == evaluated(window).windows
    assert np.array_equal(window.counts, before)


# Edges


def test_below_min_rows_there_are_no_statistics() -> None:
    assert evaluated(filled(99)).windows[0].features == ()
    assert evaluated(filled(99)).windows[0].rows == 99
    assert len(evaluated(filled(100)).windows[0].features) == 3
    assert evaluated(filled(0), min_rows=1).windows[0].features == ()
    assert len(evaluated(filled(1), min_rows=1).windows[0].features) == 3


def test_a_window_where_every_value_is_missing_has_psi_and_no_ks() -> None:
    reference = stand_in(numeric_feature("x", [float(i) for i in range(200)]))
    window = rows(100).open(reference.layout, REFERENCE_ID)
    window.push(index_block(reference.layout, [[MISSING, math.nan] * 50]), 0.0)
    found = evaluate(reference, [window], now_seconds=0.0).windows[0].features[0]
    assert found.missing_ratio == 1.0
    assert found.psi > 5
    nothing = (found.ks, found.ks_critical, found.wasserstein, found.shift, found.scale_shift, found.mean)
    assert nothing == (None,) * 6
    assert found.quantiles == ()


def test_a_reference_where_every_value_is_missing_has_psi_and_no_ks() -> None:
    reference = stand_in(numeric_feature("x", [math.nan] * 200))
    window = rows(100).open(reference.layout, REFERENCE_ID)
    window.push(index_block(reference.layout, [[1.0] * 100]), 0.0)
    found = evaluate(reference, [window], now_seconds=0.0).windows[0].features[0]
    assert found.psi > 5
    assert (found.ks, found.ks_critical) == (None, None)


def test_a_reference_of_one_category_has_a_critical_psi_of_zero() -> None:
    reference = stand_in(categorical_feature("only", [50, 0, 0]))
    window = rows(200).open(reference.layout, REFERENCE_ID)
    window.push(np.zeros((1, 150), np.uint16), 0.0)
    found = evaluate(reference, [window], now_seconds=0.0).windows[0].features[0]
    assert (found.psi, found.psi_debiased, found.psi_critical) == (0.0, 0.0, 0.0)


def test_rows_are_accounted_for_as_they_were_given() -> None:
    counters = Counters(rows=10, rows_sampled=6, rows_sampled_out=3, rows_dropped={"buffer_full": 1})
    snapshot = evaluated(counters=counters)
    assert (snapshot.rows, snapshot.rows_sampled, snapshot.rows_sampled_out) == (10, 6, 3)
    assert (snapshot.rows_dropped, snapshot.internal_errors) == ({"buffer_full": 1}, {})


def test_the_time_of_an_evaluation_is_read_from_the_timer() -> None:
    ticks = iter([5.0, 7.5])
    assert evaluated(timer=lambda: next(ticks)).evaluation_seconds == 2.5
    backwards = iter([5.0, 4.0])
    assert evaluated(timer=lambda: next(backwards)).evaluation_seconds == 0.0


def test_a_window_of_another_reference_is_refused() -> None:
    window = rows(5).open(LAYOUT, "zzz")
    with pytest.raises(StateError, match="window '5rows' holds counts on the cells of reference 'zzz'"):
        evaluated(window)


@pytest.mark.parametrize("min_rows", [0, -5])
def test_statistics_of_no_rows_are_refused(min_rows: int) -> None:
    with pytest.raises(ConfigError, match="min_rows must be at least 1"):
        evaluated(filled(), min_rows=min_rows)


def test_the_oracle_of_these_tests_counts_like_a_window() -> None:
    block = any_block(LAYOUT, 300, 4)
    window = rows(300).open(LAYOUT, REFERENCE_ID)
    window.push(block, 0.0)
    assert window.counts.tolist() == counted(LAYOUT, block)

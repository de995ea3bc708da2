"""What makes a feature drift, and what is said about it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cli_snapshots import drift, evidence, feature, snapshot, statistics
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.cli._verdict import Thresholds, judge, ratio_critical, unknown

RATIO = st.floats(0, 1)
ROWS = st.integers(1, 10**9)


# --------------------------------------------------------------------------------------------------- law


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 5))
def test_a_feature_drifts_exactly_when_psi_is_over_both_threshold_and_noise(
    psi: float, critical: float, threshold: float
) -> None:
    verdict = judge(snapshot(statistics(psi=psi, psi_critical=critical)), Thresholds(psi=threshold))
    assert (verdict.result == "drift") == (psi > max(threshold, critical))


@given(RATIO, RATIO, ROWS, ROWS)
def test_the_noise_of_a_ratio_is_between_0_and_1_and_shrinks_with_rows(
    before: float, now: float, reference_rows: int, live_rows: int
) -> None:
    critical = ratio_critical(before, now, reference_rows, live_rows)
    assert 0 <= critical <= 1
    # 1e-12: the pooled ratio of ten times the rows is the same only up to rounding
    assert ratio_critical(before, now, 10 * reference_rows, 10 * live_rows) <= critical + 1e-12


@given(RATIO, ROWS, ROWS)
def test_the_noise_of_a_ratio_does_not_care_about_the_side(ratio: float, a: int, b: int) -> None:
    assert ratio_critical(ratio, 1 - ratio, a, b) == pytest.approx(
        ratio_critical(1 - ratio, ratio, b, a), rel=1e-9
    )


def test_the_exit_status_follows_the_result() -> None:
    assert judge(snapshot(statistics()), Thresholds()).exit_status == 0
    assert judge(snapshot(statistics(psi=1.0)), Thresholds()).exit_status == 1
    assert unknown("broken").exit_status == 2


# ------------------------------------------------------------------------------------------------ oracle


def test_noise_passes_the_critical_ratio_once_in_1000_looks() -> None:
    # 200,000 undrifted pairs: 200 expected, standard deviation 14; a binomial is discrete and slightly
    # skewed, so 100 to 300 is allowed
    rng = np.random.default_rng(5)
    before, now = rng.binomial(10_000, 0.2, 200_000) / 10_000, rng.binomial(2_000, 0.2, 200_000) / 2_000
    passed = sum(
        y - x > ratio_critical(x, y, 10_000, 2_000)
        for x, y in zip(before.tolist(), now.tolist(), strict=True)
    )
    assert 100 < passed < 300


# -------------------------------------------------------------------------------------------------- edge


def test_ratios_of_0_or_1_on_both_sides_have_no_noise_and_no_rows_have_all_of_it() -> None:
    assert ratio_critical(0, 0, 100, 100) == 0
    assert ratio_critical(1, 1, 100, 100) == 0
    assert ratio_critical(0, 0, 0, 100) == 1


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_a_statistic_without_meaning_is_no_reason(nothing: float | None) -> None:
    verdict = judge(snapshot(statistics(ks=nothing, ks_critical=nothing)), Thresholds(ks=0.0))
    assert verdict.result == "no drift"


def test_a_critical_value_without_meaning_leaves_the_threshold() -> None:
    live = snapshot(statistics(psi=0.3, psi_critical=math.nan))
    assert judge(live, Thresholds()).result == "drift"
    assert judge(live, Thresholds(psi=0.4)).result == "no drift"


def test_a_statistic_that_is_off_is_no_reason() -> None:
    drifted = snapshot(statistics(psi=9.0, ks=0.9, missing_ratio=0.9, out_of_range_ratio=0.9))
    off = Thresholds(psi=None, ks=None, missing=None, unseen=None, out_of_range=None)
    assert judge(drifted, off).result == "no drift"
    assert {reason.statistic for reason in judge(drifted, Thresholds(ks=0.1)).features[0].reasons} == {
        "psi",
        "ks",
        "missing_ratio",
        "out_of_range_ratio",
    }


def test_too_few_rows_cannot_be_judged() -> None:
    verdict = judge(snapshot(statistics(psi=9.0), rows=99), Thresholds(), min_rows=100)
    assert (verdict.result, verdict.explanation) == (
        "could not tell",
        "99 rows are fewer than the 100 needed",
    )
    assert judge(snapshot(statistics(psi=9.0), rows=100), Thresholds(), min_rows=100).result == "drift"


def test_an_absent_column_wins_over_drift() -> None:
    live = snapshot(statistics("age"), statistics("income", psi=9.0))
    verdict = judge(live, Thresholds(), absent=["age"])
    assert [one.result for one in verdict.features] == ["could not tell", "drift"]
    assert verdict.explanation == "1 column of the reference not in the file; 1 of 2 features drifted"
    assert verdict.exit_status == 2


def test_only_the_features_that_were_asked_for_are_judged() -> None:
    live = snapshot(statistics("age"), statistics("income", psi=9.0))
    assert judge(live, Thresholds(), only=["age"]).explanation == "0 of 1 features drifted"


# ------------------------------------------------------------------------------------------------- story


def test_the_explanation_names_the_bin_that_moved_most() -> None:
    live = statistics(psi=0.5, bin_rows=(800, 100, 100))
    assert judge(snapshot(live), Thresholds()).features[0].explanation == (
        "PSI 0.500 is over 0.2 and over the 0.030 that noise explains; "
        "(1, inf) went from 45.0% to 10.0% of rows"
    )


def test_a_rise_of_missing_values_is_said_once() -> None:
    live = statistics(psi=0.5, missing_ratio=0.6, bin_rows=(200, 200, 600))
    assert judge(snapshot(live), Thresholds()).features[0].explanation == (
        "PSI 0.500 is over 0.2 and over the 0.030 that noise explains; "
        "missing rose from 10.0% to 60.0% of rows, more than 5.0%"
    )


def test_a_ratio_that_fell_is_no_drift_by_itself() -> None:
    assert judge(snapshot(statistics(missing_ratio=0.0)), Thresholds()).result == "no drift"


def test_a_rise_within_the_noise_of_few_rows_is_no_drift() -> None:
    # 10 % to 17 % in 100 rows: 3.09 sqrt(.1007 .8993 (1/100 + 1/10,000)) = 9.3 % is noise
    live, before = statistics(missing_ratio=0.17), feature()
    assert judge(snapshot(live, rows=100, features=(before,)), Thresholds()).result == "no drift"
    assert judge(snapshot(live, rows=1_000, features=(before,)), Thresholds()).result == "drift"


# ------------------------------------------------------------------------------------------------ evidence


@given(st.floats(0, 3), st.floats(0, 3) | st.none())
def test_evidence_decides_only_when_it_is_asked_to(score: float, limit: float | None) -> None:
    verdict = judge(snapshot(statistics(), drift=drift(evidence(score=score))), Thresholds(score=limit))
    assert (verdict.result == "drift") == (limit is not None and score > limit)
    assert verdict.features[0].drift is not None


def test_evidence_that_was_asked_for_and_could_not_be_weighed_is_no_all_clear() -> None:
    few = snapshot(statistics(), rows=15)
    assert judge(few, Thresholds(score=1.0), min_rows=1).result == "could not tell"
    assert judge(few, Thresholds(), min_rows=1).result == "no drift"


def test_evidence_takes_no_other_reason_away() -> None:
    verdict = judge(snapshot(statistics(psi=1.0), drift=drift(evidence(score=0.0))), Thresholds(score=1.0))
    assert verdict.result == "drift"
    both = judge(snapshot(statistics(psi=1.0), drift=drift(evidence(score=2.0))), Thresholds(score=1.0))
    assert [reason.statistic for reason in both.features[0].reasons] == ["psi", "drift_score"]
    assert both.features[0].explanation.endswith("drift score 2.00 is over 1: location +0.4 sd")


def test_features_that_drift_only_together_are_drift_when_evidence_decides() -> None:
    told = drift(evidence(score=0.1), virtual=(evidence("age - score", 1.5, "virtual"),))
    verdict = judge(snapshot(statistics(), drift=told), Thresholds(score=1.0))
    assert (verdict.result, verdict.drifted) == ("drift", ())
    assert "most of all age - score" in verdict.explanation
    assert judge(snapshot(statistics(), drift=told), Thresholds()).result == "no drift"


def test_what_could_not_be_told_stays_so_whatever_the_evidence() -> None:
    told = drift(evidence(score=2.0))
    verdict = judge(snapshot(statistics(), drift=told), Thresholds(score=1.0), absent=["age"])
    assert verdict.result == "could not tell"

"""The engine of a backtest: where history is cut, and how evaluations become alerts."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtest_cases import Scripted, drift
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from driftgauge.backtest import ks_p_below, psi_above, replay
from driftgauge.budget import one_false_alert
from driftgauge.errors import ConfigError, DataError
from driftgauge.reference import Reference
from driftgauge.windows import duration, rows

RNG = np.random.default_rng(20)
TRAIN = pd.DataFrame({"age": RNG.normal(40, 10, 2_000), "plan": RNG.choice(["free", "paid"], 2_000)})
REFERENCE = Reference.fit(TRAIN, created_timestamp_seconds=0.0)


def history(count: int, *, older: float = 0.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"age": rng.normal(40 + older, 10, count), "plan": rng.choice(["free", "paid"], count)}
    )


# law


@given(st.lists(st.integers(0, 90), max_size=12), st.integers(1, 50))
def test_how_a_history_is_cut_into_batches_makes_no_difference(cuts: list[int], per: int) -> None:
    whole = history(90)
    edges = [0, *sorted(cuts), 90]
    batches = [whole[start:stop] for start, stop in pairwise(edges)]
    one, other = Scripted(REFERENCE), Scripted(REFERENCE)
    first = replay(REFERENCE, whole, detector=one, rows_per_evaluation=per, windows=rows(30))
    second = replay(REFERENCE, batches, detector=other, rows_per_evaluation=per, windows=rows(30))
    assert one.evaluated == other.evaluated
    assert first.to_dict() == second.to_dict()


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_by_time_too(seconds: list[int], cuts: list[int]) -> None:
    seconds.sort()
    whole = history(len(seconds)).assign(at=np.array(seconds, float))
    edges = [0, *sorted(min(cut, len(seconds)) for cut in cuts), len(seconds)]
    batches = [whole[start:stop] for start, stop in pairwise(edges)]
    one, other = Scripted(REFERENCE), Scripted(REFERENCE)
    first = replay(REFERENCE, whole, detector=one, time="at")
    second = replay(REFERENCE, batches, detector=other, time="at")
    assert one.evaluated == other.evaluated
    assert first.to_dict() == second.to_dict()
    # what each evaluation has seen is what came before its time
    for due, seen in one.evaluated:
        assert due % 60 == 0
        assert seen == sum(second < due for second in seconds)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_alerts_are_the_runs_of_scores_above_1(scores: list[float]) -> None:
    report = replay(REFERENCE, history(20 * len(scores)), detector=Scripted(REFERENCE, scores), keep_firing=0)
    assert report.drift.evaluations == report.evaluations == len(scores)
    assert report.drift.evaluations_over == sum(score > 1 for score in scores)
    found = [(alert.row, alert.cleared_row) for alert in report.alerts]
    firing = np.array([0, *(score > 1 for score in scores), 0])
    starts, ends = np.flatnonzero(np.diff(firing) == 1), np.flatnonzero(np.diff(firing) == -1)
    expected = [
        (20 * (start + 1), None if end == len(scores) else 20 * (end + 1))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    assert found == expected
    for alert, start, end in zip(report.alerts, starts, ends, strict=True):
        assert alert.score == scores[start]
        assert alert.peak_score == max(scores[start:end])
    assert report.result == ("drift" if expected else "no drift")


# oracle


def test_static_rules_are_psi_and_ks_of_the_rows_of_the_window() -> None:
    live = pd.concat([history(400), history(400, older=4.0, seed=1)], ignore_index=True)
    report = replay(
        REFERENCE, live, detector=Scripted(REFERENCE), rows_per_evaluation=50, windows=rows(200),
        static_rules=[psi_above(0.05), ks_p_below(0.01)],
    )  # fmt: skip
    edges = np.quantile(TRAIN["age"], np.arange(1, 10) / 10, method="inverted_cdf")
    before = (np.bincount(np.searchsorted(edges, TRAIN["age"]), minlength=10) + 0.5) / (2_000 + 5)
    psi_over, ks_over = [], []
    for end in range(200, 801, 50):
        values = live["age"][end - 200 : end]
        now = (np.bincount(np.searchsorted(edges, values), minlength=10) + 0.5) / (200 + 5)
        plans = live["plan"][end - 200 : end].value_counts().sort_index().to_numpy()
        known = TRAIN["plan"].value_counts().sort_index().to_numpy()
        share, base = (plans + 0.5) / 201, (known + 0.5) / 2_001
        if (
            max(((now - before) * np.log(now / before)).sum(), ((share - base) * np.log(share / base)).sum())
            > 0.05
        ):
            psi_over.append(end)
        if stats.ks_2samp(TRAIN["age"], values, method="asymp").pvalue < 0.01:
            ks_over.append(end)
    for rule, over in zip(report.rules[1:], (psi_over, ks_over), strict=True):
        assert rule.evaluations == 13
        assert rule.evaluations_over == len(over) > 0
        assert rule.first is not None
        assert rule.first.row == over[0]
    assert [rule.name for rule in report.rules] == ["drift score", "PSI > 0.05", "KS p < 0.01"]
    assert report.features[0].rule_rows[1] == ks_over[0]
    assert report.features[1].rule_rows[1] is None, "a category has no KS"


# edge


def test_rows_are_put_in_order_of_time_within_a_batch() -> None:
    live = history(100).assign(at=pd.date_range("2026-01-01", periods=100, freq="7s"))
    shuffled = live.sample(frac=1, random_state=3)
    one = replay(REFERENCE, live, detector=Scripted(REFERENCE), time="at", windows=rows(10))
    other = replay(REFERENCE, shuffled, detector=Scripted(REFERENCE), time="at", windows=rows(10))
    assert one.to_dict() == other.to_dict()
    assert one.to_dict()["history"]["first_time"] == "2026-01-01T00:00:00Z"


def test_a_row_whose_evaluation_is_over_counts_at_the_next_and_as_late() -> None:
    live = history(600).assign(at=np.arange(600.0))
    late = [live[:300], pd.concat([live[299:300].assign(at=5.0), live[300:]])]
    detector = Scripted(REFERENCE)
    report = replay(REFERENCE, late, detector=detector, time="at")
    assert report.late_rows == 1
    assert report.rows == 601
    assert detector.evaluated[5] == (360.0, 361)


def test_a_history_that_was_never_sorted_is_refused() -> None:
    live = history(200).assign(at=np.arange(200.0))
    with pytest.raises(DataError, match=r"100 of the first 200 rows come after .* sort the history by time"):
        replay(REFERENCE, [live[100:], live[:100]], detector=Scripted(REFERENCE), time="at")


def test_gaps_of_time_cost_nothing() -> None:
    live = history(3).assign(at=[0.0, 1e9, 1e9 + 1])
    detector = Scripted(REFERENCE)
    replay(REFERENCE, live, detector=detector, time="at")
    assert [seen for _, seen in detector.evaluated] == [1, 3]


@pytest.mark.parametrize("empty", [[], history(0), [history(0), history(0)], iter([])])
def test_a_history_without_rows_could_not_be_told(empty: Any) -> None:
    report = replay(REFERENCE, empty, detector=Scripted(REFERENCE))
    assert (report.result, report.rows, report.evaluations) == ("could not tell", 0, 0)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()


def test_a_rule_is_not_judged_before_its_window_is_full() -> None:
    live = history(300, older=60.0).assign(at=np.arange(300.0))
    settings: dict[str, Any] = {"detector": Scripted(REFERENCE), "static_rules": [psi_above(0.1)]}
    by_rows = replay(REFERENCE, live, **settings, rows_per_evaluation=50, windows=rows(120))
    assert by_rows.rules[1].first is not None
    assert by_rows.rules[1].first.row == 150
    by_time = replay(REFERENCE, live, **settings, time="at", windows=duration("2m"))
    assert by_time.rules[1].first is not None
    assert by_time.rules[1].first.row == 120
    never = replay(REFERENCE, live, **settings, windows=rows(301))
    assert never.rules[1].evaluations == 0
    assert never.rules[1].over_ratio is None


def test_rules_stand_beside_each_window() -> None:
    report = replay(
        REFERENCE, history(100), detector=Scripted(REFERENCE), windows=[rows(50), rows(100)],
        static_rules=[psi_above(0.2)],
    )  # fmt: skip
    assert [(rule.name, rule.window) for rule in report.rules] == [
        ("drift score", ""), ("PSI > 0.2", "50rows"), ("PSI > 0.2", "100rows")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rows_per_evaluation": 0}, "rows_per_evaluation must be a whole number and at least 1, got 0"),
        ({"rows_per_evaluation": True}, "got True"),
        ({"keep_firing": -1}, "keep_firing must be a whole number and at least 0, got -1"),
        ({"keep_firing": "long"}, "got 'long'"),
        ({"windows": duration("1h")}, "needs times; name the column"),
        ({"windows": 5_000}, r"windows must be a list, got 5000; use windows=\[driftgauge.rows\(5000\)\]"),
        ({"windows": "1d"}, "use windows="),
        ({"budget": one_false_alert()}, "a detector was given in its place"),
        ({"min_effect": 0.05}, "a detector was given in its place"),
        ({"static_rules": [0.2]}, "static_rules must be made by psi_above and ks_p_below, got 0.2"),
        ({"time": "when"}, "'when'"),
        ({"time": "age"}, "got 'age', which is a feature"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigError, DataError), match=words):
        replay(REFERENCE, history(5), detector=Scripted(REFERENCE), **settings)


@pytest.mark.parametrize(
    "settings", [{"budget": "90d"}, {"min_effect": "x"}, {"weights": ["age"]}, {"detector": 5}]
)
def test_settings_of_a_wrong_type_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        replay(REFERENCE, history(5), **settings)


@pytest.mark.parametrize("given", [None, 5, "history.csv"])
def test_what_is_no_history_is_refused(given: Any) -> None:
    with pytest.raises(DataError, match="history must be data or an iterable of batches"):
        replay(REFERENCE, given, detector=Scripted(REFERENCE))


def test_one_rule_may_stand_without_a_list() -> None:
    report = replay(
        REFERENCE, history(100), detector=Scripted(REFERENCE), windows=rows(50), static_rules=psi_above(0.2)
    )
    assert [rule.name for rule in report.rules] == ["drift score", "PSI > 0.2"]


@pytest.mark.parametrize(("make", "threshold"), [(psi_above, 0.0), (ks_p_below, 0.0), (ks_p_below, 1.0)])
def test_a_line_that_all_or_none_cross_is_no_rule(make: Any, threshold: float) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        make(threshold)


# story


def test_an_alert_names_its_causes_as_they_were_when_first_named() -> None:
    def explain(evaluations: int) -> tuple[list[Any], list[Any]]:
        onset = 60.0 * 3 if evaluations >= 4 else None
        age = drift("age", 0.3 * evaluations, onset_timestamp_seconds=onset)
        plan = drift("plan", 0.2 * evaluations, words="paid +5 %", onset_timestamp_seconds=onset)
        both = drift("age + plan", 0.1 * evaluations, kind="virtual")
        return [age, plan], [both]

    scores = [0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 0.2]
    detector = Scripted(REFERENCE, scores, explain=explain)
    report = replay(REFERENCE, history(140), detector=detector, keep_firing=0)
    (alert,) = report.alerts
    assert (alert.row, alert.cleared_row, alert.score, alert.peak_score) == (80, 140, 1.2, 1.8)
    assert alert.features == ("age", "plan"), "plan was named at 1.0 and later"
    assert [(cause.name, cause.words, cause.row) for cause in alert.causes] == [
        ("age", "location +1.2 sd", 80), ("plan", "paid +5 %", 100)
    ]  # fmt: skip
    assert report.features[0].words == "location +1.8 sd", "a feature's own line says it when strongest"
    assert alert.onset_row == 60, "the block that began at 180 s had 60 rows before it"
    assert report.dependence == "assumed"
    assert [feature.first_row for feature in report.features] == [80, None]


def test_where_nothing_can_be_named_the_strongest_stand_for_it() -> None:
    def explain(_: int) -> tuple[list[Any], list[Any]]:
        return [drift("age", 0.8), drift("plan", 0.0)], [drift("age + plan", 0.9, kind="virtual")]

    report = replay(REFERENCE, history(40), detector=Scripted(REFERENCE, [1.1], explain=explain))
    (alert,) = report.alerts
    assert alert.features == ()
    assert [(cause.name, cause.drifted) for cause in alert.causes] == [("age", False), ("age + plan", False)]
    assert [feature.name for feature in report.features] == ["age", "plan", "age + plan"]


def test_a_score_that_goes_to_and_fro_is_one_alert() -> None:
    scores = [0.5, 1.1, 0.9, 0.9, 1.2, 0.8, 0.8, 0.8, 0.7, 1.3]
    settings: dict[str, Any] = {"detector": Scripted(REFERENCE, scores), "static_rules": []}
    report = replay(REFERENCE, history(200), **settings, keep_firing=2)
    found = [(alert.row, alert.cleared_row, alert.peak_score) for alert in report.alerts]
    assert found == [(40, 160, 1.2), (200, None, 1.3)]
    assert report.drift.evaluations_over == 3


def test_evidence_starts_again_where_that_is_wanted() -> None:
    detector = Scripted(REFERENCE, [0.5, 1.5, 1.5, 1.5])
    report = replay(REFERENCE, history(80), detector=detector, reset_on_alert=True)
    assert detector.resets == 1
    assert [(alert.row, alert.cleared_row) for alert in report.alerts] == [(40, 60)]


def test_the_course_is_thinned_to_its_peaks() -> None:
    scores = np.zeros(5_000)
    scores[3_333] = 1.4
    report = replay(
        REFERENCE, history(5_000), detector=Scripted(REFERENCE, scores.tolist()), rows_per_evaluation=1,
        static_rules=[],
    )  # fmt: skip
    trace = report.to_dict()["trace"]
    assert len(trace["rows"]) == 2_000
    assert max(trace["scores"]) == 1.4
    assert trace["rows"][int(np.argmax(trace["scores"]))] == 3_334

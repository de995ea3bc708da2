"""What the drift score says, forgets, saves and refuses."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from drift_cases import feed, people, recursion, reference_of_people, stream
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.budget import one_false_alert
from driftgauge.detectors import CAUSES, DriftScore
from driftgauge.detectors._ebh import drifted_streams
from driftgauge.detectors._streams import shares_of
from driftgauge.errors import ConfigError, StateError
from driftgauge.reference import Reference


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of_people()


# What it says.


def test_a_model_without_evidence_scores_0(reference: Reference) -> None:
    detector = DriftScore(reference)
    assert detector.scores().tolist() == [0.0] * 5
    assert detector.model_score() == 0.0
    told = detector.snapshot()
    assert told.score == 0.0
    assert told.drifted_features == ()
    assert {each.cause for each in (*told.features, *told.virtual)} == {"none"}
    assert {each.words for each in told.features} == {""}
    assert [each.name for each in told.features] == ["age", "income", "city", "member", "risk"]


def test_the_same_law_stays_far_below_1_and_an_older_crowd_does_not(reference: Reference) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(1)
    feed(detector, reference, rng, 200)
    assert detector.model_score() < 0.6
    feed(detector, reference, rng, 20, start=1.7e9 + 60 * 200, older=9)
    assert detector.model_score() > 1
    told = detector.snapshot()
    age = told.features[0]
    assert age.drifted
    assert age.score > 1
    assert age.cause == "location_up"
    assert age.words.startswith("location +0.")
    assert told.drifted_features[0] in ("age", "age + risk", "sum")
    assert not told.features[1].drifted
    assert not told.features[2].drifted
    # Within two evaluations of when it began.
    assert age.onset_timestamp_seconds == pytest.approx(1.7e9 + 60 * 200, abs=120)


@pytest.mark.parametrize(
    ("change", "feature", "cause", "words"),
    [
        ({"city": "rome"}, "city", "more_unseen", "unseen +"),
        ({"city": "kiel"}, "city", "more_in_cell", "kiel +"),
        ({"city": None}, "city", "more_missing", "missing +"),
        ({"age": 300.0}, "age", "more_above", "above +"),
        ({"age": -5.0}, "age", "more_below", "below +"),
        ({"age": 40.5}, "age", "more_between", "between +"),
        ({"age": None}, "age", "more_missing", "missing +"),
        ({"member": True}, "member", "more_in_cell", "true +"),
        ({"income": 1_000.0}, "income", "more_below", "below +"),
    ],
)
def test_what_has_changed_is_said_in_words(
    reference: Reference, change: dict[str, object], feature: str, cause: str, words: str
) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(2)
    feed(detector, reference, rng, 30)
    (name, value), *_ = change.items()
    for block in range(30):
        data = people(rng, 60)
        column = np.array(data[name], dtype=object)
        column[rng.random(60) < 0.2] = value
        detector.add(reference.index({**data, name: column}), 1.7e9 + 60 * (30 + block))
        detector.evaluate(0.0)
    told = {each.name: each for each in detector.snapshot().features}[feature]
    assert told.score > 1
    assert told.cause == cause
    assert told.words.startswith(words)
    if cause.startswith("more"):
        # A fifth of the rows, less the reference's share: said to 4 points from some hundred rows.
        share = float(told.words.removesuffix(" %").rsplit("+", 1)[1])
        expected = {"kiel": 18.0, "True": 14.0}.get(str(value), 20.0)
        assert share == pytest.approx(expected, abs=5)


def test_fewer_missing_values_are_news_too() -> None:
    rng = np.random.default_rng(3)
    column = np.where(rng.random(10_000) < 0.3, np.nan, rng.normal(size=10_000))
    reference = Reference.fit({"x": column})
    detector = DriftScore(reference)
    for block in range(40):
        detector.add(reference.index({"x": rng.normal(size=50)}), 60.0 * block)
        detector.evaluate(60.0 * block)
    (told,) = detector.snapshot().features
    assert told.score > 1
    assert (told.cause, told.cell) == ("fewer_missing", "missing")
    assert told.words.startswith("missing -")


def test_a_wider_spread_is_said_in_percent() -> None:
    rng = np.random.default_rng(4)
    reference = Reference.fit({"x": rng.normal(size=20_000)})
    for factor, cause, low, high in ((1.3, "scale_up", 15, 45), (0.7, "scale_down", -45, -15)):
        detector = DriftScore(reference)
        for block in range(100):
            detector.add(reference.index({"x": factor * rng.normal(size=50)}), 60.0 * block)
            detector.evaluate(60.0 * block)
        (told,) = detector.snapshot().features
        assert told.cause == cause
        assert low < float(told.words.removeprefix("spread ").removesuffix(" %")) < high


def test_a_relation_that_breaks_is_joint_drift(reference: Reference) -> None:
    """Age and risk go together; shuffled against each other, neither column changes."""
    detector = DriftScore(reference)
    rng = np.random.default_rng(5)
    for block in range(400):
        data = people(rng, 50)
        data["risk"] = rng.permutation(np.asarray(data["risk"]))
        detector.add(reference.index(data), 60.0 * block)
        detector.evaluate(60.0 * block)
    told = detector.snapshot()
    assert told.score > 1
    assert not any(each.drifted for each in told.features)
    strongest = max(told.virtual, key=lambda each: each.score)
    assert strongest.cause == "joint"
    assert {"age", "risk"} <= set(strongest.name.split())


def test_every_cause_is_on_the_list_and_no_two_are_alike() -> None:
    assert len(set(CAUSES)) == len(CAUSES)
    assert "none" in CAUSES


# Rows, blocks and time.


def test_no_rows_no_step(reference: Reference) -> None:
    detector = DriftScore(reference)
    feed(detector, reference, np.random.default_rng(6), 3)
    before = detector.log_evidence()
    assert detector.evaluate(2e9) is False
    assert (detector.log_evidence() == before).all()
    assert detector.evaluations == 3
    detector.add(np.empty((5, 0), np.uint16), 2e9)
    assert detector.evaluate(2e9) is False


def test_under_20_rows_wait(reference: Reference) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(7)
    detector.add(reference.index(people(rng, 19)), 60.0)
    assert detector.evaluate(60.0) is False
    assert detector.pending_rows == 19
    assert detector.evaluations == 0
    detector.add(reference.index(people(rng, 1)), 120.0)
    assert detector.evaluate(120.0) is True
    assert detector.pending_rows == 0
    assert detector.evaluations == 1


@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 80), max_size=4))
@settings(max_examples=10)
def test_the_order_of_rows_and_how_they_come_change_nothing(
    reference: Reference, seed: int, cuts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    rows = reference.index(people(rng, 80))
    at_once, in_pieces = DriftScore(reference), DriftScore(reference)
    at_once.add(rows, 60.0)
    for piece in np.split(rows[:, rng.permutation(80)], sorted(cuts), axis=1):
        in_pieces.add(piece, 60.0)
    at_once.evaluate(60.0)
    in_pieces.evaluate(60.0)
    assert (at_once.log_evidence() == in_pieces.log_evidence()).all()


def test_rows_counted_elsewhere_count_the_same(reference: Reference) -> None:
    rng = np.random.default_rng(8)
    first, second = (reference.index(people(rng, 40)) for _ in range(2))
    together, counter = DriftScore(reference), DriftScore(reference)
    for rows in (first, second):
        together.add(rows, 60.0)
    counter.add(second, 60.0)
    counted = counter.state()
    absorbing = DriftScore(reference)
    absorbing.add(first, 60.0)
    absorbing.absorb(counted["pending"], counted["bucket_rows"], 60.0)
    assert absorbing.pending_rows == 80
    assert together.evaluate(60.0)
    assert absorbing.evaluate(60.0)
    assert (together.log_evidence() == absorbing.log_evidence()).all()


def test_each_row_may_have_a_time_of_its_own(reference: Reference) -> None:
    rng = np.random.default_rng(9)
    rows = reference.index(people(rng, 40))
    one, each = DriftScore(reference), DriftScore(reference)
    one.add(rows, 100.0)
    each.add(rows, np.linspace(100.0, 140.0, 40))
    one.evaluate(140.0)
    each.evaluate(140.0)
    assert (one.log_evidence() == each.log_evidence()).all()
    assert one.state()["moments"] == pytest.approx(each.state()["moments"])


def test_more_rows_than_are_held_at_once_count_the_same(reference: Reference) -> None:
    rows = np.repeat(reference.index(people(np.random.default_rng(17), 100)), 200, axis=1)
    one, many = DriftScore(reference), DriftScore(reference)
    one.add(rows, 0.0)
    for part in np.array_split(rows, 7, axis=1):
        many.add(part, 0.0)
    assert (one.state()["pending"] == many.state()["pending"]).all()
    assert one.pending_rows == many.pending_rows == 20_000


def test_a_time_that_is_no_number_does_not_stay(reference: Reference) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(18)
    detector.add(reference.index(people(rng, 50)), np.full(50, np.nan))
    detector.evaluate(1.7e9)
    feed(detector, reference, rng, 20, older=20)
    assert detector.snapshot().features[0].onset_timestamp_seconds == pytest.approx(1.7e9, abs=120)


def test_what_is_told_can_be_written_as_json(reference: Reference) -> None:
    detector = DriftScore(reference, weights={"age": 0.0})
    told = dataclasses.asdict(detector.snapshot())
    assert json.loads(json.dumps(told, allow_nan=False))["log_evidence"] == -60.0


# Forgetting, saving, merging.


def test_a_reset_forgets_everything(reference: Reference) -> None:
    used, new = DriftScore(reference), DriftScore(reference)
    feed(used, reference, np.random.default_rng(10), 5, older=20)
    used.add(reference.index(people(np.random.default_rng(1), 7)), 0.0)
    assert used.model_score() > 1
    used.reset()
    assert used.snapshot() == new.snapshot()
    assert used.pending_rows == used.evaluations == 0
    state = used.state()
    assert all((state[name] == array).all() for name, array in new.state().items())


def test_it_goes_on_from_a_saved_state_to_the_last_digit(reference: Reference) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(12)
    feed(detector, reference, rng, 40, older=3)
    detector.add(reference.index(people(rng, 7)), 1.7e9 + 3_000)
    other = detector.restored(detector.state())
    assert other.snapshot() == detector.snapshot()
    more = reference.index(people(rng, 100, older=3))
    for one in (detector, other):
        one.add(more, 1.7e9 + 4_000)
        one.evaluate(1.7e9 + 4_000)
    assert other.snapshot() == detector.snapshot()
    assert other.snapshot().score > 0


def test_a_saved_state_is_a_copy(reference: Reference) -> None:
    detector = DriftScore(reference)
    rng = np.random.default_rng(13)
    feed(detector, reference, rng, 3)
    state = detector.state()
    kept = {name: array.copy() for name, array in state.items()}
    feed(detector, reference, rng, 3)
    assert all((kept[name] == state[name]).all() for name in state)


def test_a_state_of_other_settings_is_refused(reference: Reference) -> None:
    state = DriftScore(reference).state()
    others = (
        DriftScore(reference, min_effect=0.02),
        DriftScore(reference, weights={"age": 0.0}),
        DriftScore(reference_of_people(7_000)),
    )
    for other in others:
        with pytest.raises(StateError, match="reference, min_effect and watched features"):
            other.restored(state)
    with pytest.raises(StateError, match="damaged: evidence"):
        DriftScore(reference).restored({**state, "evidence": state["evidence"][:-1]})
    with pytest.raises(StateError, match="begin without it"):
        DriftScore(reference).restored({})


@pytest.mark.parametrize(
    ("name", "value"),
    [("evidence", math.nan), ("evidence", -1.0), ("moments", math.inf), ("recent", math.nan)],
)
def test_a_state_that_holds_no_numbers_is_refused(reference: Reference, name: str, value: float) -> None:
    """A score of NaN is never over 1: the monitor would be silent for ever."""
    state = DriftScore(reference).state()
    state[name].flat[3] = value
    with pytest.raises(StateError, match=f"damaged: {name} holds"):
        DriftScore(reference).restored(state)


def test_evidence_is_not_taken_for_that_of_other_alternatives() -> None:
    """With a shorter budget fewer errors are allowed for, and other alternatives are worth having."""
    reference = Reference.fit({"x": np.random.default_rng(19).normal(size=100_000)})
    long = DriftScore(reference, budget=one_false_alert(per="3650d"), min_effect=0.0)
    short = DriftScore(reference, budget=one_false_alert(per="2h"), min_effect=0.0)
    assert long.state()["evidence"].shape != short.state()["evidence"].shape
    with pytest.raises(StateError, match="about the same budget"):
        short.restored(long.state())


def test_evidence_of_a_larger_budget_is_cut_to_the_new_one(reference: Reference) -> None:
    generous = DriftScore(reference, budget=one_false_alert(per="900d"))
    feed(generous, reference, np.random.default_rng(14), 30, older=30)
    strict = DriftScore(reference, budget=one_false_alert(per="9d")).restored(generous.state())
    assert strict.model_score() > 1
    highest = strict._recursion.caps.repeat(np.diff(strict._recursion.tables.state_offsets))
    assert (strict.state()["evidence"] <= highest).all()
    assert strict.snapshot().features[0].onset_timestamp_seconds == pytest.approx(
        generous.snapshot().features[0].onset_timestamp_seconds or 0.0, abs=60
    )


def test_merged_evidence_is_the_average_and_waiting_rows_add_up(reference: Reference) -> None:
    rng = np.random.default_rng(15)
    detectors = [DriftScore(reference) for _ in range(3)]
    for number, detector in enumerate(detectors):
        feed(detector, reference, rng, 10 + number, older=4)
        detector.add(reference.index(people(rng, 5 + number)), 1.7e9)
    merged = detectors[0].restored(DriftScore.merge_states([each.state() for each in detectors]))
    average = np.mean([np.exp(each.log_evidence()) for each in detectors], axis=0)
    assert np.exp(merged.log_evidence()) == pytest.approx(average, rel=1e-12)
    assert merged.pending_rows == 5 + 6 + 7
    assert merged.evaluations == 12
    one = DriftScore.merge_states([detectors[0].state()])
    assert detectors[0].restored(one).snapshot() == detectors[0].snapshot()


def test_states_that_do_not_belong_together_are_not_merged(reference: Reference) -> None:
    with pytest.raises(StateError, match="cannot be merged"):
        DriftScore.merge_states([DriftScore(reference).state(), DriftScore(reference, min_effect=0).state()])
    with pytest.raises(StateError, match="at least one"):
        DriftScore.merge_states([])


# Weights.


def test_shares_of_the_budget_are_by_group_and_then_by_weight(reference: Reference) -> None:
    detector = DriftScore(reference, weights={"age": 3.0, "city": 0.0})
    by_kind = {
        kind: sum(
            share for share, each in zip(detector.shares, detector.streams, strict=True) if each.kind == kind
        )
        for kind in ("input", "output", "virtual")
    }
    assert by_kind == pytest.approx({"input": 0.6, "output": 0.2, "virtual": 0.2})
    assert detector.shares[:5] == pytest.approx([0.36, 0.12, 0.0, 0.12, 0.2])


def test_groups_that_are_not_there_leave_their_part_to_the_others() -> None:
    streams = [stream(np.full(24, 50.0), 1_200, name=name, kind="input") for name in "ab"]
    assert shares_of(streams, None).tolist() == [0.5, 0.5]
    streams.append(stream(np.full(24, 50.0), 1_200, name="y", kind="output"))
    assert shares_of(streams, None) == pytest.approx([0.375, 0.375, 0.25])
    assert shares_of(streams, {"y": 0}) == pytest.approx([0.5, 0.5, 0.0])


def test_what_is_not_watched_has_no_score_and_costs_nothing(reference: Reference) -> None:
    detector = DriftScore(reference, weights={"age": 0.0})
    whole = DriftScore(reference)
    assert detector.nbytes < whole.nbytes
    for block in range(30):
        data = people(np.random.default_rng(block), 50)
        data["age"] = np.full(50, 500.0)
        detector.add(reference.index(data), 60.0 * block)
        detector.evaluate(60.0 * block)
    assert detector.scores()[0] == 0.0
    assert detector.log_evidence()[0] == -math.inf
    told = detector.snapshot().features[0]
    assert (told.score, told.cause, told.drifted) == (0.0, "none", False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"agee": 1.0}}, "weights names 'agee', which is no feature of the reference; there are"),
        ({"weights": {"age": -1.0}}, "the weight of 'age' must be a finite number of at least 0, got -1.0"),
        ({"weights": {"age": math.nan}}, "the weight of 'age' must be a finite number"),
        ({"min_effect": -0.1}, "min_effect must be a PSI from 0 to 1, got -0.1; 0.01 is the default"),
        ({"min_effect": math.nan}, "min_effect must be a PSI from 0 to 1"),
        ({"min_effect": "1%"}, "min_effect must be a PSI from 0 to 1, got '1%'; 0.01 is the default"),
        ({"min_effect": True}, "min_effect must be a PSI from 0 to 1, got True"),
        ({"weights": ["age"]}, r"weights must map names of features to numbers, got \['age'\]"),
        ({"weights": {"age": "2"}}, "the weight of 'age' must be a finite number of at least 0, got '2'"),
        ({"weights": {3: 1.0, "no": 1.0}}, "weights names '3', which is no feature"),
        ({"budget": "30d"}, r"use budget=driftgauge.one_false_alert\(per='30d'\)"),
        ({"budget": one_false_alert}, "budget must come from driftgauge.one_false_alert, got"),
    ],
)
def test_wrong_settings_are_refused(reference: Reference, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DriftScore(reference, **settings)  # type: ignore[arg-type]


def test_what_is_no_reference_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"use driftgauge.Reference.load\('model.reference'\)"):
        DriftScore("model.reference")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"got \{'age': \[1.0\]\}; use driftgauge.Reference.fit"):
        DriftScore({"age": [1.0]})  # type: ignore[arg-type]


def test_a_virtual_feature_of_one_that_is_not_watched_is_not_watched_either(reference: Reference) -> None:
    """It would raise the alarm that the user has just switched off."""
    calibration = reference.calibration
    assert calibration is not None
    age = reference.names.index("age")
    with_age = {each.name for each in calibration.virtual if age in each.features}
    named = min(with_age)
    detector = DriftScore(reference, weights={"age": 0.0, named: 1.0})
    unwatched = {
        each.name for each, share in zip(detector.streams, detector.shares, strict=True) if share == 0
    }
    assert unwatched == (with_age - {named}) | {"age"}


def test_something_must_be_watched() -> None:
    reference = reference_of_people(500, joint=False)
    weights = dict.fromkeys(reference.names, 0.0)
    with pytest.raises(ConfigError, match="all weights are 0"):
        DriftScore(reference, weights=weights)


# Which features.


@given(st.lists(st.floats(0, 300), max_size=8))
def test_the_streams_that_drifted_are_those_of_the_definition(evidence: list[float]) -> None:
    found = drifted_streams(np.array(evidence), 100.0).tolist()
    ranked = sorted(evidence, reverse=True)
    most = max((k for k in range(1, len(ranked) + 1) if k * ranked[k - 1] >= 100), default=0)
    assert sorted((evidence[i] for i in found), reverse=True) == ranked[:most]


def test_a_feature_over_its_share_of_the_budget_is_named() -> None:
    model = recursion(*(stream(np.full(24, 50.0), 1_200, name=name) for name in "abc"))
    model.totals[:] = [1.0, 3 * model.budget.evaluations, 2.0]
    assert model.scores() == pytest.approx([0.0, 1.0, math.log(2) / math.log(30_000)])
    assert drifted_streams(model.shares * model.totals, model.budget.evaluations).tolist() == [1]


# Odd references.


def test_constant_features_and_tiny_references_raise_no_false_alert() -> None:
    rng = np.random.default_rng(16)
    reference = Reference.fit({"same": np.zeros(40), "other": np.repeat([1.0, 2.0], 20)}, joint=False)
    detector = DriftScore(reference)
    for block in range(2_000):
        data = {"same": np.zeros(30), "other": rng.integers(1, 3, 30).astype(float)}
        detector.add(reference.index(data), 60.0 * block)
        detector.evaluate(60.0 * block)
    assert detector.model_score() < 1


def test_one_row_is_reference_enough_not_to_crash() -> None:
    reference = Reference.fit({"x": [1.0], "b": [True]}, joint=False)
    detector = DriftScore(reference)
    for block in range(50):
        detector.add(reference.index({"x": np.arange(30.0), "b": [False] * 30}), 60.0 * block)
        detector.evaluate(60.0 * block)
    assert np.isfinite(detector.scores()).all()
    assert detector.snapshot().features[0].score >= 0


def test_features_whose_counts_are_not_equally_certain_share_no_table() -> None:
    counts = np.full(24, 50.0)
    sure, unsure = np.ones(24), np.ones(24)
    unsure[-1] = 9.0
    streams = [
        dataclasses.replace(stream(counts, 1_200, name=str(number)), inflation=inflation)
        for number, inflation in enumerate((sure, unsure, sure.copy()))
    ]
    model = recursion(*streams)
    assert model.tables.tables.tolist() == [0, 1, 0]
    assert model.banks[0].log_bounds.tolist() != model.banks[1].log_bounds.tolist()


def test_features_that_are_alike_share_a_table() -> None:
    counts = np.full(24, 50.0)
    model = recursion(*(stream(counts, 1_200, name=str(number)) for number in range(50)))
    assert len(model.banks) == 1
    assert model.tables.weights.size == model.banks[0].size
    assert model.evidence.size == 50 * model.banks[0].size

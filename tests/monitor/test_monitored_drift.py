"""The drift score as users meet it: a monitor, rows, a snapshot, a state."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monitor_cases import monitor_of

import driftgauge as dg
from driftgauge.catalogue import samples
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.errors import ConfigError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot, FeatureDrift
from driftgauge.windows import WindowState, duration, rows

START = 1_790_000_000.0
INPUTS = ("age", "income", "ratio")


def data(rng: np.random.Generator, count: int, *, older: float = 0.0) -> dict[str, Any]:
    base = rng.normal(size=count)
    return {
        "age": base + older,
        "income": 0.7 * base + 0.7 * rng.normal(size=count),
        "ratio": rng.uniform(size=count),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    rng = np.random.default_rng(7)
    return Reference.fit({**data(rng, 10_000), "score": rng.uniform(size=10_000)}, outputs=["score"])


def minutes(monitor: Monitor, rng: Any, count: int, first: int, *, older: float = 0.0, per: int = 60) -> None:
    """So many minutes of rows, from minute *first* on, in blocks of odd sizes."""
    for minute in range(first, first + count):
        part = data(rng, per, older=older)
        for here in np.array_split(np.arange(per), 3):
            now = START + 60.0 * minute + float(here[0])
            monitor.observe(
                {name: values[here] for name, values in part.items()},
                {"score": rng.uniform(size=here.size)},
                now_seconds=now,
            )


def drift_of(monitor: Monitor, minute: int) -> DriftSnapshot:
    drift = monitor.snapshot(START + 60.0 * minute).drift
    assert drift is not None
    return drift


# Story


def test_drift_of_one_input_is_named_with_words_and_onset(reference: Reference) -> None:
    monitor, rng = monitor_of(reference), np.random.default_rng(1)
    minutes(monitor, rng, 60, 0)
    assert drift_of(monitor, 60).score < 1
    minutes(monitor, rng, 15, 60, older=0.6)
    drift = drift_of(monitor, 75)
    age, *others = drift.features
    assert drift.score > 1
    assert age.drifted
    assert age.score > 1
    assert (age.cause, age.kind) == ("location_up", "input")
    assert age.words.startswith("location +0.")
    assert age.onset_timestamp_seconds == pytest.approx(START + 3_600, abs=300)
    assert all(other.score < 0.5 and not other.drifted for other in others)
    assert drift.drifted_features[0] == "age" or "age" in drift.drifted_features


@pytest.mark.slow
def test_rows_like_the_reference_stay_quiet(reference: Reference) -> None:
    # 500 of 129,600 evaluations: the chance of a false alert is at most 0.4 %
    monitor, rng = monitor_of(reference), np.random.default_rng(2)
    highest = 0.0
    for hour in range(10):
        minutes(monitor, rng, 50, 50 * hour)
        highest = max(highest, drift_of(monitor, 50 * hour + 50).score)
    assert highest < 1
    assert drift_of(monitor, 500).evaluations in (499, 500)


def test_a_drift_that_is_acknowledged_and_goes_on_is_seen_again(reference: Reference) -> None:
    monitor, rng = monitor_of(reference), np.random.default_rng(3)
    minutes(monitor, rng, 20, 0, older=0.6)
    assert drift_of(monitor, 20).score > 1
    monitor.acknowledge()
    assert drift_of(monitor, 20).score == 0
    minutes(monitor, rng, 20, 20, older=0.6)
    assert drift_of(monitor, 40).score > 1
    monitor.acknowledge()
    minutes(monitor, rng, 20, 40)
    assert drift_of(monitor, 60).score < 1


def test_what_matters_more_is_seen_with_less_evidence(reference: Reference) -> None:
    scores = {}
    for name, weights in (("equal", None), ("more", {"age": 20.0}), ("not", {"age": 0.0})):
        monitor, rng = monitor_of(reference, weights=weights), np.random.default_rng(4)
        minutes(monitor, rng, 5, 0, older=0.6)
        scores[name] = drift_of(monitor, 5).features[0].score
    assert scores["more"] > scores["equal"] > scores["not"] == 0


def test_changes_under_the_least_effect_are_no_drift(reference: Reference) -> None:
    found = []
    for least in (0.0, 0.25):
        monitor, rng = monitor_of(reference, min_effect=least), np.random.default_rng(5)
        minutes(monitor, rng, 40, 0, older=0.4)
        found.append(drift_of(monitor, 40).score)
    assert found[0] > 1 > found[1]


def test_a_shorter_budget_is_passed_sooner(reference: Reference) -> None:
    scores = []
    for per in ("7d", "900d"):
        monitor, rng = monitor_of(reference, budget=dg.one_false_alert(per=per)), np.random.default_rng(6)
        minutes(monitor, rng, 5, 0, older=0.6)
        scores.append(drift_of(monitor, 5).score)
    assert scores[0] > scores[1]


# Laws


def test_the_score_is_that_of_the_detector_fed_with_the_same_rows(reference: Reference) -> None:
    monitor, rng = monitor_of(reference), np.random.default_rng(8)
    detector, oracle_rng = DriftScore(reference), np.random.default_rng(8)
    minutes(monitor, rng, 8, 0, older=0.3)
    waiting = []
    for minute in range(8):
        part = data(oracle_rng, 60, older=0.3)
        for here in np.array_split(np.arange(60), 3):
            block = {name: values[here] for name, values in part.items()}
            now = START + 60.0 * minute + float(here[0])
            waiting.append(reference.index({**block, "score": oracle_rng.uniform(size=here.size)}))
            if now >= START + 60.0 * minute and minute and here[0] == 0:
                detector.add(np.concatenate(waiting, axis=1), now)
                waiting = []
                assert detector.evaluate(now)
    for block in waiting:
        detector.add(block, START)
    drift = drift_of(monitor, 7)  # one second before the next evaluation
    assert drift.score == pytest.approx(detector.model_score(), rel=1e-9)
    assert [each.score for each in drift.features] == pytest.approx(detector.scores().tolist(), rel=1e-9)
    assert drift.pending_rows == detector.pending_rows


def test_scrapes_in_between_change_no_score(reference: Reference) -> None:
    results = []
    for scrapes in (0, 3):
        monitor, rng = monitor_of(reference), np.random.default_rng(9)
        for minute in range(5):
            minutes(monitor, rng, 1, minute, older=0.3)
            for second in range(scrapes):
                monitor.snapshot(START + 60.0 * minute + 50 + second)
        results.append(drift_of(monitor, 4))
    assert results[0] == results[1]


def test_save_and_load_leave_the_scores_unchanged_and_go_on(reference: Reference, tmp_path: Path) -> None:
    whole, first, second = (monitor_of(reference, windows=[rows(500), duration("1h")]) for _ in range(3))
    for monitor in (whole, first):
        minutes(monitor, np.random.default_rng(10), 6, 0, older=0.4)
    first.save_state(tmp_path)
    second.load_state(tmp_path)
    assert drift_of(second, 5) == drift_of(first, 5) == drift_of(whole, 5)
    for monitor in (whole, second):
        minutes(monitor, np.random.default_rng(11), 6, 6, older=0.4)
    # the schedule of the second began with its first row, which came when the first one's was due
    assert abs(drift_of(second, 12).evaluations - drift_of(whole, 12).evaluations) <= 1


def test_merged_states_have_the_mean_of_the_evidence_and_all_rows_that_wait(
    reference: Reference, tmp_path: Path
) -> None:
    states = []
    for replica in range(3):
        monitor = monitor_of(reference)
        minutes(monitor, np.random.default_rng(20 + replica), 4, 0, older=0.3 * replica)
        monitor.save_state(tmp_path / str(replica))
        states.append(WindowState.load(tmp_path / str(replica) / "10000rows.window"))
    merged = WindowState.merge(states)
    assert merged.notes == ()
    alone = [DriftScore(reference).restored(state.evidence or {}) for state in states]
    together = DriftScore(reference).restored(merged.evidence or {})
    assert together.pending_rows == sum(each.pending_rows for each in alone)
    evidence = np.exp([each.log_evidence() for each in alone])
    assert np.exp(together.log_evidence()) == pytest.approx(evidence.mean(axis=0), rel=1e-6)
    merged.save(tmp_path / "merged.window")
    loaded = WindowState.load(tmp_path / "merged.window").evidence
    assert loaded is not None
    assert DriftScore(reference).restored(loaded).snapshot() == together.snapshot()


def test_it_does_not_matter_in_which_groups_states_are_merged(reference: Reference, tmp_path: Path) -> None:
    states = []
    for replica in range(4):
        monitor = monitor_of(reference)
        minutes(monitor, np.random.default_rng(30 + replica), 4 + replica, 0, older=0.3 * replica)
        states.append(monitor._engine.states()[0])
    first, second, third, fourth = states
    pair = WindowState.merge([first, second])
    pair.save(tmp_path / "pair.window")
    pair = WindowState.load(tmp_path / "pair.window")
    resumed = DriftScore(reference).restored(pair.evidence or {}).state()  # a process that went on from it
    groupings = [
        WindowState.merge([WindowState.merge([pair, third]), fourth]),
        WindowState.merge([pair, WindowState.merge([third, fourth])]),
        WindowState.merge([fourth, WindowState.merge([third, dataclasses.replace(pair, evidence=resumed)])]),
    ]
    whole = WindowState.merge(states).evidence
    assert whole is not None
    assert whole["replicas"].tolist() == [4]
    for grouping in groupings:
        assert grouping.evidence is not None
        for name, array in whole.items():
            # single precision where the rows of the last blocks are kept
            np.testing.assert_allclose(grouping.evidence[name], array, rtol=1e-6, err_msg=name)


def test_a_reset_detector_counts_as_one_replica_again(reference: Reference) -> None:
    states = [DriftScore(reference).state() for _ in range(3)]
    merged = DriftScore(reference).restored(DriftScore.merge_states(states))
    assert merged.state()["replicas"].tolist() == [3]
    merged.reset()
    assert merged.state()["replicas"].tolist() == [1]


def test_states_of_different_settings_merge_without_evidence_and_say_so(reference: Reference) -> None:
    states = []
    for least in (0.01, 0.05):
        monitor = monitor_of(reference, min_effect=least)
        minutes(monitor, np.random.default_rng(1), 2, 0)
        states.append(monitor._engine.states()[0])
    merged = WindowState.merge(states)
    assert merged.evidence is None
    assert "the evidence is left out" in merged.notes[0]
    assert merged.rows == 240
    again = WindowState.merge([merged, states[0]])
    assert again.notes == merged.notes
    assert again.evidence is None  # that of one replica would pass for that of all


def test_one_state_with_evidence_among_others_keeps_it(reference: Reference) -> None:
    having, lacking = monitor_of(reference), monitor_of(reference, budget=None)
    for monitor in (having, lacking):
        minutes(monitor, np.random.default_rng(1), 2, 0)
    state = having._engine.states()[0]
    merged = WindowState.merge([lacking._engine.states()[0], state])
    assert state.evidence is not None
    assert merged.evidence is not None
    assert {name: array.tolist() for name, array in merged.evidence.items()} == {
        name: array.tolist() for name, array in state.evidence.items()
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_gathers_evidence_of_its_own(reference: Reference) -> None:
    monitor = monitor_of(reference)
    minutes(monitor, np.random.default_rng(1), 10, 0, older=1.0)
    pid = os.fork()
    if not pid:
        try:
            quiet = drift_of(monitor, 10).score == 0
            minutes(monitor, np.random.default_rng(2), 10, 10, older=1.0)
            os._exit(0 if quiet and drift_of(monitor, 20).score > 1 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert drift_of(monitor, 10).score > 1


# Snapshot and metrics


def test_a_snapshot_does_not_change_when_evidence_does(reference: Reference) -> None:
    monitor, rng = monitor_of(reference), np.random.default_rng(12)
    minutes(monitor, rng, 5, 0, older=0.6)
    before = drift_of(monitor, 5)
    copy = dataclasses.asdict(before)
    minutes(monitor, rng, 5, 5, older=0.6)
    monitor.acknowledge()
    assert dataclasses.asdict(before) == copy
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.score = 2.0  # type: ignore[misc]


def test_the_metrics_are_the_snapshot(reference: Reference) -> None:
    monitor, rng = monitor_of(reference), np.random.default_rng(13)
    minutes(monitor, rng, 20, 0, older=0.6)
    snapshot = monitor.snapshot(START + 1_200)
    drift = snapshot.drift
    assert drift is not None
    found = {each.prometheus_name: pairs for each, pairs in samples(snapshot)}

    def by(name: str, label: str) -> dict[str, float]:
        return {labels[label]: value for labels, value in found[f"driftgauge_{name}"]}

    assert by("model_drift_score", "model") == {"model": drift.score}
    assert by("drifted_features", "model") == {"model": sum(each.drifted for each in drift.features)}
    assert by("feature_drift_score", "feature") == {each.name: each.score for each in drift.features}
    assert by("virtual_drift_score", "virtual") == {each.name: each.score for each in drift.virtual}
    assert by("drift_evaluations_total", "model") == {"model": drift.evaluations}
    assert by("drift_budget_evaluations", "model") == {"model": 129_600.0}
    assert by("drift_dependence_info", "dependence") == {"assumed": 1.0}
    assert by("feature_drift_info", "cause")["location_up"] == 1.0
    assert set(by("feature_drift_onset_timestamp_seconds", "feature")) == {"age", "income"} & {
        each.name for each in drift.features if each.score > 0.5
    }


def test_labels_of_causes_are_bounded() -> None:
    assert len(dg.detectors.CAUSES) < 20
    assert {field.name for field in dataclasses.fields(FeatureDrift)} >= {"cause", "cell", "words"}


# Edges


def test_weights_of_no_feature_are_refused(reference: Reference) -> None:
    with pytest.raises(ConfigError, match="'agee', which is no feature"):
        Monitor(reference, weights={"agee": 2.0})
    with pytest.raises(ConfigError, match="all weights are 0"):
        Monitor(reference, weights={stream.name: 0.0 for stream in DriftScore(reference).streams})


def test_a_model_of_inputs_only_and_one_of_outputs_only_have_scores() -> None:
    rng = np.random.default_rng(14)
    table = {"a": rng.normal(size=2_000)}
    for outputs in ([], ["a"]):
        monitor = monitor_of(Reference.fit(table, outputs=outputs))
        for now in (0.0, 60.0, 120.0):
            live = {"a": rng.normal(3, 1, 100)}
            monitor.observe({} if outputs else live, live if outputs else None, now_seconds=now)
        drift = monitor.snapshot(120.0).drift
        assert drift is not None
        assert drift.score > 1

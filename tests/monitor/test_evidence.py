"""When evidence is weighed, and what a detector that fails can do: nothing. With a detector that counts."""

# ruff: noqa: ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor_cases import assert_adds_up, drops, errors, monitor_of
from stand_in_detector import Counting

from driftgauge._schedule import Schedule
from driftgauge.budget import one_false_alert
from driftgauge.errors import ConfigError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.windows import WindowState, duration, rows

ROW = np.array([0.1, -0.2, 0.3])


def counting(reference: Reference, **settings: Any) -> tuple[Monitor, Counting]:
    detector = Counting(len(reference.names))
    return monitor_of(reference, detector=detector, **settings), detector


def feed(monitor: Monitor, count: int, now_seconds: float | None = None) -> None:
    monitor.observe(np.tile(ROW, (count, 1)), np.full(count, 0.5), now_seconds=now_seconds)


# Laws of the schedule


@given(steps=st.lists(st.floats(0, 200), max_size=60), seconds=st.floats(1, 100))
def test_evidence_is_weighed_at_most_once_an_interval(steps: list[float], seconds: float) -> None:
    schedule, now = Schedule(seconds), 1e9
    times = []
    for step in steps:
        now += step
        if schedule.due(now):
            schedule.done(now)
            times.append(now)
    assert all(later - earlier >= seconds for earlier, later in pairwise(times))
    assert len(times) <= sum(steps) / seconds


@given(
    looks=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 30)), max_size=100),
    offsets=st.lists(st.floats(-1e6, 0), min_size=1, max_size=3),
)
def test_clocks_that_are_called_in_turn_weigh_no_more_often_than_one(
    looks: list[tuple[int, float]], offsets: list[float]
) -> None:
    """Rows with times of their own beside scrapes by the wall clock: one step an interval and clock."""
    schedule, now, taken = Schedule(60.0), 2e6, 0
    for clock, step in looks:
        now += step
        told = now + (0.0, *offsets)[clock % (1 + len(offsets))]
        if schedule.due(told):
            schedule.done(told)
            taken += 1
    elapsed = sum(step for _, step in looks)
    assert taken <= (1 + len(offsets)) * (1 + elapsed / 60.0)


def test_a_clock_that_steps_back_a_little_delays_the_next_time_by_as_much() -> None:
    schedule = Schedule(60.0)
    assert [schedule.due(now) for now in (100.0, 150.0, 110.0, 159.9, 160.0)] == [False] * 4 + [True]


def test_a_clock_that_was_set_back_is_believed_after_one_interval() -> None:
    schedule = Schedule(60.0)
    assert [schedule.due(now) for now in (1e6, 500.0, 530.0, 559.0, 560.0)] == [False] * 4 + [True]
    schedule.done(560.0)
    assert [schedule.due(now) for now in (600.0, 620.0)] == [False, True]


# Laws of a monitor


def test_several_scrapes_in_one_interval_take_one_step(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    scores = []
    for now in range(1_000, 1_301, 15):  # a scrape every 15 s, rows before each
        feed(monitor, 30, now)
        for _ in range(3):
            monitor.flush(now)
            drift = monitor.snapshot(now).drift
            assert drift is not None
            scores.append(drift.score)
    assert detector.evaluated == [1_060.0, 1_120.0, 1_180.0, 1_240.0, 1_300.0]
    assert detector.blocks == [5 * 30, *[4 * 30] * 4]
    assert scores == sorted(scores)
    assert scores[-1] == 5


def test_without_rows_there_is_no_step_however_long_it_takes(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    feed(monitor, 100, 0.0)
    for now in range(0, 86_400, 600):
        monitor.snapshot(now)
    assert detector.blocks == [100]


def test_too_few_rows_wait_for_more(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    for now in range(0, 1_000, 100):
        feed(monitor, 7, now)
        drift = monitor.snapshot(now).drift
        assert drift is not None
        assert drift.pending_rows + sum(detector.blocks) == 7 * (now // 100 + 1)
    assert detector.blocks == [21, 21, 21]


def test_rows_that_are_sampled_out_change_nothing(numbers: Reference) -> None:
    monitor, detector = counting(numbers, sample=0.0)
    predict = monitor.watch(lambda data: 0.5)
    for _ in range(50):
        predict(ROW)
    snapshot = monitor.snapshot(1e6)
    assert snapshot.rows_sampled_out == 50
    assert detector.times == []
    assert snapshot.drift is not None
    assert (snapshot.drift.pending_rows, snapshot.drift.score) == (0, 0.0)


def test_the_detector_is_given_every_row_that_the_windows_are_given(numbers: Reference) -> None:
    monitor, detector = counting(numbers, sample=0.5, rng=np.random.default_rng(3), buffer_rows=64)
    predict = monitor.watch(lambda data: 0.5)
    for _ in range(100):
        predict(ROW)  # of which the buffer has room for 64
    monitor.watch(lambda data: 1 / 0)
    snapshot = monitor.snapshot(1e9)
    assert snapshot.rows_sampled == detector.pending_rows + sum(detector.blocks) == snapshot.windows[0].rows


def test_the_thread_weighs_by_itself(numbers: Reference) -> None:
    clock = [1_000.0]
    monitor, detector = (
        Monitor(numbers, tick_seconds=0.001, clock=lambda: clock[0], detector=(c := Counting(4))),
        c,
    )
    predict = monitor.watch(lambda data: 0.5)
    with monitor:
        for _ in range(500):
            predict(ROW)
            clock[0] += 1.0
            threading.Event().wait(0.0005)
            if detector.blocks:
                break
    assert detector.blocks


def test_after_an_acknowledgement_evidence_starts_anew_and_windows_go_on(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    for now in (0.0, 60.0, 120.0):
        feed(monitor, 40, now)
    feed(monitor, 5, 130.0)
    monitor.acknowledge()
    after = monitor.snapshot(130.0)
    assert after.drift is not None
    assert (after.drift.score, after.drift.pending_rows, after.drift.evaluations) == (0.0, 0, 0)
    assert after.windows[0].rows == after.rows_sampled == 125
    feed(monitor, 40, 140.0)  # the schedule starts anew too
    assert detector.blocks == []
    feed(monitor, 40, 200.0)
    assert detector.blocks == [80]


def test_a_reset_forgets_the_evidence_too(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    for now in (0.0, 60.0):
        feed(monitor, 40, now)
    monitor.reset()
    snapshot = monitor.snapshot(61.0)
    assert snapshot.drift is not None
    assert (snapshot.drift.score, detector.blocks, snapshot.rows) == (0.0, [], 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_starts_without_evidence(numbers: Reference) -> None:
    monitor, _ = counting(numbers)
    for now in (0.0, 60.0):
        feed(monitor, 40, now)
    feed(monitor, 3, 61.0)
    pid = os.fork()
    if not pid:
        drift = monitor.snapshot(61.0).drift
        empty = drift is not None and (drift.score, drift.pending_rows, drift.evaluations) == (0.0, 0, 0)
        os._exit(0 if empty else 1)
    assert os.waitpid(pid, 0)[1] == 0
    drift = monitor.snapshot(61.0).drift
    assert drift is not None
    assert (drift.score, drift.pending_rows) == (1.0, 3)


# State


def test_saved_evidence_goes_on_where_it_was(numbers: Reference, tmp_path: Path) -> None:
    specs = [rows(50), duration("1h")]
    first, _ = counting(numbers, windows=specs)
    for now in (0.0, 60.0):
        feed(first, 40, now)
    feed(first, 3, 70.0)
    first.save_state(tmp_path)
    second, _ = counting(numbers, windows=specs)
    feed(second, 90, 0.0)
    second.load_state(tmp_path)
    before, after = first.snapshot(71.0).drift, second.snapshot(71.0).drift
    assert before is not None
    assert after is not None
    assert (after.score, after.pending_rows) == (before.score, before.pending_rows) == (1.0, 3)
    assert WindowState.load(tmp_path / "1h.window").evidence is None  # it is in one file only


def test_a_state_without_evidence_leaves_none(numbers: Reference, tmp_path: Path) -> None:
    without = monitor_of(numbers, budget=None)
    feed(without, 40, 0.0)
    without.save_state(tmp_path)
    monitor, detector = counting(numbers)
    for now in (0.0, 60.0):
        feed(monitor, 40, now)
    monitor.load_state(tmp_path)
    assert (monitor.snapshot(61.0).windows[0].rows, monitor._engine._evidence.waiting) == (40, False)
    assert detector.blocks == []
    feed(without, 1, 0.0)
    monitor.save_state(tmp_path)
    without.load_state(tmp_path)  # and evidence is nothing to a monitor without a budget
    assert without.snapshot(1.0).drift is None


def test_evidence_of_other_settings_is_left_out_and_the_windows_are_not(
    numbers: Reference, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor, detector = counting(numbers)
    for now in (0.0, 60.0):
        feed(monitor, 40, now)
    detector.state = lambda: {"something": np.zeros(3)}  # type: ignore[method-assign]
    monitor.save_state(tmp_path)
    fresh, _ = counting(numbers)
    with caplog.at_level(logging.WARNING, "driftgauge"):
        fresh.load_state(tmp_path)
    assert "drift score starts at 0: the state is of another detector" in caplog.text
    snapshot = fresh.snapshot(61.0)
    assert snapshot.windows[0].rows == 80
    assert snapshot.drift is not None
    assert (snapshot.drift.score, errors(snapshot)) == (0.0, {})


# A detector that fails


@pytest.mark.parametrize("what", ["add", "evaluate", "scores", "state"])
def test_a_detector_that_fails_is_counted_and_no_row_is_lost(
    numbers: Reference, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    monitor, detector = counting(numbers)
    predict = monitor.watch(lambda data: 0.5)
    detector.fails = {what}
    with caplog.at_level(logging.WARNING, "driftgauge"):
        for now in (0.0, 60.0, 120.0):
            feed(monitor, 40, now)
            assert predict(ROW) == 0.5
            snapshot = monitor.snapshot(now)
        monitor.save_state(tmp_path)
    assert_adds_up(snapshot, 123)
    assert snapshot.rows_sampled == snapshot.windows[0].rows == 123
    assert drops(snapshot) == {}
    assert set(errors(monitor.snapshot(120.0))) == {"detector"}
    assert (snapshot.drift is None) == (what == "scores")
    assert caplog.text.count("ArithmeticError") == 1
    assert WindowState.load(tmp_path / "10000rows.window").rows == 123


def test_a_detector_that_recovers_goes_on(numbers: Reference) -> None:
    monitor, detector = counting(numbers)
    detector.fails = {"evaluate"}
    for now in (0.0, 60.0):
        feed(monitor, 40, now)
    detector.fails = set()
    feed(monitor, 40, 90.0)
    assert detector.blocks == []  # what failed is not tried again before the next time
    feed(monitor, 40, 120.0)
    assert detector.blocks == [160]


# What it says


def test_a_detector_without_words_has_scores_for_the_features_by_name(numbers: Reference) -> None:
    monitor, _ = counting(numbers)
    for now in (0.0, 60.0, 120.0):
        feed(monitor, 40, now)
    drift = monitor.snapshot(121.0).drift
    assert drift is not None
    assert [each.name for each in drift.features] == list(numbers.names)
    assert {each.kind for each in drift.features} == {"input", "output"}
    assert drift.drifted_features == numbers.names
    assert (drift.score, drift.budget_evaluations, drift.evaluations) == (2.0, 129_600.0, 2)


def test_without_a_budget_there_is_no_drift_score(numbers: Reference) -> None:
    monitor = monitor_of(numbers, budget=None)
    feed(monitor, 200, 0.0)
    assert monitor.snapshot(1.0).drift is None
    monitor.acknowledge()
    assert_adds_up(monitor.snapshot(2.0), 200)


def test_the_lines_of_noise_are_those_of_the_budget_and_without_one_of_one_look(numbers: Reference) -> None:
    """Over all looks of 90 days noise gets further than in one look of 1,000; and longer windows less far."""
    with_budget, _ = counting(numbers, windows=[rows(500), rows(2_000)])
    without = monitor_of(numbers, windows=[rows(500), rows(2_000)], budget=None)
    for monitor in (with_budget, without):
        for now in range(2_000, 4_000, 100):
            feed(monitor, 100, now)
    sequential, single = (
        [window.features[0] for window in monitor.snapshot(4_000.0).windows]
        for monitor in (with_budget, without)
    )
    for line in ("psi_critical", "ks_critical"):
        assert getattr(sequential[0], line) > 1.3 * getattr(single[0], line)
        assert getattr(sequential[0], line) > getattr(sequential[1], line)


# Settings

BAD_SETTINGS: list[tuple[Callable[[Reference], dict[str, Any]], list[str]]] = [
    (lambda _: {"budget": "30d"}, ["budget", "one_false_alert(per='30d')", "'30d'"]),
    (lambda _: {"budget": 90}, ["budget", "one_false_alert", "got 90"]),
    (lambda _: {"min_effect": -0.01}, ["min_effect", "from 0 to 1", "-0.01"]),
    (lambda _: {"min_effect": float("nan")}, ["min_effect", "nan"]),
    (lambda _: {"min_effect": "small"}, ["min_effect", "'small'"]),
    (lambda _: {"weights": [1, 2]}, ["weights", "map names", "[1, 2]"]),
    (lambda _: {"weights": {"agee": 2}}, ["weights", "'agee'", "there are 'age'", "'ratio'"]),
    (lambda _: {"weights": {"age": -1}}, ["weight of 'age'", "-1"]),
    (lambda _: {"weights": {"age": float("inf")}}, ["weight of 'age'", "inf"]),
    (lambda _: {"detector": Counting}, ["detector", "class"]),
    (lambda _: {"detector": 0.2}, ["detector", "0.2", "lacks add()"]),
    (lambda _: {"detector": Counting(3)}, ["detector", "3 features", "has 4"]),
    (lambda _: {"detector": Counting(4), "min_effect": 0.1}, ["min_effect", "give them to Counting"]),
    (lambda _: {"detector": Counting(4), "budget": one_false_alert(per="30d")}, ["give them to Counting"]),
]


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS)
def test_settings_that_make_no_detector_are_refused_with_what_would_do(
    numbers: Reference, settings: Callable[[Reference], dict[str, Any]], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        Monitor(numbers, **settings(numbers))
    assert all(word in str(caught.value) for word in words), caught.value

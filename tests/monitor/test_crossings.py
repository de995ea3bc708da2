"""Who listens hears of every score that crosses 1, once, and costs a watched call nothing."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from monitor_cases import errors, monitor_of, numbers_reference
from stand_in_detector import Counting

from driftgauge.monitor import Monitor
from driftgauge.snapshot import Crossing

REFERENCE = numbers_reference()
ROW = np.zeros((30, 3))


def stepping(monitor: Monitor, minutes: range) -> None:
    """Weigh evidence each minute; the stand-in's scores rise by 1 each time."""
    for minute in minutes:
        monitor.observe(ROW, now_seconds=1_000.0 + 60 * minute)


@pytest.fixture
def heard() -> list[Crossing]:
    return []


def counting_monitor(**settings: Any) -> Monitor:
    return monitor_of(REFERENCE, detector=Counting(len(REFERENCE.names)), **settings)


def test_each_score_that_passes_1_is_told_once_with_all_that_is_known(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append)
    stepping(monitor, range(6))
    assert [(each.kind, each.feature, each.direction) for each in heard] == [
        ("model", "", "up"),
        *[(REFERENCE.feature(name).kind, name, "up") for name in REFERENCE.names],
    ]
    first = heard[1]
    assert (first.model, first.model_version) == (REFERENCE.model, REFERENCE.version)
    assert (first.reference_id, first.window) == (REFERENCE.id, "10000rows")
    assert (first.score, first.timestamp_seconds, first.trace) == (2.0, 1_120.0, None)


def test_the_way_back_is_told_at_the_next_evaluation(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append)
    stepping(monitor, range(3))
    monitor.acknowledge()
    stepping(monitor, range(3, 5))
    up, down = heard[: len(heard) // 2], heard[len(heard) // 2 :]
    assert [(each.feature, "down") for each in up] == [(each.feature, each.direction) for each in down]
    assert {each.score for each in down} == {1.0}


def test_nothing_is_told_after_stopping_nor_before_listening(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    stepping(monitor, range(2))
    monitor.listen(heard.append)()
    stepping(monitor, range(2, 4))
    assert heard == []
    assert monitor.snapshot().drift.last_crossing is None  # type: ignore[union-attr]


def test_who_begins_to_listen_late_hears_of_what_is_above_1_already(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    stepping(monitor, range(4))
    monitor.listen(heard.append)
    stepping(monitor, range(4, 5))
    assert len(heard) == 1 + len(REFERENCE.names)


def test_each_listener_hears_for_itself_whenever_it_begins(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    stop = monitor.listen(heard.append)
    stepping(monitor, range(4))
    stop()
    others: list[Crossing] = []
    monitor.listen(others.append)
    stepping(monitor, range(4, 6))
    assert [each.feature for each in others] == [each.feature for each in heard]


def test_the_snapshot_has_the_latest_crossing_while_somebody_listens(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append)
    stepping(monitor, range(3))
    drift = monitor.snapshot(1_130.0).drift
    assert drift is not None
    assert drift.last_crossing == heard[-1]


def test_a_listener_that_raises_is_counted_and_the_others_hear(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(lambda _: 1 / 0)
    monitor.listen(heard.append)
    stepping(monitor, range(3))
    assert errors(monitor.snapshot()) == {"listener": len(heard)}


def test_a_listener_may_ask_the_monitor_for_a_snapshot() -> None:
    monitor = counting_monitor()
    scores: list[float] = []
    monitor.listen(lambda _: scores.append(monitor.snapshot().drift.score))  # type: ignore[union-attr]
    stepping(monitor, range(3))
    assert scores == [2.0] * (1 + len(REFERENCE.names))


def test_the_trace_is_that_of_a_request_whose_row_was_weighed(heard: list[Crossing]) -> None:
    asked: list[int] = []
    now = [1_000.0]

    def trace() -> tuple[str, str]:
        asked.append(1)
        return ("0af7651916cd43dd8448eb211c80319c", f"{len(asked):016x}")

    monitor = counting_monitor(clock=lambda: now[0])
    monitor.listen(heard.append, trace=trace)
    predict = monitor.watch(lambda rows: rows[:, 0])
    for second in range(0, 181, 10):
        now[0] = 1_000.0 + second
        for _ in range(5):
            predict(ROW)
        monitor.flush()
    assert len(asked) <= 19, "one request each time that rows are counted, at most once a second"
    assert {each.trace for each in heard} == {("0af7651916cd43dd8448eb211c80319c", f"{12:016x}")}


def test_signs_for_a_trace_do_not_pile_up_while_no_request_comes(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append, trace=lambda: None)
    monitor._buffer.asleep.clear()
    monitor.observe(ROW, now_seconds=1_000.0)  # these rows wait for the next evaluation
    for second in range(30):
        monitor.snapshot(1_000.0 + second)
    assert len(monitor._buffer.asleep) == 1


def test_without_a_source_of_traces_no_request_is_asked(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append)
    monitor.watch(lambda rows: rows[:, 0])(ROW)
    monitor.flush(1_000.0)
    assert not monitor._buffer.asleep


def test_a_source_of_traces_that_raises_is_counted_and_the_call_goes_on(heard: list[Crossing]) -> None:
    monitor = counting_monitor()
    monitor.listen(heard.append, trace=lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    predict = monitor.watch(lambda rows: rows[:, 0])
    for _ in range(2):
        assert predict(ROW).shape == (30,)
        monitor.flush(1_000.0)
    assert errors(monitor.snapshot()) == {"listener": 1}


def test_failures_beside_the_monitor_are_counted_with_its_own() -> None:
    monitor = counting_monitor()
    monitor.count_error("export", TimeoutError())
    assert errors(monitor.snapshot()) == {"export": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_process_does_not_tell_what_its_parent_saw() -> None:
    heard: list[Crossing] = []
    monitor = counting_monitor()
    monitor.listen(heard.append)
    stepping(monitor, range(3))
    seen = len(heard)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        status = 1
        try:
            stepping(monitor, range(2))
            status = 0 if len(heard) == seen and monitor._buffer.crossings.last is None else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

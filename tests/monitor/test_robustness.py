"""What hosts do to a monitor: clocks that fail, settings that are none, arrays from another process."""

# ruff: noqa: ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

import gc
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from monitor_cases import NAMES, assert_adds_up, drops, errors, monitor_of, window_counts

from driftgauge import sampling
from driftgauge.errors import ConfigError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.windows import duration, rows

ROW = np.array([0.1, -0.2, 0.3])


class Clock:
    """Tells what it is set to; raises an exception that it is set to."""

    def __init__(self, says: Any) -> None:
        self.says = says

    def __call__(self) -> Any:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


BAD_TIMES = [float("nan"), float("inf"), None, RuntimeError("no time")]


# ---------------------------------------------------------------------- clocks


@pytest.mark.parametrize("bad", BAD_TIMES, ids=repr)
def test_a_clock_that_fails_leaves_rows_in_all_windows_at_the_last_good_time(
    numbers: Reference, bad: Any
) -> None:
    clock = Clock(1_000.0)
    monitor = monitor_of(numbers, windows=[rows(100), duration("60s"), rows(5)], clock=clock)
    monitor.observe(ROW, 0.5)
    clock.says = bad
    monitor.observe(np.tile(ROW, (9, 1)), np.full(9, 0.5))
    snapshot = monitor.snapshot()
    assert [window.rows for window in snapshot.windows] == [10, 10, 5]
    assert (snapshot.timestamp_seconds, snapshot.rows_sampled) == (1_000.0, 10)
    assert (drops(snapshot), errors(snapshot)) == ({}, {"clock": 2})
    assert_adds_up(snapshot, 10)
    clock.says = 1_200.0
    assert [window.rows for window in monitor.snapshot().windows] == [10, 0, 5]


@pytest.mark.parametrize("bad", BAD_TIMES, ids=repr)
def test_a_clock_that_has_never_worked_does_not_stop_scrapes(numbers: Reference, bad: Any) -> None:
    monitor = monitor_of(numbers, windows=[rows(100), duration("60s")], clock=Clock(bad))
    monitor.watch(lambda data: 0.5)(ROW)
    snapshot = monitor.snapshot()
    assert [window.rows for window in snapshot.windows] == [1, 1]
    assert np.isfinite(snapshot.timestamp_seconds)
    assert set(errors(snapshot)) == {"clock"}


def test_a_time_that_is_no_time_is_counted_too(numbers: Reference) -> None:
    monitor = monitor_of(numbers, windows=[rows(100), duration("60s")], clock=Clock(5.0))
    monitor.snapshot()
    monitor.observe(ROW, 0.5, now_seconds=float("nan"))
    snapshot = monitor.snapshot(now_seconds=float("nan"))
    assert (snapshot.timestamp_seconds, [window.rows for window in snapshot.windows]) == (5.0, [1, 1])
    assert errors(snapshot) == {"clock": 2}


def test_a_row_that_one_window_holds_is_not_a_row_that_was_dropped(numbers: Reference) -> None:
    class Broken:
        def push(self, *_: Any) -> None:
            raise MemoryError

    monitor = monitor_of(numbers)
    window = monitor._engine._windows[0]
    for windows in [(Broken(), window), (window, Broken())]:
        monitor._engine._windows = windows  # type: ignore[assignment]
        monitor.observe(ROW, 0.5)
    monitor._engine._windows = (window,)
    snapshot = monitor.snapshot()
    assert (snapshot.windows[0].rows, snapshot.rows_sampled) == (2, 2)
    assert (drops(snapshot), errors(snapshot)) == ({}, {"push": 2})
    assert sum(monitor._engine._bin_rows) == 2 * 4  # three inputs and an output


def test_a_rate_goes_on_after_a_clock_that_was_no_number_once(numbers: Reference) -> None:
    clock = Clock(100.0)
    monitor = monitor_of(numbers, sample=sampling.rate(1), clock=clock)
    predict = monitor.watch(lambda data: 0.5)
    for clock.says in (100.0, float("nan"), 101.0):
        predict(ROW)
    snapshot = monitor.snapshot()
    assert (snapshot.rows_sampled, snapshot.rows_sampled_out) == (2, 1)


# ---------------------------------------------------------------------- rows without outputs


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("form", ["array", "dict", "frame"])
def test_rows_observed_without_outputs_are_no_error(
    numbers: Reference, mixed: Reference, form: str, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    for reference in (numbers, mixed):
        columns: dict[str, Any] = {name: [1.0] * count for name in reference.inputs}
        data: Any = columns
        if form == "array":
            data = np.ones((count, 3))
        elif form == "frame":
            data = pd.DataFrame(columns)
        monitor = monitor_of(reference)
        with caplog.at_level(logging.WARNING, "driftgauge"):
            monitor.observe(data)
            snapshot = monitor.snapshot()
        assert (drops(snapshot), errors(snapshot), caplog.records) == ({}, {}, [])
        assert_adds_up(snapshot, count)
        np.testing.assert_array_equal(window_counts(monitor), reference.count(columns))


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"windows": rows(10)}, ["windows", "use windows=[rows(10)]"]),
        ({"windows": ["1h"]}, ["windows", "'1h'", "use windows=[driftgauge.duration('1h')]"]),
        ({"windows": "1h"}, ["windows", "'1h'", "use windows=[driftgauge.duration('1h')]"]),
        ({"windows": [100]}, ["windows", "100", "use windows=[driftgauge.rows(100)]"]),
        ({"windows": None}, ["windows", "None", "use windows=[driftgauge.rows(10_000)]"]),
        ({"min_rows": None}, ["min_rows", "whole number", "None"]),
        ({"buffer_rows": 2.5}, ["buffer_rows", "whole number", "2.5"]),
        ({"buffer_rows": True}, ["buffer_rows", "whole number", "True"]),
        ({"tick_seconds": "x"}, ["tick_seconds", "'x'"]),
        ({"clock": None}, ["clock", "time.time", "None"]),
        ({"rng": 3}, ["rng", "got 3", "use numpy.random.default_rng(3)"]),
        ({"sample": "x"}, ["sample", "driftgauge.rate", "'x'"]),
        ({"sample": None}, ["sample", "driftgauge.rate", "None"]),
    ],
)
def test_settings_of_a_wrong_type_are_refused_with_what_would_do(
    numbers: Reference, settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        Monitor(numbers, **settings)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("churn.reference", "driftgauge.Reference.load('churn.reference')"),
        (Path("churn.reference"), "driftgauge.Reference.load('churn.reference')"),
        (None, "driftgauge.Reference.fit("),
        ({"age": list(range(100))}, "driftgauge.Reference.fit("),
    ],
)
def test_what_is_no_reference_is_refused_with_the_call_that_makes_one(given: Any, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Monitor(given)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("settings", [{"rows_per_second": "x"}, {"rows_per_second": 1, "burst_rows": "x"}])
def test_a_rate_that_is_no_number_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"must be a number.*'x'"):
        sampling.rate(**settings)


# ---------------------------------------------------------------------- arrays


@pytest.mark.parametrize("kind", ["<f8", "<f4", ">f8"])
def test_an_array_that_was_pickled_is_taken_like_any_other(numbers: Reference, kind: str) -> None:
    monitor = monitor_of(numbers)
    predict = monitor.watch(lambda data: 0.5)
    row = pickle.loads(pickle.dumps(ROW.astype(kind)))
    assert row.dtype is not np.dtype(kind)
    predict(row)
    short = isinstance(monitor._buffer.ready[0], tuple)  # the form that is handled in place
    assert short == (row.dtype.isnative)
    np.testing.assert_array_equal(
        window_counts(monitor), numbers.count({**dict(zip(NAMES, row, strict=True)), "score": 0.5})
    )


# ---------------------------------------------------------------------- watched again and again


def test_functions_that_are_watched_and_let_go_leave_nothing_behind(numbers: Reference) -> None:
    monitor = monitor_of(numbers, sample=0.5)

    async def predict(_: Any) -> float:
        return 0.5

    kept = monitor.watch(lambda data: 0.5)
    for _ in range(50):
        monitor.watch(predict)
    gc.collect()
    assert monitor._entered.asynchronous == [True]
    assert len(monitor._samplers) == 2  # of `observe` and of the function that is still there
    before = [chosen._rng for chosen in monitor._samplers]  # type: ignore[attr-defined]
    monitor.after_fork_in_child()
    assert all(chosen._rng not in before for chosen in monitor._samplers)  # type: ignore[attr-defined]
    assert kept(ROW) == 0.5


def test_calls_that_a_watched_call_makes_in_a_pool_count_besides(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    inner = monitor.watch(lambda data: 0.5)

    @monitor.watch
    def outer(data: Any) -> Any:
        inner(data)  # in the same thread: not counted
        with ThreadPoolExecutor(1) as pool:
            return next(pool.map(inner, [data]))

    outer(ROW)
    assert_adds_up(monitor.snapshot(), 2)


# ---------------------------------------------------------------------- the beginning


def test_warming_up_starts_the_thread_that_the_first_row_would(
    numbers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[bool] = []
    monkeypatch.setattr("driftgauge.kernels.warm_up", lambda: compiled.append(True))
    with Monitor(numbers) as monitor:
        assert not monitor._worker.alive
        monitor.warm_up()
        thread = monitor._worker._thread
        assert monitor._worker.alive
        monitor.watch(lambda data: 0.5)(ROW)
        monitor.warm_up()
        assert monitor._worker._thread is thread
        assert_adds_up(monitor.snapshot(), 1)
    monitor.warm_up()
    assert not monitor._worker.alive  # closed is closed
    assert compiled == [True] * 3


# ---------------------------------------------------------------------- the end


def test_closing_does_not_wait_for_a_thread_that_is_stuck(
    numbers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftgauge.monitor.CLOSE_SECONDS", 0.01)
    stuck, go_on = threading.Event(), threading.Event()

    def clock() -> float:
        stuck.set()
        assert go_on.wait(60)
        return 1_000.0

    monitor = Monitor(numbers, clock=clock)
    predict = monitor.watch(lambda data: 0.5)
    predict(ROW)
    assert stuck.wait(60)  # the thread has the state locked now
    predict(ROW)
    monitor.close()
    assert monitor._worker.alive  # closed, and the clock has not told the time yet
    go_on.set()
    assert_adds_up(monitor.snapshot(), 2)

"""Every offered row is in exactly one place, and nothing of ours reaches the host."""

# ruff: noqa: ARG001, ARG002, ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
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
RECORD = dict(zip(NAMES, ROW.tolist(), strict=True))


# ---------------------------------------------------------------------- story


def test_a_million_rows_of_eight_threads_add_up_while_the_buffer_overflows(numbers: Reference) -> None:
    monitor = Monitor(
        numbers, windows=[rows(1_000)], buffer_rows=64, tick_seconds=0.001, rng=np.random.default_rng(3)
    )
    everything = monitor.watch(lambda data: 0.5)
    some = monitor.watch(sample=0.3)(lambda data: np.full(len(data), 0.5))
    limited = monitor.watch(sample=sampling.rate(1_000))(lambda data: 0.5)

    @monitor.watch
    def fails(data: Any) -> Any:
        raise ZeroDivisionError

    offered = [0] * 8
    raised: list[BaseException] = []
    batch = np.tile(ROW, (150, 1))
    wrong = np.zeros((1, 2))

    def work(number: int) -> None:
        count = 0
        try:
            while count < 125_000:
                for _ in range(50):
                    everything(ROW)
                    limited(ROW)
                some(batch)
                everything(RECORD)
                everything(wrong)
                try:
                    fails(ROW)
                except ZeroDivisionError:
                    count += 1
                count += 50 + 50 + 150 + 1 + 1
        except BaseException as error:
            raised.append(error)
        offered[number] = count

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    seen = []
    with monitor:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seen.append(monitor.snapshot())
            threads[0].join(0.05)
        for thread in threads:
            thread.join()
        snapshot = monitor.snapshot()
    assert raised == []
    assert sum(offered) >= 1_000_000
    assert_adds_up(snapshot, sum(offered))
    assert snapshot.rows_sampled_out > 0
    assert {"buffer_full", "predict_error", "shape_mismatch"} == set(drops(snapshot))
    assert errors(snapshot) == {}
    for before, after in zip(seen, [*seen[1:], snapshot], strict=True):  # counters never fall
        assert before.rows <= after.rows
        assert before.rows_sampled_out <= after.rows_sampled_out
        assert all(after.rows_dropped[reason] >= count for reason, count in before.rows_dropped.items())


# ---------------------------------------------------------------------- law


def test_a_full_buffer_drops_rows_and_says_so(numbers: Reference) -> None:
    monitor = monitor_of(numbers, buffer_rows=4)
    predict = monitor.watch(lambda data: 0.5)
    for data in [ROW] * 7 + [RECORD] * 2:
        predict(data)
    snapshot = monitor.snapshot()
    assert drops(snapshot) == {"buffer_full": 5}
    assert_adds_up(snapshot, 9)
    predict(ROW)
    assert_adds_up(monitor.snapshot(), 10)


def test_of_a_batch_too_large_for_the_buffer_a_random_part_is_kept(numbers: Reference) -> None:
    monitor = monitor_of(numbers, buffer_rows=100)
    total = 20_000
    matrix = np.zeros((total, 3))
    matrix[:, 0] = np.linspace(-2, 2, total)
    monitor.watch(lambda data: np.full(total, 0.5))(matrix)
    snapshot = monitor.snapshot()
    assert snapshot.rows_sampled == 1_600
    assert drops(snapshot) == {"buffer_full": total - 1_600}
    # the mean of 1,600 of the values has a standard error of 0.029; the first 1,600 would have -1.84
    (mean, *_) = (feature.mean for feature in snapshot.windows[0].features)
    assert mean == pytest.approx(0.0, abs=0.15)


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, list])
def test_rows_and_their_outputs_stay_together_when_sampled(
    numbers: Reference, form: Callable[[Any], Any]
) -> None:
    monitor = monitor_of(numbers, sample=0.5, rng=np.random.default_rng(1))
    matrix = np.repeat(np.array([[-1.0], [1.0]]), 500, axis=0) * np.ones(3)
    scores = np.repeat([0.25, 0.75], 500)
    data = pd.DataFrame(matrix, columns=list(NAMES)) if form is pd.DataFrame else form(matrix)
    monitor.watch(lambda data: scores)(data)
    monitor.flush()
    ring = monitor._engine._windows[0].state().ring
    assert ring is not None
    low = numbers.index({"age": [-1.0], "score": [0.25]})
    high = numbers.index({"age": [1.0], "score": [0.75]})
    pairs = {(int(age), int(score)) for age, score in zip(ring[0], ring[-1], strict=True)}
    assert pairs == {(int(low[0, 0]), int(low[-1, 0])), (int(high[0, 0]), int(high[-1, 0]))}


def test_bernoulli_sampling_takes_its_share_of_rows_and_batches(numbers: Reference) -> None:
    monitor = monitor_of(numbers, sample=0.25, buffer_rows=100_000, rng=np.random.default_rng(2))
    singles = monitor.watch(lambda data: 0.5)
    for _ in range(4_000):
        singles(ROW)
    first = monitor.snapshot()
    monitor.watch(lambda data: np.full(4_000, 0.5))(np.tile(ROW, (4_000, 1)))
    second = monitor.snapshot()
    # binomial(4000, 1/4): mean 1000, standard deviation 27; six of them
    assert first.rows_sampled == pytest.approx(1_000, abs=165)
    assert second.rows_sampled - first.rows_sampled == pytest.approx(1_000, abs=165)
    assert_adds_up(second, 8_000)


def test_a_rate_limits_by_the_clock_of_the_monitor(numbers: Reference) -> None:
    now = [100.0]
    monitor = monitor_of(numbers, sample=sampling.rate(10), clock=lambda: now[0])
    predict = monitor.watch(
        lambda data: np.full(len(np.atleast_2d(data)), 0.5)[0] if data.ndim == 1 else np.full(len(data), 0.5)
    )
    for _ in range(50):
        predict(ROW)
    assert monitor.snapshot().rows_sampled == 10
    now[0] += 0.5
    predict(np.tile(ROW, (50, 1)))
    assert monitor.snapshot().rows_sampled == 15
    now[0] -= 1_000  # a clock that is set back gives nothing and takes nothing
    predict(ROW)
    now[0] += 0.1
    predict(ROW)
    assert monitor.snapshot().rows_sampled == 16
    assert_adds_up(monitor.snapshot(), 102)


def test_sample_zero_takes_nothing_and_one_takes_all(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    for share in (0.0, 1, 1.0, 0):
        monitor.watch(sample=share)(lambda data: 0.5)(ROW)
    snapshot = monitor.snapshot()
    assert (snapshot.rows_sampled, snapshot.rows_sampled_out) == (2, 2)


# ---------------------------------------------------------------------- edge: data that does not fit


@pytest.mark.parametrize(
    ("data", "offered", "reason"),
    [
        (np.zeros(4), 1, "shape_mismatch"),
        (np.zeros((7, 2)), 7, "shape_mismatch"),
        (np.zeros((2, 3, 4)), 2, "shape_mismatch"),
        ({}, 1, "shape_mismatch"),
        ({"unknown": 1.0}, 1, "shape_mismatch"),
        (pd.DataFrame({"unknown": [1.0, 2.0]}), 2, "shape_mismatch"),
        ([0.5, 0.5], 1, "shape_mismatch"),
        ("text", 1, "unsupported_type"),
        (object(), 1, "unsupported_type"),
        ({"age": [1, 2], "income": [[1], [2]]}, 2, "unsupported_type"),
        (np.zeros((2, 3), dtype=complex), 2, "unsupported_type"),
    ],
)
def test_data_that_does_not_fit_is_dropped_by_reason(
    numbers: Reference, data: Any, offered: int, reason: str
) -> None:
    monitor = monitor_of(numbers)
    assert monitor.watch(lambda data: 0.5)(data) == 0.5
    snapshot = monitor.snapshot()
    assert drops(snapshot) == {reason: offered}
    assert_adds_up(snapshot, offered)


def test_one_bad_row_does_not_take_its_neighbours_with_it(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    predict = monitor.watch(lambda data: 0.5)
    for data in (RECORD, {**RECORD, "ratio": [1, 2]}, RECORD, {"unknown": 1}, RECORD):
        predict(data)
    snapshot = monitor.snapshot()
    assert drops(snapshot) == {"shape_mismatch": 1, "unsupported_type": 1}
    want = numbers.count({**{name: [value] * 3 for name, value in RECORD.items()}, "score": [0.5] * 3})
    np.testing.assert_array_equal(window_counts(monitor), want)


def test_an_input_that_a_frame_does_not_have_is_missing(
    numbers: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = monitor_of(numbers)
    predict = monitor.watch(lambda data: 0.5)
    with caplog.at_level(logging.WARNING, "driftgauge"):
        for _ in range(3):
            predict({"age": 0.1, "ratio": 0.3, "colour": "red-secret"})
            predict(pd.DataFrame({"age": [0.1], "ratio": [0.3], "colour": ["red-secret"]}))
        snapshot = monitor.snapshot()
    want = numbers.count({"age": [0.1] * 6, "ratio": [0.3] * 6, "score": [0.5] * 6})
    np.testing.assert_array_equal(window_counts(monitor), want)
    assert errors(snapshot) == {"names": 6}
    (entry,) = caplog.records  # once, with both lists, without values
    assert all(name in entry.message for name in ("'age'", "'income'", "'ratio'", "'colour'"))
    assert "red-secret" not in caplog.text


@pytest.mark.parametrize(
    "result",
    [
        None,
        "text",
        object(),
        np.zeros(5),
        [1, 2],
        {"other": 1},
        (0.5, 0.5),
        pd.DataFrame({"score": [1.0, 2.0]}),
    ],
)
def test_a_result_that_does_not_fit_is_a_missing_output(numbers: Reference, result: Any) -> None:
    monitor = monitor_of(numbers)
    assert monitor.watch(lambda data: result)(ROW) is result
    want = numbers.count({**{name: [value] for name, value in RECORD.items()}, "score": [None]})
    counts = window_counts(monitor)
    if isinstance(result, str):  # a number that is spelt wrong is not a number, as everywhere
        want = numbers.count({**{name: [value] for name, value in RECORD.items()}, "score": ["text"]})
    np.testing.assert_array_equal(counts, want)
    assert drops(monitor.snapshot()) == {}


# ---------------------------------------------------------------------- edge: errors of our own


def test_errors_of_functions_that_pick_are_counted_and_logged_once_without_values(
    numbers: Reference, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = monitor_of(numbers)
    secret = "4111-1111"

    def pick(*args: Any) -> Any:
        raise ValueError(secret)

    bad_inputs = monitor.watch(inputs=pick)(lambda data: 0.5)
    bad_outputs = monitor.watch(outputs=pick)(lambda data: 0.5)
    with caplog.at_level(logging.WARNING, "driftgauge"):
        for _ in range(4):
            assert bad_inputs(ROW) == bad_outputs(ROW) == 0.5
        snapshot = monitor.snapshot()
    assert errors(snapshot) == {"inputs": 4, "outputs": 4}
    assert drops(snapshot) == {"internal_error": 4}
    assert_adds_up(snapshot, 8)
    assert len(caplog.records) == 2
    assert all("test_accounting:" in record.message for record in caplog.records)
    assert secret not in caplog.text


def test_a_window_that_fails_loses_its_block_and_nothing_else(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    predict = monitor.watch(lambda data: 0.5)
    window = monitor._engine._windows[0]

    class Broken:
        def push(self, *_: Any) -> None:
            raise MemoryError

    monitor._engine._windows = (Broken(),)  # type: ignore[assignment]
    for _ in range(5):
        predict(ROW)
    monitor.flush()
    monitor._engine._windows = (window,)
    predict(ROW)
    snapshot = monitor.snapshot()
    assert errors(snapshot) == {"push": 1}
    assert drops(snapshot) == {"internal_error": 5}
    assert_adds_up(snapshot, 6)


def test_an_index_that_fails_loses_single_rows(numbers: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = monitor_of(numbers)
    predict = monitor.watch(lambda data: 0.5)
    monkeypatch.setattr(monitor._engine._indexer, "_matrix", lambda *_: 1 / 0)
    for data in (ROW, RECORD, ROW):
        predict(data)
    snapshot = monitor.snapshot()
    assert errors(snapshot) == {"index": 2}
    assert drops(snapshot) == {"internal_error": 2}
    assert_adds_up(snapshot, 3)


def test_a_tensor_that_fails_to_copy_is_an_error_of_ours_and_no_ones_else(numbers: Reference) -> None:
    class Broken:
        shape = (1, 3)

        def detach(self) -> Any:
            raise RuntimeError

        def cpu(self) -> Any:
            return self

    monitor = monitor_of(numbers)
    assert monitor.watch(lambda data: 0.5)(Broken()) == 0.5
    snapshot = monitor.snapshot()
    assert (errors(snapshot), drops(snapshot)) == ({"capture": 1}, {"internal_error": 1})


def test_a_handler_of_logs_that_fails_does_not_reach_the_host(numbers: Reference) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError

    handler = Broken()
    logging.getLogger("driftgauge").addHandler(handler)
    try:
        monitor = monitor_of(numbers)
        monitor.watch(lambda data: 0.5)(np.zeros(9))
        monitor.flush()
    finally:
        logging.getLogger("driftgauge").removeHandler(handler)
    snapshot = monitor.snapshot()
    assert (drops(snapshot), errors(snapshot)) == ({"shape_mismatch": 1}, {"log": 1})


# ---------------------------------------------------------------------- edge: settings


@pytest.mark.parametrize(
    "settings",
    [
        {"windows": []},
        {"windows": [rows(5), rows(5)]},
        {"min_rows": 0},
        {"buffer_rows": 0},
        {"tick_seconds": 0.0},
        {"tick_seconds": float("nan")},
        {"sample": -0.1},
        {"sample": "all"},
    ],
)
def test_settings_out_of_range_are_refused(numbers: Reference, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Monitor(numbers, **settings)


def test_several_windows_see_the_same_rows(numbers: Reference) -> None:
    now = [1_000.0]
    monitor = monitor_of(
        numbers, windows=[rows(3), rows(100), duration("1h")], clock=lambda: now[0], min_rows=1
    )
    predict = monitor.watch(lambda data: 0.5)
    for _ in range(5):
        predict(ROW)
    snapshot = monitor.snapshot()
    assert [(window.name, window.rows) for window in snapshot.windows] == [
        ("3rows", 3),
        ("100rows", 5),
        ("1h", 5),
    ]
    assert all(window.features for window in snapshot.windows)
    now[0] += 7_200
    assert [window.rows for window in monitor.snapshot().windows] == [3, 5, 0]

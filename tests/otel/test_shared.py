"""Of the processes that share a directory one reports what all have counted, and another when it has gone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_cases import points_of, started
from otlp_sink import Sink, sink
from services import until

import driftgauge as dg
from driftgauge_otel import register

RNG = np.random.default_rng(7)
REFERENCE = dg.Reference.fit({"age": RNG.normal(40, 10, 5_000)}, model="churn", version="3")
BOTH = pytest.mark.parametrize("temporality", ["cumulative", "delta"])


@pytest.fixture
def now() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
def workers(now: list[float], tmp_path: Path) -> Iterator[list[dg.Monitor]]:
    """Two, each as much a stranger to the other as a process of its own: a lock is of who opened the file."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            monitor = dg.Monitor(REFERENCE, clock=lambda: now[0], shared_directory=tmp_path / "shared")
            monitor._buffer.asleep.clear()
            made.append(stack.enter_context(monitor))
        yield made


def observe(monitor: dg.Monitor, rows: int) -> None:
    monitor.observe({"age": np.full(rows, 40.0)})
    monitor.snapshot()  # which tells the others


def rows_by_process(found: Sink) -> dict[str, list[int]]:
    """What was said of `driftgauge.rows`, by instance."""
    said = defaultdict(list)
    for resource, metric, _, point in found.points():
        if metric["name"] == "driftgauge.rows":
            said[resource["service.instance.id"]].append(int(point["asInt"]))
    return dict(said)


@BOTH
def test_the_rows_of_all_are_reported_once(temporality: str, workers: list[dg.Monitor]) -> None:
    with sink() as found, ExitStack() as stack:
        exporters = []
        for each in workers:
            exporters.append(stack.enter_context(started(each, found.url, temporality=temporality)))
            exporters[-1].flush()
        for each in workers:
            observe(each, 100)
        for exporter in exporters:
            exporter.flush()
        (said,) = rows_by_process(found).values()
    assert said == [0, 200]


@BOTH
def test_who_comes_after_goes_on_and_repeats_nothing(temporality: str, workers: list[dg.Monitor]) -> None:
    one, other = workers
    with sink() as found:
        with started(one, found.url, temporality=temporality) as exporter:
            exporter.flush()
            observe(one, 100)
        with started(other, found.url, temporality=temporality) as exporter:
            exporter.flush()
            observe(other, 10)
        said = list(rows_by_process(found).values())
    assert said == {"cumulative": [[0, 100], [100, 110]], "delta": [[0, 100], [0, 10]]}[temporality]


def test_on_providers_of_hosts_one_reports_as_well(workers: list[dg.Monitor]) -> None:
    readers = [InMemoryMetricReader() for _ in workers]
    made = [
        register(each, MeterProvider([reader], shutdown_on_exit=False))
        for each, reader in zip(workers, readers, strict=True)
    ]
    observe(workers[0], 100)
    assert [bool(points_of(reader.get_metrics_data())) for reader in readers] == [True, False]
    made[0].close()
    assert [bool(points_of(reader.get_metrics_data())) for reader in readers] == [False, True]
    made[1].close()


def test_a_crossing_of_the_score_of_all_is_one_event(workers: list[dg.Monitor], now: list[float]) -> None:
    heard: list[list[Any]] = [[], []]
    for each, into in zip(workers, heard, strict=True):
        each.listen(into.append)
    with sink() as found, ExitStack() as stack:
        for each in workers:
            stack.enter_context(started(each, found.url)).flush()
        for _ in range(4):
            for each in workers:
                each.observe({"age": RNG.normal(60, 10, 250)})
                each.snapshot()
            now[0] += 61
        assert [[one.feature for one in into] for into in heard] == [["", "age"]] * 2, "each process notices"
        until(lambda: len(found.records()) >= 2, "both events")
    assert len(found.records()) == 2


def test_a_turn_ends_with_its_process_and_is_not_inherited(workers: list[dg.Monitor]) -> None:
    one, other = workers
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        os._exit(0 if other.has_turn("otel") else 1)  # as kill -9: nothing is given up
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (one.has_turn("otel"), other.has_turn("otel")) == (True, False)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        os._exit(2 if one.has_turn("otel") else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (one.has_turn("otel"), other.has_turn("otel")) == (True, False)
    one.give_up_turn("otel")
    assert (other.has_turn("otel"), one.has_turn("otel"), one.has_turn("another")) == (True, False, True)


def test_a_turn_whose_file_was_tidied_away_is_taken_anew(workers: list[dg.Monitor], tmp_path: Path) -> None:
    one, other = workers
    assert one.has_turn("otel")
    (file,) = (tmp_path / "shared").glob("*/turn-otel")
    file.unlink()
    assert other.has_turn("otel")
    assert not one.has_turn("otel")


def test_without_a_shared_directory_it_is_always_ones_turn() -> None:
    with dg.Monitor(REFERENCE) as monitor:
        assert (monitor.is_shared, monitor.has_turn("otel")) == (False, True)
        monitor.give_up_turn("otel")
        assert monitor.has_turn("otel")

"""A collector that is slow, absent or unwilling touches nothing but the exporter's own thread."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from exporter_cases import Frozen
from otel_cases import started
from otlp_sink import sink
from services import free_port, until

import driftgauge as dg

REFERENCE = dg.Reference.fit(
    {"age": np.random.default_rng(7).normal(40, 10, 2_000)}, model="churn", version="3"
)


def export_errors(monitor: dg.Monitor) -> int:
    return monitor.snapshot().internal_errors["export"]


def test_calls_and_snapshots_go_on_while_a_collector_does_not_answer() -> None:
    with sink() as found, dg.Monitor(REFERENCE) as monitor:
        found.answering.clear()
        predict = monitor.watch(lambda rows: rows[:, 0])
        with started(monitor, found.url, interval_seconds=0.1):
            assert found.came.wait(60)
            for _ in range(100):
                predict(np.full((10, 1), 40.0))
            assert monitor.snapshot().rows_sampled == 1_000
            assert found.requests == [], "it still has not answered"
            found.answering.set()
            until(lambda: found.requests, "the answer")
        assert export_errors(monitor) == 0


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_absent_collector_is_counted(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    with dg.Monitor(REFERENCE) as monitor:
        address = f"http://127.0.0.1:{free_port()}"
        with started(monitor, address, protocol=protocol, timeout_seconds=0.2) as exporter:
            exporter.flush()
            exporter.flush()
            assert export_errors(monitor) == 2
            exporter.close(timeout_seconds=0)
    ours = [record.getMessage() for record in caplog.records if record.name == "driftgauge"]
    assert len([each for each in ours if "'export'" in each]) == 1, "logged once, counted each time"


def test_a_collector_that_refuses_is_counted_on_the_prometheus_road_too() -> None:
    from prometheus_client import CollectorRegistry

    with sink() as found, dg.Monitor(REFERENCE) as monitor:
        found.status = 400
        registry = CollectorRegistry()
        registry.register(dg.exporter("prometheus").collector(monitor))
        with started(monitor, found.url) as exporter:
            exporter.flush()
            labels = {"model": "churn", "model_version": "3", "stage": "export"}
            assert registry.get_sample_value("driftgauge_internal_errors_total", labels) == 1.0
            found.status = 200
            exporter.flush()
            assert export_errors(monitor) == 1


def test_a_source_that_fails_is_counted_and_tried_again() -> None:
    class Failing(Frozen):
        errors: list[tuple[str, str]] = []  # noqa: RUF012 - one test

        def snapshot(self) -> Any:
            if self.asked == 1:
                self.asked += 1
                raise ArithmeticError
            return super().snapshot()

        def count_error(self, stage: str, error: BaseException) -> None:
            self.errors.append((stage, type(error).__name__))

    source = Failing()
    with sink() as found, started(source, found.url) as exporter:
        exporter.flush()
        assert (found.requests, source.errors) == ([], [("export", "ArithmeticError")])
        exporter.flush()
        assert len(found.requests) == 1


def test_the_last_numbers_are_sent_at_the_end() -> None:
    with sink() as found, dg.Monitor(REFERENCE) as monitor:
        with started(monitor, found.url):
            monitor.observe({"age": np.full(10, 40.0)})
        rows = [
            point["asInt"] for _, metric, _, point in found.points() if metric["name"] == "driftgauge.rows"
        ]
    assert rows == ["10"]


def test_closing_ends_the_thread_and_may_be_done_twice() -> None:
    with sink() as found, started(Frozen(), found.url) as exporter:
        exporter.close()
        exporter.close()
        exporter.flush()
        assert not [each for each in threading.enumerate() if each.name == "driftgauge-otel"]
        assert len(found.requests) == 1


PROGRAM = """
import sys
import numpy as np
import driftgauge as dg
monitor = dg.Monitor(dg.Reference.fit({{"age": np.arange(100.0)}}))
exporter = dg.exporter("otel").start(
    monitor, {address!r}, protocol={protocol!r}, interval_seconds=0.1, timeout_seconds=1_000
)
monitor.observe({{"age": np.arange(100.0)}})
print("done", flush=True)
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_process_ends_though_nobody_answers(protocol: str) -> None:
    """Nothing listens, or something does that never answers; the SDK waits 1,000 s for each, we 60 s."""
    with sink() as found:
        found.answering.clear()
        for address in (f"http://127.0.0.1:{free_port()}", found.url):
            code = PROGRAM.format(address=address, protocol=protocol)
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
            )
            assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr

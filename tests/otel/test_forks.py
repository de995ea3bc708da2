"""A child process counts its own rows and no other's, under a name of its own."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from collector_service import collector
from otel_cases import points_of, started
from otlp_sink import Sink, sink

import driftgauge as dg
from driftgauge_otel import register

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
REFERENCE = dg.Reference.fit(
    {"age": np.random.default_rng(7).normal(40, 10, 2_000)}, model="churn", version="3"
)


def in_child(work: Callable[[], None]) -> None:
    """Run *work* in a child process; its failure is ours."""
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def rows_by_process(found: Sink) -> dict[str, list[int]]:
    """What was said of `driftgauge.rows`, by instance."""
    said = defaultdict(list)
    for resource, metric, _, point in found.points():
        if metric["name"] == "driftgauge.rows":
            said[resource["service.instance.id"]].append(int(point["asInt"]))
    return dict(said)


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("given", [{}, {"service.instance.id": "pod-7"}])
def test_rows_before_a_fork_are_counted_once(temporality: str, given: dict[str, str]) -> None:
    with (
        sink() as found,
        dg.Monitor(REFERENCE) as monitor,
        started(monitor, found.url, temporality=temporality, resource=given) as exporter,
    ):
        monitor.observe({"age": np.full(1_000, 40.0)})
        exporter.flush()

        def work() -> None:
            monitor.observe({"age": np.full(10, 40.0)})
            exporter.flush()
            monitor.observe({"age": np.full(5, 40.0)})
            exporter.close(timeout_seconds=30)

        for _ in range(2):
            in_child(work)
        monitor.observe({"age": np.full(1, 40.0)})
        exporter.flush()
    said = rows_by_process(found)
    parent, *children = said.items()
    assert len(children) == 2
    assert all(name.startswith("pod-7") for name in said) == bool(given)
    reading = {"cumulative": lambda values: values[-1], "delta": sum}[temporality]
    assert reading(parent[1][:2]) == 1_001
    assert [reading(values) for _, values in children] == [15, 15]
    assert all(value >= 0 for values in said.values() for value in values)


@pytest.mark.prometheus
@pytest.mark.parametrize("sent_before", [False, True])
def test_over_grpc_a_child_has_a_connection_of_its_own(sent_before: bool, tmp_path: Path) -> None:
    with (
        collector(tmp_path) as found,
        dg.Monitor(REFERENCE) as monitor,
        started(monitor, found.grpc, protocol="grpc") as exporter,
    ):
        if sent_before:
            exporter.flush()

        def work() -> None:
            monitor.observe({"age": np.full(10, 40.0)})
            exporter.flush()

        in_child(work)
        exporter.flush()
        lines = [line for line in found.text().splitlines() if line.startswith("driftgauge_rows_total{")]
    assert sorted(float(line.split()[-1]) for line in lines) == [0.0, 10.0]


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_on_a_provider_of_the_host_a_child_counts_from_0(temporality: str) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from driftgauge_otel._presets import temporality_table

    reader = InMemoryMetricReader(preferred_temporality=temporality_table(temporality))  # type: ignore[arg-type]
    provider = MeterProvider([reader], shutdown_on_exit=False)

    def rows() -> list[int]:
        points = points_of(reader.get_metrics_data())
        return [value for (name, _), value in points.items() if name == "driftgauge.rows"]

    with dg.Monitor(REFERENCE) as monitor:
        registration = register(monitor, provider)
        monitor.observe({"age": np.full(1_000, 40.0)})
        assert rows() == [1_000]

        def work() -> None:
            monitor.observe({"age": np.full(10, 40.0)})
            assert rows() == [10]

        in_child(work)
        monitor.observe({"age": np.full(1, 40.0)})
        assert rows() == [{"cumulative": 1_001, "delta": 1}[temporality]]
        registration.close()
        assert rows() == []

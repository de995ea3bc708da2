"""A real Collector receives every family with every value, whichever way it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collector_service import collector, series_of
from exporter_cases import Frozen, small_snapshot
from otel_cases import expected, started
from otlp_sink import values_of
from services import until

import driftgauge as dg
from driftgauge.catalogue import CATALOGUE

pytestmark = pytest.mark.prometheus

ROADS = [
    (protocol, temporality)
    for protocol in ("grpc", "http/protobuf")
    for temporality in ("cumulative", "delta")
]


def metrics_in(received: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [metric for each in received for scope in each["scopeMetrics"] for metric in scope["metrics"]]


@pytest.mark.parametrize(("protocol", "temporality"), ROADS)
def test_every_value_of_a_snapshot_arrives(protocol: str, temporality: str, tmp_path: Path) -> None:
    with collector(tmp_path) as found:
        settings = {"protocol": protocol, "temporality": temporality}
        with started(Frozen(), found.endpoint(protocol), **settings) as exporter:
            exporter.flush()
            exporter.flush()
            assert found.series() == expected(small_snapshot())
        until(lambda: len(found.received("resourceMetrics")) == 3, "the file of three exports")
        (first, second, _) = found.received("resourceMetrics")
    names = {metric["name"] for metric in metrics_in([first])}
    assert names == {family.otel_name for family in CATALOGUE}
    wanted = {"cumulative": 2, "delta": 1}[temporality]
    sums = {metric["name"]: metric["sum"] for metric in metrics_in([second]) if "sum" in metric}
    assert {each["aggregationTemporality"] for each in sums.values()} == {wanted}
    assert all(each["isMonotonic"] for each in sums.values())
    rows = int(sums["driftgauge.rows"]["dataPoints"][0]["asInt"])
    assert rows == {"cumulative": small_snapshot().rows, "delta": 0}[temporality]


@pytest.mark.parametrize(("protocol", "temporality"), ROADS)
def test_a_monitor_that_goes_on_and_is_reset_is_followed(
    protocol: str, temporality: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(20261121)
    reference = dg.Reference.fit(
        {"age": rng.normal(40, 10, 5_000), "score": rng.uniform(size=5_000)}, outputs=["score"]
    )
    with (
        collector(tmp_path) as found,
        dg.Monitor(reference, windows=[dg.rows(1_000)], clock=lambda: 1.8e9) as monitor,
    ):
        settings = {"protocol": protocol, "temporality": temporality}
        with started(monitor, found.endpoint(protocol), **settings) as exporter:
            for mean in (40, 60):
                monitor.observe({"age": rng.normal(mean, 10, 700)}, rng.uniform(size=700))
                exporter.flush()
                assert same_but_cost(found.series(), expected(monitor.snapshot()))
            monitor.reset()
            monitor.observe({"age": rng.normal(40, 10, 300)}, rng.uniform(size=300))
            exporter.flush()
            rows = {name: value for (name, _), value in found.series().items()}["driftgauge_rows_total"]
    # Totals fall with a reset; differences add up to all that was ever counted, in the Collector too.
    assert rows == {"cumulative": 300, "delta": 1_700}[temporality]


def same_but_cost(found: dict[Any, float], wanted: dict[Any, float]) -> bool:
    """Equal but for how long an evaluation took."""
    cost = {key for key in wanted if key[0] == "driftgauge_evaluation_seconds"}
    return found.keys() == wanted.keys() and all(found[key] == wanted[key] for key in wanted.keys() - cost)


def test_the_resource_says_which_service_and_which_process(tmp_path: Path) -> None:
    with collector(tmp_path) as found:
        settings = {"resource": {"deployment.environment.name": "test"}}
        with started(Frozen(), found.http, **settings) as exporter:
            exporter.flush()
            until(lambda: found.received("resourceMetrics"), "the file")
            (received, *_) = found.received("resourceMetrics")
            text = found.text()
    attributes = values_of(received["resource"])
    assert attributes["service.name"] == "churn"
    assert attributes["service.version"] == "3"
    assert attributes["deployment.environment.name"] == "test"
    assert len(attributes["service.instance.id"]) == 36
    assert f'instance="{attributes["service.instance.id"]}",job="churn"' in text
    assert "target_info" in text


def test_two_processes_of_one_service_stay_two_through_the_collector(tmp_path: Path) -> None:
    with (
        collector(tmp_path) as found,
        started(Frozen(), found.http) as one,
        started(Frozen(), found.http) as other,
    ):
        one.flush()
        other.flush()
        text = found.text()
    lines = [line for line in text.splitlines() if line.startswith("driftgauge_rows_total{")]
    assert len(lines) == len(set(lines)) == 2
    assert series_of(text) == expected(small_snapshot())

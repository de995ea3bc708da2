"""The Prometheus exporter says on which trace a drift was noticed, where OpenMetrics has a place for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from exporter_cases import Frozen, small_snapshot
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_service import job, prometheus
from services import until

from driftgauge.snapshot import Crossing, Snapshot
from driftgauge_prometheus import collector, serve

TRACE = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


def noticed(trace: tuple[str, str] | None = TRACE) -> Snapshot:
    value = small_snapshot()
    assert value.drift is not None
    crossing = Crossing(
        model="churn",
        model_version="3",
        reference_id="9f86d081884c7d65",
        window="10000rows",
        feature="age",
        kind="input",
        direction="up",
        score=1.5,
        cause="location_up",
        cell="",
        words="location +0.4 sd",
        onset_timestamp_seconds=None,
        timestamp_seconds=1_790_000_000.25,
        trace=trace,
    )
    return replace(value, drift=replace(value.drift, last_crossing=crossing))


def registry_of(snapshot: Snapshot) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector(Frozen(snapshot)))
    return registry


def test_the_count_of_evaluations_has_the_latest_crossing_as_its_exemplar() -> None:
    text = generate_openmetrics(registry_of(noticed())).decode()
    found = [
        (sample.name, sample.exemplar)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar is not None
    ]
    ((name, exemplar),) = found
    assert name == "driftgauge_drift_evaluations_total"
    assert exemplar.labels == {"trace_id": TRACE[0], "span_id": TRACE[1]}
    assert (exemplar.value, float(exemplar.timestamp)) == (1.5, 1_790_000_000.25)


def test_plain_text_and_a_crossing_without_a_trace_are_as_ever() -> None:
    usual = registry_of(small_snapshot())
    assert generate_latest(registry_of(noticed())) == generate_latest(usual)
    assert generate_openmetrics(registry_of(noticed(None))) == generate_openmetrics(usual)


@pytest.mark.prometheus
def test_a_real_prometheus_keeps_it(tmp_path: Path) -> None:
    server, thread = serve(Frozen(noticed()), port=0)
    options = ["--enable-feature=exemplar-storage"]
    try:
        with prometheus(tmp_path / "exemplars", job([server.server_port]), options=options) as found:
            query = {
                "query": "driftgauge_drift_evaluations_total",
                "start": "1789999000",
                "end": "1790001000",
            }
            (series,) = until(lambda: found.get("query_exemplars", **query), "the exemplar")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
    (exemplar,) = series["exemplars"]
    assert exemplar["labels"] == {"trace_id": TRACE[0], "span_id": TRACE[1]}

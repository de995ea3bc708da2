"""One name on three roads: our exporter, OpenTelemetry's reader for Prometheus, the Collector's exporter."""

from __future__ import annotations

from pathlib import Path

import pytest
from collector_service import collector, series_of
from exporter_cases import Frozen, small_snapshot
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from otel_cases import expected, started
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from driftgauge.catalogue import CATALOGUE
from driftgauge_otel import register
from driftgauge_prometheus import collector as prometheus_collector

TYPES = {family.prometheus_name.removesuffix("_total"): family.instrument for family in CATALOGUE}


def direct() -> str:
    registry = CollectorRegistry()
    registry.register(prometheus_collector(Frozen()))
    return generate_latest(registry).decode()


def through_the_reader() -> str:
    registry = CollectorRegistry()
    provider = MeterProvider([PrometheusMetricReader(registry=registry)], shutdown_on_exit=False)
    register(Frozen(), provider)
    return generate_latest(registry).decode()


def types_of(text: str) -> dict[str, str]:
    return {
        each.name: each.type
        for each in text_string_to_metric_families(text)
        if each.name.startswith("driftgauge")
    }


@pytest.mark.parametrize("road", [direct, through_the_reader])
def test_names_types_labels_and_values_are_the_catalogues(road) -> None:  # type: ignore[no-untyped-def]
    text = road()
    assert series_of(text) == expected(small_snapshot())
    assert types_of(text) == TYPES


@pytest.mark.prometheus
def test_names_types_labels_and_values_are_the_catalogues_through_the_collector(tmp_path: Path) -> None:
    with collector(tmp_path) as found, started(Frozen(), found.http) as exporter:
        exporter.flush()
        text = found.text()
    assert series_of(text) == expected(small_snapshot())
    assert types_of(text) == TYPES


def test_what_opentelemetry_adds_is_alike_on_every_series() -> None:
    """Rules match series of two families on all labels but some: what is added must not tell them apart."""
    added = {
        frozenset((name, value) for name, value in sample.labels.items() if name.startswith("otel_"))
        for family in text_string_to_metric_families(through_the_reader())
        for sample in family.samples
        if family.name.startswith("driftgauge_")
    }
    assert len(added) == 1

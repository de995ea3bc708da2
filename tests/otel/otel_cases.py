"""What several tests of the OpenTelemetry exporter need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collector_service import Series, environment, plain
from exporter_cases import Frozen
from opentelemetry.sdk.metrics.export import MetricsData

from driftgauge.catalogue import samples
from driftgauge.snapshot import Crossing, Snapshot
from driftgauge_otel import Exporter, start

AGE = Crossing(
    model="churn",
    model_version="3",
    reference_id="9f86d081884c7d65",
    window="10000rows",
    feature="age",
    kind="input",
    direction="up",
    score=1.5,
    cause="none",
    cell="",
    words="",
    onset_timestamp_seconds=None,
    timestamp_seconds=1.8e9,
    trace=None,
)


class Telling(Frozen):
    """A source of which a test tells the crossings."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def listen(self, listener: Any, **_: Any) -> Any:
        self.tell = listener
        return lambda: None

    def count_error(self, _: str, error: BaseException) -> None:
        self.errors.append(type(error).__name__)


def expected(snapshot: Snapshot) -> Series:
    """What every road must bring, to the last bit."""
    return {
        (family.prometheus_name, plain(dict(labels))): float(value)
        for family, found in samples(snapshot)
        for labels, value in found
    }


def points_of(data: MetricsData | None) -> dict[tuple[str, frozenset[tuple[str, Any]]], Any]:
    """Value of every point of the SDK's, by name and attributes."""
    return {
        (metric.name, frozenset((point.attributes or {}).items())): point.value  # type: ignore[union-attr, misc]
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


@contextmanager
def started(
    source: Any, endpoint: str | None, *, variables: dict[str, str] | None = None, **settings: Any
) -> Iterator[Exporter]:
    """An exporter that sends when it is asked to, and when it is closed."""
    chosen = {"interval_seconds": 1_000, **settings}
    with environment(**(variables or {})), start(source, endpoint, **chosen) as exporter:
        yield exporter

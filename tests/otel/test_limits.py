"""The SDK keeps 2,000 series an instrument apart and adds the others up; ours never are."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from collector_service import plain
from exporter_cases import AGE, Frozen, drift_of, small_snapshot, statistics_of
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_cases import expected, points_of, started
from otlp_sink import sink

from driftgauge.errors import ConfigError
from driftgauge.snapshot import Snapshot
from driftgauge_otel import CARDINALITY_LIMIT, DEFAULT_LIMIT, register, views


def wide(features: int) -> Snapshot:
    """A snapshot of many features."""
    own = [replace(AGE, name=f"feature_{number:04d}") for number in range(features)]
    value = small_snapshot()
    window = replace(value.windows[0], features=tuple(statistics_of(each, 0.5) for each in own))
    return replace(value, features=tuple(own), windows=(window,), drift=None)


class Failing(Frozen):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.errors: list[str] = []

    def count_error(self, stage: str, error: BaseException) -> None:
        self.errors.append(f"{stage} {error}")


def test_1_000_features_arrive_whole_over_http() -> None:
    value = wide(1_000)
    with sink() as found, started(Frozen(value), found.url, timeout_seconds=60) as exporter:
        exporter.flush()
        points = found.points()
        requests = found.requests
    names = {metric["name"] for _, metric, _, _ in points}
    series = {(metric["name"], plain(attributes)) for _, metric, attributes, _ in points}
    assert len(names) == len({name for name, _ in expected(value)})
    assert len(points) == len(series) == len(expected(value)) > 20_000
    assert not [each for _, _, each, _ in points if "otel.metric.overflow" in each]
    assert max(message.ByteSize() for _, _, message in requests) < 4 * 2**20, (
        "what a Collector takes over gRPC"
    )


@pytest.mark.parametrize("limit", [DEFAULT_LIMIT, CARDINALITY_LIMIT])
def test_on_a_provider_of_the_host_no_series_is_ever_lumped(
    limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    reader = InMemoryMetricReader()
    chosen: Any = {} if limit == DEFAULT_LIMIT else {"views": views()}
    provider = MeterProvider([reader], shutdown_on_exit=False, **chosen)
    source = Failing(wide(700))
    register(source, provider, cardinality_limit=limit)
    points = points_of(reader.get_metrics_data())
    assert not [key for key in points if dict(key[1]).get("otel.metric.overflow")]
    quantiles = [key for key in points if key[0] == "driftgauge.feature.quantile"]
    assert len(quantiles) == {DEFAULT_LIMIT: 2_000, CARDINALITY_LIMIT: 2_100}[limit]
    assert bool(source.errors) == (limit == DEFAULT_LIMIT)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == (1 if limit == DEFAULT_LIMIT else 0)
    if said:
        assert "views=driftgauge_otel.views()" in said[0]


def test_causes_that_come_and_go_are_not_lumped_either() -> None:
    """The SDK never forgets a series, so labels that change fill the limit in time."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], views=views(8), shutdown_on_exit=False)
    source = Failing(small_snapshot())
    register(source, provider, cardinality_limit=8)
    drift = small_snapshot().drift
    assert drift is not None
    for cell in range(12):
        changed = (drift_of("age", "input", 1.5, "more_in_cell", str(cell)),)
        source.value = replace(small_snapshot(), drift=replace(drift, features=changed))
        points = points_of(reader.get_metrics_data())
        found = [dict(key[1]) for key in points if key[0] == "driftgauge.feature.drift_info"]
        assert len(found) == (1 if cell < 8 else 0)
        assert all("otel.metric.overflow" not in each for each in found)
    assert source.errors


def test_series_of_a_model_version_before_count_towards_the_limit() -> None:
    reader = InMemoryMetricReader()
    source = Failing(wide(60))
    register(source, MeterProvider([reader], views=views(100), shutdown_on_exit=False), cardinality_limit=100)
    kept = []
    for version in ("3", "4"):
        source.value = replace(wide(60), model_version=version)
        points = points_of(reader.get_metrics_data())
        assert not [key for key in points if dict(key[1]).get("otel.metric.overflow")]
        kept.append([name for name, _ in points].count("driftgauge.feature.psi"))
    assert kept == [60, 40]
    assert any("driftgauge.feature.psi has had 120 series" in each for each in source.errors)


@pytest.mark.parametrize("limit", [0, -1, 2.5, "many"])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigError, match="cardinality_limit must be a whole number of at least 1, got"):
        register(Frozen(), MeterProvider(shutdown_on_exit=False), cardinality_limit=limit)


def test_a_feature_that_is_gone_leaves_no_point_behind() -> None:
    reader = InMemoryMetricReader()
    source = Frozen()
    register(source, MeterProvider([reader], shutdown_on_exit=False))
    before = points_of(reader.get_metrics_data())
    value = small_snapshot()
    window = replace(value.windows[0], features=value.windows[0].features[:1])
    source.value = replace(value, features=value.features[:1], windows=(window,), drift=None)
    after = points_of(reader.get_metrics_data())
    assert {dict(key[1]).get("feature") for key in before} > {dict(key[1]).get("feature") for key in after}
    assert {dict(key[1])["feature"] for key in after if "feature" in dict(key[1])} == {"age"}


def test_a_collection_evaluates_once_for_each_reader_that_asks() -> None:
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    source = Frozen()
    register(source, MeterProvider(readers, shutdown_on_exit=False))
    for asked, reader in enumerate([*readers, *readers], start=1):
        assert points_of(reader.get_metrics_data())
        assert source.asked == asked


def test_all_models_of_one_provider_are_reported_and_one_that_comes_back_too() -> None:
    """The SDK takes the callbacks of an instrument once, and drops those of a second of that name."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    named = {name: Frozen(replace(small_snapshot(), model=name)) for name in ("churn", "fraud")}

    def models() -> list[str]:
        points = points_of(reader.get_metrics_data())
        return sorted(dict(labels)["model"] for name, labels in points if name == "driftgauge.rows")

    churn, fraud = (register(source, provider) for source in named.values())
    assert models() == ["churn", "fraud"]
    churn.close()
    assert models() == ["fraud"]
    churn = register(named["churn"], provider)
    assert models() == ["churn", "fraud"]
    churn.close()
    fraud.close()
    assert models() == []


def test_models_of_one_provider_share_its_limit() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    sources = [Failing(replace(wide(60), model=name)) for name in ("churn", "fraud")]
    for source in sources:
        register(source, provider, cardinality_limit=100)
    names = [name for name, _ in points_of(reader.get_metrics_data())]
    assert names.count("driftgauge.feature.psi") == 100
    assert all(any("driftgauge.feature.psi has had 120 series" in each for each in s.errors) for s in sources)


GLOBAL = """
import sys
from dataclasses import replace
sys.path[:0] = {paths!r}
from exporter_cases import Frozen, small_snapshot
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_cases import points_of
from driftgauge_otel import register
reader = InMemoryMetricReader()
provider = MeterProvider([reader], shutdown_on_exit=False)
register(Frozen(replace(small_snapshot(), model="before")))
metrics.set_meter_provider(provider)
register(Frozen(replace(small_snapshot(), model="after")))
register(Frozen(replace(small_snapshot(), model="by name")), provider)
points = points_of(reader.get_metrics_data())
print(sorted(dict(labels)["model"] for name, labels in points if name == "driftgauge.rows"))
"""


def test_the_global_provider_may_be_set_between_two_models() -> None:
    """In a process of its own, for it can be set once."""
    here = Path(__file__).parent
    code = GLOBAL.format(paths=[str(path) for path in (here, here.parent, here.parent / "exporter")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "['after', 'before', 'by name']\n", done.stderr

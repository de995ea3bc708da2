"""Settings: arguments before presets and variables, and names of what there is where one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from collector_service import collector, environment
from exporter_cases import Frozen
from otel_cases import AGE, Telling, started
from otlp_sink import Sink, sink
from services import until

from driftgauge.errors import ConfigError
from driftgauge_otel import PRESETS, start
from driftgauge_otel._presets import protocol_of, temporality_of

PREFERENCE = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


def sent(variables: dict[str, str], address: str | None = None, **settings: Any) -> Sink:
    """What comes of one export with *variables*; ``{url}`` in them is the receiver's."""
    with sink() as found:
        filled = {name: value.format(url=found.url) for name, value in variables.items()}
        with started(
            Frozen(), address and address.format(url=found.url), variables=filled, **settings
        ) as exporter:  # type: ignore[arg-type]
            exporter.flush()
            exporter.close(timeout_seconds=0)
        return found


def temporality_in(found: Sink) -> set[str]:
    return {
        metric["sum"]["aggregationTemporality"][24:] for _, metric, _, _ in found.points() if "sum" in metric
    }


@pytest.mark.parametrize(
    ("preset", "temporality"),
    [("datadog", "DELTA"), ("elastic", "CUMULATIVE"), ("newrelic", "DELTA"), ("prometheus", "CUMULATIVE")],
)
def test_each_preset_sends_what_its_back_end_takes(preset: str, temporality: str) -> None:
    assert temporality_in(sent({}, "{url}", preset=preset)) == {temporality}
    assert PRESETS[preset].source


def test_a_temporality_given_comes_before_the_preset_and_that_before_the_variable() -> None:
    environ = {PREFERENCE: "delta"}
    assert temporality_of("cumulative", "datadog", environ) == "cumulative"
    assert temporality_of(None, "prometheus", environ) == "cumulative"
    assert temporality_of(None, None, environ) == "delta"
    assert temporality_of(None, None, {PREFERENCE: "LowMemory"}) == "cumulative"


def test_a_protocol_given_comes_before_the_variables_and_those_before_the_preset() -> None:
    general = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert protocol_of("http/protobuf", None, general) == "http/protobuf"
    assert protocol_of(None, "datadog", general) == "grpc"
    assert (
        protocol_of(None, None, {**general, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"})
        == "http/protobuf"
    )
    assert protocol_of(None, None, {}) == "http/protobuf"
    assert protocol_of(None, None, {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}) == "http/protobuf"
    assert protocol_of(None, None, {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}, "LOGS") == "grpc"


def test_the_variables_of_opentelemetry_are_honoured() -> None:
    found = sent(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "{url}",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": "checkout",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod,service.version=9,"
            "service.instance.id=pod%207",
            PREFERENCE: "delta",
        }
    )
    resource, *_ = found.points()[0]
    assert resource["service.name"] == "checkout"
    assert resource["service.version"] == "9"
    assert resource["service.instance.id"] == "pod 7"
    assert resource["deployment.environment.name"] == "prod"
    assert temporality_in(found) == {"DELTA"}
    _, headers, _ = found.requests[0]
    assert (headers["api-key"], headers["content-encoding"]) == ("secret", "gzip")


def test_arguments_come_before_the_variables() -> None:
    found = sent(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SERVICE_NAME": "checkout"},
        "{url}/",
        headers={"api-key": "mine"},
        resource={"service.name": "scoring"},
    )
    resource, *_ = found.points()[0]
    assert resource["service.name"] == "scoring"
    assert found.requests[0][1]["api-key"] == "mine"


@pytest.mark.parametrize("variable", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_METRICS_EXPORTER": "none"}])
def test_nothing_is_sent_where_it_is_turned_off(variable: dict[str, str]) -> None:
    assert sent(variable, "{url}").requests == []


def test_the_interval_is_the_variables_where_none_is_given() -> None:
    with (
        sink() as found,
        environment(OTEL_METRIC_EXPORT_INTERVAL="150"),
        start(Frozen(), found.url) as exporter,
    ):
        assert exporter._interval_seconds == 0.15


@pytest.mark.parametrize("said", ["often", "0", "99", "inf", "nan"])
def test_an_interval_in_the_variable_that_is_none_is_refused_by_its_name(said: str) -> None:
    with (
        pytest.raises(
            ConfigError, match=f"OTEL_METRIC_EXPORT_INTERVAL must be at least 100 milliseconds, got {said!r}"
        ),
        environment(OTEL_METRIC_EXPORT_INTERVAL=said),
    ):
        start(Frozen())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"preset": "dynatrace"},
            r"no preset is called 'dynatrace'; there are 'datadog', 'elastic', 'newrelic', 'prom",
        ),
        ({"temporality": "gauge"}, r"temporality must be one of \['cumulative', 'delta'\], got 'gauge'"),
        ({"protocol": "http/json"}, r"protocol must be one of \['grpc', 'http/protobuf'\], got 'http/json'"),
        ({"endpoint": "collector:4318"}, "endpoint must be a URL such as 'http://collector:4318', got 'coll"),
        ({"endpoint": "http://[::1"}, "endpoint must be a URL such as"),
        ({"endpoint": "http://c:4318/v1/metrics/"}, "endpoint must end before '/v1/metrics'"),
        (
            {"endpoint": "https://me:secret@c"},
            "endpoint must not hold a user or a key; give headers, or OTEL_",
        ),
        ({"interval_seconds": 0}, "interval_seconds must be at least 0.1 and finite, got 0"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds must be at least 0.1 and finite, got inf"),
    ],
)
def test_a_setting_that_there_is_not_is_refused_at_once(settings: dict[str, Any], reason: str) -> None:
    with environment(), pytest.raises(ConfigError, match=reason):
        start(Frozen(), **settings)


@pytest.mark.prometheus
def test_metrics_and_events_may_go_by_different_protocols(tmp_path: Path) -> None:
    """And to different endpoints, all by variables."""
    with collector(tmp_path) as found:
        variables = {
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": found.grpc,
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{found.http}/v1/logs",
        }
        source = Telling()
        with started(source, None, variables=variables) as exporter:
            source.tell(AGE)
            exporter.flush()
            until(lambda: found.received("resourceMetrics"), "the metrics")
            until(lambda: found.received("resourceLogs"), "the event")
    assert source.errors == []


def test_a_protocol_in_a_variable_that_there_is_not_is_refused_by_its_name() -> None:
    with (
        environment(OTEL_EXPORTER_OTLP_PROTOCOL="carrier"),
        pytest.raises(ConfigError, match="OTEL_EXPORTER_OTLP_P"),
    ):
        start(Frozen())

"""A score that crosses 1 is a log record and a span event, on the trace of a request where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from collector_service import collector
from exporter_cases import Frozen
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from otel_cases import AGE, Telling, started
from otlp_sink import sink, values_of
from services import until

import driftgauge as dg
from driftgauge_otel import register
from driftgauge_otel._events import EVENT

RNG = np.random.default_rng(7)
REFERENCE = dg.Reference.fit({"age": RNG.normal(40, 10, 5_000)}, model="churn", version="3")
DRIFTED = {"age": RNG.normal(60, 10, (3, 500))}
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")


@pytest.fixture
def now() -> list[float]:
    return [1_800_000_000.0]


@pytest.fixture
def monitor(now: list[float]) -> Iterator[dg.Monitor]:
    with dg.Monitor(REFERENCE, clock=lambda: now[0]) as made:
        made._buffer.asleep.clear()  # rows wait until they are asked for
        yield made


def drift(monitor: dg.Monitor, now: list[float]) -> None:
    """Three minutes of rows, as a request counts its own."""
    for rows in DRIFTED["age"]:
        monitor.observe({"age": rows})
        now[0] += 60
    monitor.flush()


def test_the_events_of_a_drift_reach_an_endpoint_with_all_that_is_known(
    monitor: dg.Monitor, now: list[float]
) -> None:
    with sink() as found:
        with started(monitor, found.url):
            drift(monitor, now)
            until(lambda: len(found.records()) == 2, "both events")
        model, age = found.records()
        metrics = found.of("/v1/metrics")
    assert len(metrics) == 1, "events do not wait for the next export of metrics, nor bring one about"
    assert (age["eventName"], age["severityText"]) == (EVENT, "WARN")
    assert age["body"]["stringValue"].startswith("drift of age: score ")
    attributes = values_of(age)
    assert attributes.pop("driftgauge.drift.score") > 1
    # The onset is a mean over times weighed by evidence, and rounded as such: 2e-6 s too early was seen.
    assert attributes.pop("driftgauge.drift.onset_timestamp") >= 1_800_000_000 - 0.001
    assert attributes == {
        "driftgauge.model.name": "churn",
        "driftgauge.model.version": "3",
        "driftgauge.reference.id": REFERENCE.id,
        "driftgauge.feature.name": "age",
        "driftgauge.feature.kind": "input",
        "driftgauge.window.name": "10000rows",
        "driftgauge.statistic": "drift_score",
        "driftgauge.drift.direction": "up",
        "driftgauge.drift.cause": "location_up",
    }
    assert values_of(model)["driftgauge.feature.kind"] == "model"
    assert "driftgauge.feature.name" not in values_of(model)


def test_the_way_back_is_an_event_of_less_weight(monitor: dg.Monitor, now: list[float]) -> None:
    with sink() as found, started(monitor, found.url):
        drift(monitor, now)
        monitor.acknowledge()
        for _ in range(2):
            monitor.observe({"age": RNG.normal(40, 10, 100)})
            now[0] += 61
        monitor.flush()
        until(lambda: len(found.records()) == 4, "all events")
        assert [values_of(each)["driftgauge.drift.direction"] for each in found.records()] == [
            "up",
            "up",
            "down",
            "down",
        ]
        assert found.records()[-1]["severityText"] == "INFO"


@pytest.mark.prometheus
def test_the_collector_takes_the_events(monitor: dg.Monitor, now: list[float], tmp_path: Any) -> None:
    with collector(tmp_path) as found:
        for protocol in ("grpc", "http/protobuf"):
            monitor.reset()
            with started(monitor, found.endpoint(protocol), protocol=protocol):
                drift(monitor, now)

        def records() -> list[dict[str, Any]]:
            scopes = [scope for each in found.received("resourceLogs") for scope in each["scopeLogs"]]
            return [record for scope in scopes for record in scope["logRecords"]]

        until(lambda: len(records()) == 4, "events of both protocols in the file")
        names = {each["eventName"] for each in records()}
    assert names == {EVENT}


@pytest.fixture
def logs() -> InMemoryLogRecordExporter:
    return InMemoryLogRecordExporter()


def on_the_hosts(monitor: Any, logs: InMemoryLogRecordExporter) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    register(monitor, MeterProvider(shutdown_on_exit=False), provider)


def test_a_request_that_counts_its_own_rows_has_the_event_on_its_trace_and_in_its_span(
    monitor: dg.Monitor, now: list[float], logs: InMemoryLogRecordExporter
) -> None:
    on_the_hosts(monitor, logs)
    with TRACER.start_as_current_span("POST /predict") as span:
        drift(monitor, now)
    told = [each.log_record for each in logs.get_finished_logs()]
    context = span.get_span_context()
    assert {(each.trace_id, each.span_id) for each in told} == {(context.trace_id, context.span_id)}
    assert [each.name for each in span.events] == [EVENT, EVENT]  # type: ignore[attr-defined]
    assert span.events[1].attributes["driftgauge.feature.name"] == "age"  # type: ignore[attr-defined]


def test_a_watched_request_lends_its_trace_to_what_the_background_thread_notices(
    monitor: dg.Monitor, now: list[float], logs: InMemoryLogRecordExporter
) -> None:
    on_the_hosts(monitor, logs)
    predict = monitor.watch(lambda rows: rows[:, 0])
    traces = []
    for rows in DRIFTED["age"]:
        for part in np.split(rows, 2):
            with TRACER.start_as_current_span("POST /predict") as span:
                predict(part[:, None])
            traces.append(span.get_span_context().trace_id)
            monitor.flush()  # as the background thread does between two requests
        now[0] += 60
    monitor.flush()
    told = [each.log_record for each in logs.get_finished_logs()]
    assert len(told) == 2
    assert {each.trace_id for each in told} <= set(traces)
    assert not any(each.attributes is None for each in told)


@pytest.mark.parametrize(
    "tracer", [None, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("off")]
)
def test_without_a_sampled_trace_the_event_stands_alone(
    tracer: Any, monitor: dg.Monitor, now: list[float], logs: InMemoryLogRecordExporter
) -> None:
    on_the_hosts(monitor, logs)
    predict = monitor.watch(lambda rows: rows[:, 0])
    for rows in DRIFTED["age"]:
        for part in np.split(rows, 2):
            if tracer is None:
                predict(part[:, None])
            else:
                with tracer.start_as_current_span("POST /predict"):
                    predict(part[:, None])
            monitor.flush()
        now[0] += 60
    monitor.flush()
    assert {each.log_record.trace_id for each in logs.get_finished_logs()} == {0}


def test_events_can_be_left_out_and_a_source_may_have_none(monitor: dg.Monitor, now: list[float]) -> None:
    with sink() as found:
        with started(monitor, found.url, events=False):
            drift(monitor, now)
        with started(monitor, found.url, variables={"OTEL_LOGS_EXPORTER": "none"}):
            pass
        with started(Frozen(), found.url):
            pass
        assert found.records() == []
        assert len(found.of("/v1/metrics")) == 3


def test_an_endpoint_that_takes_metrics_only_is_counted_and_no_metric_is_lost(
    monitor: dg.Monitor, now: list[float]
) -> None:
    with sink() as found:
        found.status = 404
        with started(monitor, found.url) as exporter:
            drift(monitor, now)
            until(lambda: len(found.records()) == 2, "both events")
            found.status = 200
            exporter.flush()
        assert found.of("/v1/metrics")
    assert monitor.snapshot().internal_errors["export"] == len(found.of("/v1/logs"))


def test_a_flood_of_crossings_is_bounded_and_counted_and_sent_in_one_request() -> None:
    source = Telling()
    with sink() as found:
        found.answering.clear()
        with started(source, found.url, timeout_seconds=60) as exporter:
            source.tell(AGE)
            assert found.came.wait(60), "the thread is busy with the first"
            for number in range(1_100):
                source.tell(replace(AGE, feature=str(number)))
            assert source.errors == ["OverflowError"] * 100
            found.answering.set()
            exporter.flush()
            until(lambda: len(found.of("/v1/logs")) == 2, "the second request")
    features = [values_of(each)["driftgauge.feature.name"] for each in found.records()]
    assert features == ["age", *map(str, range(100, 1_100))], "the oldest made room"
    assert source.errors == ["OverflowError"] * 100


def test_half_a_surrogate_in_a_name_does_not_lose_the_event() -> None:
    from driftgauge_otel._events import attributes_of, body_of

    crossing = replace(AGE, feature="half\ud800")
    assert attributes_of(crossing)["driftgauge.feature.name"] == "half?"
    body_of(crossing).encode("utf-8")

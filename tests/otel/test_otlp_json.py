"""The OTLP of a small snapshot and of a crossing, as JSON, to the last character."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporter_cases import Frozen
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum
from opentelemetry.sdk.resources import Resource

from driftgauge.snapshot import Crossing
from driftgauge_otel._events import record_of
from driftgauge_otel._instruments import SCOPE, Instruments
from driftgauge_otel._presets import temporality_table

GOLDEN = Path(__file__).parent / "golden"
RESOURCE = Resource({"service.name": "churn", "service.version": "3", "service.instance.id": "pod-7"})
VERSION = "1.2.3"


def otlp(message: Any, *, times: bool) -> str:
    """Protobuf as OTLP writes it in JSON: enums are numbers and ids hexadecimal; an attribute a line."""
    found = MessageToDict(message, use_integers_for_enums=True)
    text = json.dumps(fixed(found, times=times), indent=1, ensure_ascii=False)
    return ATTRIBUTE.sub(r'{"key": \1, "value": {\2}}', text) + "\n"


ATTRIBUTE = re.compile(r'\{\s+"key": (".*"),\s+"value": \{\s+("\w+": .*)\s+\}\s+\}')
TIMES = {"timeUnixNano": "2000000000", "startTimeUnixNano": "1000000000"}


def fixed(thing: Any, *, times: bool) -> Any:
    """With the same times whenever the SDK has collected."""
    if isinstance(thing, list):
        return [fixed(each, times=times) for each in thing]
    if not isinstance(thing, dict):
        return thing
    ids = {key: base64.b64decode(thing[key]).hex() for key in ("traceId", "spanId") if key in thing}
    known = {**ids, **(TIMES if times else {})}
    return {key: known.get(key, fixed(value, times=times)) for key, value in thing.items()}


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_the_metrics_of_a_small_snapshot_are_as_committed(
    temporality: Any, golden: Callable[[Path, str], None]
) -> None:
    reader = InMemoryMetricReader(preferred_temporality=temporality_table(temporality))
    provider = MeterProvider([reader], resource=RESOURCE, shutdown_on_exit=False)
    Instruments(provider, scope=VERSION).add(Frozen())
    data = reader.get_metrics_data()
    assert data is not None
    if temporality == "delta":  # nothing new by the second time; gauges are as above
        data = reader.get_metrics_data()
        assert data is not None
        scope = data.resource_metrics[0].scope_metrics[0]
        scope.metrics[:] = [each for each in scope.metrics if isinstance(each.data, Sum)]  # type: ignore[index]
    golden(GOLDEN / f"metrics_{temporality}.json", otlp(encode_metrics(data), times=True))


def test_a_crossing_is_as_committed(golden: Callable[[Path, str], None]) -> None:
    crossing = Crossing(
        model="churn",
        model_version="3",
        reference_id="9f86d081884c7d65",
        window="10000rows",
        feature='colour of "paint"',
        kind="input",
        direction="up",
        score=4 / 3,
        cause="more_in_cell",
        cell='say "red"',
        words='say "red" +5.2 %',
        onset_timestamp_seconds=1_789_999_000.5,
        timestamp_seconds=1_790_000_000.25,
        trace=("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"),
    )
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    provider.get_logger(SCOPE, VERSION).emit(record_of(crossing, 1_790_000_000_500_000_000))
    golden(GOLDEN / "crossing.json", otlp(encode_logs(kept.get_finished_logs()), times=False))

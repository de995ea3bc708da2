"""OTLP exporters of the SDK, and wrappers that count what they fail at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from driftgauge_otel._instruments import Failed
from driftgauge_otel._presets import Protocol, Temporality, temporality_table

__all__ = [
    "CountingLogs",
    "CountingMetrics",
    "NotSentError",
    "Target",
    "Together",
    "log_exporter",
    "metric_exporter",
]

# A point takes 150 to 400 bytes and a Collector takes messages of 4 MiB over gRPC, 20 MiB over HTTP.
POINTS_A_REQUEST: Final = 5_000


class NotSentError(Exception):
    """The SDK gave up on an export; its own log says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where and how to send; what is None is left to the variables of OpenTelemetry."""

    protocol: Protocol
    logs_protocol: Protocol
    temporality: Temporality
    endpoint: str | None
    headers: Mapping[str, str] | None = field(repr=False)  # a vendor's key
    timeout_seconds: float | None

    def options(self, protocol: Protocol, path: str) -> dict[str, Any]:
        """Arguments that all exporters of the SDK take; over HTTP each signal has a path of its own."""
        endpoint = self.endpoint
        if endpoint is not None and protocol != "grpc":
            endpoint = f"{endpoint}/{path}"
        headers = None if self.headers is None else dict(self.headers)
        return {"endpoint": endpoint, "headers": headers, "timeout": self.timeout_seconds}


def metric_exporter(target: Target, failed: Failed) -> CountingMetrics:
    """Exporter for metrics; the library of its protocol is loaded now."""
    options = {
        **target.options(target.protocol, "v1/metrics"),
        "preferred_temporality": temporality_table(target.temporality),
        "max_export_batch_size": POINTS_A_REQUEST,
    }
    if target.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as over_grpc

        return CountingMetrics(over_grpc.OTLPMetricExporter(**options), target.temporality, failed)
    from opentelemetry.exporter.otlp.proto.http import metric_exporter as over_http

    return CountingMetrics(over_http.OTLPMetricExporter(**options), target.temporality, failed)


def log_exporter(target: Target, failed: Failed) -> CountingLogs:
    """Exporter for log records."""
    options = target.options(target.logs_protocol, "v1/logs")
    if target.logs_protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as over_grpc

        return CountingLogs(over_grpc.OTLPLogExporter(**options), failed)
    from opentelemetry.exporter.otlp.proto.http import _log_exporter as over_http

    return CountingLogs(over_http.OTLPLogExporter(**options), failed)


class CountingMetrics(MetricExporter):
    """Passes metrics on and counts each export that fails."""

    def __init__(self, inner: MetricExporter, temporality: Temporality, failed: Failed) -> None:
        super().__init__(preferred_temporality=temporality_table(temporality))
        self._inner = inner
        self._failed = failed

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **options: Any
    ) -> MetricExportResult:
        """Send; the SDK tries again by itself until its timeout."""
        try:
            result = self._inner.export(metrics_data, timeout_millis=timeout_millis, **options)
        except Exception as error:
            self._failed(error)
            return MetricExportResult.FAILURE
        if result is not MetricExportResult.SUCCESS:
            self._failed(NotSentError())
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **options: Any) -> None:
        """End, and have an export that tries again give up."""
        self._inner.shutdown(timeout_millis, **options)


class CountingLogs(LogRecordExporter):
    """Passes log records on and counts each export that fails."""

    def __init__(self, inner: LogRecordExporter, failed: Failed) -> None:
        self._inner = inner
        self._failed = failed

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Send; the SDK tries again by itself until its timeout."""
        try:
            result = self._inner.export(batch)
        except Exception as error:
            self._failed(error)
            return LogRecordExportResult.FAILURE
        if result is not LogRecordExportResult.SUCCESS:
            self._failed(NotSentError())
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Nothing waits here."""
        return self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """End, and have an export that tries again give up."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]


class Together(LogRecordProcessor):
    """Keeps log records until they are sent in one request.

    The SDK's simple processor makes a request for each, which takes its timeout where nobody answers: 1,000
    features that cross at once would hold up the metrics for 10,000 s. Its batching one has a thread.
    """

    def __init__(self, exporter: CountingLogs) -> None:
        self._exporter = exporter
        self._kept: list[ReadableLogRecord] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep it."""
        resource = log_record.resource or Resource.get_empty()
        self._kept.append(
            ReadableLogRecord(
                log_record.log_record, resource, log_record.instrumentation_scope, log_record.limits
            )
        )

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the exporter has its own
        """Send what is kept, in this thread."""
        kept, self._kept = self._kept, []
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # no span of the host is ours
        try:
            return not kept or self._exporter.export(kept) is LogRecordExportResult.SUCCESS
        finally:
            detach(token)

    def shutdown(self) -> None:
        """End."""
        self._exporter.shutdown()

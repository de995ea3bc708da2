"""What can be set of OpenTelemetry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from driftgauge.sidecar.settings_types import Seconds, Section

__all__ = ["OtelSettings"]


class OtelSettings(Section):
    """OTLP beside ``/metrics``, off while `endpoint` is empty; headers and more by ``OTEL_*`` variables."""

    endpoint: str = Field(
        default="", description="such as 'http://collector:4318', without /v1/metrics; empty for none"
    )
    protocol: Literal["", "grpc", "http/protobuf"] = Field(
        default="", description="empty for that of the variables, of the preset, else http/protobuf"
    )
    preset: Literal["", "datadog", "elastic", "newrelic", "prometheus"] = Field(
        default="", description="temporality and protocol that a back end takes; empty for cumulative"
    )
    interval: Seconds = Field(
        default=0.0, description="how often; 0 for OTEL_METRIC_EXPORT_INTERVAL, else a minute"
    )
    events: bool = Field(default=True, description="whether scores that cross 1 are sent as log records")

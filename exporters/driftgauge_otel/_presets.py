"""What back ends want of temporality, and the settings that name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import AggregationTemporality

from driftgauge.errors import ConfigError

__all__ = [
    "PRESETS",
    "Preset",
    "Protocol",
    "Signal",
    "Temporality",
    "endpoint_of",
    "protocol_of",
    "temporality_of",
    "temporality_table",
]

Temporality = Literal["cumulative", "delta"]
Protocol = Literal["grpc", "http/protobuf"]
Signal = Literal["METRICS", "LOGS"]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("grpc", "http/protobuf")
TEMPORALITIES: Final[tuple[Temporality, ...]] = ("cumulative", "delta")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a back end takes.

    Parameters
    ----------
    temporality : 'cumulative' or 'delta'
        Of counters; gauges have none.
    protocol : 'grpc' or 'http/protobuf'
    source : str
        Where that is written.
    """

    temporality: Temporality
    protocol: Protocol
    source: str


PRESETS: Final[Mapping[str, Preset]] = {
    "datadog": Preset(
        temporality="delta",
        protocol="http/protobuf",
        source="docs.datadoghq.com/opentelemetry/setup/otlp_ingest/metrics",
    ),
    "elastic": Preset(
        temporality="cumulative",
        protocol="http/protobuf",
        source="www.elastic.co/docs/manage-data/data-store/data-streams/metric-temporality",
    ),
    "newrelic": Preset(
        temporality="delta",
        protocol="http/protobuf",
        source="docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-best-practices-metrics",
    ),
    "prometheus": Preset(
        temporality="cumulative",
        protocol="http/protobuf",
        source="prometheus.io/docs/guides/opentelemetry",
    ),
}
"""By name. Elastic takes counters as cumulative unless told otherwise; New Relic makes gauges of such."""


def preset_of(name: str | None) -> Preset | None:
    """The preset called *name*."""
    if name is None or name in PRESETS:
        return None if name is None else PRESETS[name]
    message = f"no preset is called {name!r}; there are {', '.join(map(repr, sorted(PRESETS)))}"
    raise ConfigError(message)


def temporality_of(given: str | None, preset: str | None, environ: Mapping[str, str]) -> Temporality:
    """Temporality of counters: as given, else the preset's, else OpenTelemetry's variable, else cumulative.

    Examples
    --------
    >>> temporality_of(None, "datadog", {}), temporality_of(None, None, {})
    ('delta', 'cumulative')
    """
    chosen = preset_of(preset)
    if given is not None:
        if given not in TEMPORALITIES:
            message = f"temporality must be one of {sorted(TEMPORALITIES)!r}, got {given!r}"
            raise ConfigError(message)
        return TEMPORALITIES[TEMPORALITIES.index(given)]
    if chosen is not None:
        return chosen.temporality
    # 'lowmemory' is for synchronous counters; ours are observable, and stay cumulative under it.
    said = environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "").strip().lower()
    return "delta" if said == "delta" else "cumulative"


def protocol_of(
    given: str | None, preset: str | None, environ: Mapping[str, str], signal: Signal = "METRICS"
) -> Protocol:
    """Protocol: as given, else OpenTelemetry's variables, else the preset's, else HTTP, which survives forks.

    Examples
    --------
    >>> protocol_of(None, None, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    'grpc'
    """
    chosen = preset_of(preset)
    name, said = "protocol", given
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if not said:
            name, said = variable, environ.get(variable, "").strip().lower()
    if not said:
        return "http/protobuf" if chosen is None else chosen.protocol
    if said not in PROTOCOLS:
        message = f"{name} must be one of {sorted(PROTOCOLS)!r}, got {said!r}"
        raise ConfigError(message)
    return PROTOCOLS[PROTOCOLS.index(said)]


def endpoint_of(given: str | None) -> str | None:
    """The endpoint, if it is the URL of one; None leaves it to OpenTelemetry's variables.

    Examples
    --------
    >>> endpoint_of("http://collector:4318/")
    'http://collector:4318'
    """
    if given is None:
        return None
    endpoint = given.rstrip("/")
    try:
        url = urlsplit(endpoint)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not url.hostname:
        message = f"endpoint must be a URL such as 'http://collector:4318', got {given!r}"
        raise ConfigError(message)
    if url.username is not None:  # the value is not repeated: the SDK would log it, too
        message = "endpoint must not hold a user or a key; give headers, or OTEL_EXPORTER_OTLP_HEADERS"
        raise ConfigError(message)
    if url.path.endswith(("/v1/metrics", "/v1/logs")):
        message = f"endpoint must end before '/v1/metrics', which each signal has for itself, got {given!r}"
        raise ConfigError(message)
    return endpoint


def temporality_table(temporality: Temporality) -> dict[type, AggregationTemporality]:
    """For a reader of the SDK, by kind of instrument; sums that can fall are always cumulative."""
    counters = AggregationTemporality[temporality.upper()]
    return {
        Counter: counters,
        Histogram: counters,
        ObservableCounter: counters,
        UpDownCounter: AggregationTemporality.CUMULATIVE,
        ObservableGauge: AggregationTemporality.CUMULATIVE,
        ObservableUpDownCounter: AggregationTemporality.CUMULATIVE,
    }

"""OpenTelemetry exporter: a monitor's snapshot as observable instruments, and its crossings as events.

Found as ``driftgauge.exporter("otel")``; can be imported directly as well. Needs ``driftgauge[otel]``.
"""

from __future__ import annotations

from driftgauge.errors import MissingExtraError

try:
    from driftgauge_otel._instruments import CARDINALITY_LIMIT, DEFAULT_LIMIT, SnapshotSource, views
    from driftgauge_otel._presets import PRESETS, Preset, endpoint_of
    from driftgauge_otel._register import Registration, register
    from driftgauge_otel._start import Exporter, start
except ImportError as error:
    message = f"the exporter 'otel' needs OpenTelemetry ({error}); pip install 'driftgauge[otel]'"
    raise MissingExtraError(message) from error

__all__ = [
    "CARDINALITY_LIMIT",
    "DEFAULT_LIMIT",
    "PRESETS",
    "Exporter",
    "Preset",
    "Registration",
    "SnapshotSource",
    "endpoint_of",
    "register",
    "start",
    "views",
]

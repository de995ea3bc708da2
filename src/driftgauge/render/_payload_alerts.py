"""Alerts on payloads: requests and answers that come as bytes, to the sidecar or the middleware."""

from __future__ import annotations

from driftgauge.render import queries
from driftgauge.render._alert_texts import PERCENT, Alert, label, model
from driftgauge.render.queries import INFO, by
from driftgauge.render.settings import RenderSettings

__all__ = ["payloads_dropped", "payloads_undecodable"]


def payloads_dropped(settings: RenderSettings) -> Alert:
    least = settings.thresholds.payloads_dropped_ratio
    return Alert(
        settings.labels.one_version,
        _lasting(settings, queries.payloads_dropped_ratio(settings), least),
        "Payloads of a model come faster than they are decoded, and some are lost.",
        f"{PERCENT} of the payloads of {model(settings)} that came by {label('way')} as "
        f"{label('protocol')} found the queue full; {100 * least:g}% are allowed. Their rows are in no "
        "statistic, and they are those of the busiest moments.",
        "itself",
    )


def payloads_undecodable(settings: RenderSettings) -> Alert:
    least = settings.thresholds.payloads_undecodable_ratio
    return Alert(
        settings.labels.one_version,
        _lasting(settings, queries.payloads_undecodable_ratio(settings), least),
        "Payloads of a model cannot be read, so their rows are in no statistic.",
        f"{PERCENT} of the payloads of {model(settings)} that came by {label('way')} could not be read as "
        f"{label('protocol')} for the reason {label('reason')}; {100 * least:g}% are allowed. The rows "
        "that are left are those of other callers.",
        "itself",
    )


def _lasting(settings: RenderSettings, share: str, least: float) -> str:
    """The last known *share* is over *least*, of a model that still reports."""
    return (
        f"last_over_time({share}[{settings.ranges.hold}]) > {least:g}\n"
        f"and on {by(settings.labels.one_version)} {settings.series(INFO)}"
    )

"""The alerting rules: what each alert is about joined with how the settings raise it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from driftgauge.render import _drift_alerts, _payload_alerts, _service_alerts
from driftgauge.render._alert_texts import Alert, board_url
from driftgauge.render._toml_values import check_duration
from driftgauge.render.settings import RenderSettings

__all__ = ["ALERTS", "Alert", "alert_groups"]

ALERTS: Final[Mapping[str, Callable[[RenderSettings], Alert]]] = MappingProxyType(
    {
        "DriftgaugeFeatureDrift": _drift_alerts.feature_drift,
        "DriftgaugeOutputDrift": _drift_alerts.output_drift,
        "DriftgaugeModelDrift": _drift_alerts.model_drift,
        "DriftgaugeFleetPsiHigh": _drift_alerts.fleet_psi_high,
        "DriftgaugeMissingJump": _drift_alerts.missing_jump,
        "DriftgaugeUnseenCategories": _drift_alerts.unseen_categories,
        "DriftgaugeOutOfRange": _drift_alerts.out_of_range,
        "DriftgaugeNoTraffic": _service_alerts.no_traffic,
        "DriftgaugeWindowNotFull": _service_alerts.window_not_full,
        "DriftgaugeReferenceTooOld": _service_alerts.reference_too_old,
        "DriftgaugeTwoReferences": _service_alerts.two_references,
        "DriftgaugeRowsDropped": _service_alerts.rows_dropped,
        "DriftgaugePayloadsDropped": _payload_alerts.payloads_dropped,
        "DriftgaugePayloadsUndecodable": _payload_alerts.payloads_undecodable,
        "DriftgaugeEvaluationStalled": _service_alerts.evaluation_stalled,
        "DriftgaugeMonitorAbsent": _service_alerts.monitor_absent,
        "DriftgaugeInternalErrors": _service_alerts.internal_errors,
    }
)
"""What each alert of `DEFAULT_ALERTS` is about."""


def alert_groups(settings: RenderSettings) -> list[dict[str, Any]]:
    """The one group of alerting rules, as plain values in the order of the runbook."""
    rules = [_rule(settings, name) for name in ALERTS if settings.alerts[name].enabled]
    return [{"name": "driftgauge-alerts", "interval": settings.ranges.interval, "rules": rules}]


def _rule(settings: RenderSettings, name: str) -> dict[str, Any]:
    how, alert = settings.alerts[name], ALERTS[name](settings)
    times = {"for": how.for_, "keep_firing_for": how.keep}
    return {
        "alert": name,
        "expr": alert.expression,
        **{key: time for key, time in times.items() if check_duration(key, time, zero=True)},
        "labels": {"severity": how.severity, "driftgauge_action": how.action},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{settings.runbook_base}#{name.lower()}",
            "dashboard_url": board_url(settings, alert),
        },
    }

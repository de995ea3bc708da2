"""Of the bridge from alerts to training: how its alerts and its row on a board are rendered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from driftgauge.errors import ConfigError
from driftgauge.render._alert_settings import AlertSettings
from driftgauge.render._toml_values import check_selector

__all__ = ["Bridge", "check_actions", "is_of_bridge"]

_ALERT: Final = "DriftgaugeBridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Of the alerts on ``driftgauge bridge`` and its row on the board of driftgauge itself.

    Parameters
    ----------
    enabled : bool
        False leaves out its alerts and its row.
    selector : str
        Matchers of its metrics in place of the site's, where it runs elsewhere than the models:
        ``'job="retraining"'``. Default those of the site; its metrics are known by their names.
    pending_seconds : float
        A run that waits for longer, to be started or to be approved, is an alert.
    failed_runs : int
        So many failed runs of one target within ``ranges.long`` are an alert.
    """

    enabled: bool = True
    selector: str = ""
    pending_seconds: float = 21_600.0
    failed_runs: int = 1

    def __post_init__(self) -> None:
        check_selector("bridge.selector", self.selector)
        for name, least in (("pending_seconds", 0.0), ("failed_runs", 1)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                message = f"bridge.{name} must be a finite number from {least:g}, got {value!r}"
                raise ConfigError(message)


def is_of_bridge(alert: str) -> bool:
    """Whether an alert, by its name, is about the bridge."""
    return alert.startswith(_ALERT)


def check_actions(alerts: Mapping[str, AlertSettings]) -> None:
    """Raises ConfigError where an alert about the bridge would be sent to the bridge."""
    for name, alert in alerts.items():
        if is_of_bridge(name) and alert.action == "retrain":
            message = (
                f"alerts.{name}.action must be 'look', got 'retrain'; the bridge would start a run for itself"
            )
            raise ConfigError(message)

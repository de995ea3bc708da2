"""How each alert is raised, by name: the list of all alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from driftgauge.errors import ConfigError
from driftgauge.render._toml_values import check_duration

__all__ = ["DEFAULT_ALERTS", "Action", "AlertSettings"]

Action = Literal["look", "retrain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """How one alert is raised; in a file, ``for_`` and ``keep`` are ``for`` and ``keep_firing_for``.

    Parameters
    ----------
    for_ : str
        How long it must be true before it fires; ``'0s'`` at once.
    keep : str
        How long it goes on firing after it was last true.
    severity : str
        Label for routing: ``'info'``, ``'warning'``, ``'critical'`` or a word of the site.
    action : 'look' or 'retrain'
        Label `driftgauge_action`: whether a person should look, or a new model may be trained.
    enabled : bool
        False leaves the alert out.
    """

    for_: str
    keep: str
    severity: str = "warning"
    action: Action = "look"
    enabled: bool = True

    def check(self, name: str) -> None:
        """Raises ConfigError for what is wrong, naming the alert."""
        check_duration(f"alerts.{name}.for", self.for_, zero=True)
        check_duration(f"alerts.{name}.keep_firing_for", self.keep, zero=True)
        if not self.severity:
            message = (
                f"alerts.{name}.severity must be a word, got ''; 'info', 'warning' and 'critical' are usual"
            )
            raise ConfigError(message)
        if self.action not in ("look", "retrain"):
            message = f"alerts.{name}.action must be 'look' or 'retrain', got {self.action!r}"
            raise ConfigError(message)


DEFAULT_ALERTS: Final[Mapping[str, AlertSettings]] = MappingProxyType(
    {
        # Scores keep the budget at every look by themselves: what is waited for is a restart, not certainty.
        "DriftgaugeFeatureDrift": AlertSettings(for_="2m", keep="1h"),
        "DriftgaugeOutputDrift": AlertSettings(for_="2m", keep="1h"),
        "DriftgaugeModelDrift": AlertSettings(for_="2m", keep="1h", action="retrain"),
        "DriftgaugeFleetPsiHigh": AlertSettings(for_="15m", keep="1h"),
        "DriftgaugeMissingJump": AlertSettings(for_="10m", keep="1h"),
        "DriftgaugeUnseenCategories": AlertSettings(for_="10m", keep="1h"),
        "DriftgaugeOutOfRange": AlertSettings(for_="10m", keep="1h"),
        "DriftgaugeNoTraffic": AlertSettings(for_="30m", keep="5m", severity="info"),
        "DriftgaugeWindowNotFull": AlertSettings(for_="6h", keep="15m", severity="info"),
        "DriftgaugeReferenceTooOld": AlertSettings(for_="1h", keep="1h", severity="info"),
        "DriftgaugeTwoReferences": AlertSettings(for_="1h", keep="15m"),
        "DriftgaugeRowsDropped": AlertSettings(for_="15m", keep="30m"),
        "DriftgaugePayloadsDropped": AlertSettings(for_="15m", keep="30m"),
        "DriftgaugePayloadsUndecodable": AlertSettings(for_="15m", keep="30m"),
        "DriftgaugeEvaluationStalled": AlertSettings(for_="5m", keep="15m"),
        "DriftgaugeMonitorAbsent": AlertSettings(for_="15m", keep="15m"),
        "DriftgaugeInternalErrors": AlertSettings(for_="1m", keep="1h"),
    }
)
"""Every alert with its defaults, in the order of the runbook."""

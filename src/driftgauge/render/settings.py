"""Everything about dashboards and alerts that a site may want otherwise, in one value.

The defaults are what is committed under ``dashboards/`` and ``alerts/``. A file of settings names only what
differs:

.. code-block:: toml

    selector = 'namespace="scoring"'

    [labels]
    instance = "pod"

    [thresholds]
    psi = 0.1

    [alerts.DriftgaugeFeatureDrift]
    for = "1h"
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from driftgauge.errors import ConfigError
from driftgauge.render._alert_settings import DEFAULT_ALERTS, AlertSettings
from driftgauge.render._outlet_settings import Boards, Kubernetes
from driftgauge.render._toml_values import check_duration, check_label, check_selector, check_url, read_table

__all__ = [
    "BOARD_UIDS",
    "DEFAULT_ALERTS",
    "AlertSettings",
    "Boards",
    "Kubernetes",
    "Labels",
    "Ranges",
    "RenderSettings",
    "Thresholds",
    "load_settings",
]

BOARD_UIDS: Final = MappingProxyType(
    {
        "models": "driftgauge-models",
        "model": "driftgauge-model",
        "feature": "driftgauge-feature",
        "fleet": "driftgauge-fleet",
        "itself": "driftgauge-itself",
    }
)
"""Uid of each dashboard by its short name, for links between them and from alerts."""

_LONGEST_INTERVAL_SECONDS: Final = 240
# Labels with a meaning of their own: of the catalogue, of the fleet's rules, of alerts.
_TAKEN: Final = frozenset(
    {"alertname", "alertstate", "bin", "cause", "cell", "dependence", "driftgauge_action", "level"}
    | {"next_bin", "outcome", "protocol", "range", "reason", "reference", "reference_id", "severity"}
    | {"stage", "virtual", "way"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What labels are called where the queries run, for those who rename them when they scrape.

    Parameters
    ----------
    job, instance : str
        Given by Prometheus; with pods, ``instance = "pod"`` may read better.
    model, model_version, feature, kind, window : str
        Given by driftgauge.
    extra : tuple of str
        Labels that tell models of one name apart, such as ``"cluster"`` or ``"namespace"``; rules keep them.
    """

    job: str = "job"
    instance: str = "instance"
    model: str = "model"
    model_version: str = "model_version"
    feature: str = "feature"
    kind: str = "kind"
    window: str = "window"
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "extra"}
        names |= {f"extra[{place}]": name for place, name in enumerate(self.extra)}
        for place, name in names.items():
            check_label(f"labels.{place}", name)
            if name in _TAKEN:
                message = (
                    f"labels.{place} is {name!r}, which driftgauge or the rules use for something else; "
                    f"these are taken: {sorted(_TAKEN)!r}"
                )
                raise ConfigError(message)
        if len(set(names.values())) < len(names):
            message = f"labels must all be called differently, got {sorted(names.values())!r}"
            raise ConfigError(message)

    @property
    def one_model(self) -> tuple[str, ...]:
        """Labels of one model, whatever its version."""
        return *self.extra, self.model

    @property
    def one_version(self) -> tuple[str, ...]:
        """Labels of one version of one model."""
        return *self.one_model, self.model_version

    @property
    def one_feature(self) -> tuple[str, ...]:
        """Labels of one feature of one version of one model."""
        return *self.one_version, self.feature, self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Durations, as PromQL writes them.

    Parameters
    ----------
    short, long : str
        The pair of windows in which PSI and KS of the fleet are taken. An alert needs both: the long one
        says that it lasts, the short one that it still does.
    rate : str
        For rates per second in rules; at least four times the scrape interval.
    hold : str
        For how long the last value of the fleet stands while there are too few rows for a new one.
    seen : str
        How long a model, or traffic, is expected to come back after it was last seen.
    interval : str
        Between two evaluations of the rules; up to four minutes, since Prometheus takes a series that was
        recorded five minutes ago for gone.
    """

    short: str = "1h"
    long: str = "6h"
    rate: str = "5m"
    hold: str = "12h"
    seen: str = "1d"
    interval: str = "1m"

    def __post_init__(self) -> None:
        seconds = {
            each.name: check_duration(f"ranges.{each.name}", getattr(self, each.name))
            for each in fields(self)
        }
        if seconds["short"] >= seconds["long"]:
            message = (
                f"ranges.short must be shorter than ranges.long, got {self.short!r} and {self.long!r}; "
                "an alert needs both to agree"
            )
            raise ConfigError(message)
        if seconds["interval"] > _LONGEST_INTERVAL_SECONDS:
            message = (
                f"ranges.interval must be at most '4m', got {self.interval!r}; Prometheus takes what was "
                "recorded five minutes ago for gone, and alerts would not fire"
            )
            raise ConfigError(message)
        if seconds["hold"] < seconds["short"]:
            message = f"ranges.hold must be at least ranges.short ({self.short!r}), got {self.hold!r}"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What alerts compare with.

    Parameters
    ----------
    drift_score : float
        1 is the feature's, or the model's, share of the false-alarm budget; it needs no tuning.
    psi : float
        PSI of the fleet that is large, whatever noise explains. 0.2 is the usual rule of thumb.
    ratio_rise : float
        Rise over the reference of the share of missing, unseen or out-of-range rows, 0 to 1.
    drifted_features : int
        So many features at once are drift of the model.
    min_rows : int
        Fewer rows of the fleet in a range have no PSI and no KS.
    reference_days : float
        A reference older than this is too old.
    dropped_ratio : float
        Share of offered rows that may be lost, 0 to 1.
    payloads_dropped_ratio : float
        Share of payloads that may find the queue full, 0 to 1; of those that sampling left.
    payloads_undecodable_ratio : float
        Share of the payloads looked into that may be unreadable for one reason, 0 to 1.
    stalled_seconds : float
        Time without an evaluation; longer than the ``evaluate_every`` of the budget.
    """

    drift_score: float = 1.0
    psi: float = 0.2
    ratio_rise: float = 0.05
    drifted_features: int = 2
    min_rows: int = 500
    reference_days: float = 180.0
    dropped_ratio: float = 0.01
    payloads_dropped_ratio: float = 0.01
    payloads_undecodable_ratio: float = 0.01
    stalled_seconds: float = 3_600.0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("drift_score", 0.0, math.inf),
            ("psi", 0.0, math.inf),
            ("ratio_rise", 0.0, 1.0),
            ("drifted_features", 1, math.inf),
            ("min_rows", 1, math.inf),
            ("reference_days", 0.0, math.inf),
            ("dropped_ratio", 0.0, 1.0),
            ("payloads_dropped_ratio", 0.0, 1.0),
            ("payloads_undecodable_ratio", 0.0, 1.0),
            ("stalled_seconds", 0.0, math.inf),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                message = (
                    f"thresholds.{name} must be a finite number from {least:g} to {most:g}, got {value!r}"
                )
                raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """All settings of the rendered files. Equal by value.

    Parameters
    ----------
    selector : str
        Matchers put into every selector of a driftgauge metric: ``'namespace="scoring"'``.
    runbook_base : str
        Where ``runbook.md`` is served; ``#`` and the alert's name in lower case are added.
    dashboard_base : str
        Where Grafana is served; ``/d/`` and a board's uid are added.
    labels, ranges, thresholds, boards, kubernetes
    alerts : mapping of str to AlertSettings
        Those of `DEFAULT_ALERTS`, all of them.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> RenderSettings(selector='namespace="scoring"').series("driftgauge_window_rows", 'model="churn"')
    'driftgauge_window_rows{namespace="scoring",model="churn"}'
    """

    selector: str = ""
    runbook_base: str = "https://example.com/driftgauge/runbook.md"
    dashboard_base: str = "https://grafana.example.com"
    labels: Labels = field(default_factory=Labels)
    ranges: Ranges = field(default_factory=Ranges)
    thresholds: Thresholds = field(default_factory=Thresholds)
    boards: Boards = field(default_factory=Boards)
    kubernetes: Kubernetes = field(default_factory=Kubernetes)
    alerts: Mapping[str, AlertSettings] = field(default_factory=lambda: dict(DEFAULT_ALERTS))

    def __post_init__(self) -> None:
        check_selector("selector", self.selector)
        check_url("runbook_base", self.runbook_base)
        check_url("dashboard_base", self.dashboard_base)
        for name, alert in self.alerts.items():
            alert.check(name)
        seen = check_duration("ranges.seen", self.ranges.seen)
        for name in ("DriftgaugeNoTraffic", "DriftgaugeMonitorAbsent"):
            wait = self.alerts[name].for_
            late = check_duration(f"alerts.{name}.for", wait, zero=True) >= seen
            if late and self.alerts[name].enabled:
                message = (
                    f"alerts.{name}.for must be shorter than ranges.seen, after which it is no longer true, "
                    f"got {wait!r} and {self.ranges.seen!r}"
                )
                raise ConfigError(message)

    def series(self, name: str, *matchers: str) -> str:
        """Instant selector of a metric with the site's matchers and *matchers*; no braces without any."""
        inside = ",".join(filter(None, (self.selector, *matchers)))
        return f"{name}{{{inside}}}" if inside else name

    def with_alert(self, name: str, **changes: Any) -> RenderSettings:
        """These settings with one alert changed."""
        return replace(self, alerts={**self.alerts, name: replace(self.alerts[name], **changes)})


def load_settings(path: str | Path) -> RenderSettings:
    """Settings from a TOML file, which names only what differs from the defaults.

    Raises
    ------
    ConfigError
        The file cannot be read, is not TOML, or has a key or value that means nothing here.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"cannot read settings from {str(path)!r}: {reason}"
        raise ConfigError(message) from error
    alerts = dict(DEFAULT_ALERTS)
    given = table.pop("alerts", {})
    parts: dict[str, Any] = {}
    for name, default in (
        ("labels", Labels()),
        ("ranges", Ranges()),
        ("thresholds", Thresholds()),
        ("boards", Boards()),
        ("kubernetes", Kubernetes()),
    ):
        if name in table:
            parts[name] = read_table(name, table.pop(name), default)
    for name, changes in read_table("alerts", given, dict(DEFAULT_ALERTS)).items():
        alerts[name] = read_table(
            f"alerts.{name}", changes, alerts[name], {"for": "for_", "keep_firing_for": "keep"}
        )
    top = read_table("", table, RenderSettings())
    return replace(top, **parts, alerts=alerts)

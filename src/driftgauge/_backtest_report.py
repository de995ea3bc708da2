"""What a backtest found: frozen values, and the same as plain values for a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.snapshot import FeatureDrift

__all__ = ["Alert", "BacktestReport", "Cause", "FeatureReport", "RuleReport", "Trace"]

# Points of the score's course in a file: twice what a plot of 1,000 pixels shows.
TRACE_POINTS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One feature of an alert of the drift score, and what happened to it."""

    name: str
    kind: str
    """``'input'``, ``'output'`` or ``'virtual'``."""
    score: float
    drifted: bool
    """Whether e-BH names it. Where it names none, the strongest features stand here with False."""
    cause: str
    cell: str
    words: str
    """``'location +0.4 sd'``."""
    onset_row: int | None
    """Rows that had come when it began, by the evidence."""
    onset_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One episode: from the evaluation that raised it to the first that no longer did."""

    row: int
    """Rows that had come when it was raised."""
    seconds: float | None
    """When that was; None without a time column."""
    cleared_row: int | None
    """Rows that had come when it ended; None when it still held at the end."""
    cleared_seconds: float | None
    features: tuple[str, ...]
    """What was named at any time while it held; the first to be named first."""
    score: float | None = None
    """When it was raised. None for a static rule."""
    peak_score: float | None = None
    causes: tuple[Cause, ...] = ()
    """Of the drift score, each when it was strongest; features before virtual ones, the strongest first."""

    @property
    def onset_row(self) -> int | None:
        """Where the first of the causes began."""
        return min((cause.onset_row for cause in self.causes if cause.onset_row is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReport:
    """One rule over the whole history."""

    name: str
    window: str
    """Name of the window that it looked at; empty for the drift score, which needs none."""
    evaluations: int
    """How often it was judged."""
    evaluations_over: int
    """How often it held."""
    alerts: tuple[Alert, ...]

    @property
    def first(self) -> Alert | None:
        """The first alert."""
        return self.alerts[0] if self.alerts else None

    @property
    def over_ratio(self) -> float | None:
        """Share of evaluations at which it held; None when it was never judged."""
        return self.evaluations_over / self.evaluations if self.evaluations else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureReport:
    """One feature, or one virtual feature that an alert named."""

    name: str
    kind: str
    peak_score: float
    peak_row: int | None
    """Rows that had come at its highest score; None when it was never above 0."""
    first_row: int | None
    """Rows that had come when its score first reached 1, its own share of the budget."""
    words: str
    """What happened to it, from the alert in which it was strongest; empty when none named it."""
    rule_rows: tuple[int | None, ...]
    """By static rule: rows that had come when it first crossed the line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """The course of the model's score: one entry an evaluation.

    Parameters
    ----------
    rows : int64[n]
        Rows that had come.
    seconds : float64[n]
        When it was; without a time column, evaluation intervals counted from 0.
    scores : float64[n]
    """

    rows: NDArray[np.int64]
    seconds: Floats
    scores: Floats

    def thinned(self, points: int = TRACE_POINTS) -> Trace:
        """At most so many entries: the highest score of each run of neighbours."""
        size = self.rows.size
        if size <= points:
            return self
        starts = np.arange(points) * size // points
        ends = np.append(starts[1:], size)
        kept = np.array(
            [start + int(np.argmax(self.scores[start:end])) for start, end in zip(starts, ends, strict=True)]
        )
        return Trace(rows=self.rows[kept], seconds=self.seconds[kept], scores=self.scores[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestReport:
    """What `replay` found. The first rule is the drift score, the others are the static ones."""

    reference_id: str
    model: str
    model_version: str
    reference_rows: int
    dependence: str
    """``'measured'`` or ``'assumed'``, see `DriftSnapshot`; empty when the detector does not say."""
    rows: int
    late_rows: int
    """Rows earlier than an evaluation that was over when they came; they count at the next."""
    evaluations: int
    """Those at which the detector had enough rows to take a step."""
    budget_seconds: float
    evaluate_seconds: float
    budget_evaluations: float
    min_effect: float
    rows_per_evaluation: int | None
    """None: evaluations are cut by time."""
    first_seconds: float | None
    """Time of the first row; None without a time column."""
    last_seconds: float | None
    rules: tuple[RuleReport, ...]
    features: tuple[FeatureReport, ...]
    trace: Trace

    @property
    def drift(self) -> RuleReport:
        """The drift score."""
        return self.rules[0]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Alerts of the drift score."""
        return self.rules[0].alerts

    @property
    def result(self) -> str:
        """``'drift'``, ``'no drift'``, or ``'could not tell'`` when no evaluation had enough rows."""
        return "could not tell" if not self.evaluations else "drift" if self.alerts else "no drift"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file. Times are ISO 8601 in UTC; the trace is thinned to 2,000 points.

        Keys are the fields of this class and of those in it, and beside them ``format`` (1) and ``result``.
        """
        trace = self.trace.thinned()
        timed = self.first_seconds is not None
        return {
            "format": 1,
            "result": self.result,
            "reference": {
                "id": self.reference_id,
                "model": self.model,
                "model_version": self.model_version,
                "rows": self.reference_rows,
                "dependence": self.dependence,
            },
            "settings": {
                "budget_seconds": self.budget_seconds,
                "evaluate_seconds": self.evaluate_seconds,
                "budget_evaluations": self.budget_evaluations,
                "min_effect": self.min_effect,
                "rows_per_evaluation": self.rows_per_evaluation,
            },
            "history": {
                "rows": self.rows,
                "late_rows": self.late_rows,
                "evaluations": self.evaluations,
                "first_time": iso(self.first_seconds),
                "last_time": iso(self.last_seconds),
            },
            "rules": [_rule(rule) for rule in self.rules],
            "features": [_feature(feature, self.rules[1:]) for feature in self.features],
            "trace": {
                "rows": trace.rows.tolist(),
                "times": [iso(seconds) for seconds in trace.seconds.tolist()] if timed else None,
                "scores": trace.scores.tolist(),
            },
        }


def iso(seconds: float | None) -> str | None:
    """A time as ISO 8601 in UTC, to the second; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def causes_of(drifts: Sequence[FeatureDrift], at_most: int = 3) -> list[FeatureDrift]:
    """The features that e-BH names, or else the *at_most* strongest that have any evidence.

    Virtual features come last: one feature that moves takes all its sums and differences with it.
    """
    named = [drift for drift in drifts if drift.drifted]
    if not named:
        named = sorted(drifts, key=lambda drift: -drift.score)[:at_most]
    return sorted((drift for drift in named if drift.score > 0), key=strength)


def strength(drift: FeatureDrift | Cause) -> tuple[bool, float]:
    """Sorts causes: features before virtual features, the strongest first."""
    return drift.kind == "virtual", -drift.score


def _rule(rule: RuleReport) -> dict[str, Any]:
    return {
        "name": rule.name,
        "window": rule.window or None,
        "evaluations": rule.evaluations,
        "evaluations_over": rule.evaluations_over,
        "alerts": [_alert(alert) for alert in rule.alerts],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "row": alert.row,
        "time": iso(alert.seconds),
        "cleared_row": alert.cleared_row,
        "cleared_time": iso(alert.cleared_seconds),
        "features": list(alert.features),
        "score": alert.score,
        "peak_score": alert.peak_score,
        "causes": [_cause(cause) for cause in alert.causes],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    values = asdict(cause)
    values["onset_time"] = iso(values.pop("onset_seconds"))
    return values


def _feature(feature: FeatureReport, static: Sequence[RuleReport]) -> dict[str, Any]:
    values = asdict(feature)
    rows = values.pop("rule_rows")
    values["rules"] = [
        {"name": rule.name, "window": rule.window, "first_row": row}
        for rule, row in zip(static, rows, strict=True)
    ]
    return values

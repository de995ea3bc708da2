"""From evaluations one by one to alerts: episodes with a beginning, an end and causes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from driftgauge._backtest_report import Alert, Cause, RuleReport, strength

__all__ = ["Episodes"]


class Episodes:
    """The alerts of one rule.

    Parameters
    ----------
    name, window : str
        As in `RuleReport`.
    """

    def __init__(self, name: str, window: str = "") -> None:
        self._name = name
        self._window = window
        self._evaluations = 0
        self._over = 0
        self._closed: list[Alert] = []
        self._open: Alert | None = None
        self._features: dict[str, None] = {}
        self._causes: dict[str, Cause] = {}

    @property
    def is_open(self) -> bool:
        """Whether the rule held at the last evaluation."""
        return self._open is not None

    @property
    def features(self) -> frozenset[str]:
        """What the open alert has named so far."""
        return frozenset(self._features)

    @property
    def peak_score(self) -> float:
        """Highest score of the open alert; 0 when none is open."""
        return 0.0 if self._open is None else self._open.peak_score or 0.0

    def add(self, row: int, seconds: float | None, over: bool, score: float | None = None) -> bool:
        """One evaluation after so many rows; whether it raised an alert."""
        self._evaluations += 1
        self._over += over
        if self._open is None:
            if over:
                self._open = Alert(
                    row=row,
                    seconds=seconds,
                    cleared_row=None,
                    cleared_seconds=None,
                    features=(),
                    score=score,
                    peak_score=score,
                )
            return over
        if not over:
            self._close(row, seconds)
        elif score is not None and score > self.peak_score:
            self._open = replace(self._open, peak_score=score)
        return False

    def name(self, features: Iterable[str]) -> None:
        """Put down what the open alert names now."""
        self._features.update(dict.fromkeys(features))

    def explain(self, causes: Iterable[Cause]) -> None:
        """Put down the causes of the open alert: each as it was when strongest, but with its first onset."""
        for cause in causes:
            before = self._causes.get(cause.name)
            if before is None:
                self._causes[cause.name] = cause
            elif cause.score > before.score:
                self._causes[cause.name] = replace(
                    cause,
                    drifted=cause.drifted or before.drifted,
                    onset_row=before.onset_row,
                    onset_seconds=before.onset_seconds,
                )
            elif cause.drifted and not before.drifted:
                self._causes[cause.name] = replace(before, drifted=True)

    def report(self) -> RuleReport:
        """All alerts so far; one that is open stays so."""
        alerts = list(self._closed)
        if self._open is not None:
            alerts.append(self._finished(self._open))
        return RuleReport(
            name=self._name,
            window=self._window,
            evaluations=self._evaluations,
            evaluations_over=self._over,
            alerts=tuple(alerts),
        )

    def _close(self, row: int, seconds: float | None) -> None:
        assert self._open is not None
        self._closed.append(replace(self._finished(self._open), cleared_row=row, cleared_seconds=seconds))
        self._open = None
        self._features.clear()
        self._causes.clear()

    def _finished(self, alert: Alert) -> Alert:
        causes = sorted(self._causes.values(), key=strength)
        if any(cause.drifted for cause in causes):
            # what was merely strongest before anything could be named
            causes = [cause for cause in causes if cause.drifted]
        return replace(alert, features=tuple(self._features), causes=tuple(causes))

"""One run of a detector and of the rules of thumb over one history."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._backtest_clock import Clock, Piece
from driftgauge._backtest_episodes import Episodes
from driftgauge._backtest_report import BacktestReport, Cause, FeatureReport, Trace, causes_of
from driftgauge._backtest_rules import WindowRules
from driftgauge.cells import Floats

if TYPE_CHECKING:
    from driftgauge.detectors.protocol import Detector
    from driftgauge.reference import Reference
    from driftgauge.snapshot import DriftSnapshot

__all__ = ["Replay"]

# By then the NumPy twins have taken about as long as compiling does: 10 s at 2.5 ms an evaluation.
COMPILE_AFTER_EVALUATIONS: Final = 4_000

# An alert is asked again for its causes when its score has grown by this factor, or a new feature reaches 1.
GROWTH: Final = 1.02


class Replay:
    """Fed with batches by `take`, asked by `finish`.

    Parameters
    ----------
    reference : Reference
    detector : Detector
        With no evidence yet.
    clock : Clock
    windows : sequence of WindowRules
    timed : bool
        Whether batches come with times.
    reset_on_alert : bool
    keep_firing : int
    """

    def __init__(
        self,
        reference: Reference,
        detector: Detector,
        clock: Clock,
        windows: Sequence[WindowRules],
        *,
        timed: bool,
        reset_on_alert: bool,
        keep_firing: int,
    ) -> None:
        self._reference = reference
        self._detector = detector
        self._clock = clock
        self._windows = windows
        self._timed = timed
        self._reset_on_alert = reset_on_alert
        size = len(reference.features)
        self._peaks = np.zeros(size)
        self._peak_rows = np.zeros(size, np.int64)
        self._first_rows = np.full(size, -1, np.int64)
        self._named: dict[str, Cause] = {}
        self._named_rows: dict[str, int] = {}
        # arrays: ten million rows are half a million evaluations, 64 bytes each as a tuple of a list
        self._course = (array("q"), array("d"), array("d"))  # rows, seconds, scores
        self._blocks = (array("d"), array("q"))  # when and at which row each began
        self._looks = 0
        self._explained = 0.0  # the model's score when causes were last asked for
        self._drift = Episodes("drift score", keep_firing=0 if reset_on_alert else keep_firing)
        self._static = [
            [Episodes(rule.name, one.spec.name, keep_firing=keep_firing) for rule in one.rules]
            for one in windows
        ]
        shares = getattr(detector, "shares", None)
        # what has no weight is watched by no rule, or the comparison would not be a fair one
        self._watched = np.ones(size, np.bool_) if shares is None else shares[:size] > 0
        self._crossed = [np.full((len(one.rules), size), -1, np.int64) for one in windows]

    def take(self, batch: Any, seconds: Floats | None) -> int:
        """One batch; the number of its rows."""
        indices = self._reference.index(batch)
        if seconds is not None and not (np.diff(seconds) >= 0).all():
            order = np.argsort(seconds, kind="stable")
            indices, seconds = indices[:, order], seconds[order]
        for piece in self._clock.cut(indices.shape[1], seconds):
            if piece.due_seconds is not None:
                self._evaluate(piece.due_seconds)
            self._let_in(indices, piece)
        return int(indices.shape[1])

    def _let_in(self, indices: NDArray[np.uint16], piece: Piece) -> None:
        block = np.ascontiguousarray(indices[:, piece.start : piece.stop])
        first = now = float(np.ravel(piece.seconds)[0])
        if isinstance(piece.seconds, np.ndarray):
            now = float(piece.seconds[-1])
        if not self._blocks[0] or piece.due_seconds is not None:
            self._blocks[0].append(first)
            self._blocks[1].append(self._clock.rows)
        self._detector.add(block, piece.seconds)
        for window in self._windows:
            window.push(block, first, now)

    def _evaluate(self, now_seconds: float) -> None:
        row = self._clock.rows
        shown = now_seconds if self._timed else None
        self._looks += 1
        if self._looks == COMPILE_AFTER_EVALUATIONS:
            kernels.warm_up()
        if not self._detector.evaluate(now_seconds):
            return  # too few rows have come for a look, which goes for every rule
        self._weigh(row, now_seconds, shown)
        for window, episodes, crossed in zip(self._windows, self._static, self._crossed, strict=True):
            over = window.judge(now_seconds)
            if over is None:
                continue
            over &= self._watched
            crossed[over & (crossed < 0)] = row
            for place, one in enumerate(episodes):
                one.add(row, shown, bool(over[place].any()))
                if one.is_open:
                    names = self._reference.names
                    one.name(names[number] for number in window.strongest(place, over))

    def _weigh(self, row: int, now_seconds: float, shown: float | None) -> None:
        score, scores = self._detector.model_score(), self._detector.scores()
        rows, seconds, course = self._course
        rows.append(row)
        seconds.append(now_seconds)
        course.append(score)
        higher = scores > self._peaks
        self._peaks[higher], self._peak_rows[higher] = scores[higher], row
        self._first_rows[(scores >= 1) & (self._first_rows < 0)] = row
        drift = self._drift
        raised = drift.add(row, shown, score > 1, score)
        if not drift.is_open:
            return
        names = self._reference.names
        new = {names[number] for number in np.flatnonzero(scores >= 1)} - drift.features
        if raised or new or score > GROWTH * self._explained:
            self._explain()
            self._explained = score
        if raised and self._reset_on_alert:
            self._detector.reset()

    def _explain(self) -> None:
        """Ask a detector that can tell why."""
        names = self._reference.names
        snapshot = self._ask()
        if snapshot is None:
            scores = self._detector.scores()
            found = np.flatnonzero(scores >= 1)
            self._drift.name(names[number] for number in found[np.argsort(-scores[found], kind="stable")])
            return
        causes = [
            Cause(
                name=drift.name,
                kind=drift.kind,
                score=float(drift.score),
                drifted=bool(drift.drifted),
                cause=drift.cause,
                cell=drift.cell,
                words=drift.words,
                row=self._clock.rows,
                onset_row=self._row_of(drift.onset_timestamp_seconds),
                onset_seconds=drift.onset_timestamp_seconds if self._timed else None,
            )
            for drift in causes_of([*snapshot.features, *snapshot.virtual])
        ]
        self._drift.explain(causes)
        self._drift.name(cause.name for cause in causes if cause.drifted)
        for cause in causes:
            if cause.name not in self._named or cause.score > self._named[cause.name].score:
                self._named[cause.name] = cause
                self._named_rows[cause.name] = self._clock.rows

    def _ask(self) -> DriftSnapshot | None:
        ask: Callable[[], DriftSnapshot] | None = getattr(self._detector, "snapshot", None)
        return None if ask is None else ask()

    def _row_of(self, seconds: float | None) -> int | None:
        """Rows that had come at a time."""
        if seconds is None or not self._blocks[0]:
            return None
        return self._blocks[1][max(bisect_right(self._blocks[0], seconds) - 1, 0)]

    def finish(self, *, min_effect: float, rows_per_evaluation: int | None) -> BacktestReport:
        """Weigh what is left, and report."""
        clock, reference, budget = self._clock, self._reference, self._detector.budget
        if clock.rows:
            self._evaluate(clock.due_seconds)
        if self._drift.is_open:
            self._explain()  # features that the alert named late
        snapshot = self._ask()
        rows, seconds, course = self._course
        return BacktestReport(
            reference_id=reference.id,
            model=reference.model,
            model_version=reference.version,
            reference_rows=reference.rows,
            dependence="" if snapshot is None else snapshot.dependence,
            rows=clock.rows,
            late_rows=clock.late_rows,
            evaluations=len(course),
            budget_seconds=budget.per_seconds,
            evaluate_seconds=budget.evaluate_seconds,
            budget_evaluations=budget.evaluations,
            min_effect=min_effect if snapshot is None else snapshot.min_effect,
            rows_per_evaluation=rows_per_evaluation,
            first_seconds=clock.first_seconds,
            last_seconds=clock.last_seconds,
            rules=(self._drift.report(), *(one.report() for window in self._static for one in window)),
            features=self._features(),
            trace=Trace(
                rows=np.array(rows, np.int64),
                seconds=np.array(seconds, np.float64),
                scores=np.array(course, np.float64),
            ),
        )

    def _features(self) -> tuple[FeatureReport, ...]:
        crossed = np.concatenate([np.empty((0, self._peaks.size), np.int64), *self._crossed])
        made = [
            FeatureReport(
                name=feature.name,
                kind=feature.kind,
                peak_score=float(self._peaks[number]),
                peak_row=int(self._peak_rows[number]) if self._peaks[number] > 0 else None,
                first_row=_row(self._first_rows[number]),
                words=self._named[feature.name].words if feature.name in self._named else "",
                rule_rows=tuple(_row(row) for row in crossed[:, number]),
            )
            for number, feature in enumerate(self._reference.features)
        ]
        for name, cause in self._named.items():
            if cause.kind == "virtual":
                row = self._named_rows[name]
                made.append(
                    FeatureReport(
                        name=name,
                        kind=cause.kind,
                        peak_score=cause.score,
                        peak_row=row,
                        first_row=row if cause.score >= 1 else None,
                        words=cause.words,
                        rule_rows=(None,) * crossed.shape[0],
                    )
                )
        return tuple(made)


def _row(number: int) -> int | None:
    return None if number < 0 else int(number)

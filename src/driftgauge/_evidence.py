"""The detector of a monitor: when it weighs, what it has to say, and what happens when it fails.

The promise of a budget counts evaluations, so nobody but the schedule here says when there is one: however
often a monitor is scraped or flushed, there is at most one in `Budget.evaluate_seconds`.

Whoever holds the lock of the engine calls. Nothing here raises: a detector that fails is an internal error
of the stage ``detector``, and rows and windows know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._buffer import Buffer
from driftgauge._schedule import Schedule
from driftgauge.cells import Counts, Floats
from driftgauge.detectors._settings import shares_of_features
from driftgauge.detectors.protocol import Detector
from driftgauge.errors import StateError
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot, FeatureDrift

__all__ = ["GATHERED_ROWS", "Evidence"]

# Rows that come one by one are given to the detector together. A call costs the drift score of 50 features
# 2 ms before its kernels are compiled, for its virtual features, and after that as much as 10 rows.
GATHERED_ROWS: Final = 256


class Evidence:
    """A detector, its schedule, and what it last said.

    Parameters
    ----------
    detector : Detector or None
        None: there is no budget, and so no evidence.
    reference : Reference
    buffer : Buffer
        For its tallies of errors.
    """

    def __init__(self, detector: Detector | None, reference: Reference, buffer: Buffer) -> None:
        self.detector = detector
        self._reference = reference
        self._buffer = buffer
        self._schedule = Schedule(math.inf if detector is None else detector.budget.evaluate_seconds)
        width = 0 if detector is None else GATHERED_ROWS
        self._gathered = np.empty((len(reference.names), width), np.uint16)
        self._times = np.empty(width)
        self.forget()

    def forget(self) -> None:
        """Have no evidence: nothing counted, nothing weighed, the schedule begins anew."""
        self._schedule.clear()
        self._told: DriftSnapshot | None = None
        self._filled = 0
        self._waiting = 0
        self._evaluations = 0
        if self.detector is not None:
            try:
                self.detector.reset()
            except Exception as error:
                self._buffer.failed("detector", error)

    def add(self, indices: NDArray[np.uint16], now_seconds: float) -> None:
        """Take in rows that the windows have taken."""
        if self.detector is None:
            return
        rows = indices.shape[1]
        self._waiting += rows
        if self._filled + rows > GATHERED_ROWS:
            self._hand_over()
        if rows > GATHERED_ROWS:
            self._give(indices, now_seconds)
            return
        here = slice(self._filled, self._filled + rows)
        self._gathered[:, here] = indices
        self._times[here] = now_seconds
        self._filled += rows

    def _hand_over(self) -> None:
        """Give the detector what was gathered; copies, which it may keep."""
        if self._filled:
            filled, self._filled = self._filled, 0
            self._give(self._gathered[:, :filled].copy(), self._times[:filled].copy())

    def _give(self, indices: NDArray[np.uint16], seconds: float | Floats) -> None:
        try:
            self.detector.add(indices, seconds)  # type: ignore[union-attr]
        except Exception as error:
            self._buffer.failed("detector", error)

    def look(self, now_seconds: float) -> None:
        """Weigh what has come, if there is something and it is time."""
        crossings = self._buffer.crossings
        if self.detector is None or not self._waiting:
            return
        # The next request wakes the thread, and leaves its trace. Not where one is to wake it already: who
        # scrapes while no request comes would put a sign there each time.
        if not self._buffer.asleep and crossings.wants_trace(now_seconds):
            self._buffer.asleep.append(None)
        if not self._schedule.due(now_seconds):
            return
        self._hand_over()
        try:
            if not self.detector.evaluate(now_seconds):
                return  # too few rows: asked again when there are more
            self._evaluations += 1
        except Exception as error:
            self._buffer.failed("detector", error)  # and not asked again before the next time
        self._schedule.done(now_seconds)
        self._waiting = 0
        self._told = None
        if crossings.listeners and (told := self.snapshot()) is not None:
            crossings.compare(told, self._reference, now_seconds)

    def take(self) -> tuple[Counts, NDArray[np.int64], float] | None:
        """The rows that wait, for a detector of many processes: here they wait no longer."""
        if self.detector is None:
            return None
        self._hand_over()
        self._waiting = 0
        try:
            return self.detector.take()  # type: ignore[attr-defined,no-any-return]
        except Exception as error:
            self._buffer.failed("detector", error)
            return None

    @property
    def waiting(self) -> bool:
        """Whether there are rows that were not weighed."""
        return self._waiting > 0

    def snapshot(self) -> DriftSnapshot | None:
        """What the evidence is; None without a detector, and when it fails to tell."""
        if self.detector is None:
            return None
        self._hand_over()
        try:
            if self._told is None:
                tell = getattr(self.detector, "snapshot", None)
                self._told = self._plain(self.detector) if tell is None else tell()
            rows = int(getattr(self.detector, "pending_rows", self._waiting))
        except Exception as error:
            self._buffer.failed("detector", error)
            return None
        # Words and onsets change with an evaluation only; the rows that wait for the next one, all the time.
        last = self._buffer.crossings.last
        if rows == self._told.pending_rows and last is self._told.last_crossing:
            return self._told
        return replace(self._told, pending_rows=rows, last_crossing=last)

    def _plain(self, detector: Detector) -> DriftSnapshot:
        """What can be said of a detector that has scores and no words."""
        reference, budget = self._reference, detector.budget
        scores = detector.scores().tolist()
        features = tuple(
            FeatureDrift(
                name=name,
                kind=reference.feature(name).kind,
                score=score,
                log_evidence=score * budget.log_evaluations,
                drifted=score > 1,
                cause="none",
                cell="",
                words="",
                onset_timestamp_seconds=None,
            )
            for name, score in zip(reference.names, scores, strict=True)
        )
        drifted = sorted((each for each in features if each.drifted), key=lambda each: -each.score)
        score = float(detector.model_score())
        return DriftSnapshot(
            score=score,
            log_evidence=score * budget.log_evaluations,
            budget_evaluations=budget.evaluations,
            budget_seconds=budget.per_seconds,
            evaluate_seconds=budget.evaluate_seconds,
            min_effect=0.0,
            evaluations=self._evaluations,
            pending_rows=self._waiting,
            dependence="assumed",
            drifted_features=tuple(each.name for each in drifted),
            features=features,
            virtual=(),
        )

    def shares(self) -> Floats | None:
        """Share of the budget that each feature has, float64[F]; None without a detector."""
        return shares_of_features(self.detector, len(self._reference.names))

    def state(self) -> dict[str, NDArray[Any]] | None:
        """What the detector needs to go on, copied; None without one, and when it fails."""
        if self.detector is None:
            return None
        self._hand_over()
        try:
            return {name: np.array(array) for name, array in self.detector.state().items()}
        except Exception as error:
            self._buffer.failed("detector", error)
            return None

    def restored(self, state: Mapping[str, NDArray[Any]] | None) -> Detector | None:
        """A detector that goes on from *state*; None where there is nothing that it can go on from."""
        if self.detector is None or state is None:
            return None
        try:
            return self.detector.restored(dict(state))
        except StateError as error:  # of other settings: no reason to lose the windows that came with it
            self._buffer.note("evidence", f"saved evidence is left out, the drift score starts at 0: {error}")
        except Exception as error:
            self._buffer.failed("detector", error)
        return None

    def go_on(self, detector: Detector | None) -> None:
        """Go on with what `restored` gave, or without evidence."""
        if detector is None:
            self.forget()
            return
        self.detector = detector
        self._schedule.clear()
        self._told = None
        self._filled = 0
        self._waiting = int(getattr(detector, "pending_rows", 0))

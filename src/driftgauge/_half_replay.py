"""The second half of a reference's rows against the first: whether the training data themselves drift."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._features import FeatureSet
from driftgauge.budget import one_false_alert
from driftgauge.calibration import Calibration
from driftgauge.cells import Floats
from driftgauge.detectors._allowance import MIN_EFFECT
from driftgauge.detectors._ebh import drifted_streams
from driftgauge.detectors._recursion import MIN_ROWS, Recursion
from driftgauge.detectors._streams import shares_of, streams_of

__all__ = ["HalfReplay", "training_drift"]

# At most so many evaluations. Of more rows each takes more, and finds a drift one block later at most. And at
# least so many, where the rows have one time or few: what comes in a minute would be one evaluation or none.
_MOST_STEPS: Final = 200
_LEAST_STEPS: Final = 20


class HalfReplay:
    """Rows of the second half, weighed against a calibration of the first.

    Parameters
    ----------
    features : FeatureSet
    first : Calibration
        Of the rows before; the counts of its streams are raw, and all of the first half.
    rows : int
        How many will come.
    rows_per_minute : float
    """

    def __init__(self, features: FeatureSet, first: Calibration, rows: int, rows_per_minute: float) -> None:
        self._streams = [
            replace(stream, counts=own.counts, rows=first.rows)
            for stream, own in zip(
                streams_of(features.features, features.ecells, first), first.streams, strict=True
            )
        ]
        shares = shares_of(self._streams, None)
        self._recursion = Recursion(self._streams, shares, one_false_alert(), MIN_EFFECT)
        self._offsets = np.cumsum([0, *(stream.size for stream in self._streams[:-1])])
        self._buckets = first.buckets
        self._step_rows = math.ceil(
            max(MIN_ROWS, min(rows_per_minute, rows / _LEAST_STEPS), rows / _MOST_STEPS)
        )
        self._counts = np.zeros(self._recursion.ecells, np.uint32)
        self._bucket_rows = np.zeros(self._buckets.size, np.int64)
        self._pending = 0
        self._first_seconds = 0.0
        self._drifted: dict[int, float] = {}
        self.score = 0.0

    def add(self, ecells: NDArray[np.uint8], seconds: Floats) -> None:
        """Weigh rows, uint8[S, rows], an evaluation at a time; what is left over waits for the next."""
        buckets = self._buckets.of(seconds)
        start, rows = 0, seconds.size
        while start < rows:
            stop = min(rows, start + self._step_rows - self._pending)
            places = ecells[:, start:stop] + self._offsets[:, np.newaxis]
            found = np.bincount(places.ravel(), minlength=self._counts.size)
            self._counts += found.astype(np.uint32)
            self._bucket_rows += np.bincount(buckets[start:stop], minlength=self._bucket_rows.size)
            if self._pending == 0:
                self._first_seconds = float(seconds[start])
            self._pending += stop - start
            start = stop
            if self._pending == self._step_rows:
                self._step()

    def _step(self) -> None:
        self._recursion.step(self._counts, self._bucket_rows, self._first_seconds)
        self._counts[:] = 0
        self._bucket_rows[:] = 0
        self._pending = 0
        self.score = max(self.score, self._recursion.model_score())
        evidence = self._recursion.shares * self._recursion.totals
        for stream in drifted_streams(evidence, self._recursion.budget.evaluations).tolist():
            self._drifted[stream] = max(self._drifted.get(stream, 0.0), float(evidence[stream]))

    def drifted(self) -> tuple[str, ...]:
        """Names of the streams that drifted at any time, strongest first."""
        order = sorted(self._drifted, key=lambda stream: -self._drifted[stream])
        return tuple(self._streams[stream].name for stream in order)


def training_drift(calibration: Calibration | None) -> str | None:
    """What to tell people of a reference that drifts in itself, and what they can do; None if it does not."""
    if calibration is None or calibration.half_score is None or calibration.half_score <= 1:
        return None
    names = [repr(name) for name in calibration.half_features]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if calibration.buckets.cycle == "none":
        remedy = (
            "take a longer reference, in which each hour and weekday comes at least three times so that like "
            "is compared with like; or a newer one"
        )
    else:
        remedy = "take a newer reference, or one long enough to hold the change"
    return (
        f"your own training data drift: their second half against the first has a drift score of "
        f"{calibration.half_score:.1f}" + (f" ({shown})" if shown else "") + f"; {remedy}; "
        "or raise min_effect where the difference does not matter"
    )

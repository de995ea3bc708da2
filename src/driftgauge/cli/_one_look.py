"""The evidence of one file, weighed once: what the drift score can say when there is no course of time.

All rows of the file are one block and one evaluation. Their order therefore does not matter, which is as it
must be: a file sorted by age would otherwise look like drift of age. The budget is one false alarm in 1,000
files, the level of the noise beside the other numbers, over all features and virtual features together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget
from driftgauge.calibration import Calibration, TimeBuckets
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot

__all__ = ["FILES", "OneLook"]

FILES: Final = 1_000


class OneLook:
    """Evidence of the rows of a file.

    Parameters
    ----------
    reference : Reference
    there : collection of str
        The features that are compared and that the file has. Virtual features of others are left out too.
    min_effect : float
        As in `driftgauge.detectors.DriftScore`.
    """

    def __init__(self, reference: Reference, there: Collection[str], min_effect: float) -> None:
        self._detector = DriftScore(
            reference.with_calibration(_without_hours(reference.calibration)),
            budget=Budget(per_seconds=FILES, evaluate_seconds=1),
            min_effect=min_effect,
            weights={name: 0.0 for name in reference.names if name not in there},
        )

    def add(self, indices: NDArray[np.uint16]) -> None:
        """Take in rows as cell numbers uint16[F, n]."""
        self._detector.add(indices, 0.0)

    def drift(self) -> DriftSnapshot | None:
        """What they say, weighed once; None for fewer rows than can be weighed."""
        if not self._detector.evaluate(0.0):
            return None
        told = self._detector.snapshot()
        # A file has no time at which something could have begun.
        return replace(
            told,
            features=tuple(replace(each, onset_timestamp_seconds=None) for each in told.features),
            virtual=tuple(replace(each, onset_timestamp_seconds=None) for each in told.virtual),
        )


def _without_hours(calibration: Calibration | None) -> Calibration | None:
    """The same without seasons: when the rows of a file came is not known."""
    if calibration is None:
        return None
    streams = tuple(replace(stream, bucket_counts=None) for stream in calibration.streams)
    return replace(calibration, buckets=TimeBuckets(), streams=streams)

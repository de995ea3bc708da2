"""The contract of a detector that gathers evidence over time. This module has no detector in it.

A sequential detector does not read windows. It is given the rows that arrived since it was last asked, as
counts by cell, once per evaluation, and keeps its own evidence. That makes it independent of window lengths
and lets replicas be pooled: their counts are added before `update`.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Counts

__all__ = ["Sequential"]


class Sequential(Protocol):
    """Evidence against "the live rows come from the reference", one number a feature.

    Laws that an implementation must keep:

    1. *No drift, few alarms.* On rows that follow the reference, the mean number of evaluations until any
       feature's score passes 1 is at least `budget`.
    2. *Only counts matter.* Permuting the rows between two updates changes nothing.
    3. *An empty update is an evaluation too*, but carries no evidence: a score does not rise by it beyond the
       step that law 1 allows for one evaluation.
    4. *Time is an argument.* Two detectors given the same counts and times have the same scores.
    5. *It can stop and go on.* A detector made from `state` goes on as if it had never stopped.
    """

    @property
    def budget(self) -> float:
        """Evaluations that the user wants between false alarms."""
        ...

    def update(self, arrived: Counts, rows: int, now_seconds: float) -> None:
        """Take in the rows since the last update: uint32[C] by cell as in `Layout`, *rows* of them."""
        ...

    def scores(self) -> NDArray[np.float64]:
        """Score of each feature, float64[F], at least 0; above 1 the budget is exceeded."""
        ...

    def state(self) -> dict[str, NDArray[np.float64]]:
        """What `restored` needs, as arrays that a window state file can hold."""
        ...

    def restored(self, state: dict[str, NDArray[np.float64]]) -> Self:
        """A detector with the settings of this one that goes on from *state*."""
        ...

"""The contract of a detector that gathers evidence over time. This module has no detector in it.

A detector is given the rows as they arrive, as cell numbers, and is asked to weigh them once per evaluation.
It keeps its own evidence and reads no window of anybody else.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget
from driftgauge.cells import Floats

__all__ = ["Detector"]


class Detector(Protocol):
    """Evidence against "the live rows come from the reference", one number a feature and one of the model.

    Laws that an implementation must keep; `driftgauge.testing.check_detector` tries them:

    1. *No drift, few alarms.* On rows that follow the reference, the chance of `model_score` passing 1 within
       ``t`` evaluations is at most ``t / budget.evaluations``.
    2. *Rows that did not come prove nothing.* `evaluate` with no row since the last one changes no score.
    3. *Time is an argument.* Two detectors given the same rows and times have the same scores.
    4. *It can stop and go on.* A detector restored from `state` goes on as if it had never stopped.
    5. *A reset forgets.* After it the scores are those of a new detector.
    6. *A large enough drift is seen*: the score passes 1 when every row falls where the reference has none.
    """

    @property
    def budget(self) -> Budget:
        """How many false alerts are accepted."""
        ...

    def add(self, indices: NDArray[np.uint16], now_seconds: float | Floats) -> None:
        """Take in rows as cell numbers uint16[F, n]; *now_seconds* is when all of them, or each, arrived."""
        ...

    def evaluate(self, now_seconds: float) -> bool:
        """Weigh what has arrived since the last time. False when that was too little, and is kept."""
        ...

    def scores(self) -> Floats:
        """Score of each feature, float64[F], at least 0. At 1 its share of the budget is reached."""
        ...

    def model_score(self) -> float:
        """Score of the model, at least 0, above 1 when the evidence exceeds the budget."""
        ...

    def reset(self) -> None:
        """Forget all evidence: the alert was acknowledged, or the model is another."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All that it would need to go on, as arrays that a file can hold."""
        ...

    def restored(self, state: dict[str, NDArray[Any]]) -> Self:
        """A detector with the settings of this one that goes on from *state*."""
        ...

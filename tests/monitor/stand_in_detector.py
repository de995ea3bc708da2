"""A detector whose evidence is plain to see: it counts rows and evaluations."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget, one_false_alert
from driftgauge.errors import StateError


class Counting:
    """Each feature's score is the number of steps; 20 rows make a step, as with the drift score."""

    def __init__(self, features: int, budget: Budget | None = None) -> None:
        self.budget = budget or one_false_alert()
        self.features = features
        self.fails: set[str] = set()
        self.reset()

    def add(self, indices: NDArray[np.uint16], now_seconds: float) -> None:
        self._may_fail("add")
        self.pending_rows += indices.shape[1]
        self.times.append(now_seconds)

    def evaluate(self, now_seconds: float) -> bool:
        self._may_fail("evaluate")
        if self.pending_rows < 20:
            return False
        self.blocks.append(self.pending_rows)
        self.evaluated.append(now_seconds)
        self.pending_rows = 0
        return True

    def scores(self) -> NDArray[np.float64]:
        self._may_fail("scores")
        return np.full(self.features, float(len(self.blocks)))

    def model_score(self) -> float:
        return float(len(self.blocks))

    def reset(self) -> None:
        self.pending_rows = 0
        self.blocks: list[int] = []
        self.evaluated: list[float] = []
        self.times: list[float] = []

    def state(self) -> dict[str, NDArray[Any]]:
        self._may_fail("state")
        return {"blocks": np.array(self.blocks, np.int64), "pending_rows": np.array(self.pending_rows)}

    def restored(self, state: dict[str, NDArray[Any]]) -> Self:
        if "blocks" not in state:
            message = "the state is of another detector"
            raise StateError(message)
        fresh = type(self)(self.features, self.budget)
        fresh.blocks = state["blocks"].tolist()
        fresh.pending_rows = int(state["pending_rows"])
        return fresh

    def _may_fail(self, what: str) -> None:
        if what in self.fails:
            raise ArithmeticError

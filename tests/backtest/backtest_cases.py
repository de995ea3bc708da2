"""Stand-ins for a detector: one that reads its scores off a list, one that counts what it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget, one_false_alert
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot, FeatureDrift


def drift(name: str, score: float, *, drifted: bool | None = None, **values: Any) -> FeatureDrift:
    """One feature's evidence."""
    settings: dict[str, Any] = {
        "kind": "input",
        "log_evidence": 12 * score,
        "cause": "location_up",
        "cell": "",
        "words": f"location +{score:g} sd",
        "onset_timestamp_seconds": None,
        **values,
    }
    return FeatureDrift(
        name=name, score=score, drifted=score >= 1 if drifted is None else drifted, **settings
    )


class Scripted:
    """A detector whose model score at each evaluation is given; the first feature has the same score.

    Parameters
    ----------
    reference : Reference
    scores : sequence of float
        One an evaluation; the last goes on.
    explain : callable, optional
        Features and virtual features of the snapshot after so many evaluations.
    """

    def __init__(
        self,
        reference: Reference,
        scores: Sequence[float] = (0.0,),
        *,
        budget: Budget | None = None,
        explain: Callable[[int], tuple[list[FeatureDrift], list[FeatureDrift]]] | None = None,
    ) -> None:
        self._reference = reference
        self._scores = list(scores)
        self._budget = budget or one_false_alert()
        self._explain = explain
        self.added: list[tuple[int, Any]] = []
        """Rows and times of each `add`."""
        self.evaluated: list[tuple[float, int]] = []
        """Time of each `evaluate`, and the rows that had come."""
        self.resets = 0
        if explain is not None:
            self.snapshot = self._snapshot

    @property
    def budget(self) -> Budget:
        return self._budget

    def add(self, indices: NDArray[np.uint16], now_seconds: Any) -> None:
        assert indices.flags.c_contiguous
        assert indices.dtype == np.uint16
        assert isinstance(now_seconds, float | int) or now_seconds.shape == indices.shape[1:]
        self.added.append((indices.shape[1], now_seconds))

    def evaluate(self, now_seconds: float) -> bool:
        self.evaluated.append((now_seconds, sum(rows for rows, _ in self.added)))
        return True

    def model_score(self) -> float:
        if not self.evaluated or self.resets:
            return 0.0
        return self._scores[min(len(self.evaluated), len(self._scores)) - 1]

    def scores(self) -> NDArray[np.float64]:
        scores = np.zeros(len(self._reference.features))
        scores[0] = self.model_score()
        return scores

    def reset(self) -> None:
        self.resets += 1

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restored(self, state: dict[str, NDArray[Any]]) -> Self:
        del state
        return self

    def _snapshot(self) -> DriftSnapshot:
        assert self._explain is not None
        features, virtual = self._explain(len(self.evaluated))
        return DriftSnapshot(
            score=self.model_score(),
            log_evidence=0.0,
            budget_evaluations=self._budget.evaluations,
            budget_seconds=self._budget.per_seconds,
            evaluate_seconds=self._budget.evaluate_seconds,
            min_effect=0.01,
            evaluations=len(self.evaluated),
            pending_rows=0,
            dependence="assumed",
            drifted_features=(),
            features=tuple(features),
            virtual=tuple(virtual),
        )

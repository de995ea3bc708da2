"""The streaming classics ADWIN, Page & Hinkley, and KSWIN, as `river` has them, one a feature.

They are here to compare and to choose. They compare a stream with its own past: rows drawn from the reference
come first, and after a drift they take the new rows for normal. They look at every row, in Python: 0.6 µs a
row and feature with ADWIN, 1 with Page & Hinkley, some 400 with KSWIN.

What they are given is one number a value: the normal score of its e-cell, mean 0 and deviation 1 under the
reference; of a category its surprise, minus the logarithm of its share, standardised. They say yes or no, so
a score is 2 at an evaluation before which the feature's detector has said yes, else 0.

Needs ``pip install driftgauge[river]``.
"""

from __future__ import annotations

import importlib
import math
import pickle
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget
from driftgauge.cells import FeatureReference, Floats
from driftgauge.detectors._scores import normal_scores, reference_shares
from driftgauge.detectors._settings import budget_of, check_reference, is_number
from driftgauge.ecells import ECells, ecells_of
from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.reference import Reference

__all__ = ["ADWIN", "KSWIN", "PageHinkley"]

_YES: Final = 2.0


class _Streaming:
    """One detector of river a feature. Subclasses have ``_made`` and ``_reference_rows``."""

    _reference_rows = 0

    def __init__(
        self, reference: Reference, *, budget: Budget | None = None, rows_per_evaluation: float = 100.0
    ) -> None:
        """Give no *budget*, and it is one false alert in 90 days at an evaluation a minute."""
        check_reference(reference)
        wrong = not is_number(rows_per_evaluation) or not math.isfinite(rows_per_evaluation)
        if wrong or rows_per_evaluation <= 0:
            message = f"rows_per_evaluation must be a finite number above 0, got {rows_per_evaluation!r}"
            raise ConfigError(message)
        self._reference = reference
        self._budget = budget_of(budget)
        self._rows_per_evaluation = float(rows_per_evaluation)
        rng = np.random.default_rng(0)
        tables = [_scores(feature, reference) for feature in reference.features]
        self._scores_by_cell = [by_cell for by_cell, _ in tables]
        self._drawn = [
            by_ecell[rng.choice(by_ecell.size, self._reference_rows, p=shares)]
            for _, (by_ecell, shares) in tables
        ]
        self.reset()

    @property
    def budget(self) -> Budget:
        """How many false alerts are accepted."""
        return self._budget

    @property
    def _evaluations_each(self) -> float:
        return self._budget.evaluations * len(self._reference.features)

    def reset(self) -> None:
        """Begin anew, with rows drawn from the reference."""
        self._detectors = [self._made(number) for number in range(len(self._drawn))]
        for detector, values in zip(self._detectors, self._drawn, strict=True):
            for value in values.tolist():
                detector.update(value)
        self._found = np.zeros(len(self._detectors))
        self._scores = np.zeros(len(self._detectors))
        self._pending = 0

    def add(self, indices: NDArray[np.uint16], now_seconds: float | Floats) -> None:  # noqa: ARG002
        """Give the rows to the detectors, one after the other."""
        for number, (detector, by_cell) in enumerate(zip(self._detectors, self._scores_by_cell, strict=True)):
            for value in by_cell[indices[number]].tolist():
                detector.update(value)
                if detector.drift_detected:
                    self._found[number] = _YES
        self._pending += indices.shape[1]

    def evaluate(self, now_seconds: float) -> bool:  # noqa: ARG002 (detectors of rows know no time)
        """Ask what was found since the last time. False without new rows."""
        if self._pending == 0:
            return False
        self._scores, self._found = self._found, np.zeros(len(self._detectors))
        self._pending = 0
        return True

    def scores(self) -> Floats:
        """2 for a feature in which drift was found since the evaluation before the last, else 0."""
        return self._scores.copy()

    def model_score(self) -> float:
        """The highest score."""
        return float(self._scores.max())

    def state(self) -> dict[str, NDArray[Any]]:
        """The detectors of river, pickled: restore only what you have saved yourself."""
        return {
            "detectors": np.frombuffer(pickle.dumps(self._detectors), np.uint8),
            "found": self._found.copy(),
            "scores": self._scores.copy(),
            "pending": np.array(self._pending),
        }

    def restored(self, state: dict[str, NDArray[Any]]) -> Self:
        """A detector with the settings of this one that goes on from *state*, which it unpickles."""
        other = type(self)(
            self._reference, budget=self._budget, rows_per_evaluation=self._rows_per_evaluation
        )
        other._detectors = pickle.loads(state["detectors"].tobytes())
        other._found = np.array(state["found"], np.float64)
        other._scores = np.array(state["scores"], np.float64)
        other._pending = int(state["pending"])
        return other

    def _made(self, number: int) -> Any:
        raise NotImplementedError


class ADWIN(_Streaming):
    """Adaptive windowing, one detector a feature.

    Parameters
    ----------
    reference : Reference
    budget : Budget, optional
        One false alert in 90 days at an evaluation a minute where left out.
    rows_per_evaluation : float
        Rows that arrive between two evaluations, for what the budget is a row. Default 100.

    Notes
    -----
    Bifet & Gavaldà, *Learning from Time-Changing Data with Adaptive Windowing*, SIAM SDM (2007). Its
    parameter delta is one over the feature's evaluations between false alerts; it is looked at every 32 rows.
    The bound is wide: at delta 0.002 there was one false alarm in a million rows, which are 31,250 looks. It
    starts from 1,000 rows drawn from the reference.
    """

    _reference_rows = 1_000

    def _made(self, number: int) -> Any:  # noqa: ARG002
        return _river("ADWIN")(delta=1 / self._evaluations_each, clock=32)


class PageHinkley(_Streaming):
    """Cumulative sums in both directions, one detector a feature; see `ADWIN`.

    Notes
    -----
    Page, *Continuous Inspection Schemes*, Biometrika 41 (1954). A deviation of 0.2 a row is forgiven. The
    threshold is that of a random walk of normal scores with this drift, less two standard errors of what it
    is compared with (Siegmund, *Sequential Analysis*, chapter 2, with his 1.166 for the overshoot). It starts
    from 2,000 rows drawn from the reference, without which its running mean is off by more than it forgives.
    """

    _reference_rows = 2_000
    _forgiven = 0.2

    def _made(self, number: int) -> Any:
        rows = 2 * self._evaluations_each * self._rows_per_evaluation  # for each of two directions
        held = max(self._reference.features[number].rows, 1)
        error = math.sqrt(1 / held + 1 / self._reference_rows)
        drift = max(self._forgiven - 2 * error, self._forgiven / 4)
        high = math.log(2 * drift**2 * rows + 1) / (2 * drift)
        return _river("PageHinkley")(delta=self._forgiven, threshold=max(high - 1.166, 5.0))


class KSWIN(_Streaming):
    """KS of the newest 30 rows against 30 of the 70 before them, one detector a feature; see `ADWIN`.

    Notes
    -----
    Raab, Heusinger & Schleif, *Reactive Soft Prototype Computing for Concept Drift Streams*, Neurocomputing
    416 (2020). It tests at every row, so its level is one over the feature's rows between false alerts.
    """

    _reference_rows = 100

    def _made(self, number: int) -> Any:
        level = 1 / (self._evaluations_each * self._rows_per_evaluation)
        return _river("KSWIN")(alpha=level, seed=number)


def _river(name: str) -> Callable[..., Any]:
    try:
        drift = importlib.import_module("river.drift")
    except ImportError as error:
        message = f"{name} is river's, which is not installed; pip install driftgauge[river]"
        raise MissingExtraError(message) from error
    found: Callable[..., Any] = getattr(drift, name)
    return found


def _scores(feature: FeatureReference, reference: Reference) -> tuple[Floats, tuple[Floats, Floats]]:
    """Score of each cell; and of each e-cell, with the shares of the reference."""
    ecells: ECells = ecells_of(feature, reference.unnamed_counts.get(feature.name, ()))
    shares = reference_shares(ecells.counts)
    if ecells.ordered >= 2:
        by_ecell = normal_scores(ecells.counts, ecells.ordered)
    else:
        by_ecell = -np.log(shares)
        by_ecell -= shares @ by_ecell
        deviation = math.sqrt(shares @ by_ecell**2)
        # equal shares surprise equally: then only what is not there can
        by_ecell = by_ecell / deviation if deviation > 1e-9 else by_ecell
    return by_ecell[ecells.cell_map], (by_ecell, shares)

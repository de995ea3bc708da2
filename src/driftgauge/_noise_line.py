"""Up to where an effect size is noise: at one look, or over all looks at the budget of a drift score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.run_length import ks_critical_run_length, psi_critical_run_length
from driftgauge.snapshot import DriftSnapshot

__all__ = ["NoiseLine"]

Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NoiseLine:
    """The critical values of a model's features.

    Parameters
    ----------
    level : float
        At one look, where there is no budget.
    evaluations : float64[F] or None
        Of each feature, between two passings of its line by noise. None: one look.
    evaluate_seconds : float
        Between two evaluations.
    """

    level: float
    evaluations: Floats | None = None
    evaluate_seconds: float = math.inf

    @classmethod
    def of(cls, features: int, level: float, drift: DriftSnapshot | None, shares: Floats | None) -> Self:
        """One look at *level* without *drift*; else its budget, shared by *shares* or equally."""
        if drift is None:
            return cls(level)
        equal = np.full(features, 1 / max(features, 1))
        share = equal if shares is None else np.asarray(shares, np.float64)
        return cls(level, drift.budget_evaluations / share, drift.evaluate_seconds)

    def psi(self, bins: Whole, reference_rows: Whole, rows: int, seconds: float) -> Floats:
        """Critical PSI of a window of *rows* rows that came in *seconds* seconds, float64[F]."""
        if self.evaluations is None:
            return psi_critical(bins, reference_rows, rows, self.level)
        block = self._block(rows, seconds)
        return psi_critical_run_length(bins, reference_rows, rows, block, self.evaluations)

    def ks(self, reference_numbers: Whole, numbers: Whole, rows: int, seconds: float) -> Floats:
        """Critical KS, float64[F]; *reference_numbers* and *numbers* are rows that are numbers."""
        if self.evaluations is None:
            return ks_critical(reference_numbers, numbers, self.level)
        # of the rows that come, as many are numbers as of those in the window
        block = np.maximum(self._block(rows, seconds) * numbers / rows, 1.0)
        return ks_critical_run_length(reference_numbers, numbers, block, self.evaluations)

    def _block(self, rows: int, seconds: float) -> float:
        """Rows between two evaluations, from how fast those of the window came. Two digits are enough."""
        block = rows * self.evaluate_seconds / seconds if seconds > 0 else math.inf
        return float(f"{min(max(block, 1.0), rows):.1e}")

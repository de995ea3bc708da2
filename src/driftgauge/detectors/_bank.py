"""The bank of alternatives that evidence is gathered for, of one stream.

Each component is a likelihood ratio against the reference on the e-cells of a stream:

* a *tilt* moves all ordered e-cells along one score function: location, scale, cubic, quartic;
* a *spike* says that one e-cell has gained rows;
* a *drop* says that one e-cell has lost rows.

A component comes with an upper bound of its mean over all laws that count as "no drift": those that differ
from the reference by no more than its sampling error and the smallest effect of interest together. Divided by
that bound, its product over rows is evidence that has a mean of at most 1 while there is no drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.detectors._allowance import most_errors, needed_errors, standard_errors
from driftgauge.detectors._alternatives import DROP, SPIKE, alternatives
from driftgauge.detectors._scores import SCORES, normal_scores, reference_shares, score_functions
from driftgauge.detectors._tempering import (
    burst_exponents,
    cluster_exponents,
    share_bounds,
    tail_exponents,
)

__all__ = ["DROP", "SPIKE", "Bank", "normal_scores", "score_functions"]

# A component that loses less than this a row, in nats, while nothing drifts would only count evaluations.
_LEAST_INFORMATION: Final = 5e-4

# Nor is one of use that gains nothing by any row, which a drop does not whose e-cell may be empty under no
# drift: a third of all components at a min_effect of 0.05. More than the rounding of two logarithms.
_LEAST_GAIN: Final = 1e-9

# The rules for dependent rows; without each of them alarms were measured to come 5 to 20 times too often.
_STRONG_DEPENDENCE: Final = 2.0
_LARGEST_STEP: Final = 0.5 + 1e-9  # a tilt of 0.5 is still in, whichever way its deviation is rounded
_POOLED_ROWS: Final = 20
_LEAST_ROWS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """The components of one stream, C of them on K e-cells, in H time buckets.

    The log likelihood ratio of a component in an e-cell is ``slopes * x + intercepts``, where ``x`` is the
    value of its score function there, or for a spike or drop 1 in its e-cell and 0 elsewhere.

    Parameters
    ----------
    functions : float64[4, K]
        The stream's score functions.
    families : uint8[C]
        0 to 3 a tilt along that score function, then `SPIKE` and `DROP`.
    cells : int16[C]
        The e-cell of a spike or drop; -1 for a tilt.
    sizes : float64[C]
        How far it tilts, with sign; what share of all rows a spike adds; what share of its rows a drop takes.
    weights : float64[C]
        Above 0, of sum 1. There are no components where nothing can be told, of a sample of one row.
    exponents : float64[C]
        In (0, 1]; below 1 where neighbouring rows are alike.
    slopes, intercepts : float64[C]
    standard_errors : float64[C]
        How many of the reference's, in the direction of the component, count as no drift.
    log_bounds : float64[H, C]
        Logarithm of the largest mean of the ratio under no drift, by time bucket.
    """

    functions: Floats
    families: NDArray[np.uint8]
    cells: NDArray[np.int16]
    sizes: Floats
    weights: Floats
    exponents: Floats
    slopes: Floats
    intercepts: Floats
    standard_errors: Floats
    log_bounds: Floats

    @property
    def size(self) -> int:
        """Number of components, C."""
        return self.weights.size

    def log_ratios(self) -> Floats:
        """Log likelihood ratio of each component in each e-cell, float64[C, K]."""
        return _log_ratios(self.functions, self.families, self.cells, self.slopes, self.intercepts)

    @classmethod
    def empty(cls) -> Bank:
        """The bank without a component, of a stream that is not watched."""
        none = np.empty(0)
        return cls(
            functions=np.empty((SCORES, 0)),
            families=none.astype(np.uint8),
            cells=none.astype(np.int16),
            sizes=none,
            weights=none,
            exponents=none,
            slopes=none,
            intercepts=none,
            standard_errors=none,
            log_bounds=np.empty((1, 0)),
        )

    @classmethod
    def of(
        cls,
        counts: Floats,
        ordered: int,
        rows: int,
        *,
        min_effect: float,
        design_effects: NDArray[np.floating] | None = None,
        bucket_counts: NDArray[np.integer] | None = None,
        inflation: Floats | None = None,
        needed: float | None = None,
        largest_burst: float = 0.0,
    ) -> Bank:
        """The bank of a stream.

        Parameters
        ----------
        counts : float64[K]
            Reference rows by e-cell, as `driftgauge.ecells.ECells.counts`.
        ordered : int
            Number of leading e-cells that are ordered.
        rows : int
            Reference rows; not the sum of *counts* where those are estimates of Good & Turing.
        min_effect : float
            PSI, or chi-square divergence, up to which a difference does not matter. At least 0.
        design_effects : float[4 + K] or None
            As `driftgauge.calibration.StreamCalibration.design_effects`; None when the order is not known
            and rows are taken as independent.
        bucket_counts : int[H, K] or None
            Reference rows by time bucket; None when there is one.
        inflation : float64[K] or None
            As `driftgauge.ecells.ECells.inflation`; None where every count was counted.
        needed : float or None
            Logarithm of the evidence at which the stream raises an alert, ``ln(A / v)``; for how much the
            reference's errors are allowed for, see `driftgauge.detectors._allowance`. None: the most standard
            errors in every component, whatever the budget.
        """
        return _Builder(
            counts, ordered, rows, min_effect, design_effects, inflation, needed, largest_burst
        ).build(bucket_counts)


class _Builder:
    """What the steps of `Bank.of` have in common."""

    def __init__(
        self,
        counts: Floats,
        ordered: int,
        rows: int,
        min_effect: float,
        design_effects: NDArray[np.floating] | None,
        inflation: Floats | None,
        needed: float | None,
        largest_burst: float,
    ) -> None:
        self.counts = np.asarray(counts, np.float64)
        self.rows = max(rows, 1)
        self.shares = reference_shares(self.counts)
        self.tolerance = math.sqrt(min_effect)
        self.most_errors = most_errors(rows)
        self.inflation = np.ones(self.counts.size) if inflation is None else inflation
        self.needed = needed
        self.largest_burst = largest_burst
        self.functions = score_functions(self.counts, ordered)
        self.known_order = design_effects is not None
        ecells = self.counts.size
        effects = np.ones(SCORES + ecells) if design_effects is None else np.asarray(design_effects, float)
        self.score_effects, cell_effects = effects[:SCORES], effects[SCORES:]
        # Too few rows to measure it by, or none where the count is an estimate: at least what is usual.
        usual = float(np.median(cell_effects))
        few = (self.counts / np.maximum(cell_effects, usual) < _POOLED_ROWS) | (self.inflation > 1)
        self.cell_effects = np.where(few, np.maximum(cell_effects, usual), cell_effects)

    def build(self, bucket_counts: NDArray[np.integer] | None) -> Bank:
        """All components, the bounds of each, and then only those worth having."""
        self._list()
        ratios = _log_ratios(self.functions, self.families, self.cells, self.slopes, self.intercepts)
        mean = ratios @ self.shares
        deviation = np.sqrt(np.maximum((ratios**2) @ self.shares - mean**2, 0.0))
        bounds, bucket_rows = self._bounds(ratios, bucket_counts)
        exponents = self._exponents(ratios)
        lost = (bucket_rows / bucket_rows.sum()) @ bounds - mean
        gained = ratios.max(axis=1) - bounds.min(axis=0)
        kept = (lost >= _LEAST_INFORMATION) & (gained > _LEAST_GAIN)
        kept &= ~((self.effects > _STRONG_DEPENDENCE) & (deviation > _LARGEST_STEP))
        if self.known_order:
            held = self.counts / self.cell_effects
            unsure = (self.counts > 0) & (held < _LEAST_ROWS)
            kept &= ~((self.families >= SPIKE) & unsure[self.cells])
        weights = self.weights[kept]
        return Bank(
            functions=self.functions,
            families=self.families[kept],
            cells=self.cells[kept],
            sizes=self.sizes[kept],
            weights=weights / weights.sum() if weights.size else weights,
            exponents=exponents[kept],
            slopes=self.slopes[kept],
            intercepts=self.intercepts[kept],
            standard_errors=self.standard_errors[kept],
            log_bounds=bounds[:, kept],
        )

    def _list(self) -> None:
        """Families, e-cells, sizes, weights, slopes and intercepts of all components."""
        found = alternatives(self.functions)
        self.families, self.cells, self.sizes, self.weights = found
        self.tilts = self.families < SPIKE
        self.spikes = self.families == SPIKE
        self.drops = self.families == DROP
        self.effects = np.where(
            self.tilts, self.score_effects[self.families % SCORES], self.cell_effects[self.cells]
        )
        self.slopes = self.sizes.copy()
        self.intercepts = np.empty(self.sizes.size)
        tilted = self.sizes[self.tilts, None] * self.functions[self.families[self.tilts]]
        self.intercepts[self.tilts] = -_log_mean_exp(tilted, self.shares)
        self._set(self.shares[self.cells])
        self.needed_errors = self._needed_errors()
        self.standard_errors = self._standard_errors(self.rows)
        self.limits = self._limits(self.counts, self.shares, self.rows, self.inflation, self.standard_errors)
        self._set(self.limits)

    def _set(self, limits: Floats) -> None:
        """Slopes and intercepts of spikes and drops by a bound of the share of their e-cell, float64[C]."""
        gained, taken = self.sizes[self.spikes], self.sizes[self.drops]
        self.intercepts[self.spikes] = np.log1p(-gained)
        self.slopes[self.spikes] = np.log1p(gained / ((1 - gained) * limits[self.spikes]))
        self.intercepts[self.drops] = -np.log1p(-taken * limits[self.drops])
        self.slopes[self.drops] = np.log1p(-taken)

    def _needed_errors(self) -> Floats:
        """Standard errors to allow for, times the root of the rows they are of, float64[C].

        The components are those of the shares themselves.
        """
        if self.needed is None:
            return np.full(self.sizes.size, np.inf)
        ratios = _log_ratios(self.functions, self.families, self.cells, self.slopes, self.intercepts)
        # a tilt of thousands of standard deviations overflows, and then needs no allowance
        with np.errstate(over="ignore", invalid="ignore"):
            likelihood = np.exp(np.minimum(ratios, 300.0))
            grown = (likelihood * ratios) @ self.shares
            deviation = np.sqrt(((likelihood - 1) ** 2) @ self.shares)
            evidence = self._evidence(self.needed)
            return needed_errors(evidence, deviation, grown)

    def _standard_errors(self, rows: float) -> Floats:
        """Standard errors of a reference of so many rows that count as no drift, float64[C]."""
        uncertain = np.where(self.tilts, 1.0, self.inflation[self.cells]) * self.effects
        return standard_errors(self.needed_errors, rows / uncertain, self.most_errors)

    def _limits(self, counts: Floats, shares: Floats, rows: float, effects: Floats, errors: Floats) -> Floats:
        """The largest share of a spike's e-cell under no drift, the least of a drop's, float64[C]."""
        from scipy.special import ndtr

        limits = np.ones(self.sizes.size)
        tolerated = self.tolerance * np.sqrt(shares * (1 - shares))
        for chosen, sign in ((self.spikes, 1.0), (self.drops, -1.0)):
            cells = self.cells[chosen]
            bounds = share_bounds(counts[cells], rows, ndtr(-errors[chosen]), effects[cells])
            bound = bounds[0] if sign > 0 else bounds[1]
            limits[chosen] = np.clip(bound + sign * tolerated[cells], 0.0, 1.0)
        return limits

    def _bounds(self, ratios: Floats, bucket_counts: NDArray[np.integer] | None) -> tuple[Floats, Floats]:
        """Logarithm of the largest mean of each ratio under no drift, [H, C], and rows by bucket, [H]."""
        if bucket_counts is None:
            return self._bound(ratios, self.counts, self.rows)[None], np.ones(1)
        raw = np.asarray(bucket_counts, np.float64)
        rows = raw.sum(axis=1)
        # Where the count is an estimate of what is not yet seen, a bucket has its part of the estimate.
        estimated = raw.sum(axis=0) != self.counts
        parts = rows[:, None] / self.rows * self.counts
        counts = np.where(estimated, parts, raw)
        bounds = [self._bound(ratios, held, number) for held, number in zip(counts, rows, strict=True)]
        return np.array(bounds), np.maximum(rows, 1e-9)

    def _bound(self, ratios: Floats, counts: Floats, rows: float) -> Floats:
        # A bucket without rows knows nothing: the whole reference's shares, and one row's certainty of them.
        shares = reference_shares(counts) if rows >= 1 else self.shares
        rows = max(rows, 1.0)
        bound = np.empty(self.sizes.size)
        likelihood = np.exp(ratios[self.tilts])
        mean = likelihood @ shares
        deviation = np.sqrt(np.maximum(((likelihood - mean[:, None]) ** 2) @ shares, 0.0))
        errors = self._standard_errors(rows)
        radius = self.tolerance + errors[self.tilts] * np.sqrt(self.effects[self.tilts] / rows)
        bound[self.tilts] = np.log(mean + radius * deviation)
        limits = self._limits(counts, shares, rows, self.cell_effects * self.inflation, errors)
        gained, taken = self.sizes[self.spikes], self.sizes[self.drops]
        bound[self.spikes] = np.log1p(gained * (limits[self.spikes] / self.limits[self.spikes] - 1))
        bound[self.drops] = np.log1p(-taken * limits[self.drops]) - np.log1p(-taken * self.limits[self.drops])
        return bound

    def _exponents(self, ratios: Floats) -> Floats:
        exponents = 1 / self.effects
        clustered = cluster_exponents(self.slopes[self.spikes], self.effects[self.spikes])
        exponents[self.spikes] = np.minimum(exponents[self.spikes], clustered)
        finite = tail_exponents(ratios[self.tilts], self.cell_effects)
        exponents[self.tilts] = np.minimum(exponents[self.tilts], finite)
        if self.needed is None:
            return exponents
        evidence = self._evidence(self.needed)
        alone = burst_exponents(ratios, self.shares, self.rows, self.largest_burst, evidence, self.needed)
        return np.asarray(np.minimum(exponents, alone))

    def _evidence(self, needed: float) -> Floats:
        """Log evidence at which each component alone raises an alert, float64[C]."""
        evidence: Floats = needed - np.log(self.weights / self.weights.sum())
        return evidence


def _log_ratios(
    functions: Floats,
    families: NDArray[np.uint8],
    cells: NDArray[np.int16],
    slopes: Floats,
    intercepts: Floats,
) -> Floats:
    at = np.zeros((families.size, functions.shape[1]))
    tilts = families < SPIKE
    at[tilts] = functions[families[tilts]]
    others = np.flatnonzero(~tilts)
    at[others, cells[others]] = 1.0
    return slopes[:, None] * at + intercepts[:, None]


def _log_mean_exp(values: Floats, shares: Floats) -> Floats:
    """Logarithm of the mean of ``exp(values)`` by row; values may be in the thousands."""
    largest = values.max(axis=1, keepdims=True, initial=-np.inf)
    logarithm: Floats = np.log(np.exp(values - largest) @ shares) + largest[:, 0]
    return logarithm

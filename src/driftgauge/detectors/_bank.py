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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.detectors._scores import SCORES, normal_scores, reference_shares, score_functions
from driftgauge.detectors._tempering import cluster_exponents, share_bounds, tail_exponents

__all__ = ["DROP", "SPIKE", "Bank", "normal_scores", "score_functions"]

SPIKE: Final = SCORES
DROP: Final = SCORES + 1
"""Families: 0 to 3 are tilts along the score function of that number."""

_TILTS: Final[Sequence[tuple[float, ...]]] = (
    (0.1, 0.2, 0.4, 0.8, 1.6),
    (0.1, 0.2, 0.4, 0.8),
    (0.15, 0.5),
    (0.15, 0.5),
)
_TILT_WEIGHTS: Final = (0.30, 0.18, 0.035, 0.035)
_SPIKES: Final = (0.003, 0.01, 0.05, 0.25)
_SPIKE_WEIGHT: Final = 0.30
_DROPS: Final = (0.3, 0.6, 0.95)
_DROP_WEIGHT: Final = 0.15

# Standard errors of the reference that count as no drift. Of 60 references of 1,000 rows one in eight has
# shares so unlucky that 2.5 are too few (1.9 times the allowed alarms, against 0.13 with 3); from 10,000 rows
# on, 2.5 gave 0.03.
_FEW_ROWS: Final = 10_000
_STANDARD_ERRORS: Final = 2.5
_STANDARD_ERRORS_FEW: Final = 3.0

# A component that loses less than this a row, in nats, while nothing drifts would only count evaluations.
_LEAST_INFORMATION: Final = 5e-4

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
        """
        return _Builder(counts, ordered, rows, min_effect, design_effects).build(bucket_counts)


class _Builder:
    """What the steps of `Bank.of` have in common."""

    def __init__(
        self,
        counts: Floats,
        ordered: int,
        rows: int,
        min_effect: float,
        design_effects: NDArray[np.floating] | None,
    ) -> None:
        self.counts = np.asarray(counts, np.float64)
        self.rows = max(rows, 1)
        self.shares = reference_shares(self.counts)
        self.tolerance = math.sqrt(min_effect)
        self.standard_errors = _STANDARD_ERRORS if rows >= _FEW_ROWS else _STANDARD_ERRORS_FEW
        self.error = 0.5 * math.erfc(self.standard_errors / math.sqrt(2))
        self.functions = score_functions(self.counts, ordered)
        self.known_order = design_effects is not None
        ecells = self.counts.size
        effects = np.ones(SCORES + ecells) if design_effects is None else np.asarray(design_effects, float)
        self.score_effects, cell_effects = effects[:SCORES], effects[SCORES:]
        # Too few rows to measure dependence by: at least what is usual among the e-cells of the stream.
        usual = float(np.median(cell_effects))
        few = self.counts / np.maximum(cell_effects, usual) < _POOLED_ROWS
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
        kept = (self.weights > 0) & (lost >= _LEAST_INFORMATION)
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
            log_bounds=bounds[:, kept],
        )

    def _list(self) -> None:
        """Families, e-cells, sizes, weights, slopes and intercepts of all components."""
        ecells = self.counts.size
        scale = self.tolerance * np.sqrt(self.shares * (1 - self.shares))
        upper, lower = share_bounds(self.counts, self.rows, self.error)
        self.upper = np.minimum(upper + scale, 1.0)
        self.lower = np.maximum(lower - scale, 0.0)
        families: list[int] = []
        sizes: list[float] = []
        weights: list[float] = []
        for row, (tilts, weight) in enumerate(zip(_TILTS, _TILT_WEIGHTS, strict=True)):
            if self.functions[row].any():
                signed = [sign * tilt for tilt in tilts for sign in (-1, 1)]
                families += [row] * len(signed)
                sizes += signed
                weights += [weight / len(signed)] * len(signed)
        tilts_end = len(sizes)
        every = np.arange(ecells, dtype=np.int16)
        spikes, drops = len(_SPIKES), len(_DROPS)
        self.families = np.array(
            families + [SPIKE] * (ecells * spikes) + [DROP] * (ecells * drops), dtype=np.uint8
        )
        self.cells = np.concatenate(
            (np.full(tilts_end, -1, np.int16), np.repeat(every, spikes), np.repeat(every, drops))
        )
        self.sizes = np.array(sizes + list(_SPIKES) * ecells + list(_DROPS) * ecells)
        self.weights = np.array(
            weights
            + [_SPIKE_WEIGHT / ecells / spikes] * (ecells * spikes)
            + [_DROP_WEIGHT / ecells / drops] * (ecells * drops)
        )
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
        gained, taken = self.sizes[self.spikes], self.sizes[self.drops]
        self.intercepts[self.spikes] = np.log1p(-gained)
        self.slopes[self.spikes] = np.log1p(gained / ((1 - gained) * self.upper[self.cells[self.spikes]]))
        self.intercepts[self.drops] = -np.log1p(-taken * self.lower[self.cells[self.drops]])
        self.slopes[self.drops] = np.log1p(-taken)

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
        radius = self.tolerance + self.standard_errors * np.sqrt(self.effects[self.tilts] / rows)
        bound[self.tilts] = np.log(mean + radius * deviation)
        scale = self.tolerance * np.sqrt(shares * (1 - shares))
        upper, lower = share_bounds(counts, rows, self.error, self.cell_effects)
        upper, lower = np.minimum(upper + scale, 1.0), np.maximum(lower - scale, 0.0)
        cells, gained = self.cells[self.spikes], self.sizes[self.spikes]
        bound[self.spikes] = np.log1p(gained * (upper[cells] / self.upper[cells] - 1))
        cells, taken = self.cells[self.drops], self.sizes[self.drops]
        bound[self.drops] = np.log1p(-taken * lower[cells]) - np.log1p(-taken * self.lower[cells])
        return bound

    def _exponents(self, ratios: Floats) -> Floats:
        exponents = 1 / self.effects
        clustered = cluster_exponents(self.slopes[self.spikes], self.effects[self.spikes])
        exponents[self.spikes] = np.minimum(exponents[self.spikes], clustered)
        finite = tail_exponents(ratios[self.tilts], self.cell_effects)
        exponents[self.tilts] = np.minimum(exponents[self.tilts], finite)
        return exponents


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

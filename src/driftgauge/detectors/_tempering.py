"""How much slower evidence must grow when neighbouring rows are alike, and how sure shares are then.

A design effect is by how much dependence inflates the variance of a mean. ``n`` rows with design effect ``d``
are worth ``n / d`` independent ones. It enters twice: the reference's shares are known less well, and live
rows prove less, so a log likelihood ratio is multiplied by an exponent of at most ``1 / d``.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats

__all__ = ["burst_exponents", "cluster_exponents", "share_bounds", "tail_exponents"]

# Rows in clusters of this mean size or less are taken as single: ln(c / (c - 1)) is 3.9 there, no limit.
_SINGLE: Final = 1.02

# A sum of exponentials is finite up to ln(c / (c - 1)); a tenth of that is left as margin.
_MARGIN: Final = 0.9

_HALVINGS: Final = 40  # of an interval of at most 1: to the 12th digit


# Bursts have tails as heavy as Pareto's with this exponent, which has a variance and little more.
_TAIL: Final = 2.5

# The largest burst that is allowed for is that of so many budgets' rows of the least an evaluation may have.
# 200 streams of Pareto bursts: with 300 there were 9 to 22 alarms where 20 are allowed, with 1,000 at most 6.
_BUDGETS: Final = 500.0
_LEAST_ROWS: Final = 20

# One burst alone leaves so much of the way to the line, for what all other rows bring.
_LEFT: Final = 2.0


def share_bounds(
    counts: Floats, rows: float | Floats, error: float | Floats, design_effects: float | Floats = 1.0
) -> tuple[Floats, Floats]:
    """Upper and lower bound of the share of each e-cell, each wrong with probability *error* at most.

    Parameters
    ----------
    counts : float64[...]
        Reference rows in the e-cell, in [0, rows].
    rows : float or float64[...]
        Reference rows.
    error : float or float64[...]
        One-sided, in (0, 1).
    design_effects : float or float64[...]
        At least 1: bounds are those of counts and rows divided by it.

    Returns
    -------
    upper, lower : float64[...]
        In [0, 1].

    Notes
    -----
    Clopper & Pearson, *Biometrika* 26 (1934), by quantiles of the beta distribution.
    """
    from scipy.special import betainccinv, betaincinv

    held = np.minimum(counts, rows) / design_effects
    others = rows / design_effects - held
    tiny = 1e-9  # stands in for 0 where the branch is not taken
    upper = np.where(others > tiny, betainccinv(held + 1, np.maximum(others, tiny), error), 1.0)
    lower = np.where(held > tiny, betaincinv(np.maximum(held, tiny), others + 1, error), 0.0)
    return upper, lower


def cluster_exponents(jumps: Floats, design_effects: Floats) -> Floats:
    """Largest exponent, at most 1, for an e-cell's log likelihood ratio when hits come in clusters.

    Parameters
    ----------
    jumps : float64[...]
        What one hit adds to the log likelihood ratio.
    design_effects : float64[...]
        Of the e-cell's indicator; hits are taken to come in clusters of mean size ``c = (d + 1) / 2``.

    Returns
    -------
    float64[...]
        In (0, 1]; 1 where there are no clusters or the jump is not positive.

    Notes
    -----
    With geometric clusters the exponent ``t`` solves
    ``(exp(t a) - 1) / (c (1 - (1 - 1/c) exp(t a))) = t (exp(a) - 1)`` for the jump ``a``: growth in clusters
    is then what single hits would bring. Found by halving an interval.
    """
    jumps, design_effects = np.broadcast_arrays(jumps, design_effects)
    size = (design_effects + 1) / 2
    clustered = (size > _SINGLE) & (jumps > 0)
    exponents = np.ones(jumps.shape)
    if not clustered.any():
        return exponents
    c, a = size[clustered], jumps[clustered]
    ceiling = np.minimum(np.log(c / (c - 1)) / a * (1 - 1e-9), 1.0)
    low, high = np.full(c.shape, 1e-6), ceiling

    def too_fast(exponent: Floats) -> NDArray[np.bool_]:
        growth = np.exp(exponent * a)
        fast: NDArray[np.bool_] = (growth - 1) / c / (1 - (1 - 1 / c) * growth) > exponent * np.expm1(a)
        return fast

    root_below = too_fast(ceiling)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        fast = too_fast(middle)
        high = np.where(fast, middle, high)
        low = np.where(fast, low, middle)
    exponents[clustered] = np.where(root_below, low, ceiling)
    return exponents


def tail_exponents(log_ratios: Floats, design_effects: Floats) -> Floats:
    """Largest exponent of each tilt for which clusters of hits in one e-cell keep a finite mean.

    Parameters
    ----------
    log_ratios : float64[C, K]
        Log likelihood ratio of each tilt in each e-cell.
    design_effects : float64[K]
        Of each e-cell's indicator.

    Returns
    -------
    float64[C]
        Above 0, infinite where nothing limits it.
    """
    size = (design_effects + 1) / 2
    limit = np.full(size.shape, np.inf)
    clustered = size > _SINGLE
    limit[clustered] = _MARGIN * np.log(size[clustered] / (size[clustered] - 1))
    exponents = np.where(log_ratios > 0, limit / np.where(log_ratios > 0, log_ratios, 1.0), np.inf)
    return np.asarray(exponents.min(axis=1, initial=np.inf))


def burst_exponents(
    log_ratios: Floats, shares: Floats, rows: float, largest_burst: float, evidence: Floats, needed: float
) -> Floats:
    """Largest exponent of each component for which no single burst raises an alert.

    Parameters
    ----------
    log_ratios : float64[C, K]
    shares : float64[K]
        Of the reference, by e-cell.
    rows : float
        Reference rows.
    largest_burst : float
        Rows of its largest burst into one e-cell.
    evidence : float64[C]
        Log evidence at which each component alone raises an alert.
    needed : float
        That of the stream: the logarithm of its evaluations between alerts.

    Returns
    -------
    float64[C]
        Above 0, infinite where nothing limits it.

    Notes
    -----
    The largest of N bursts grows as ``N ** (1 / 2.5)``. An e-cell with a share p of the rows sees
    ``p`` of the bursts that the budget's rows bring, against all of those of the reference.
    """
    if not largest_burst > 0:
        return np.full(log_ratios.shape[0], np.inf)
    more = math.log(_BUDGETS * _LEAST_ROWS / rows) + needed + np.log(shares)
    sizes = np.maximum(largest_burst * np.exp(more / _TAIL), 1.0)
    worst = np.max(log_ratios * sizes, axis=1, initial=0.0)
    room = np.maximum(evidence - _LEFT, _LEFT)
    return np.asarray(np.where(worst > 0, room / np.where(worst > 0, worst, 1.0), np.inf))

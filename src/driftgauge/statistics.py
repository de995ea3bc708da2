"""Statistics of two count vectors: how far live rows are from the reference.

Each takes the reference's counts and the live counts over the same bins (or, where it says so, over the
number cells of `driftgauge.cells`), and neither needs to be normalised. Each is exactly what a snapshot
holds. NaN means that a side has no rows.

Smoothing. PSI, Jensen-Shannon and Hellinger add half a row to every bin on both sides, after bins that are
empty on both sides have been left out, so that a bin with no row is compared by its size and not by a
logarithm of zero: p = (w + 1/2) / (W + K/2) with K remaining bins (Jeffreys' prior for a multinomial).
Total variation, chi-square, KS and Wasserstein need no smoothing and have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driftgauge import kernels
from driftgauge.errors import DataError

__all__ = [
    "chi_square",
    "hellinger",
    "js",
    "ks",
    "psi",
    "psi_debiased",
    "total_variation",
    "wasserstein",
]


def psi(reference: ArrayLike, live: ArrayLike) -> float:
    """Population stability index, natural logarithm.

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        At least 0, smoothed on both sides; NaN when either side is empty. Raw, so that it can be compared
        with the customary 0.1 and 0.2; `driftgauge.detectors.psi_critical` says what noise makes of it.

    Raises
    ------
    DataError
        When the counts are not whole, not one-dimensional, negative, or of different length.

    Examples
    --------
    >>> psi([500, 300, 200], [500, 300, 200])
    0.0
    >>> round(psi([500, 300, 200], [250, 300, 450]), 3)
    0.375

    Notes
    -----
    Lewis, *An Introduction to Credit Scoring* (1994); it is Jeffreys' divergence, Kullback & Leibler, Ann.
    Math. Stat. 22 (1951), equation 2.6.
    """
    return float(kernels.psi(*_pair(reference, live)))


def psi_debiased(reference: ArrayLike, live: ArrayLike) -> float:
    """PSI minus what sampling noise adds to it on average: 0 in the mean when nothing drifted.

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        ``psi - (K - 1) (1 / W + 1 / n)`` with K bins that have a row on either side, W live and n reference
        rows. It may be negative. NaN when either side is empty.

    Raises
    ------
    DataError
        As for `psi`.

    Examples
    --------
    >>> round(psi_debiased([500, 300, 200], [250, 300, 450]), 3)
    0.371

    Notes
    -----
    Mean of the law that `driftgauge.detectors.psi_critical` has its quantile from.
    """
    first, second = _pair(reference, live)
    rows, live_rows = int(first.sum()), int(second.sum())
    if rows == 0 or live_rows == 0:
        return float("nan")
    bins = int(np.count_nonzero(first + second))
    return float(kernels.psi(first, second)) - (bins - 1) * (1 / live_rows + 1 / rows)


def js(reference: ArrayLike, live: ArrayLike) -> float:
    """Jensen-Shannon distance: the root of the divergence in bits.

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        In [0, 1], smoothed on both sides, a metric, the same whichever side is which; NaN when either side
        is empty.

    Raises
    ------
    DataError
        As for `psi`.

    Examples
    --------
    >>> round(js([500, 300, 200], [250, 300, 450]), 3)
    0.257

    Notes
    -----
    Lin, IEEE Trans. Inf. Theory 37 (1991), section IV; that the root is a metric: Endres & Schindelin,
    ibid. 49 (2003).
    """
    return float(kernels.js(*_pair(reference, live)))


def hellinger(reference: ArrayLike, live: ArrayLike) -> float:
    """Hellinger distance.

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        In [0, 1], smoothed on both sides; NaN when either side is empty.

    Raises
    ------
    DataError
        As for `psi`.

    Examples
    --------
    >>> round(hellinger([500, 300, 200], [250, 300, 450]), 3)
    0.215

    Notes
    -----
    Root of half the sum of squared differences of square roots: Le Cam & Yang, *Asymptotics in
    Statistics*, 2nd ed., section 3.2.
    """
    return float(kernels.hellinger(*_pair(reference, live)))


def total_variation(reference: ArrayLike, live: ArrayLike) -> float:
    """Half the summed absolute difference of shares: the share of rows that would have to move.

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        In [0, 1], not smoothed; NaN when either side is empty.

    Raises
    ------
    DataError
        As for `psi`.

    Examples
    --------
    >>> total_variation([500, 300, 200], [250, 300, 450])
    0.25

    Notes
    -----
    Levin & Peres, *Markov Chains and Mixing Times*, 2nd ed., proposition 4.2.
    """
    return float(kernels.total_variation(*_pair(reference, live)))


def chi_square(reference: ArrayLike, live: ArrayLike) -> float:
    """Pearson's statistic for "both sides come from one distribution".

    Parameters
    ----------
    reference, live : int[bins]
        Rows by bin.

    Returns
    -------
    float
        At least 0 and growing with the number of rows; without drift near chi-square with bins - 1 degrees of
        freedom. NaN when either side is empty.

    Raises
    ------
    DataError
        As for `psi`.

    Examples
    --------
    >>> round(chi_square([500, 300, 200], [250, 300, 450]), 1)
    179.5

    Notes
    -----
    Equal to `scipy.stats.chi2_contingency` without correction. Press et al., *Numerical Recipes*, 3rd ed.,
    eq. 14.3.3.
    """
    return float(kernels.chi_square(*_pair(reference, live)))


def ks(reference: ArrayLike, live: ArrayLike) -> float:
    """Two-sample Kolmogorov-Smirnov statistic: the largest distance of the two distribution functions.

    Parameters
    ----------
    reference, live : int[cells]
        Rows by cell, cells in rising order of their values: of a feature, its first
        `FeatureReference.number_cells`.

    Returns
    -------
    float
        In [0, 1]; NaN when either side is empty. Where the cells are all distinct reference values and the
        gaps between them, it is that of the raw rows, ties included.

    Raises
    ------
    DataError
        As for `psi`, or when a count is over 2**32 - 1.

    Examples
    --------
    >>> ks([1, 1, 1, 1], [0, 0, 2, 2])
    0.5

    Notes
    -----
    Counted in whole numbers, one division at the end. Hodges, *Arkiv för Matematik* 3 (1958), section 1.
    Equal to `scipy.stats.ks_2samp` to 1e-12 (`tests/windows/test_exactness.py`).
    """
    first, second = _pair(reference, live)
    if max(first.max(initial=0), second.max(initial=0)) > np.iinfo(np.uint32).max:
        message = "a cell can count up to 4,294,967,295 rows; divide both sides by a whole number"
        raise DataError(message)
    return float(kernels.ks(first.astype(np.uint32), second.astype(np.uint32)))


def wasserstein(points: ArrayLike, reference: ArrayLike, live: ArrayLike) -> float:
    """Wasserstein-1 distance in reference standard deviations.

    Parameters
    ----------
    points : float64[k]
        Rising and finite, `FeatureReference.points`.
    reference, live : int[2 * k + 3]
        Rows by number cell, in the order of `driftgauge.cells`.

    Returns
    -------
    float
        At least 0; NaN when either side is empty or the reference does not vary. A value in a gap counts as
        the gap's middle and a value outside as the nearest point, so that one absurd value moves it by its
        share.

    Raises
    ------
    DataError
        As for `psi`, or when the points do not rise or the cells are not ``2 * k + 3``.

    Examples
    --------
    Points 0 and 1 with five rows each; all live rows at 1. Half the mass moves by 1, which is two standard
    deviations of 1/2:

    >>> wasserstein([0.0, 1.0], [0, 0, 5, 0, 5, 0, 0], [0, 0, 0, 0, 4, 0, 0])
    1.0

    Notes
    -----
    Area between the distribution functions: Villani, *Topics in Optimal Transportation*, section 2.2.
    """
    places = np.asarray(points, dtype=np.float64)
    if places.ndim != 1 or not np.isfinite(places).all() or not (np.diff(places) > 0).all():
        message = (
            "points must be finite numbers in rising order, one-dimensional; see FeatureReference.points"
        )
        raise DataError(message)
    first, second = _pair(reference, live)
    if first.size != 2 * places.size + 3:
        message = (
            f"{places.size} points have {2 * places.size + 3} number cells, got counts of {first.size}; "
            "cut the counts of a feature at FeatureReference.number_cells"
        )
        raise DataError(message)
    return float(
        kernels.wasserstein(np.ascontiguousarray(places), first.astype(np.uint32), second.astype(np.uint32))
    )


def _pair(reference: ArrayLike, live: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = _counts("reference", reference), _counts("live", live)
    if first.size != second.size:
        message = f"reference and live must be counts on the same bins, got {first.size} and {second.size}"
        raise DataError(message)
    return first, second


def _counts(side: str, values: ArrayLike) -> NDArray[np.int64]:
    given: NDArray[Any] = np.asarray(values)
    if given.ndim != 1:
        message = f"{side} must be one-dimensional counts, got shape {given.shape}"
        raise DataError(message)
    if given.dtype.kind not in "iuf" and given.size:
        message = f"{side} must be counts, whole numbers from 0, got dtype {given.dtype}"
        raise DataError(message)
    # 2**53: above it a float64 is no count any more, and a sum of int64 could pass its end
    if given.size and not (np.isfinite(given).all() and given.min() >= 0 and given.max() <= 2**53):
        message = (
            f"{side} must be counts, whole numbers from 0 to 2**53, got {given.min()!r} to {given.max()!r}"
        )
        raise DataError(message)
    counts = given.astype(np.int64)
    if given.dtype.kind == "f" and not np.array_equal(counts, given):
        message = f"{side} must be counts, got fractions; give rows by bin, not shares"
        raise DataError(message)
    return np.ascontiguousarray(counts)

"""How large PSI and KS of a sliding window get by noise alone, over all its looks together.

A window that is evaluated every minute is looked at again and again, and each look shares most of its rows
with the one before. The lines here are those which an undrifted window passes once in so many evaluations,
in the mean. They follow from closed forms: nothing is simulated, so a budget of years costs what one of days
costs.

The statistic is taken as a diffusion that has its law at one look and its variance from look to look. The
mean time in which such a process first reaches ``b`` is ``I(b) / c`` with ``c = 1 / (W (1 + W / n))``, for
windows of ``W`` rows against a reference of ``n``, whose error is in every window:

* PSI and other statistics of chi-square type, ``b`` the root of the statistic: ``I`` is the integral of
  ``F / f`` up to ``b``, with ``F`` and ``f`` the law of chi with ``bins - 1`` degrees of freedom;
* KS, ``b = KS / sqrt(1 / W + 1 / n)``: four times the integral of ``K / k``, with Kolmogorov's law;
* sums of squares or of distances in which one normal mode leads, such as Anderson and Darling's: ``b`` in
  standard deviations of that mode, ``I`` that of chi with one degree of freedom, and the modes that follow
  make alarms more frequent by a constant factor.

Evaluating only every ``D`` rows lengthens it by ``1 / nu(slope(ln I) * sd)``, where sd is what the statistic
moves by from look to look and ``nu`` is Siegmund's function for the overshoot of a random walk. It goes over
into independent looks, where the windows of two evaluations share no row.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driftgauge.cells import Floats
from driftgauge.errors import ConfigError

__all__ = ["ks_critical_run_length", "mode_critical_run_length", "psi_critical_run_length"]

# Of the tables over b: at 400 points straight lines between them are within 0.001 of b.
_POINTS: Final = 400
# So far beyond the middle of chi, and for KS from 0, run lengths pass exp(80), or the age of the universe
# at an evaluation a microsecond.
_REACH: Final = 12.0
_HALVINGS: Final = 30  # of at most 400 points: 4e-7 of one


def psi_critical_run_length(
    bins: ArrayLike,
    reference_rows: ArrayLike,
    live_rows: ArrayLike,
    rows_per_evaluation: ArrayLike,
    evaluations: ArrayLike,
) -> NDArray[np.float64]:
    """PSI that an undrifted sliding window passes once in *evaluations*, in the mean.

    Parameters
    ----------
    bins : int or int[...]
        Bins that hold a row on either side. With fewer than two there is nothing to differ in: 0.
    reference_rows, live_rows : int or int[...]
        Rows of the reference and of the window. NaN where either is 0. While the window fills, the rows so
        far.
    rows_per_evaluation : float or float[...]
        Rows that arrive between two evaluations, above 0. More than *live_rows* counts as so many: then
        every evaluation sees rows of its own.
    evaluations : float or float[...]
        Above 0. For a budget of a model, its evaluations divided by the feature's share.

    Returns
    -------
    float64[...]
        Broadcast over the arguments, at least 0.

    Raises
    ------
    ConfigError
        When *rows_per_evaluation* or *evaluations* is not above 0.

    Examples
    --------
    One false alert in 90 days among 100 features, evaluated every minute at 10 rows a second:

    >>> float(psi_critical_run_length(10, 10_000, 1_000, 600, 129_600 * 100).round(4))
    0.056
    >>> bool(psi_critical_run_length(10, 10_000, 1_000, 600, 129_600) > 0.2)
    False

    Notes
    -----
    Mean first passage of the radial Ornstein-Uhlenbeck process; Siegmund, *Sequential Analysis* (1985),
    chapters 8 and 10, for ``nu``. ``I(b) = x / d * 2F2(1, 1; 2, d / 2 + 1; x)`` with ``x = b**2 / 2``.
    Against simulated windows with a reference of their own (`tests/detectors/test_run_length.py`) the mean
    time to a false alert is 0.8 to 1.4 times what was asked for, with some 50 rows a bin in the window;
    with 20 rows a bin it is 0.5 to 0.9 times.

    It takes the rows as independent. Where neighbouring rows are alike, undrifted windows pass the line far
    more often; the drift score measures that, this line does not.

    The first call for a number of bins takes some milliseconds, after which it is 2 µs a feature.
    """
    wanted, reference, live, block, asked = np.broadcast_arrays(
        np.asarray(bins, np.int64), *_checked(reference_rows, live_rows, rows_per_evaluation, evaluations)
    )
    distinct, place = np.unique(np.maximum(wanted, 2), return_inverse=True)
    tables = _chi_tables(tuple(distinct.tolist()))
    noise, rate = _noise_and_rate(reference, live)
    step = np.minimum(block, live) * rate
    root = _solved(tables, place.reshape(wanted.shape), np.log(asked * step), np.sqrt(2 * step))
    return np.asarray(np.where(wanted < 2, 0.0 * noise, root**2 * noise), np.float64)


def ks_critical_run_length(
    reference_rows: ArrayLike, live_rows: ArrayLike, rows_per_evaluation: ArrayLike, evaluations: ArrayLike
) -> NDArray[np.float64]:
    """KS that an undrifted sliding window passes once in *evaluations*, in the mean.

    Parameters
    ----------
    reference_rows, live_rows : int or int[...]
        Numbers of the feature in the reference and in the window: rows without NaN and missing values. NaN
        where either is 0.
    rows_per_evaluation, evaluations : float or float[...]
        As for `psi_critical_run_length`.

    Returns
    -------
    float64[...]
        Broadcast over the arguments, in [0, 1].

    Raises
    ------
    ConfigError
        When *rows_per_evaluation* or *evaluations* is not above 0.

    Examples
    --------
    >>> float(ks_critical_run_length(10_000, 1_000, 600, 129_600).round(4))
    0.083
    >>> float(ks_critical_run_length(10_000, 1_000, 600, 129_600 * 100).round(4))
    0.0971

    Notes
    -----
    For large ``b`` the rate of alarms is ``8 b**2 exp(-2 b**2)`` a time of ``1 / c``, which is Pickands' law
    for the field of the moving empirical process, with a cusp both along time and along values (Hogan &
    Siegmund, *Large deviations for the maxima of some random fields*, Adv. Appl. Math. 7, 1986). The integral
    has that limit and holds for small ``b`` too. Against simulated windows of continuous values
    (`tests/detectors/test_run_length.py`) the mean time to a false alert is 0.8 to 1.4 times what was asked
    for. With ties it is longer. Rows are taken as independent.
    """
    reference, live, block, asked = np.broadcast_arrays(
        *_checked(reference_rows, live_rows, rows_per_evaluation, evaluations)
    )
    noise, rate = _noise_and_rate(reference, live)
    step = np.minimum(block, live) * rate
    first = np.zeros(live.shape, np.int64)
    scaled = _solved(_kolmogorov_table(), first, np.log(asked * step), np.sqrt(step / 2))
    return np.asarray(np.minimum(scaled * np.sqrt(noise), 1.0), np.float64)


def mode_critical_run_length(
    factor: ArrayLike,
    reference_rows: ArrayLike,
    live_rows: ArrayLike,
    rows_per_evaluation: ArrayLike,
    evaluations: ArrayLike,
) -> NDArray[np.float64]:
    """Standard deviations that the leading mode of an undrifted statistic passes once in *evaluations*.

    Parameters
    ----------
    factor : float or float[...]
        How much more often the statistic is large at one look than its leading mode alone. Above 0.
    reference_rows, live_rows, rows_per_evaluation, evaluations
        As for `psi_critical_run_length`.

    Returns
    -------
    float64[...]
        Broadcast over the arguments, at least 0.

    Examples
    --------
    Anderson and Darling's statistic has the modes ``chi-square / (j (j + 1))``; the factor is the root of 3:

    >>> root = mode_critical_run_length(3**0.5, 10_000, 1_000, 600, 129_600)
    >>> float((root**2 / 2).round(2))
    10.6

    Notes
    -----
    Zolotarev, *Concerning a certain probability problem*, Theory Probab. Appl. 6 (1961): the tail of
    ``sum(weights * normal**2)`` is that of its largest term times the product of
    ``(1 - weight / largest)**-0.5`` over the others.
    """
    arrays = _checked(reference_rows, live_rows, rows_per_evaluation, evaluations)
    more, reference, live, block, asked = np.broadcast_arrays(np.asarray(factor, np.float64), *arrays)
    _, rate = _noise_and_rate(reference, live)
    step = np.minimum(block, live) * rate
    first = np.zeros(live.shape, np.int64)
    return _solved(_chi_tables((2,)), first, np.log(asked * step * more), np.sqrt(2 * step))


def _checked(*arguments: ArrayLike) -> list[Floats]:
    arrays = [np.asarray(argument, np.float64) for argument in arguments]
    for name, array in zip(("rows_per_evaluation", "evaluations"), arrays[2:], strict=True):
        if not (array > 0).all():
            wrong = array[~(array > 0)].flat[0]
            message = f"{name} must be above 0, got {float(wrong)!r}; an evaluation weighs at least one row"
            raise ConfigError(message)
    return arrays


def _noise_and_rate(reference: Floats, live: Floats) -> tuple[Floats, Floats]:
    """1 / W + 1 / n and c = 1 / (W (1 + W / n)); NaN where a side has no rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where((reference > 0) & (live > 0), 1 / reference + 1 / live, np.nan)
        return noise, 1 / (live * live * noise)


# A table is float64[3]: how far its points are apart, then float64[_POINTS + 1] of ln I and of its slope at
# each point from the first after 0 on.
_Tables = tuple[Floats, Floats, Floats]


def _solved(tables: _Tables, place: NDArray[np.int64], target: Floats, deviation: Floats) -> Floats:
    """b at which ``ln I(b) - ln nu(slope * deviation)`` is *target*, by halving; NaN where target is."""
    apart, logs, slopes = tables
    low = np.zeros(target.shape)
    high = np.full(target.shape, float(_POINTS - 1))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        first = middle.astype(np.int64)
        part = middle - first
        length = logs[place, first] * (1 - part) + logs[place, first + 1] * part
        slope = slopes[place, first] * (1 - part) + slopes[place, first + 1] * part
        short = length - _log_overshoot(slope * deviation) < target
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    found: Floats = np.where(np.isnan(target), np.nan, ((low + high) / 2 + 1) * apart[place])
    return found


def _log_overshoot(mean: Floats) -> Floats:
    """ln of Siegmund's nu, in the form of Siegmund & Yakir, *The Statistics of Gene Mapping* (2007)."""
    from scipy.special import ndtr

    half = np.maximum(mean, 1e-6) / 2
    density = np.exp(-half * half / 2) / math.sqrt(2 * math.pi)
    result: Floats = np.log((ndtr(half) - 0.5) / half / (half * ndtr(half) + density))
    return result


@lru_cache(maxsize=8)  # 6.4 kB a number of bins; what bins are used changes little from tick to tick
def _chi_tables(bins: tuple[int, ...]) -> _Tables:
    tables = [_chi_table(count) for count in bins]
    shape = (len(tables), _POINTS + 1)
    return (
        np.array([table[0] for table in tables]),
        np.array([table[1] for table in tables]).reshape(shape),
        np.array([table[2] for table in tables]).reshape(shape),
    )


@lru_cache(maxsize=1_024)
def _chi_table(bins: int) -> tuple[float, Floats, Floats]:
    """I and its slope by their series, whose terms are all positive."""
    degrees = bins - 1
    apart = (math.sqrt(degrees) + _REACH) / (_POINTS + 1)
    root = np.arange(1, _POINTS + 2) * apart
    half, shape = root * root / 2, degrees / 2 + 1
    term = half / degrees
    length, slope, number = term.copy(), np.ones(root.size), 0
    ratio = np.ones(root.size)
    # a term grows while number + shape is under the largest half
    while number + shape < half[-1] or ratio[-1] > 1e-12 * slope[-1]:
        number += 1
        ratio *= half / (shape + number - 1)
        slope += ratio
        length += term * ratio / (number + 1)
    return apart, np.log(length), root / degrees * slope / length


@lru_cache(maxsize=1)
def _kolmogorov_table() -> _Tables:
    """The same for 4 times the integral of K / k, by the trapezoid rule with 20 steps between points."""
    fine = 20
    apart = _REACH / (_POINTS + 1)
    values = np.arange(1, (_POINTS + 1) * fine + 1) * (apart / fine)
    number = np.arange(1, 8)[:, None]
    signs = np.where(number % 2 == 1, 1.0, -1.0)
    # two series of the same law, each where it converges at once
    above = values[values > 1]
    tail = 2 * (signs * np.exp(-2 * number**2 * above**2)).sum(axis=0)
    density = 8 * above * (signs * number**2 * np.exp(-2 * (number**2 - 1) * above**2)).sum(axis=0)
    below = values[values <= 1]
    steps = (2 * number - 1) ** 2 * math.pi**2 / 8
    weights = np.exp(-(steps - steps[0]) / below**2)
    small = weights.sum(axis=0) / ((2 * steps / below**3 - 1 / below) * weights).sum(axis=0)
    ratio = 4 * np.concatenate((small, (1 - tail) / density * np.exp(2 * above**2)))
    sums = np.cumsum((ratio + np.concatenate(([0.0], ratio[:-1]))) / 2) * (apart / fine)
    at = slice(fine - 1, None, fine)
    return np.array([apart]), np.log(sums[at])[None], (ratio[at] / sums[at])[None]

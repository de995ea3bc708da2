"""How large PSI and KS get by sampling noise alone, at one look.

One look means: one window, compared once. A window that is evaluated every minute is looked at 1,440 times
a day, one feature among a hundred a hundred times at once, and each look has its own chance to pass the
line. The line says what noise explains at this reference and window size; it is not an alert rule.
`driftgauge.detectors.run_length` has the line over all looks of a budget. The sequential drift score, whose
false alarms are bounded over all looks together, is what alerts belong on.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driftgauge.errors import ConfigError

__all__ = ["DEFAULT_LEVEL", "ks_critical", "psi_critical"]

# One look in a thousand. Our choice: a person who opens a dashboard of 100 features should see about one
# in ten such dashboards with a feature over its line by chance.
DEFAULT_LEVEL: Final = 0.999

# From here on the closed form is within 0.4 % of the exact law at level 0.999 (test_noise.py); below it the
# exact law is asked.
CLOSED_FORM_ROWS: Final = 50


def psi_critical(
    bins: ArrayLike, reference_rows: ArrayLike, live_rows: ArrayLike, level: float = DEFAULT_LEVEL
) -> NDArray[np.float64]:
    """PSI that undrifted rows exceed at one look with probability ``1 - level``.

    Parameters
    ----------
    bins : int or int[...]
        Bins that hold a row on either side. With fewer than two there is nothing to differ in: 0.
    reference_rows, live_rows : int or int[...]
        Rows of the reference and of the window. NaN where either is 0.
    level : float
        In (0, 1).

    Returns
    -------
    float64[...]
        Broadcast over the arguments, at least 0. ``(1 / reference_rows + 1 / live_rows)`` times the
        quantile of chi-square with ``bins - 1`` degrees of freedom.

    Raises
    ------
    ConfigError
        When *level* is not between 0 and 1.

    Examples
    --------
    >>> float(psi_critical(11, 10_000, 1_000).round(4))
    0.0325
    >>> bool(psi_critical(11, 10_000, 1_000) > psi_critical(11, 10_000, 5_000))
    True

    Notes
    -----
    Yurdakul, *Statistical Properties of Population Stability Index*, Western Michigan University
    dissertation 3208 (2018). It is the law of many rows in every bin. Measured with the smoothing of
    `driftgauge.statistics.psi`, 100,000 undrifted windows each, level 0.999: ten equal bins exceed it 0.9
    to 1.5 times as often as stated for windows of 100 to 10,000 rows against 1,000 or 10,000; twenty Zipf
    categories 0.1 to 1.2 times; two categories of which the rarer has five expected rows 2.1 times; bins
    with less than one expected row make it rarer, not more frequent. `tests/statistics/test_noise.py`
    repeats some of these.

    One look; see the head of this module for what that leaves out.
    """
    _check_level(level)
    wanted = np.asarray(bins, dtype=np.int64)
    with np.errstate(divide="ignore"):
        noise = 1 / np.asarray(reference_rows, dtype=np.float64) + 1 / np.asarray(live_rows, dtype=np.float64)
    noise = np.where(np.isinf(noise), np.nan, noise)
    distinct, place = np.unique(wanted, return_inverse=True)
    quantiles = np.array([_chi_square_quantile(count, level) for count in distinct.tolist()])
    return np.asarray(noise * quantiles[place].reshape(wanted.shape), dtype=np.float64)


def ks_critical(
    reference_rows: ArrayLike, live_rows: ArrayLike, level: float = DEFAULT_LEVEL
) -> NDArray[np.float64]:
    """KS that undrifted rows exceed at one look with probability ``1 - level``.

    Parameters
    ----------
    reference_rows, live_rows : int or int[...]
        Numbers of the feature in the reference and in the window: rows without NaN and missing values. NaN
        where either is 0.
    level : float
        In (0, 1).

    Returns
    -------
    float64[...]
        Broadcast over the arguments, in [0, 1].

    Raises
    ------
    ConfigError
        When *level* is not between 0 and 1.

    Examples
    --------
    >>> float(ks_critical(10_000, 1_000).round(4))
    0.0645
    >>> bool(ks_critical(10_000, 1_000) > ks_critical(10_000, 5_000))
    True

    Notes
    -----
    The law of the one-sample statistic at the effective size ``nm / (n + m)``: from `scipy.stats.kstwo`
    below an effective size of 50, above it the quantile of Kolmogorov's limit with the correction of Vrbik,
    *Small-Sample Corrections to Kolmogorov-Smirnov Test Statistic*, Pioneer J. Theor. Appl. Stat. 15
    (2018), solved for the statistic. By the exact two-sample law of `scipy.stats.ks_2samp` the chance to
    exceed it at levels 0.95 and 0.999 is 0.7 to 1.1 times the stated one for 100 to 10,000 rows a side: the
    statistic has few possible values when the two sizes have a large common divisor. It is for continuous
    values. With ties the chance is smaller.

    One look; see the head of this module for what that leaves out.
    """
    _check_level(level)
    reference = np.asarray(reference_rows, dtype=np.float64)
    live = np.asarray(live_rows, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = reference * live / (reference + live)
        size = np.where(size > 0, size, np.nan)
        limit = _kolmogorov_quantile(level)
        critical = (limit - 1 / (6 * np.sqrt(size)) + 1 / (4 * size)) / ((1 + 1 / (4 * size)) * np.sqrt(size))
    critical = np.asarray(critical)
    small = np.argwhere(size < CLOSED_FORM_ROWS)
    for place in map(
        tuple, small
    ):  # never reached by a window of 100 rows against a reference of 100 or more
        # rounded down: fewer rows, a higher line, so the chance stays under the stated one
        critical[place] = _exact_quantile(max(1, math.floor(size[place])), level)
    return np.asarray(np.minimum(critical, 1.0), dtype=np.float64)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        message = f"level must be between 0 and 1, got {level!r}; 0.999 is one look in a thousand"
        raise ConfigError(message)


# scipy.special takes 0.2 s to import and scipy.stats 0.8 s, so they wait until they are asked.
@lru_cache(maxsize=65_536)  # a categorical feature may have any number of bins
def _chi_square_quantile(bins: int, level: float) -> float:
    if bins < 2:
        return 0.0
    from scipy.special import chdtri

    return float(chdtri(bins - 1, 1 - level))


@lru_cache(maxsize=64)
def _kolmogorov_quantile(level: float) -> float:
    from scipy.special import kolmogi

    return float(kolmogi(1 - level))


@lru_cache(maxsize=1_024)
def _exact_quantile(rows: int, level: float) -> float:
    from scipy.stats import kstwo

    return float(kstwo.ppf(level, rows))

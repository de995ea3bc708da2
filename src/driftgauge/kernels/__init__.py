"""Arrays in, numbers out: everything that is computed on values, cells and counts.

Each function is there twice, as a NumPy twin and compiled by numba, with the same result. The twins serve
from the first call; `warm_up` compiles, in about the time `DESIGN.md` states, and from then on the compiled
functions serve. Importing this module imports NumPy and nothing else.

Kernels check nothing: the layers above refuse what is wrong, aloud. What has no meaning is NaN. Arrays are
C-contiguous and of exactly the dtype that is stated. Counts of one feature are in the order of cells that
`driftgauge.cells` fixes; a numeric feature with ``k`` points has ``2 k + 5`` of them, the first ``2 k + 3``
are its *number cells*.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels import _warm_up
from driftgauge.kernels._evidence_calls import advance, count_ecells, count_virtual, virtual_values
from driftgauge.kernels._search import Search, build_search
from driftgauge.kernels._types import Bins, Counts, Floats, Indices, Tables
from driftgauge.kernels._warm_up import compiled, status, warm_up

__all__ = [
    "QUANTILE_LEVELS",
    "STATISTICS",
    "Search",
    "add_bin_rows",
    "add_counts",
    "advance",
    "build_search",
    "chi_square",
    "compiled",
    "count_ecells",
    "count_virtual",
    "evaluate",
    "hellinger",
    "index_numeric",
    "index_numeric_columns",
    "js",
    "ks",
    "mean_and_deviation",
    "psi",
    "push_rows",
    "quantiles",
    "status",
    "total_variation",
    "virtual_values",
    "warm_up",
    "wasserstein",
]

QUANTILE_LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)

STATISTICS: Final = (
    "psi",
    "js",
    "hellinger",
    "total_variation",
    "chi_square",
    "ks",
    "wasserstein",
    "shift",
    "scale_shift",
    "missing_ratio",
    "unseen_ratio",
    "out_of_range_ratio",
    "mean",
    "standard_deviation",
    "mean_error_bound",
    *(f"quantile_{round(100 * level):02d}" for level in QUANTILE_LEVELS),
)
"""Columns of what `evaluate` writes."""


def index_numeric(values: Floats, search: Search, out: Indices) -> None:
    """Write the cell of each value.

    Parameters
    ----------
    values : float64[n]
        Any stride. `driftgauge.cells.MISSING` is missing, any other NaN is not a number, -0.0 is 0.0.
    search : Search
        Of the feature's points, from `build_search`.
    out : uint16[n]

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.cells import MISSING
    >>> out = np.empty(6, np.uint16)
    >>> search = build_search(np.array([1.0, 2.0]))
    >>> index_numeric(np.array([-np.inf, 0.5, 1.0, 1.5, np.nan, MISSING]), search, out)
    >>> out.tolist()
    [0, 1, 2, 3, 7, 8]
    """
    _warm_up.active.index_numeric(values, search, out)


def index_numeric_columns(values: Floats, layout: Tables, columns: NDArray[np.int32], out: Indices) -> None:
    """Write the cell of each value of a block of rows.

    Parameters
    ----------
    values : float64[n, m]
        Column ``j`` holds feature ``columns[j]``.
    layout : driftgauge.layout.Layout
    columns : int32[m]
        Numbers of numeric features, each at most once.
    out : uint16[F, n]
        Only the rows of `columns` are written.
    """
    _warm_up.active.index_numeric_columns(values, layout, columns, out)


def push_rows(
    ring: Indices, head: int, filled: int, indices: Indices, cell_offsets: NDArray[np.int64], counts: Counts
) -> None:
    """Let rows into a row window and the oldest out of it, with its counts kept exact.

    The caller then moves on: ``head = (head + n) % capacity`` and ``filled = min(capacity, filled + n)``.

    Parameters
    ----------
    ring : uint16[F, capacity]
        The cells of the rows in the window.
    head : int
        Slot of the next row, in [0, capacity).
    filled : int
        Rows in the window, in [0, capacity]; they end just before `head`.
    indices : uint16[F, n]
        Cells of the arriving rows, oldest first, ``n <= capacity``. May be a slice of a wider block.
    cell_offsets : int64[F + 1]
    counts : uint32[C]
    """
    _warm_up.active.push_rows(ring, head, filled, indices, cell_offsets, counts)


def add_counts(indices: Indices, cell_offsets: NDArray[np.int64], counts: Counts) -> None:
    """Add one to the count of each cell in *indices*, uint16[F, n]; the rest as in `push_rows`."""
    _warm_up.active.add_counts(indices, cell_offsets, counts)


def add_bin_rows(indices: Indices, layout: Tables, bin_rows: Bins) -> None:
    """Add rows to the counters by bin, which only ever grow.

    Parameters
    ----------
    indices : uint16[F, n]
    layout : driftgauge.layout.Layout
    bin_rows : int64[bins total]
        Each bin by itself; adding them up along the bins is left to whoever exports them.
    """
    _warm_up.active.add_bin_rows(indices, layout, bin_rows)


def psi(reference: Bins, live: Bins) -> float:
    """Population stability index of two histograms, natural logarithm.

    Parameters
    ----------
    reference, live : int64[bins]
        Counts on the same bins.

    Returns
    -------
    float
        At least 0; NaN when either side is empty.

    Examples
    --------
    >>> import numpy as np
    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 3)
    0.406

    Notes
    -----
    ``sum (p - q) ln(p / q)``: Kullback & Leibler, *Ann. Math. Statist.* 22 (1951), eq. 2.6 (their J). Bins
    that are empty on both sides are left out; every other bin gets half a row on both sides (Jeffreys' prior:
    Krichevsky & Trofimov, *IEEE Trans. Inf. Theory* 27 (1981), section II), so that one empty bin cannot
    decide.
    """
    return float(_warm_up.active.psi(reference, live))


def js(reference: Bins, live: Bins) -> float:
    """Jensen-Shannon distance of two histograms: the square root of the divergence in bits.

    Parameters, smoothing and the NaN rule as in `psi`. In [0, 1].

    Notes
    -----
    Endres & Schindelin, *IEEE Trans. Inf. Theory* 49 (2003), section II: the root is a metric.
    """
    return float(_warm_up.active.js(reference, live))


def hellinger(reference: Bins, live: Bins) -> float:
    """Hellinger distance of two histograms.

    Parameters, smoothing and the NaN rule as in `psi`. In [0, 1].

    Notes
    -----
    ``sqrt(sum (sqrt p - sqrt q)**2 / 2)``: Le Cam & Yang, *Asymptotics in Statistics*, 2nd ed., section 3.2.
    """
    return float(_warm_up.active.hellinger(reference, live))


def total_variation(reference: Bins, live: Bins) -> float:
    """Half the summed absolute difference of two histograms' shares, unsmoothed.

    Parameters and the NaN rule as in `psi`. In [0, 1]: the share of rows that would have to change bins.

    Notes
    -----
    Levin & Peres, *Markov Chains and Mixing Times*, 2nd ed., proposition 4.2.
    """
    return float(_warm_up.active.total_variation(reference, live))


def chi_square(reference: Bins, live: Bins) -> float:
    """Pearson's statistic of the hypothesis that two histograms have one distribution, unsmoothed.

    Parameters and the NaN rule as in `psi`. At least 0; grows with the number of rows.

    Notes
    -----
    Two-sample form ``sum (sqrt(m/n) r - sqrt(n/m) w)**2 / (r + w)``: Press et al., *Numerical
    Recipes*, 3rd ed., eq. 14.3.3. Bins empty on both sides are left out.
    """
    return float(_warm_up.active.chi_square(reference, live))


def ks(reference: Counts, live: Counts) -> float:
    """Kolmogorov-Smirnov statistic: the largest difference of the shares in all cells so far.

    Parameters
    ----------
    reference, live : uint32[cells]
        Counts of the number cells only.

    Returns
    -------
    float
        In [0, 1]; NaN when either side is empty.

    Notes
    -----
    Two-sample ``D``: Hodges, *Arkiv foer Matematik* 3 (1958), section 1. ``max |n W_c - m R_c|`` is found in
    integers and divided once, so it equals the statistic of the raw rows to the last digits.
    """
    return float(_warm_up.active.ks(reference, live))


def wasserstein(points: Floats, reference: Counts, live: Counts) -> float:
    """Earth mover's distance in reference standard deviations.

    A value in a gap counts as the gap's midpoint, one below as ``points[0]``, one above as ``points[-1]``:
    a value of 1e300 moves it by its share only.

    Parameters
    ----------
    points : float64[k]
    reference, live : uint32[2 k + 5]
        Counts by cell; the last two are not read and may be left off.

    Returns
    -------
    float
        At least 0; NaN when either side holds no number or the reference does not vary.

    Notes
    -----
    The area between the distribution functions: Vallender, *Theory Probab. Appl.* 18 (1974), theorem.
    """
    return float(_warm_up.active.wasserstein(points, reference, live))


def mean_and_deviation(points: Floats, counts: Counts) -> tuple[float, float, float]:
    """Mean, standard deviation (of the rows themselves, no n - 1) and error bound of the mean.

    Values lie where `wasserstein` thinks them. The error bound is the sum over gaps of share times half the
    gap's width: how far the mean is at most from that of the raw values inside the range.

    Parameters
    ----------
    points : float64[k]
    counts : uint32[2 k + 5]
        The last two are not read and may be left off.

    Returns
    -------
    mean, standard_deviation, mean_error_bound : float
        NaN when there is no number.
    """
    mean, deviation, bound = _warm_up.active.mean_and_deviation(points, counts)
    return float(mean), float(deviation), float(bound)


def quantiles(points: Floats, counts: Counts, levels: Floats, out: Floats) -> None:
    """Write the quantile of each level: the first place that at least that share of the numbers has reached.

    Places and counts as in `mean_and_deviation`. All NaN when there is no number.

    Parameters
    ----------
    points : float64[k]
    counts : uint32[2 k + 5]
    levels : float64[q]
        In [0, 1], any order.
    out : float64[q]

    Notes
    -----
    Inverse of the empirical distribution function: Hyndman & Fan, *Am. Statist.* 50 (1996), definition 1.
    """
    _warm_up.active.quantiles(points, counts, levels, out)


def evaluate(layout: Tables, live: Counts, out: Floats, bin_out: Bins, *, places: bool = True) -> None:
    """Write every statistic of every feature, in one compiled call.

    Parameters
    ----------
    layout : driftgauge.layout.Layout
    live : uint32[C]
        A window's counts.
    out : float64[F, len(STATISTICS)]
        NaN where a statistic has no meaning: what needs ordered numbers on a categorical feature,
        ``unseen_ratio`` on a numeric one, everything on an empty window.
    bin_out : int64[bins total]
        Rows of the window by bin.
    places : bool
        False leaves out what needs every cell's place on the number line (``wasserstein``, ``mean``,
        ``standard_deviation``, ``mean_error_bound`` are then NaN): three quarters of the time when cells are
        many, 2.0 against 0.5 ms for 50 features of 20,005 cells.

    Notes
    -----
    ``shift`` and ``scale_shift`` are means of normal scores ``z`` and ``(z**2 - 1) / sqrt(2)`` of the
    reference's ranks, kept per group of cells (`driftgauge.layout`); the reference's are 0. A Gaussian that
    moves by ``d`` standard deviations has shift ``d`` to first order (grouping saturates it near 3.4); one
    that widens by a factor ``s`` has scale shift ``(s**2 - 1) / sqrt(2)`` to first order.
    """
    _warm_up.active.evaluate(layout, live, out, bin_out, places=places)

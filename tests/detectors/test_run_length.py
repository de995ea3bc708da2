"""The lines of sliding windows: what noise alone explains over all looks together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import integrate, special, stats

from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.run_length import (
    _chi_table,
    _kolmogorov_table,
    ks_critical_run_length,
    psi_critical_run_length,
)
from driftgauge.errors import ConfigError

Floats = NDArray[np.float64]

sizes = st.integers(100, 10**6)
bin_counts = st.integers(2, 60)
budgets = st.floats(1e2, 1e12)
blocks = st.floats(1, 1e6)


# Laws


@given(bin_counts, sizes, sizes, blocks, budgets)
def test_fewer_false_alerts_need_a_higher_line(
    bins: int, n: int, m: int, block: float, evaluations: float
) -> None:
    psi = psi_critical_run_length(bins, n, m, block, [evaluations, 2 * evaluations])
    ks = ks_critical_run_length(n, m, block, [evaluations, 2 * evaluations])
    assert psi[0] <= psi[1]
    assert ks[0] <= ks[1]


@given(bin_counts, sizes, sizes, blocks, st.floats(10, 1e9))
def test_more_rows_on_either_side_lower_the_line(
    bins: int, n: int, m: int, block: float, windows: float
) -> None:
    # budgets of ten windows and more, the reference's error included: in a shorter one a longer window has
    # hardly time to be looked at
    evaluations = max(100.0, windows * m * (1 + m / n) / block)
    psi = psi_critical_run_length(bins, n, m, block, evaluations)
    assert psi_critical_run_length(bins, 2 * n, m, block, evaluations) <= psi
    assert psi_critical_run_length(bins, n, 2 * m, block, evaluations) <= psi
    assert psi_critical_run_length(bins + 1, n, m, block, evaluations) >= psi
    ks = ks_critical_run_length(n, m, block, evaluations)
    assert ks_critical_run_length(2 * n, m, block, evaluations) <= ks
    assert ks_critical_run_length(n, 2 * m, block, evaluations) <= ks


@given(bin_counts, sizes, sizes, blocks, st.floats(1e3, 1e9))
def test_looks_that_share_rows_need_no_higher_line_than_looks_that_share_none(
    bins: int, n: int, m: int, block: float, evaluations: float
) -> None:
    # the overshoot of independent looks is approximated, to 3 % of the line
    alone = psi_critical(bins, n, m, 1 - 1 / evaluations)
    assert psi_critical_run_length(bins, n, m, block, evaluations) <= 1.03 * alone
    limit = special.kolmogi(1 / evaluations) * math.sqrt(1 / n + 1 / m)
    assert ks_critical_run_length(n, m, block, evaluations) <= 1.03 * limit


@pytest.mark.parametrize("evaluations", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("bins", [2, 10, 20, 100])
def test_windows_that_share_no_row_are_looks_of_their_own(bins: int, evaluations: float) -> None:
    # against a reference so large that windows have nothing in common
    psi = psi_critical_run_length(bins, 10**9, 1_000, 1_000, evaluations)
    assert psi == pytest.approx(psi_critical(bins, 10**9, 1_000, 1 - 1 / evaluations), rel=0.03)
    ks = ks_critical_run_length(10**9, 10_000, 10_000, evaluations)
    assert ks == pytest.approx(ks_critical(10**9, 10_000, 1 - 1 / evaluations), rel=0.03)


def test_blocks_beyond_the_window_count_as_the_window() -> None:
    psi = psi_critical_run_length(10, 10_000, 500, [500, 5_000, math.inf], 1e5)
    ks = ks_critical_run_length(10_000, 500, [500, 5_000, math.inf], 1e5)
    assert len(set(psi.tolist())) == len(set(ks.tolist())) == 1


def test_arrays_are_elements() -> None:
    bins, n, m = np.array([[2], [11], [4]]), np.array([100, 5_000, 20]), 700
    rows, evaluations = np.array([1.0, 60.0, 700.0]), np.array([[1e4], [1e5], [1e6]])
    psi = psi_critical_run_length(bins, n, m, rows, evaluations)
    ks = ks_critical_run_length(n, m, rows, evaluations)
    assert psi.shape == ks.shape == (3, 3)
    for row in range(3):
        for column in range(3):
            rest = (n[column], m, rows[column], evaluations[row, 0])
            assert psi[row, column] == psi_critical_run_length(bins[row, 0], *rest)
            assert ks[row, column] == ks_critical_run_length(*rest)


# Oracles


@pytest.mark.parametrize("bins", [2, 3, 10, 20, 100, 400])
def test_the_table_of_chi_is_the_integral_of_its_law(bins: int) -> None:
    degrees = bins - 1
    apart, logs, slopes = _chi_table(bins)
    # not from 0 on, where both laws are 0 in float64 for many bins
    first = 150
    for place in (200, 300, 400):
        steps = np.linspace((first + 1) * apart, (place + 1) * apart, 100_001)
        ratio = np.exp(stats.chi.logcdf(steps, degrees) - stats.chi.logpdf(steps, degrees))
        between = math.exp(logs[place]) - math.exp(logs[first])
        assert between == pytest.approx(float(np.trapezoid(ratio, steps)), rel=1e-5)
        assert slopes[place] * math.exp(logs[place]) == pytest.approx(ratio[-1], rel=1e-9)
    # at 0 it is y / degrees, so its integral b**2 / 2 / degrees
    assert logs[0] == pytest.approx(math.log(apart**2 / 2 / degrees), abs=apart**2)


@pytest.mark.parametrize("root", [0.3, 0.7, 1.0, 1.5, 2.5, 4.0])
def test_the_table_of_ks_is_the_integral_of_kolmogorovs_law(root: float) -> None:
    apart, logs, slopes = _kolmogorov_table()
    place = round(root / apart[0]) - 1
    root = (place + 1) * float(apart[0])

    def ratio(value: float) -> float:
        return float(stats.kstwobign.cdf(value) / stats.kstwobign.pdf(value)) if value > 0.1 else 0.0

    expected = 4 * integrate.quad(ratio, 0, root, limit=200)[0]
    assert math.exp(logs[0, place]) == pytest.approx(expected, rel=1e-4, abs=5e-5)  # 4e-5 is under 0.1
    assert slopes[0, place] * math.exp(logs[0, place]) == pytest.approx(4 * ratio(root), rel=1e-5)


def test_the_rate_of_ks_has_the_limit_of_pickands() -> None:
    apart, logs, _ = _kolmogorov_table()
    for place in (200, 390):
        root = (place + 1) * float(apart[0])
        # the next term of the integral is 1 / (2 b**2)
        assert logs[0, place] == pytest.approx(2 * root**2 - math.log(8 * root**2), abs=0.75 / root**2)


# The documented time to a false alert


def achieved(hits: int, streams: int, low: float, high: float) -> None:
    """Streams as long as a tenth of the budget alarm with chance ``1 - exp(-0.1 / ratio)``.

    The true *ratio*, by a Clopper-Pearson interval of 99.9 %, may lie between *low* and *high*.
    """
    chance = stats.binomtest(hits, streams).proportion_ci(0.999, method="exact")
    assert -0.1 / math.log1p(-chance.low) >= low, (hits, streams)
    assert -0.1 / math.log1p(-chance.high) <= high, (hits, streams)


def highest_psi(
    rng: np.random.Generator, bins: int, n: int, m: int, block: int, looks: int, streams: int
) -> Floats:
    """The highest PSI of each of so many undrifted streams, each with a reference of its own."""
    found = np.empty(streams)
    for stream in range(streams):
        share = rng.dirichlet(np.full(bins, n // bins))
        arrived = rng.multinomial(block, share, size=looks - 1 + m // block)
        live = sliding_window_view(arrived, m // block, axis=0).sum(axis=-1)
        p = (live + 0.5) / (m + bins / 2)
        found[stream] = ((p - 1 / bins) * np.log(p * bins)).sum(axis=-1).max()
    return found


def highest_ks(rng: np.random.Generator, n: int, m: int, block: int, looks: int, streams: int) -> Floats:
    """The same for KS of continuous values, exact."""
    ranks = np.empty((streams, m + block * (looks - 1)), np.uint16)
    for stream in range(streams):
        ranks[stream] = np.searchsorted(np.sort(rng.random(n)), rng.random(ranks.shape[1]))
    found = np.zeros(streams)
    steps = np.arange(m + 1) / m
    for look in range(looks):
        share = np.sort(ranks[:, look * block : look * block + m], axis=1) / n
        distance = np.maximum((steps[1:] - share).max(axis=1), (share - steps[:-1]).max(axis=1))
        np.maximum(found, distance, out=found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bins", "n", "m", "block"),
    [(10, 10_000, 1_000, 100), (10, 10_000, 1_000, 1_000), (10, 1_000, 500, 50), (20, 100_000, 2_000, 500)],
)
def test_undrifted_windows_pass_the_line_of_psi_as_seldom_as_asked(
    bins: int, n: int, m: int, block: int
) -> None:
    evaluations, streams = 3_000, 600
    line = psi_critical_run_length(bins, n, m, block, evaluations)
    found = highest_psi(np.random.default_rng(bins * n), bins, n, m, block, evaluations // 10, streams)
    achieved(int((found > line).sum()), streams, 0.8, 1.4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "m", "block"), [(2_000, 200, 10), (2_000, 200, 200), (10_000, 500, 50), (500, 500, 50)]
)
def test_undrifted_windows_pass_the_line_of_ks_as_seldom_as_asked(n: int, m: int, block: int) -> None:
    evaluations, streams = 4_000, 500
    line = ks_critical_run_length(n, m, block, evaluations)
    found = highest_ks(np.random.default_rng(n + m), n, m, block, evaluations // 10, streams)
    achieved(int((found > line).sum()), streams, 0.8, 1.4)


# Edges


def test_fewer_than_two_bins_have_nothing_to_differ_in() -> None:
    assert psi_critical_run_length([0, 1], 100, 100, 10, 1e4).tolist() == [0.0, 0.0]


def test_a_side_without_rows_has_no_line() -> None:
    for pair in (0, 100), (100, 0), (0, 0):
        assert math.isnan(ks_critical_run_length(*pair, 10, 1e4))
        assert math.isnan(psi_critical_run_length(10, *pair, 10, 1e4))


def test_the_line_of_ks_is_never_over_one() -> None:
    assert float(ks_critical_run_length(1, 1, 1, 1e9)) == 1.0


def test_bins_by_the_thousand_and_budgets_of_ages_have_a_line() -> None:
    found = psi_critical_run_length([2, 5_000, 20_000], 10**6, 10**4, 1, 1e30)
    assert np.isfinite(found).all()
    assert found[0] < found[1] < found[2]
    assert math.isfinite(ks_critical_run_length(10**6, 10**4, 1, 1e30))


def test_no_features_have_no_lines() -> None:
    assert psi_critical_run_length([], 100, 100, 10, 1e4).shape == (0,)
    assert ks_critical_run_length([], 100, 10, 1e4).shape == (0,)


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_an_evaluation_of_no_rows_and_no_evaluations_are_refused(wrong: float) -> None:
    with pytest.raises(ConfigError, match="rows_per_evaluation must be above 0"):
        psi_critical_run_length(10, 100, 100, [10, wrong], 1e4)
    with pytest.raises(ConfigError, match="evaluations must be above 0"):
        ks_critical_run_length(100, 100, 10, wrong)

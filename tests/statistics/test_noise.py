"""The critical values: what noise alone explains at one look."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from driftgauge import kernels, statistics
from driftgauge.detectors import ks_critical, psi_critical
from driftgauge.detectors.noise import CLOSED_FORM_ROWS
from driftgauge.errors import ConfigError

sizes = st.integers(1, 10**7)
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999, 0.999999])


# Laws


@given(st.integers(2, 200), sizes, sizes, levels)
def test_more_rows_on_either_side_lower_the_line_of_psi(bins: int, n: int, m: int, level: float) -> None:
    line = psi_critical(bins, n, m, level)
    assert psi_critical(bins, n + 1, m, level) < line
    assert psi_critical(bins, n, m + 1, level) < line
    assert psi_critical(bins + 1, n, m, level) > line


@given(sizes, sizes, levels)
def test_more_rows_on_either_side_lower_the_line_of_ks(n: int, m: int, level: float) -> None:
    line = ks_critical(n, m, level)
    # below an effective size of 50 the line is a staircase: the size is rounded down
    assert ks_critical(2 * n, m, level) <= line
    assert ks_critical(n, 2 * m, level) <= line
    assert ks_critical(n, m, level) == pytest.approx(ks_critical(m, n, level), rel=1e-12)


@given(sizes, sizes)
def test_a_higher_level_is_a_higher_line(n: int, m: int) -> None:
    ladder = [0.5, 0.9, 0.99, 0.999]
    for lines in (
        [psi_critical(10, n, m, level) for level in ladder],
        [ks_critical(n, m, level) for level in ladder],
    ):
        assert lines == sorted(lines)


def test_arrays_are_elements() -> None:
    bins, n, m = np.array([[2], [11]]), np.array([100, 5_000, 20]), 700
    psi, ks = psi_critical(bins, n, m), ks_critical(n, m)
    assert psi.shape == (2, 3)
    assert psi.tolist() == [[float(psi_critical(b, k, m)) for k in n] for b in (2, 11)]
    assert ks.tolist() == [float(ks_critical(k, m)) for k in n]


# Oracles


@given(st.integers(2, 2_000), sizes, sizes, levels)
def test_the_line_of_psi_is_a_quantile_of_chi_square(bins: int, n: int, m: int, level: float) -> None:
    expected = (1 / n + 1 / m) * stats.chi2.ppf(level, bins - 1)
    assert float(psi_critical(bins, n, m, level)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("level", [0.95, 0.99, 0.999])
@pytest.mark.parametrize("size", [1, 2, 10, 49, 50, 60, 100, 1_000, 10_000, 100_000])
def test_the_line_of_ks_is_a_quantile_of_the_kolmogorov_law(size: int, level: float) -> None:
    # two sides of 2 * size rows have an effective size of size
    found, expected = float(ks_critical(2 * size, 2 * size, level)), float(stats.kstwo.ppf(level, size))
    if size < CLOSED_FORM_ROWS:
        assert found == pytest.approx(expected, rel=1e-9)
    else:
        # the correction is fitted to the middle of the law and leaves 0.2 / size at level 0.999
        assert found == pytest.approx(expected, rel=0.2 / size)


# The documented chance of a false positive


def exceeds_with_chance(hits: int, looks: int, low: float, high: float) -> None:
    """The true chance, by a Clopper-Pearson interval of 99.9 %, may lie between *low* and *high*."""
    interval = stats.binomtest(hits, looks).proportion_ci(0.999, method="exact")
    assert interval.low <= high, (hits, interval)
    assert interval.high >= low, (hits, interval)


def looks(share: NDArray[np.float64], n: int, m: int, count: int, seed: int) -> NDArray[np.float64]:
    """PSI of *count* undrifted windows, each against a reference of its own."""
    rng = np.random.default_rng(seed)
    pairs = zip(rng.multinomial(n, share, size=count), rng.multinomial(m, share, size=count), strict=True)
    return np.array([kernels.psi(reference, live) for reference, live in pairs])


@pytest.mark.parametrize(("n", "m"), [(10_000, 1_000), (10_000, 10_000), (1_000, 5_000)])
def test_undrifted_deciles_pass_the_line_of_psi_as_often_as_stated(n: int, m: int) -> None:
    found = looks(np.full(10, 0.1), n, m, 20_000, seed=n + m)
    for level in (0.95, 0.99, 0.999):
        line = float(psi_critical(10, n, m, level))
        # as documented: 0.9 to 1.5 times the stated chance
        exceeds_with_chance(int((found > line).sum()), found.size, 0.9 * (1 - level), 1.5 * (1 - level))


def test_undrifted_categories_pass_the_line_of_psi_as_often_as_stated_or_less() -> None:
    share = 1 / np.arange(1, 21) ** 1.1
    found = looks(share / share.sum(), 10_000, 1_000, 20_000, seed=3)
    line = float(psi_critical(20, 10_000, 1_000, 0.99))
    exceeds_with_chance(int((found > line).sum()), found.size, 0.0, 1.5 * 0.01)


def test_a_bin_that_hardly_ever_has_a_row_does_not_raise_false_alarms() -> None:
    share = np.append(np.full(10, 0.1) * 0.9995, 0.0005)  # half a row expected in a window of 1,000
    rng = np.random.default_rng(4)
    hits = 0
    for reference, live in zip(
        rng.multinomial(10_000, share, size=20_000), rng.multinomial(1_000, share, size=20_000), strict=True
    ):
        bins = int(np.count_nonzero(reference + live))
        hits += kernels.psi(reference, live) > psi_critical_of[bins]
    exceeds_with_chance(hits, 20_000, 0.0, 1.2 * 0.01)


psi_critical_of = {bins: float(psi_critical(bins, 10_000, 1_000, 0.99)) for bins in (10, 11)}


@pytest.mark.parametrize(("n", "m"), [(100, 100), (1_000, 100), (1_000, 997), (5_000, 1_000), (9_973, 1_009)])
@pytest.mark.parametrize("level", [0.95, 0.999])
def test_undrifted_numbers_pass_the_line_of_ks_as_often_as_stated_or_less(
    n: int, m: int, level: float
) -> None:
    """By the exact law of the two-sample statistic, not by simulation."""
    line = float(ks_critical(n, m, level))
    chance = chance_to_exceed(line, n, m) / (1 - level)
    # documented: 0.7 to 1.1 times the stated chance; few possible values where n and m share a divisor
    assert 0.7 <= chance <= 1.1


def chance_to_exceed(line: float, n: int, m: int) -> float:
    """P(D > line) of two samples of n and m rows, exact: the p-value of samples with the next larger D."""
    # D is a whole number of steps of 1 / lcm(n, m); n * m of them are i * m - j * n for some i and j
    common = math.gcd(n, m)
    steps = math.floor(line * math.lcm(n, m) + 1e-9) + 1
    largest = steps * common
    # one row at a time, of the first side wherever the difference of shares stays within D
    first, second = [], []
    while len(first) < n or len(second) < m:
        within = (len(first) + 1) * m - len(second) * n <= largest
        side = first if len(first) < n and (within or len(second) == m) else second
        side.append(float(len(first) + len(second)))
    found = stats.ks_2samp(first, second, method="exact")
    assert found.statistic == pytest.approx(steps / math.lcm(n, m), abs=1e-12)
    return float(found.pvalue)


def test_ties_make_the_line_of_ks_hold_more_than_it_says() -> None:
    rng = np.random.default_rng(6)
    line = float(ks_critical(2_000, 500, 0.95))
    hits = sum(
        statistics.ks(
            np.bincount(rng.integers(0, 5, 2_000), minlength=5),
            np.bincount(rng.integers(0, 5, 500), minlength=5),
        )
        > line
        for _ in range(4_000)
    )
    exceeds_with_chance(hits, 4_000, 0.0, 0.05)


# Edges


def test_fewer_than_two_bins_have_nothing_to_differ_in() -> None:
    assert psi_critical([0, 1], 100, 100).tolist() == [0.0, 0.0]


def test_a_side_without_rows_has_no_line() -> None:
    for pair in (0, 100), (100, 0), (0, 0):
        assert math.isnan(ks_critical(*pair))
        assert math.isnan(psi_critical(10, *pair))


def test_the_line_of_ks_is_never_over_one() -> None:
    assert float(ks_critical(1, 1, 0.999999)) <= 1.0


@pytest.mark.parametrize("level", [0.0, 1.0, -1, 2, math.nan])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match="level must be between 0 and 1"):
        psi_critical(10, 100, 100, level)
    with pytest.raises(ConfigError, match="level must be between 0 and 1"):
        ks_critical(100, 100, level)

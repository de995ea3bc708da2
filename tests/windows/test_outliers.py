"""One absurd value or many missing ones move a statistic by their share, and do not hide a drift.

Two peers fail here: bins that are laid over reference and live data together let one value of 1e4 among 500
bring the PSI of a 0.7 sigma shift from 0.542 to 0.006, and dropping NaN before scoring makes a feature that
goes missing look healthy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_cases import MISSING, REFERENCE_ID, index_block, numeric_feature, stand_in

from driftgauge._evaluate import evaluate
from driftgauge.snapshot import FeatureStatistics
from driftgauge.windows import rows

ROWS = 500
RNG = np.random.default_rng(7)
REFERENCE: Any = stand_in(numeric_feature("x", RNG.normal(size=5_000).tolist(), bins=10))
FEATURE = REFERENCE.layout.features[0]
REFERENCE_BINS = FEATURE.reference_bins.tolist()


def statistics_of(values: Sequence[float]) -> FeatureStatistics:
    window = rows(len(values)).open(REFERENCE.layout, REFERENCE_ID)
    window.push(index_block(REFERENCE.layout, [list(values)]), 0.0)
    return evaluate(REFERENCE, [window], now_seconds=0.0, min_rows=1).windows[0].features[0]


def slope(share: float, reference_share: float) -> float:
    """Derivative of (p - q) ln(p / q) in p; it rises with p."""
    return math.log(share / reference_share) + 1 - reference_share / share


def most_that_one_row_changes(bin_rows: Sequence[int], left: int, entered: int) -> float:
    """Bound on the change of PSI when one row moves from one bin to another.

    The row's share is d = 1 / (W + K / 2). By the mean value theorem each of the two terms changes by d
    times a slope between its two ends at most, and the slope is monotone, so that it is largest at an end. No
    bin is empty on both sides before or after, so K stays.
    """
    bins = sum(r + w > 0 for r, w in zip(REFERENCE_BINS, bin_rows, strict=True))
    d = 1 / (sum(bin_rows) + bins / 2)
    bound = 0.0
    for place, step in ((left, -d), (entered, d)):
        p = (bin_rows[place] + 0.5) * d
        q = (REFERENCE_BINS[place] + 0.5) / (sum(REFERENCE_BINS) + bins / 2)
        bound += d * max(abs(slope(p, q)), abs(slope(p + step, q)))
    return bound


def bin_of(value: float) -> int:
    return int(np.argmax(statistics_of([value]).bin_rows))


@pytest.mark.parametrize("absurd", [1e300, -1e300, math.inf, -math.inf, 1e4])
@given(seed=st.integers(0, 2**32 - 1), sigmas=st.sampled_from([0.0, 0.3, 0.7, 2.0]))
@settings(max_examples=15, deadline=None)
def test_one_absurd_value_changes_psi_by_its_share_and_no_more(
    absurd: float, seed: int, sigmas: float
) -> None:
    values = (np.random.default_rng(seed).normal(size=ROWS) + sigmas).tolist()
    before = statistics_of(values)
    after = statistics_of([absurd, *values[1:]])
    bound = most_that_one_row_changes(before.bin_rows, bin_of(values[0]), bin_of(absurd))
    assert abs(after.psi - before.psi) <= bound + 1e-12  # the rounding of some twenty terms under 5
    assert before.ks is not None
    assert after.ks is not None
    # a row moves each value of the distribution function by 1 / W at most
    assert abs(after.ks - before.ks) <= 1 / ROWS + 1e-12


@pytest.mark.parametrize("absurd", [1e300, math.inf])
def test_an_absurd_value_counts_like_any_other_above_the_range(absurd: float) -> None:
    values = RNG.normal(size=ROWS - 1).tolist()
    just_above = math.nextafter(FEATURE.points[-1], math.inf)
    found, plain = statistics_of([*values, absurd]), statistics_of([*values, just_above])
    assert (found.psi, found.ks, found.mean, found.wasserstein, found.shift, found.out_of_range_ratio) == (
        plain.psi,
        plain.ks,
        plain.mean,
        plain.wasserstein,
        plain.shift,
        plain.out_of_range_ratio,
    )


def test_one_absurd_value_does_not_hide_a_shift() -> None:
    shifted = (RNG.normal(size=ROWS) + 0.7).tolist()
    clean, dirty = statistics_of(shifted), statistics_of([1e300, *shifted[1:]])
    # PSI of a shift by d is d² = 0.49 on fine bins and less on ten; the line is at 0.2
    for found in (clean, dirty):
        assert 0.3 < found.psi < 0.7
        assert found.psi > 3 * found.psi_critical
        assert found.shift == pytest.approx(0.7, abs=0.15)  # three standard errors of 1 / sqrt(500)


def thinned(sigmas: float, missing: float) -> tuple[FeatureStatistics, FeatureStatistics]:
    """Statistics of 5,000 rows, and of the same after every so many'th of the sorted rows went missing."""
    values = np.sort(np.random.default_rng(11).normal(size=5_000) + sigmas)
    gone = np.floor(np.arange(1, 5_001) * missing) > np.floor(np.arange(5_000) * missing)
    holed = np.where(gone, math.nan, values)
    holed[np.flatnonzero(gone)[::2]] = MISSING
    return statistics_of(values.tolist()), statistics_of(holed.tolist())


@pytest.mark.parametrize("sigmas", [0.0, 0.3, 0.7])
def test_forty_percent_missing_change_psi_by_what_their_share_says(sigmas: float) -> None:
    """With a share m missing, p becomes (1 - m) p, and the sum over the bins of numbers becomes

        -m ln(1 - m) + (1 - m) KL(p | q) + KL(q | p),

    which lies between (1 - m) PSI - m ln(1 - m) and PSI - m ln(1 - m). The missing bin adds its own term,
    (p - q) ln(p / q) with p = m and q what the reference has of missing rows: half a row, smoothed.
    """
    m = 0.4
    whole, holed = thinned(sigmas, m)
    assert holed.missing_ratio == pytest.approx(m, abs=1e-3)
    bins = len(REFERENCE_BINS)
    p, q = (2_000 + 0.5) / (5_000 + bins / 2), 0.5 / (5_000 + bins / 2)
    missing_term = (p - q) * math.log(p / q)
    share_term = -m * math.log(1 - m)
    # smoothing moves p by 1 / W at most in each of 11 bins, and thinning rounds bins to a row; the slope of a
    # term is under 4 here: 11 * 2 / 5,000 * 4
    slack = 0.018
    assert holed.psi >= (1 - m) * whole.psi + share_term + missing_term - slack
    assert holed.psi <= whole.psi + share_term + missing_term + slack


@pytest.mark.parametrize("sigmas", [0.0, 0.7])
def test_missing_values_leave_what_is_said_of_the_numbers_alone(sigmas: float) -> None:
    whole, holed = thinned(sigmas, 0.4)
    for name in ("ks", "shift", "scale_shift", "mean"):
        # evenly thinned: the distribution function moves by a row or two
        assert getattr(holed, name) == pytest.approx(getattr(whole, name), abs=5e-3), name


def test_a_feature_that_goes_missing_does_not_look_healthy() -> None:
    healthy, holed = thinned(0.0, 0.4)
    assert healthy.psi < healthy.psi_critical
    assert holed.psi > 1
    assert holed.psi > 10 * holed.psi_critical


def test_missing_values_do_not_hide_a_shift() -> None:
    _, holed = thinned(0.7, 0.4)
    assert holed.ks is not None
    assert holed.ks_critical is not None
    # KS of a shift by d is 2 Phi(d / 2) - 1 = 0.27
    assert holed.ks == pytest.approx(math.erf(0.35 / math.sqrt(2)), abs=0.03)
    assert holed.ks > 5 * holed.ks_critical
    assert holed.shift == pytest.approx(0.7, abs=0.06)

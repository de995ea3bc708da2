"""The public statistics of two count vectors."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from driftgauge import detectors, statistics
from driftgauge.detectors import noise
from driftgauge.errors import DataError

Statistic = Callable[[list[int], list[int]], float]

OF_BINS: dict[str, Statistic] = {
    "psi": statistics.psi,
    "js": statistics.js,
    "hellinger": statistics.hellinger,
    "total_variation": statistics.total_variation,
    "chi_square": statistics.chi_square,
    "ks": statistics.ks,
}
SYMMETRIC = ["psi", "js", "hellinger", "total_variation", "chi_square", "ks"]
AT_MOST_ONE = ["js", "hellinger", "total_variation", "ks"]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    size = draw(st.integers(1, 12))
    counts = st.lists(st.integers(0, 10_000), min_size=size, max_size=size).filter(any)
    return draw(counts), draw(counts)


# Laws


@pytest.mark.parametrize("name", SYMMETRIC)
@given(pairs())
def test_it_does_not_matter_which_side_is_which(name: str, pair: tuple[list[int], list[int]]) -> None:
    forward, backward = OF_BINS[name](*pair), OF_BINS[name](*reversed(pair))
    # chi-square sums over bins up to 1e4 rows
    assert forward == pytest.approx(backward, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", OF_BINS)
@given(pairs())
def test_a_statistic_is_never_negative(name: str, pair: tuple[list[int], list[int]]) -> None:
    value = OF_BINS[name](*pair)
    assert value >= -1e-15  # a sum of differences that are zero but for rounding
    if name in AT_MOST_ONE:
        assert value <= 1 + 1e-15


@pytest.mark.parametrize("name", OF_BINS)
@given(pairs())
def test_a_side_compared_with_itself_is_zero(name: str, pair: tuple[list[int], list[int]]) -> None:
    # the root in JS and Hellinger makes 1e-8 of a rounding of 1e-16
    assert OF_BINS[name](pair[0], pair[0]) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("name", [name for name in OF_BINS if name != "ks"])
@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_bins_does_not_matter(
    name: str, pair: tuple[list[int], list[int]], random: object
) -> None:
    order = list(range(len(pair[0])))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = [[side[place] for place in order] for side in pair]
    assert OF_BINS[name](*shuffled) == pytest.approx(OF_BINS[name](*pair), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", OF_BINS)
@given(pairs())
def test_a_bin_that_is_empty_on_both_sides_is_no_bin(name: str, pair: tuple[list[int], list[int]]) -> None:
    wider = [[*side[:1], 0, *side[1:], 0] for side in pair]
    assert OF_BINS[name](*wider) == pytest.approx(OF_BINS[name](*pair), rel=1e-12, abs=1e-12)


@given(pairs())
def test_lists_arrays_and_whole_floats_are_the_same_counts(pair: tuple[list[int], list[int]]) -> None:
    plain = statistics.psi(*pair)
    assert statistics.psi(np.array(pair[0], np.uint32), tuple(pair[1])) == plain
    assert statistics.psi(np.array(pair[0], np.float32), np.array(pair[1], np.int16)) == plain


# Oracles


def smoothed(pair: tuple[list[int], list[int]]) -> tuple[list[float], list[float]]:
    used = [(r, w) for r, w in zip(*pair, strict=True) if r + w]
    reference, live = (
        [(count + 0.5) / (sum(side) + len(used) / 2) for count in side] for side in zip(*used, strict=True)
    )
    return reference, live


@given(pairs())
def test_smoothed_statistics_equal_their_definitions(pair: tuple[list[int], list[int]]) -> None:
    q, p = smoothed(pair)
    psi = math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    hellinger = math.sqrt(
        math.fsum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2
    )
    assert statistics.psi(*pair) == pytest.approx(psi, rel=1e-12, abs=1e-12)
    assert statistics.hellinger(*pair) == pytest.approx(hellinger, rel=1e-9, abs=1e-9)
    # scipy takes the root of a sum that rounding leaves at 1e-17 or so: 1e-8
    assert statistics.js(*pair) == pytest.approx(
        float(distance.jensenshannon(p, q, base=2)), rel=1e-9, abs=2e-8
    )


@given(pairs())
def test_debiased_psi_is_psi_less_its_mean_under_no_drift(pair: tuple[list[int], list[int]]) -> None:
    reference, live = pair
    bins = sum(r + w > 0 for r, w in zip(reference, live, strict=True))
    expected = statistics.psi(*pair) - (bins - 1) * (1 / sum(live) + 1 / sum(reference))
    assert statistics.psi_debiased(*pair) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(pairs())
def test_chi_square_is_that_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    table = np.array([[r, w] for r, w in zip(*pair, strict=True) if r + w]).T
    expected = stats.chi2_contingency(table, correction=False).statistic if table.shape[1] > 1 else 0.0
    assert statistics.chi_square(*pair) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(pairs())
def test_total_variation_is_half_the_summed_difference_of_shares(pair: tuple[list[int], list[int]]) -> None:
    reference, live = (np.array(side) / sum(side) for side in pair)
    expected = float(np.abs(reference - live).sum() / 2)
    assert statistics.total_variation(*pair) == pytest.approx(expected, abs=1e-12)


@given(pairs())
def test_ks_is_that_of_the_rows_behind_the_counts(pair: tuple[list[int], list[int]]) -> None:
    reference, live = (np.repeat(np.arange(len(side)), np.minimum(side, 50)) for side in pair)
    if reference.size and live.size:
        counts = [np.bincount(side, minlength=len(pair[0])) for side in (reference, live)]
        assert statistics.ks(*counts) == pytest.approx(stats.ks_2samp(reference, live).statistic, abs=1e-12)


@given(
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
    st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any),
)
def test_wasserstein_is_that_of_scipy_over_the_reference_deviation(
    reference: list[int], live: list[int]
) -> None:
    points = [1.0, 2.5, 7.0]
    on_points = [[0, 0, side[0], 0, side[1], 0, side[2], 0, 0] for side in (reference, live)]
    found = statistics.wasserstein(points, *on_points)
    rows = [np.repeat(points, side) for side in (reference, live)]
    deviation = float(np.std(rows[0]))
    if deviation == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.wasserstein_distance(*rows) / deviation, rel=1e-9, abs=1e-12)


# Edges


@pytest.mark.parametrize("name", [*OF_BINS, "psi_debiased"])
def test_an_empty_side_has_no_statistic(name: str) -> None:
    statistic = getattr(statistics, name)
    for pair in ([0, 0], [3, 1]), ([3, 1], [0, 0]), ([0, 0], [0, 0]):
        assert math.isnan(statistic(*pair))


@pytest.mark.parametrize("name", OF_BINS)
@pytest.mark.parametrize(
    ("reference", "live", "message"),
    [
        ([1, 2], [1, 2, 3], "same bins, got 2 and 3"),
        ([1, -2], [1, 2], "reference must be counts, whole numbers from 0"),
        ([1, 2], [0.5, 0.5], "live must be counts, got fractions; give rows by bin, not shares"),
        ([1, 2], [1, math.nan], "live must be counts, whole numbers"),
        ([1, 2], [1, math.inf], "live must be counts, whole numbers"),
        ([1, 2], ["1", "2"], "live must be counts, whole numbers from 0, got dtype"),
        ([1, 2], [True, False], "live must be counts, whole numbers from 0, got dtype bool"),
        ([[1, 2]], [[1, 2]], r"reference must be one-dimensional counts, got shape \(1, 2\)"),
        ([1, 2], [1, 2**54], "whole numbers from 0 to 2"),
    ],
)
def test_what_is_no_pair_of_counts_is_refused(
    name: str, reference: list[int], live: list[int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        OF_BINS[name](reference, live)


def test_ks_refuses_counts_that_a_cell_cannot_hold() -> None:
    with pytest.raises(DataError, match="4,294,967,295"):
        statistics.ks([2**32], [1])


@pytest.mark.parametrize("points", [[1.0, 1.0], [2.0, 1.0], [1.0, math.nan], [[1.0], [2.0]]])
def test_points_that_do_not_rise_are_refused(points: list[float]) -> None:
    with pytest.raises(DataError, match="points must be finite numbers in rising order"):
        statistics.wasserstein(points, [0] * 7, [0] * 7)


def test_number_cells_that_do_not_fit_the_points_are_refused() -> None:
    with pytest.raises(DataError, match="2 points have 7 number cells, got counts of 9"):
        statistics.wasserstein([1.0, 2.0], [1] * 9, [1] * 9)


@pytest.mark.parametrize("module", [statistics, noise, detectors])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]

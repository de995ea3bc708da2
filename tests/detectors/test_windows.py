"""Windows with a line that holds a budget: their statistics, their lines, and what they see."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from driftgauge import statistics
from driftgauge.budget import one_false_alert
from driftgauge.detectors._monte_carlo import WassersteinNoise, _large_deviations
from driftgauge.detectors.windows import ADWindow, GWindow, KSWindow, PSIWindow, WassersteinWindow
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference

Floats = NDArray[np.float64]
ALL = (PSIWindow, GWindow, KSWindow, ADWindow, WassersteinWindow)
OF_NUMBERS = (KSWindow, ADWindow, WassersteinWindow)


def fed(detector: object, reference: Reference, data: dict[str, object]) -> Floats:
    """Statistics of all features after one evaluation of *data*, which must fit the window."""
    detector.add(reference.index(data), 0.0)  # type: ignore[attr-defined]
    assert detector.evaluate(60.0)  # type: ignore[attr-defined]
    found: Floats = detector._statistics()  # type: ignore[attr-defined]
    return found


def mixed(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, object]:
    return {
        "number": rng.normal(shift, size=rows),
        "whole": rng.poisson(3 + 2 * shift, rows).astype(float),
        "word": rng.choice(["a", "b", "c"], rows),
    }


# Laws


@pytest.mark.parametrize("kind", ALL)
@given(st.integers(0, 10**6), st.integers(100, 400))
@settings(max_examples=10)
def test_the_order_of_rows_in_the_window_makes_no_difference(kind: type, seed: int, live: int) -> None:
    rng = np.random.default_rng(seed)
    reference = Reference.fit(mixed(rng, 500))
    cells = reference.index(mixed(rng, live))
    detectors = kind(reference, size=400), kind(reference, size=400)
    detectors[0].add(cells, 0.0)
    detectors[1].add(np.ascontiguousarray(cells[:, rng.permutation(live)]), 0.0)
    assert all(detector.evaluate(60.0) for detector in detectors)
    assert detectors[0].scores().tolist() == pytest.approx(detectors[1].scores().tolist(), rel=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_rows_that_left_the_window_have_no_part_in_it(kind: type) -> None:
    rng = np.random.default_rng(0)
    reference = Reference.fit(mixed(rng, 2_000))
    old, new = reference.index(mixed(rng, 700, shift=3.0)), reference.index(mixed(rng, 500))
    after, alone = kind(reference, size=500), kind(reference, size=500)
    for detector, blocks in ((after, (old, new)), (alone, (new,))):
        for block in blocks:
            detector.add(block, 0.0)
        assert detector.evaluate(60.0)
    # the lines differ by how many rows there were to an evaluation
    np.testing.assert_allclose(after._statistics(), alone._statistics(), rtol=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_the_budget_is_shared_by_all_features_that_are_watched(kind: type) -> None:
    rng = np.random.default_rng(0)
    few, many = mixed(rng, 1_000), mixed(rng, 1_000)
    many |= {f"more {number}": rng.normal(size=1_000) for number in range(20)}
    lines = []
    for data in (few, many):
        reference = Reference.fit(data)
        detector = kind(reference, size=1_000)
        fed(detector, reference, data)
        lines.append(detector._lines(50.0)[0])
    assert lines[1] > lines[0] > 0


def test_the_model_score_is_the_highest_score() -> None:
    rng = np.random.default_rng(0)
    reference = Reference.fit(mixed(rng, 2_000))
    detector = PSIWindow(reference, size=500)
    detector.add(reference.index(mixed(rng, 500, shift=0.5)), 0.0)
    assert detector.evaluate(60.0)
    assert detector.model_score() == detector.scores().max() > 1


# Oracles


@given(st.integers(0, 10**6), st.sampled_from([1, 3, 50, 10**6]))
@settings(max_examples=30)
def test_the_statistics_are_those_of_scipy(seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    left = np.round(rng.normal(size=400) * digits) / digits
    # values of the reference: of several in one gap between two of them the order is not kept
    right = rng.choice(left[:300], 150)
    reference = Reference.fit({"x": left})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of p-values out of the range of a table
        expected = float(stats.anderson_ksamp([left, right], midrank=False).statistic)
    found = fed(ADWindow(reference, size=200), reference, {"x": right})[0]
    assert found == pytest.approx(unstandardised(expected, 400, 150), rel=1e-9)
    found = fed(KSWindow(reference, size=200), reference, {"x": right})[0]
    assert found == pytest.approx(stats.ks_2samp(left, right).statistic, abs=1e-12)


def unstandardised(statistic: float, n: int, m: int) -> float:
    """Undo Scholz & Stephens' standardisation of two samples, their equations 4 and 5."""
    total = n + m
    inverse = 1 / n + 1 / m
    h = sum(1 / i for i in range(1, total))
    g = sum(1 / ((total - i) * j) for i in range(1, total - 1) for j in range(i + 1, total))
    a = (4 * g - 6) * (2 - 1) + (10 - 6 * g) * inverse
    b = (2 * g - 4) * 4 + 8 * h * 2 + (2 * g - 14 * h - 4) * inverse - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * 4 + (4 * h - 4 * g + 6) * 2 + (2 * h - 6) * inverse + 4 * h
    d = (2 * h + 6) * 4 - 4 * h * 2
    variance = (a * total**3 + b * total**2 + c * total + d) / ((total - 1) * (total - 2) * (total - 3))
    return statistic * math.sqrt(variance) + 1


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_g_is_the_likelihood_ratio_of_the_table_of_both_sides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = Reference.fit({"x": rng.choice(["a", "b", "c", "d"], 500)})
    live = rng.choice(["a", "b", "c", "e"], 200)
    found = fed(GWindow(reference, size=200), reference, {"x": live})[0]
    held = reference.layout.reference_bins
    table = np.array([held, [*((live == name).sum() for name in reference.features[0].categories), 0, 0]])
    table[1, -2] = 200 - table[1].sum()
    table = table[:, table.sum(axis=0) > 0]
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    assert found == pytest.approx(expected, rel=1e-9)


def test_psi_and_the_wasserstein_distance_are_those_of_the_statistics() -> None:
    rng = np.random.default_rng(4)
    reference = Reference.fit({"x": rng.normal(size=3_000)})
    live = rng.normal(0.2, size=800)
    counts = np.bincount(reference.index({"x": live})[0], minlength=reference.features[0].cells)
    feature = reference.features[0]
    bins = np.add.reduceat(counts, feature.bin_starts[:-1])
    assert fed(PSIWindow(reference, size=800), reference, {"x": live})[0] == pytest.approx(
        statistics.psi(feature.reference_bins, bins)
    )
    number = feature.number_cells
    assert fed(WassersteinWindow(reference, size=800), reference, {"x": live})[0] == pytest.approx(
        statistics.wasserstein(feature.points, feature.counts[:number], counts[:number])
    )


def test_exponents_of_large_deviations_are_those_of_the_two_point_law() -> None:
    share = 0.2
    deviation = math.sqrt(share * (1 - share))
    places = np.array([-share, 1 - share]) / deviation
    exponents, distances = _large_deviations(places, np.array([1 - share, share]))
    for raised in (0.25, 0.4, 0.8):
        # Kullback-Leibler divergence of the shares; raising a small share is easier than lowering it
        expected = raised * math.log(raised / share) + (1 - raised) * math.log((1 - raised) / (1 - share))
        found = float(np.interp((raised - share) / deviation, distances, exponents))
        assert found == pytest.approx(expected, rel=0.02)  # between 96 tilts there are straight lines


def test_small_moves_of_the_mean_are_normal() -> None:
    rng = np.random.default_rng(0)
    noise = WassersteinNoise.of(Reference.fit({"x": rng.normal(size=5_000)}).features[0], 10**5, rng)
    assert noise is not None
    assert noise.distance(3.0, 10**6, 10**6) == pytest.approx(3 * math.sqrt(2e-6), rel=0.02)
    assert noise.deviations(noise.distance(3.0, 10**6, 10**6), 10**6, 10**6) == pytest.approx(3.0, rel=1e-9)
    assert 1.0 <= noise.factor < 2.0


# The documented time to a false alert


def achieved(hits: int, streams: int, low: float, high: float) -> None:
    """As in test_run_length: streams as long as a tenth of the budget, each with a reference of its own."""
    chance = stats.binomtest(hits, streams).proportion_ci(0.999, method="exact")
    assert -0.1 / math.log1p(-chance.low) >= low, (hits, streams)
    assert -0.1 / math.log1p(-chance.high) <= high, (hits, streams)


DRAWS = {
    "uniform": lambda rng, rows: rng.random(rows),
    "exponential": lambda rng, rows: rng.exponential(size=rows),
    "lognormal": lambda rng, rows: rng.lognormal(size=rows),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "draw", "low", "high"),
    [
        (GWindow, "uniform", 0.5, 1.5),  # 20 rows a bin are few for the law of chi-square
        (ADWindow, "uniform", 0.8, 1.7),
        (WassersteinWindow, "exponential", 0.8, 1.7),
        (WassersteinWindow, "lognormal", 0.8, 2.5),
    ],
)
def test_undrifted_windows_pass_their_line_as_seldom_as_asked(
    kind: type, draw: str, low: float, high: float
) -> None:
    rng = np.random.default_rng(7)
    budget = one_false_alert(per="20h", evaluate_every="60s")  # 1,200 evaluations, of which 120 are seen
    n, size, block, looks, streams = 1_000, 200, 20, 120, 120
    hits = 0
    for _ in range(streams):
        reference = Reference.fit({"x": DRAWS[draw](rng, n)})
        detector = kind(reference, budget=budget, size=size)
        cells = reference.index({"x": DRAWS[draw](rng, size + (looks - 1) * block)})
        detector.add(cells[:, :size], 0.0)
        detector._pending = block  # as if it had been full for long
        for first in range(size, cells.shape[1] + 1, block):
            assert detector.evaluate(0.0)
            if detector.model_score() > 1:
                hits += 1
                break
            detector.add(cells[:, first : first + block], 0.0)
    achieved(hits, streams, low, high)


# Edges


@pytest.mark.parametrize("kind", ALL)
def test_a_window_of_under_100_rows_is_not_weighed(kind: type) -> None:
    rng = np.random.default_rng(0)
    reference = Reference.fit(mixed(rng, 500))
    detector = kind(reference, size=200)
    detector.add(reference.index(mixed(rng, 99)), 0.0)
    assert not detector.evaluate(60.0)
    detector.add(reference.index(mixed(rng, 1)), 60.0)
    assert detector.evaluate(120.0)
    detector.add(reference.index(mixed(rng, 1))[:, :0], 120.0)
    assert not detector.evaluate(180.0)


@pytest.mark.parametrize("kind", OF_NUMBERS)
def test_categories_have_no_score_where_there_are_only_numbers_to_see(kind: type) -> None:
    rng = np.random.default_rng(0)
    reference = Reference.fit(mixed(rng, 500))
    detector = kind(reference, size=200)
    fed(detector, reference, {**mixed(rng, 200), "word": ["z"] * 200})
    assert detector.scores()[2] == 0.0
    with pytest.raises(ConfigError, match="has no numeric feature"):
        kind(Reference.fit({"word": ["a", "b"] * 50}))


@pytest.mark.parametrize("kind", ALL)
def test_a_column_without_a_number_and_one_without_a_second_value_have_a_score(kind: type) -> None:
    rng = np.random.default_rng(0)
    reference = Reference.fit({"gone": rng.normal(size=500), "one": np.full(500, 7.0)})
    detector = kind(reference, size=200)
    fed(detector, reference, {"gone": np.full(200, np.nan), "one": np.full(200, 7.0)})
    scores = detector.scores()
    assert np.isfinite(scores).all()
    assert scores[1] == 0.0
    assert (scores[0] > 1) == (kind not in OF_NUMBERS)


def test_a_window_too_short_to_tell_is_refused() -> None:
    with pytest.raises(ConfigError, match="size must be at least 100 rows, got 99"):
        PSIWindow(Reference.fit({"x": [1.0, 2.0]}), size=99)

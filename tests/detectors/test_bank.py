"""The alternatives of one stream: what is true of each while nothing drifts, and what each is made of."""

from __future__ import annotations

import math
from itertools import pairwise

import bank_oracle
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import binom, nbinom, norm, truncnorm

from driftgauge.detectors._bank import DROP, SPIKE, Bank
from driftgauge.detectors._scores import normal_scores, reference_shares, score_functions
from driftgauge.detectors._tempering import cluster_exponents, share_bounds, tail_exponents

Floats = NDArray[np.float64]

# 24 e-cells of a continuous feature of 20,000 rows, then below, above and missing.
GAUSSIAN = np.array([20, 180, 800, *[1_000] * 18, 800, 180, 20, 0, 0, 0], dtype=float)
ZIPF = np.array([4_000, 2_000, 1_300, 1_000, 800, 500, 300, 80, 15, 5, 40, 0], dtype=float)


@st.composite
def reference_counts(draw: st.DrawFn) -> tuple[Floats, int]:
    """Counts by e-cell and how many are ordered: a number, a boolean, categories, or virtual."""
    kind = draw(st.sampled_from(["number", "repeats", "boolean", "categories", "virtual"]))
    rows = st.integers(0, 3_000)
    if kind == "boolean":
        return np.array(draw(st.lists(rows, min_size=4, max_size=4)), float), 2
    ordered = draw(st.integers(1, 24))
    held = draw(st.lists(st.integers(1, 3_000), min_size=ordered, max_size=ordered))
    more = {"number": 3, "repeats": 4, "categories": 2, "virtual": 0}[kind]
    others = draw(st.lists(rows, min_size=more, max_size=more))
    return np.array(held + others, float), 0 if kind == "categories" else ordered


# Score functions.


@given(reference_counts())
def test_score_functions_are_orthonormal_under_the_reference(drawn: tuple[Floats, int]) -> None:
    counts, ordered = drawn
    functions = score_functions(counts, ordered)
    shares = reference_shares(counts)
    present = functions.any(axis=1).astype(float)
    # Rounding: values go up to 1 / sqrt(share), and shares down to 1e-5.
    assert functions * shares @ functions.T == pytest.approx(np.diag(present), abs=1e-9)
    assert functions @ shares == pytest.approx(np.zeros(4), abs=1e-9)
    assert not functions[:, ordered + 2 :].any() or counts.size - ordered == 2 or counts.size == ordered


@given(st.integers(1, 8), st.integers(1, 500))
def test_there_are_as_many_score_functions_as_ordered_ecells_can_have(ordered: int, rows: int) -> None:
    functions = score_functions(np.full(ordered, float(rows)), ordered)
    assert functions.any(axis=1).sum() == min(ordered - 1, 4)
    assert functions.any(axis=1).tolist() == sorted(functions.any(axis=1).tolist(), reverse=True)


def test_below_and_above_are_as_far_out_as_the_ends() -> None:
    functions = score_functions(GAUSSIAN, 24)
    assert (functions[:, 24] == functions[:, 0]).all()
    assert (functions[:, 25] == functions[:, 23]).all()
    assert not functions[:, 26].any()
    assert (np.diff(functions[0, :24]) > 0).all()


def test_unseen_values_of_a_boolean_have_no_place_on_the_line() -> None:
    functions = score_functions(np.array([900.0, 100.0, 20.0, 30.0]), 2)
    assert functions[0, 0] < 0 < functions[0, 1]
    assert not functions[:, 2:].any()
    assert not normal_scores(np.array([900.0, 100.0, 20.0, 30.0]), 2)[2:].any()


def test_location_moves_by_one_for_a_standard_deviation() -> None:
    """To first order: a Gaussian that moves by a tenth moves the mean of the score by a tenth."""
    edges = norm.ppf(np.cumsum(GAUSSIAN[:24])[:-1] / 20_000)
    live = np.diff(norm.cdf(np.concatenate(([-np.inf], edges, [np.inf])) - 0.1))
    moved = score_functions(GAUSSIAN, 24)[:, :24] @ live
    assert moved[0] == pytest.approx(0.1, rel=0.03)  # the edges of 24 e-cells blunt it by 1 to 2 %
    assert np.abs(moved[1:]).max() < 0.02


@given(reference_counts())
def test_normal_scores_have_mean_0_and_variance_1(drawn: tuple[Floats, int]) -> None:
    counts, ordered = drawn
    scores = normal_scores(counts, ordered)
    held = np.maximum(counts, 0.5) if ordered >= 2 else counts
    number = slice(0, ordered + 2 if counts.size - ordered >= 3 else ordered)
    if ordered < 2:
        assert not scores.any()
        return
    shares = held[number] / held[number].sum()
    assert scores[number] @ shares == pytest.approx(0, abs=1e-9)
    assert scores[number] ** 2 @ shares == pytest.approx(1, abs=1e-9)
    assert (np.diff(scores[:ordered]) >= 0).all()


def test_normal_scores_are_means_of_a_truncated_normal() -> None:
    counts = np.array([100.0, 300.0, 400.0, 150.0, 50.0])
    ends = norm.ppf(np.concatenate(([0.0], np.cumsum(counts) / 1_000)))
    means = np.array([truncnorm.mean(low, high) for low, high in pairwise(ends)])
    expected = means / math.sqrt(means**2 @ counts / 1_000)
    assert normal_scores(counts, 5) == pytest.approx(expected, rel=1e-9)


# The bank against plain Python.


def compare(bank: Bank, expected: list[bank_oracle.Component]) -> None:
    ratios = bank.log_ratios()
    found = {
        (int(bank.families[i]), int(bank.cells[i]), round(float(bank.sizes[i]), 6)): i
        for i in range(bank.size)
    }
    assert sorted(found) == sorted((one.family, one.cell, round(one.size, 6)) for one in expected)
    for one in expected:
        i = found[one.family, one.cell, round(one.size, 6)]
        assert bank.weights[i] == pytest.approx(one.weight, rel=1e-9)
        assert bank.exponents[i] == pytest.approx(one.exponent, rel=1e-6)  # the root is found to 1e-6
        assert ratios[i] == pytest.approx(one.log_ratios, rel=1e-9, abs=1e-9)
        assert bank.log_bounds[:, i] == pytest.approx(one.log_bounds, rel=1e-7, abs=1e-11)


@pytest.mark.parametrize("min_effect", [0.0, 0.01])
@pytest.mark.parametrize(
    ("counts", "ordered", "rows"),
    [
        (GAUSSIAN, 24, 20_000),
        (GAUSSIAN / 20, 24, 1_000),
        (ZIPF, 0, 10_000),
        (np.array([990.0, 10.0, 0.0, 0.0]), 2, 1_000),
        (np.array([500.0, 0.0, 0.0, 3.0]), 1, 503),
    ],
)
def test_a_bank_is_what_plain_python_says(counts: Floats, ordered: int, rows: int, min_effect: float) -> None:
    functions = score_functions(counts, ordered)
    expected = bank_oracle.bank(counts.tolist(), functions.tolist(), rows, min_effect)
    compare(Bank.of(counts, ordered, rows, min_effect=min_effect), expected)


@pytest.mark.parametrize("effect", [1.0, 1.5, 4.0, 25.0, 200.0])
def test_a_bank_of_dependent_rows_is_what_plain_python_says(effect: float) -> None:
    rng = np.random.default_rng(3)
    effects = 1 + (effect - 1) * rng.uniform(0.2, 1.0, 4 + GAUSSIAN.size)
    functions = score_functions(GAUSSIAN, 24)
    expected = bank_oracle.bank(GAUSSIAN.tolist(), functions.tolist(), 20_000, 0.01, effects.tolist())
    compare(Bank.of(GAUSSIAN, 24, 20_000, min_effect=0.01, design_effects=effects), expected)


def test_a_bank_by_time_bucket_is_what_plain_python_says() -> None:
    rng = np.random.default_rng(4)
    buckets = rng.multinomial(400, reference_shares(ZIPF), size=24)
    buckets[5] = 0  # an hour without a row
    counts = buckets.sum(axis=0).astype(float)
    counts[-2] += 30  # an estimate of what is not yet seen
    rows = int(buckets.sum())
    functions = score_functions(counts, 0)
    expected = bank_oracle.bank(counts.tolist(), functions.tolist(), rows, 0.01, None, buckets.tolist())
    compare(Bank.of(counts, 0, rows, min_effect=0.01, bucket_counts=buckets), expected)


# E[LR] is at most its bound over everything that counts as no drift.


def ball_points(rng: np.random.Generator, shares: Floats, radius: float, number: int) -> NDArray[np.float64]:
    """Laws on the border of the chi-square ball around *shares*, or where it meets the simplex."""
    away = rng.standard_normal((number, shares.size)) * shares ** rng.uniform(0, 1, (number, 1))
    return _scaled(away, shares, radius)


def _scaled(away: Floats, shares: Floats, radius: float) -> Floats:
    away = away - away.sum(axis=1, keepdims=True) * shares
    away *= radius / np.sqrt((away**2 / shares).sum(axis=1, keepdims=True))
    # As far as the ball, or until a share would be negative.
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(away < 0, shares / -away, np.inf).min(axis=1, keepdims=True)
    return shares + away * np.minimum(1.0, room)


@pytest.mark.parametrize(("counts", "ordered", "rows"), [(GAUSSIAN, 24, 20_000), (GAUSSIAN / 20, 24, 1_000)])
@pytest.mark.parametrize("min_effect", [0.0, 0.01, 0.1])
def test_a_tilt_has_a_mean_of_at_most_its_bound_over_the_whole_ball(
    counts: Floats, ordered: int, rows: int, min_effect: float
) -> None:
    bank = Bank.of(counts, ordered, rows, min_effect=min_effect)
    shares = reference_shares(counts)
    radius = math.sqrt(min_effect) + (2.5 if rows >= 10_000 else 3.0) / math.sqrt(rows)
    tilts = bank.families < SPIKE
    ratios = np.exp(bank.log_ratios()[tilts])
    bounds = np.exp(bank.log_bounds[0, tilts])
    laws = ball_points(np.random.default_rng(5), shares, radius, 4_000)
    assert (ratios @ laws.T <= bounds[:, None] * (1 + 1e-12)).all()
    # The worst law lies along the ratio itself (Cauchy and Schwarz), and meets the bound where it is a law.
    mean = ratios @ shares
    worst = _scaled(shares * (ratios - mean[:, None]), shares, radius)
    reached = (ratios * worst).sum(axis=1)
    assert (reached <= bounds * (1 + 1e-12)).all()
    inside = np.isclose(((worst - shares) ** 2 / shares).sum(axis=1), radius**2)
    assert inside.sum() >= 10
    assert reached[inside] == pytest.approx(bounds[inside], rel=1e-9)


@pytest.mark.parametrize("number", [0, 4, 9, 11, 20])
def test_no_optimiser_finds_a_law_in_the_ball_that_beats_the_bound(number: int) -> None:
    bank = Bank.of(GAUSSIAN, 24, 20_000, min_effect=0.01)
    shares = reference_shares(GAUSSIAN)
    radius = 0.1 + 2.5 / math.sqrt(20_000)
    ratio = np.exp(bank.log_ratios()[number])
    found = minimize(
        lambda p: -float(p @ ratio),
        shares,
        bounds=[(0, 1)] * shares.size,
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "ineq", "fun": lambda p: 1 - (((p - shares) / radius) ** 2 / shares).sum()},
        ],
        method="SLSQP",
        options={"maxiter": 200},
    )
    assert found.success
    assert -found.fun <= math.exp(bank.log_bounds[0, number]) * (1 + 1e-6)  # how well it keeps constraints


@given(reference_counts(), st.sampled_from([0.0, 0.01]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
@example((np.array([10_000.0, 0.0, 0.0, 0.0]), 1), 0.01, 0)  # constant: one e-cell has everything
def test_spikes_and_drops_have_a_mean_of_at_most_their_bound_within_the_bounds_of_the_share(
    drawn: tuple[Floats, int], min_effect: float, seed: int
) -> None:
    counts, ordered = drawn
    rows = max(int(counts.sum()), 1)
    bank = Bank.of(counts, ordered, rows, min_effect=min_effect)
    rng = np.random.default_rng(seed)
    error = norm.sf(2.5 if rows >= 10_000 else 3.0)
    shares = reference_shares(counts)
    margin = math.sqrt(min_effect) * np.sqrt(shares * (1 - shares))
    upper, lower = share_bounds(counts, rows, error)
    ratios = np.exp(bank.log_ratios())
    for i in np.flatnonzero(bank.families >= SPIKE):
        cell = bank.cells[i]
        # Nothing is said of the other e-cells, so their part of the law is anything.
        rest = rng.dirichlet(np.ones(counts.size) * 0.3)
        rest[cell] = 0
        rest /= max(rest.sum(), 1e-300)
        edge = upper[cell] + margin[cell] if bank.families[i] == SPIKE else lower[cell] - margin[cell]
        for share in (min(max(edge, 0.0), 1.0), shares[cell]):
            law = rest * (1 - share) if counts.size > 1 else rest
            law[cell] = share
            assert ratios[i] @ law <= math.exp(bank.log_bounds[0, i]) * (1 + 1e-9)


def test_an_ecell_that_has_every_row_raises_no_evidence_by_itself() -> None:
    bank = Bank.of(np.array([1e6, 0.0, 0.0, 0.0]), 1, 1_000_000, min_effect=0.01)
    every_row = bank.log_ratios()[:, 0] - bank.log_bounds[0]
    assert (every_row <= 0).all()


# Shares are bounded as stated.


@pytest.mark.parametrize(("count", "rows"), [(0, 50), (1, 50), (7, 1_000), (999, 1_000), (50, 50)])
@pytest.mark.parametrize("error", [0.00135, 0.0062, 0.2])
def test_bounds_of_a_share_are_those_of_clopper_and_pearson(count: int, rows: int, error: float) -> None:
    upper, lower = share_bounds(np.array([float(count)]), rows, error)
    if count < rows:
        assert binom.cdf(count, rows, upper[0]) == pytest.approx(error, rel=1e-6)
    else:
        assert upper[0] == 1
    if count > 0:
        assert binom.sf(count - 1, rows, lower[0]) == pytest.approx(error, rel=1e-6)
    else:
        assert lower[0] == 0


def test_dependent_rows_bound_a_share_less_well() -> None:
    counts = np.array([0.0, 10.0, 500.0])
    sure, unsure = share_bounds(counts, 1_000, 0.01), share_bounds(counts, 1_000, 0.01, 5.0)
    assert (unsure[0] > sure[0]).all()
    assert (unsure[1] <= sure[1]).all()
    assert unsure[0][2] == pytest.approx(share_bounds(np.array([100.0]), 200, 0.01)[0][0])


# Exponents for dependent rows.


@pytest.mark.parametrize("effect", [1.1, 2.0, 5.0, 39.0, 400.0])
@pytest.mark.parametrize("jump", [0.01, 0.3, 1.0, 3.0, 6.0])
def test_evidence_of_clusters_grows_no_faster_than_that_of_single_rows(jump: float, effect: float) -> None:
    exponent = float(cluster_exponents(np.array([jump]), np.array([effect]))[0])
    size = (effect + 1) / 2
    hits = np.arange(1, 20_000)
    law = nbinom.pmf(hits - 1, 1, 1 / size)  # clusters of 1, 2, … hits, of mean *size*
    growth = float(law @ np.expm1(np.minimum(exponent * jump * hits, 600)))
    # Per hit, in clusters and by single rows; 1e-5: the root is halved from an interval that ends at 1e-6.
    assert growth / size <= exponent * math.expm1(jump) * (1 + 1e-4) + 1e-9
    assert 0 < exponent <= 1


def test_single_rows_need_no_exponent() -> None:
    assert cluster_exponents(np.array([2.0, -1.0]), np.array([1.0, 30.0])).tolist() == [1.0, 1.0]
    assert tail_exponents(np.array([[2.0, -1.0]]), np.array([1.0, 30.0])).tolist() == [math.inf]


def test_the_exponent_of_a_tilt_keeps_a_margin_in_every_ecell() -> None:
    logs = np.array([[0.5, 2.0, -3.0]])
    found = tail_exponents(logs, np.array([9.0, 3.0, 99.0]))
    assert found == pytest.approx([0.9 * min(math.log(5 / 4) / 0.5, math.log(2) / 2.0)])


def test_strong_dependence_leaves_small_steps_only() -> None:
    effects = np.full(4 + GAUSSIAN.size, 20.0)
    bank = Bank.of(GAUSSIAN, 24, 20_000, min_effect=0.01, design_effects=effects)
    shares, ratios = reference_shares(GAUSSIAN), bank.log_ratios()
    mean = ratios @ shares
    assert (np.sqrt(ratios**2 @ shares - mean**2) <= 0.5 + 1e-9).all()
    assert (bank.exponents <= 1 / 20).all()
    held = bank.cells[bank.families >= SPIKE]
    assert not set(held.tolist()) & {0, 23}  # 20 rows are worth one


# Odd references.


@given(reference_counts(), st.sampled_from([0.0, 0.01, 1.0]))
@settings(max_examples=60)
def test_every_bank_is_finite_and_its_weights_add_up(drawn: tuple[Floats, int], min_effect: float) -> None:
    counts, ordered = drawn
    bank = Bank.of(counts, ordered, int(counts.sum()), min_effect=min_effect)
    for array in (bank.slopes, bank.intercepts, bank.log_bounds, bank.exponents):
        assert np.isfinite(array).all()
    assert (bank.weights > 0).all()
    assert bank.size == 0 or bank.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("ecells", [1, 2, 255])
@pytest.mark.parametrize("rows", [1, 30, 1_000_000])
def test_banks_of_any_size_can_be_made(ecells: int, rows: int) -> None:
    counts = np.full(ecells, rows / ecells)
    bank = Bank.of(counts, 0, rows, min_effect=0.01)
    assert bank.size <= 7 * ecells
    assert np.isfinite(bank.log_bounds).all()
    if ecells == 1:  # every row falls into it, and nothing can be told
        assert (bank.intercepts + bank.slopes <= bank.log_bounds[0]).all()


def test_one_row_among_a_million_tilts_without_overflow() -> None:
    bank = Bank.of(np.array([999_999.0, 1.0, 0.0, 0.0]), 2, 1_000_000, min_effect=0.0)
    assert (bank.families == 0).any()
    assert np.isfinite(bank.log_ratios()).all()


def test_a_smaller_reference_and_a_larger_least_effect_make_wider_bounds() -> None:
    def widest(counts: Floats, rows: int, min_effect: float) -> dict[tuple[int, int, float], float]:
        bank = Bank.of(counts, 24, rows, min_effect=min_effect)
        keys = zip(bank.families.tolist(), bank.cells.tolist(), bank.sizes.tolist(), strict=True)
        net = bank.log_bounds[0] - np.where(bank.families < SPIKE, 0.0, bank.intercepts + bank.slopes)
        return dict(zip(keys, net.tolist(), strict=True))

    usual = widest(GAUSSIAN, 20_000, 0.01)
    for other in (widest(GAUSSIAN / 20, 1_000, 0.01), widest(GAUSSIAN, 20_000, 0.05)):
        spikes = [key for key in usual if key in other and key[0] != DROP]
        assert all(other[key] > usual[key] for key in spikes)
        assert len(spikes) > 100

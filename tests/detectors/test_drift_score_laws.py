"""The promises of the drift score: what it does while nothing drifts, and how soon it sees what does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drift_cases import LAW, recursion, stream
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom, norm

from driftgauge import kernels
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._recursion import Recursion
from driftgauge.detectors._scores import reference_shares

Floats = NDArray[np.float64]

CATEGORIES = np.array([0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.0195, 0.0005, 0.0])


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernels.warm_up()


def fresh_references(rng: np.random.Generator, law: Floats, rows: int, streams: int) -> list[Floats]:
    return [rng.multinomial(rows, law).astype(float) for _ in range(streams)]


def blocks(rng: np.random.Generator, law: Floats, rows: int, streams: int) -> NDArray[np.uint32]:
    return rng.multinomial(rows, law, size=streams).ravel().astype(np.uint32)


# The mean of evidence does not grow faster than by one a step.


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 20, 500]), st.sampled_from([0.0, 0.01]))
@settings(max_examples=40)
def test_one_step_adds_at_most_one_in_the_mean_whatever_the_evidence_before(
    seed: int, rows: int, min_effect: float
) -> None:
    """Exactly: the mean of a product over independent rows is a power of the mean of one row."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(20_000, LAW).astype(float)
    effects = np.maximum(1.0, rng.normal(1, 2, 4 + counts.size))
    bank = Bank.of(counts, 24, 20_000, min_effect=min_effect, design_effects=effects)
    shares = reference_shares(counts)
    # Any law of the ball that has the reference's share errors inside the bounds of each share as well.
    away = rng.standard_normal(shares.size) * shares
    away -= away.sum() * shares
    radius = math.sqrt(min_effect) + 1 / math.sqrt(20_000)
    away *= radius / math.sqrt((away**2 / shares).sum())
    law = shares + away * min(1.0, float((shares / np.maximum(-away, 1e-300)).min()))
    ratios = np.exp(bank.exponents[:, None] * (bank.log_ratios() - bank.log_bounds[0][:, None]))
    growth = (ratios @ law) ** rows
    before = bank.weights * np.exp(rng.normal(0, 10, bank.size))
    assert ((before + bank.weights) * growth).sum() <= (before.sum() + 1) * (1 + 1e-9)


@pytest.mark.parametrize(("law", "ordered"), [(LAW, 24), (CATEGORIES, 0)])
def test_evidence_less_the_steps_taken_has_no_mean_above_0(law: Floats, ordered: int) -> None:
    rng = np.random.default_rng(21)
    streams = [stream(counts, 10_000, ordered=ordered) for counts in fresh_references(rng, law, 10_000, 300)]
    model = recursion(*streams, min_effect=0.0)
    for step in range(1, 101):
        model.step(blocks(rng, law, 20, len(streams)), np.array([20]), 60.0 * step)
        error = model.totals.std() / math.sqrt(model.totals.size)
        assert model.totals.mean() - step <= 4 * error


# Alarms are no more frequent than was promised.


@pytest.mark.parametrize(
    ("law", "ordered", "reference_rows", "min_effect"),
    [
        (LAW, 24, 1_000, 0.0),
        (LAW, 24, 10_000, 0.0),
        (LAW, 24, 10_000, 0.01),
        (CATEGORIES, 0, 10_000, 0.0),
    ],
)
def test_alarms_within_a_tenth_of_the_budget_are_at_most_a_tenth(
    law: Floats, ordered: int, reference_rows: int, min_effect: float
) -> None:
    rng = np.random.default_rng(22)
    streams = [
        stream(counts, reference_rows, ordered=ordered)
        for counts in fresh_references(rng, law, reference_rows, 600)
    ]
    model = recursion(*streams, evaluations=1_000.0, min_effect=min_effect)
    alarmed = np.zeros(len(streams), bool)
    for step in range(100):
        model.step(blocks(rng, law, 20, len(streams)), np.array([20]), 60.0 * step)
        alarmed |= model.totals >= 1_000.0
    # As many as this, or more, would come with probability 1e-4 if a tenth were the truth.
    assert alarmed.sum() <= binom.ppf(1 - 1e-4, len(streams), 0.1)
    assert alarmed.mean() <= 0.1


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_the_promise_is_for_the_model_however_its_features_go_together(correlation: float) -> None:
    """Features copy a common row with some probability, so that all are alike at correlation 1."""
    rng = np.random.default_rng(23)
    models, features, alarms = 60, 10, 0
    for _ in range(models):
        model = recursion(
            *(stream(counts, 10_000) for counts in fresh_references(rng, LAW, 10_000, features)),
            evaluations=1_000.0,
            min_effect=0.0,
        )
        highest = 0.0
        for step in range(100):
            common = rng.choice(LAW.size, 20, p=LAW)
            own = rng.choice(LAW.size, (features, 20), p=LAW)
            rows = np.where(rng.random((features, 20)) < math.sqrt(correlation), common, own)
            counts = np.concatenate([np.bincount(row, minlength=LAW.size) for row in rows])
            model.step(counts.astype(np.uint32), np.array([20]), 60.0 * step)
            highest = max(highest, model.model_score())
        alarms += highest >= 1
    assert alarms <= binom.ppf(1 - 1e-4, models, 0.1)


# Score, budget and evidence.


@given(
    st.lists(st.floats(0, 1e9), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
)
def test_the_model_scores_1_when_and_only_when_the_evidence_is_the_budget(
    totals: list[float], parts: list[float]
) -> None:
    model = recursion(*(stream(np.full(24, 50.0), 1_200) for _ in range(3)))
    model.shares = np.array(parts) / sum(parts)
    model.totals[:] = totals
    held = float(model.shares @ model.totals)
    if abs(held / model.budget.evaluations - 1) > 1e-9:  # rounding of the logarithm
        assert (model.model_score() >= 1) == (held >= model.budget.evaluations)
        one = model.shares * model.totals >= model.budget.evaluations
        assert not one.any() or model.model_score() >= 1


# After a drift has ended the score comes down, no matter how long it lasted.


def rows_until_quiet(model: Recursion, rng: np.random.Generator, drifted: int) -> int:
    high = np.concatenate((np.zeros(20), np.full(4, 0.25), np.zeros(3)))
    for step in range(drifted):
        model.step(blocks(rng, high, 20, 1), np.array([20]), 60.0 * step)
    assert model.model_score() > 1
    for step in range(5_000):
        model.step(blocks(rng, LAW, 20, 1), np.array([20]), 60.0 * step)
        if model.model_score() < 1:
            return 20 * (step + 1)
    return 100_000


def test_how_long_it_takes_to_recover_does_not_depend_on_how_long_it_drifted() -> None:
    model = recursion(stream(np.round(20_000 * LAW), 20_000), evaluations=129_600.0)
    short, long = (
        rows_until_quiet(model.fresh(), np.random.default_rng(24), drifted) for drifted in (200, 2_000)
    )
    assert short == pytest.approx(long, rel=0.5)
    # Each alternative loses 5e-4 a row at least and is at most e^3 over the line: 6,000 rows at the most.
    assert long <= 6_000


# How soon it sees what drifts.


def delays(model: Recursion, law: Floats, rng: np.random.Generator, line: float, most: int) -> Floats:
    """Rows until evidence passes the line, by stream; NaN where it did not."""
    found = np.full(len(model.streams), np.nan)
    for step in range(1, most + 1):
        model.step(blocks(rng, law, 20, found.size), np.array([20]), 60.0 * step)
        found[np.isnan(found) & (model.totals >= line)] = 20 * step
        if not np.isnan(found).any():
            break
    return found


def moved(shift: float = 0.0, spread: float = 1.0) -> Floats:
    """The law of the e-cells after a Gaussian has moved and widened; the rest beyond stays in the ends."""
    edges = norm.ppf(np.cumsum(LAW[:24])[:-1])
    inside = np.diff(norm.cdf((np.concatenate(([-np.inf], edges, [np.inf])) - shift) / spread))
    return np.concatenate((inside, [0, 0, 0]))


@pytest.mark.parametrize(
    ("law", "rows"),
    [  # the study's delays without a least effect, reference of 10,000 rows, one alarm in 50,000 blocks of 20
        (moved(shift=0.25), 525),
        (moved(shift=0.5), 137),
        (moved(shift=1.0), 43),
        (moved(spread=1.25), 307),
        (moved(spread=0.8), 381),
        (0.95 * LAW + 0.05 * np.eye(LAW.size)[12], 1_075),
        (0.98 * LAW + 0.02 * np.eye(LAW.size)[23], 532),
    ],
)
def test_drift_is_seen_as_soon_as_the_study_says(law: Floats, rows: int) -> None:
    rng = np.random.default_rng(25)
    references = fresh_references(rng, LAW, 10_000, 100)
    model = recursion(
        *(stream(counts, 10_000) for counts in references), evaluations=50_000.0, min_effect=0.0
    )
    found = delays(model, law, rng, 50_000.0, 400)
    assert not np.isnan(found).any()
    assert found.mean() <= 1.25 * rows + 20  # 100 streams: 10 % of a mean whose deviation is about itself


def test_rows_of_missing_values_and_beyond_the_range_are_seen_at_once() -> None:
    model = recursion(*(stream(np.round(20_000 * LAW), 20_000) for _ in range(3)))
    counts = np.zeros((3, LAW.size), np.uint32)
    counts[:, 12] = 16
    for number, cell in enumerate((24, 25, 26)):
        counts[number, cell] = 4
    for step in range(2):
        model.step(counts.ravel(), np.array([20]), 60.0 * step)
    assert (model.scores() > 1).all()


def test_harmless_differences_never_add_up() -> None:
    """A PSI of 0.004 is under the default of 0.01: no evidence, however many rows."""
    rng = np.random.default_rng(26)
    model = recursion(*(stream(np.round(100_000 * LAW), 100_000) for _ in range(20)))
    law = moved(shift=0.06)
    assert ((law[:24] - LAW[:24]) * np.log(law[:24] / LAW[:24])).sum() == pytest.approx(0.0036, rel=0.05)
    for step in range(500):
        model.step(blocks(rng, law, 400, 20), np.array([400]), 60.0 * step)
    assert model.scores().max() < 0.5


def test_the_onset_is_where_the_change_was() -> None:
    rng = np.random.default_rng(27)
    model = recursion(*(stream(np.round(20_000 * LAW), 20_000) for _ in range(100)), min_effect=0.0)
    for step in range(200):
        law = LAW if step < 100 else moved(shift=0.4)
        model.step(blocks(rng, law, 20, 100), np.array([20]), 60.0 * step)
    onsets = np.array([model.onset_seconds(number) for number in range(100)]) / 60
    assert np.median(onsets) == pytest.approx(100, abs=2)
    assert np.abs(onsets - 100).mean() <= 5  # blocks of 20 rows; half a deviation shows in some ten of them

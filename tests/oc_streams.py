"""Streams without drift, and how often the drift score raises an alarm on them.

A reference has many features, each a sample of its own with its own live rows, so that one run is that many
independent models of one feature: the budget is divided by their number, and a feature's score passes 1
where the score of a model with that feature alone would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.budget import Budget
from driftgauge.detectors import DriftScore
from driftgauge.reference import Reference

BLOCK = 20  # rows of an evaluation: as few as are weighed, so a tenth of the budget is as short as it can be
DAY_ROWS = 10_000
ROW_SECONDS = 86_400 / DAY_ROWS

Values = NDArray[Any]
Make = Callable[[np.random.Generator, int], Values]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A process that does not change.

    Parameters
    ----------
    name : str
    make : function of a generator and a number of rows
        Rows in the order of time; the first are the reference, the next are live.
    reference_rows : int
    streams : int
        Independent references, each with live rows of its own.
    timed : bool
        Whether the reference has a time column.
    evaluations : int
        Budget: mean number of evaluations to a false alarm. A tenth of them are looked at.
    """

    name: str
    make: Make
    reference_rows: int
    streams: int = 200
    timed: bool = False
    evaluations: int = 50_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many of so many streams raised an alarm within a tenth of the budget."""

    alarms: int
    streams: int

    @property
    def share(self) -> float:
        """Share of the streams with an alarm; a tenth is promised."""
        return self.alarms / self.streams

    @property
    def upper(self) -> float:
        """Clopper-Pearson upper bound of the chance of an alarm, at 95 %."""
        from scipy.stats import beta

        if self.alarms == self.streams:
            return 1.0
        return float(beta.ppf(0.95, self.alarms + 1, self.streams - self.alarms))

    def __str__(self) -> str:
        return f"{self.alarms} of {self.streams} streams, at most {self.upper:.3f} (Clopper-Pearson, 95 %)"


def normal(rng: np.random.Generator, rows: int) -> Values:
    """Independent continuous values."""
    return rng.standard_normal(rows)


def counts(rng: np.random.Generator, rows: int) -> Values:
    """Independent values of which most occur often: children, items in a basket."""
    return rng.poisson(1.5, rows).astype(np.float64)


def rounded(rng: np.random.Generator, rows: int) -> Values:
    """Independent values with one decimal."""
    return np.round(rng.standard_normal(rows), 1)


def zipf(levels: int) -> Make:
    """Independent categories, the k-th in proportion to ``k ** -1.1``."""
    shares = np.arange(1, levels + 1) ** -1.1
    upto = np.cumsum(shares / shares.sum())
    names = np.array([f"c{k}" for k in range(levels)])

    def make(rng: np.random.Generator, rows: int) -> Values:
        return names[np.minimum(np.searchsorted(upto, rng.random(rows)), levels - 1)]

    return make


def autoregressive(coefficient: float, season: float = 0.0) -> Make:
    """A Gaussian that remembers, ``x[t] = coefficient * x[t - 1] + noise``, plus a sine of a day.

    Parameters
    ----------
    coefficient : float
    season : float
        Amplitude of the sine, in standard deviations of the whole.
    """

    def make(rng: np.random.Generator, rows: int) -> Values:
        from scipy.signal import lfilter

        noise = rng.standard_normal(rows) * np.sqrt(1 - coefficient**2)
        start = coefficient * rng.standard_normal(1)
        values, _ = lfilter([1.0], [1.0, -coefficient], noise, zi=start)
        day = np.sin(2 * np.pi * np.arange(rows) / DAY_ROWS)
        return np.asarray(np.sqrt(1 - season**2 / 2) * values + season * day)

    return make


def bursts(mean: float, *, tail: float | None = None) -> Make:
    """Like rows in a row: sessions, retries, batch jobs.

    Parameters
    ----------
    mean : float
        Mean number of them.
    tail : float, optional
        Pareto with this exponent, above 1, instead of geometric; up to 2 their variance is infinite.
    """

    def make(rng: np.random.Generator, rows: int) -> Values:
        bursts = int(2 * rows / mean) + 100
        if tail is not None:
            sizes = np.ceil((rng.pareto(tail, bursts) + 1) * mean * (tail - 1) / tail).astype(np.int64)
        else:
            sizes = rng.geometric(1 / mean, bursts)
        return np.repeat(rng.standard_normal(bursts), sizes)[:rows]

    return make


def sessions(of: Make, mean: float) -> Make:
    """Sessions of rows of one category, of geometric length; their categories are drawn by *of*."""

    def make(rng: np.random.Generator, rows: int) -> Values:
        number = int(2 * rows / mean) + 100
        return np.repeat(of(rng, number), rng.geometric(1 / mean, number))[:rows]

    return make


SCENARIOS = (
    Scenario(name="continuous, reference 1,000", make=normal, reference_rows=1_000),
    Scenario(name="continuous, reference 10,000", make=normal, reference_rows=10_000),
    Scenario(name="continuous, reference 100,000", make=normal, reference_rows=100_000, streams=100),
    Scenario(name="continuous, with times", make=normal, reference_rows=20_000, timed=True),
    Scenario(name="counts", make=counts, reference_rows=10_000),
    Scenario(name="one decimal", make=rounded, reference_rows=10_000, streams=400),
    Scenario(name="Zipf, 10 levels", make=zipf(10), reference_rows=10_000),
    Scenario(name="Zipf, 50 levels", make=zipf(50), reference_rows=10_000),
    Scenario(name="Zipf, 200 levels", make=zipf(200), reference_rows=10_000, streams=120),
    Scenario(name="Zipf, 1,000 levels", make=zipf(1_000), reference_rows=10_000, streams=120),
    Scenario(name="AR(1) 0.5", make=autoregressive(0.5), reference_rows=20_000, timed=True),
    Scenario(name="AR(1) 0.9", make=autoregressive(0.9), reference_rows=50_000, timed=True),
    Scenario(name="AR(1) 0.99", make=autoregressive(0.99), reference_rows=100_000, timed=True, streams=100),
    Scenario(name="season", make=autoregressive(0.0, 0.5), reference_rows=100_000, timed=True, streams=100),
    Scenario(
        name="season, AR(1) 0.9",
        make=autoregressive(0.9, 0.5),
        reference_rows=100_000,
        timed=True,
        streams=100,
    ),
    Scenario(
        name="season, AR(1) 0.99",
        make=autoregressive(0.99, 0.5),
        reference_rows=300_000,
        timed=True,
        streams=100,
    ),
    Scenario(name="bursts of 5, geometric", make=bursts(5), reference_rows=50_000, timed=True),
    Scenario(name="bursts of 20, geometric", make=bursts(20), reference_rows=50_000, timed=True),
    Scenario(
        name="sessions of 5, Zipf, 1,000 levels",
        make=sessions(zipf(1_000), 5),
        reference_rows=50_000,
        timed=True,
        streams=120,
    ),
)
HEAVY = tuple(
    Scenario(
        name=f"bursts of {mean}, Pareto 2.5",
        make=bursts(mean, tail=2.5),
        reference_rows=50_000,
        timed=True,
        streams=120,
    )
    for mean in (5, 20)
)
BROKEN = Scenario(
    name="bursts of 5, Pareto 1.5", make=bursts(5, tail=1.5), reference_rows=50_000, timed=True, streams=40
)


def _indexed(scenario: Scenario, seed: int) -> tuple[Reference, NDArray[np.uint16], float]:
    """The reference, live rows as cells, and when the first of them comes."""
    live_rows = scenario.evaluations // 10 * BLOCK
    size = scenario.reference_rows
    columns = {
        f"f{number}": scenario.make(np.random.default_rng((seed, number)), size + live_rows)
        for number in range(scenario.streams)
    }
    known: dict[str, Values] = {name: values[:size] for name, values in columns.items()}
    if scenario.timed:
        known["time"] = ROW_SECONDS * np.arange(size)
    reference = Reference.fit(known, time="time" if scenario.timed else None, joint=False)
    return (
        reference,
        reference.index({name: values[size:] for name, values in columns.items()}),
        size * ROW_SECONDS,
    )


def alarms(scenario: Scenario, *, min_effect: float, seed: int = 20_261_121) -> Outcome:
    """Run *scenario* for a tenth of its budget.

    Parameters
    ----------
    scenario : Scenario
    min_effect : float
        0 to hold the detector to the promise with nothing in hand.
    seed : int
    """
    kernels.warm_up()
    reference, indices, start = _indexed(scenario, seed)
    seconds = BLOCK * ROW_SECONDS
    budget = Budget(per_seconds=scenario.evaluations / scenario.streams * seconds, evaluate_seconds=seconds)
    detector = DriftScore(reference, budget=budget, min_effect=min_effect)
    highest = np.zeros(scenario.streams)
    for first in range(0, indices.shape[1] - BLOCK + 1, BLOCK):
        now = start + (first + BLOCK / 2) * ROW_SECONDS
        detector.add(np.ascontiguousarray(indices[:, first : first + BLOCK]), now)
        detector.evaluate(now)
        np.maximum(highest, detector.scores(), out=highest)
    return Outcome(int((highest > 1).sum()), scenario.streams)


def correlated(rng: np.random.Generator, rows: int, features: int, correlation: float) -> Values:
    """float64[rows, features], every pair with the same correlation."""
    common = rng.standard_normal((rows, 1))
    own = rng.standard_normal((rows, features))
    return np.asarray(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


def model_alarms(
    features: int,
    correlation: float,
    *,
    models: int,
    evaluations: int,
    min_effect: float,
    reference_rows: int = 5_000,
) -> Outcome:
    """Models of many features and their virtual ones; alarms of the model within a tenth of its budget."""
    kernels.warm_up()
    raised = 0
    names = [f"f{number}" for number in range(features)]
    for model in range(models):
        rng = np.random.default_rng((features, int(100 * correlation), model))
        # two decimals: as good as continuous for e-cells, and a reference is made in a tenth of the time
        reference = Reference.fit(
            np.round(correlated(rng, reference_rows, features, correlation), 2), names=names
        )
        budget = Budget(per_seconds=60.0 * evaluations, evaluate_seconds=60.0)
        detector = DriftScore(reference, budget=budget, min_effect=min_effect)
        live = np.round(correlated(rng, evaluations // 10 * BLOCK, features, correlation), 2)
        raised += any(score > 1 for score in _scores(detector, reference.index(live)))
    return Outcome(raised, models)


def _scores(detector: DriftScore, indices: NDArray[np.uint16]) -> Iterator[float]:
    for first in range(0, indices.shape[1] - BLOCK + 1, BLOCK):
        detector.add(np.ascontiguousarray(indices[:, first : first + BLOCK]), float(first))
        detector.evaluate(float(first))
        yield detector.model_score()

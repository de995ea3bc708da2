"""Bursts of like rows: how large the largest was, and that no single one raises an alert."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from driftgauge.calibration import StreamCalibration
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._scores import reference_shares
from driftgauge.detectors._tempering import burst_exponents
from driftgauge.reference import Reference

LENGTHS = (20, 80, 320, 1_280, 5_120)


def learned(values: np.ndarray) -> tuple[StreamCalibration, np.ndarray]:
    """What a reference knows of one column in order, and the e-cell of each row."""
    times = 10.0 * np.arange(values.size)
    reference = Reference.fit({"x": values, "time": times}, time="time", joint=False)
    assert reference.calibration is not None
    return reference.calibration.streams[0], reference.ecells[0].cell_map[reference.index({"x": values})[0]]


def pareto_bursts(rng: np.random.Generator, rows: int, mean: int) -> np.ndarray:
    lengths = np.ceil((rng.pareto(2.5, rows) + 1) * mean * 0.6).astype(int)
    return np.repeat(rng.normal(size=rows), lengths)[:rows]


def plain(stream: StreamCalibration, ecells: np.ndarray) -> float:
    """The definition, block by block."""
    largest = 0.0
    for ecell, effect in enumerate(stream.design_effects[4:].tolist()):
        share = float((ecells == ecell).mean())
        for length in LENGTHS:
            for block in range(ecells.size // length):
                over = (ecells[block * length : (block + 1) * length] == ecell).sum() - length * share
                deviation = math.sqrt(length * share * (1 - share))
                beyond = over - 3 * math.sqrt(effect) * deviation
                size = (effect + 1) / 2
                usual = 0.38 * size * math.log(max(ecells.size / size, math.e))
                if over > 6 * deviation + 6 and beyond > usual:
                    largest = max(largest, beyond)
    return largest


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_burst_is_that_of_the_definition(seed: int) -> None:
    stream, ecells = learned(pareto_bursts(np.random.default_rng(seed), 20_000, 5))
    assert stream.bucket_counts is None
    assert stream.largest_burst > 20
    assert stream.largest_burst == pytest.approx(plain(stream, ecells), rel=1e-5)


@pytest.mark.parametrize("rows", [2_000, 20_000, 200_000])
def test_independent_rows_have_no_burst(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for values in (rng.normal(size=rows), rng.poisson(0.3, rows).astype(float)):
        assert learned(values)[0].largest_burst == 0


def test_what_stays_a_while_and_does_not_burst_has_none() -> None:
    noise = np.random.default_rng(8).normal(size=50_000)
    assert learned(lfilter([1.0], [1.0, -0.5], noise))[0].largest_burst == 0


def test_a_file_keeps_it(tmp_path: Path) -> None:
    values = pareto_bursts(np.random.default_rng(1), 20_000, 5)
    reference = Reference.fit({"x": values, "time": 10.0 * np.arange(20_000)}, time="time", joint=False)
    reference.save(tmp_path / "one.reference")
    loaded = Reference.load(tmp_path / "one.reference")
    assert loaded.id == reference.id
    assert reference.calibration is not None
    assert loaded.calibration is not None
    assert loaded.calibration.streams[0].largest_burst == reference.calibration.streams[0].largest_burst > 0


@pytest.mark.parametrize("largest_burst", [5.0, 150.0])
@pytest.mark.parametrize("needed", [8.0, 16.4])
def test_no_single_burst_that_the_budget_may_bring_passes_the_line(
    largest_burst: float, needed: float
) -> None:
    counts = np.concatenate(
        (np.array([20.0, 180, 800]), np.full(18, 1_000.0), np.array([800.0, 180, 20, 0, 0, 0]))
    )
    rows = int(counts.sum())
    given = {"min_effect": 0.01, "design_effects": np.ones(4 + counts.size), "needed": needed}
    bank = Bank.of(counts, 24, rows, largest_burst=largest_burst, **given)
    free = Bank.of(counts, 24, rows, **given)
    assert (bank.exponents <= free.exponents).all()
    shares = reference_shares(counts)
    sizes = largest_burst * (500 * 20 * math.exp(needed) * shares / rows) ** (1 / 2.5)
    gained = bank.exponents[:, None] * bank.log_ratios() * np.maximum(sizes, 1.0)
    line = needed - np.log(bank.weights)
    assert (gained.max(axis=1) <= line).all()
    assert (free.exponents[:, None] * free.log_ratios() * np.maximum(sizes, 1.0)).max() > line.max()


def test_without_a_burst_nothing_is_limited() -> None:
    ratios, shares = np.array([[0.5, -0.5]]), np.array([0.5, 0.5])
    assert burst_exponents(ratios, shares, 1e4, 0.0, np.array([12.0]), 10.0).tolist() == [math.inf]

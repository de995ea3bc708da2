"""The statistics of a window are those of its rows, whatever was pushed before."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from window_cases import (
    KINDS,
    REFERENCE_ID,
    cell_of,
    index_block,
    numeric_feature,
    psi_by_definition,
    stand_in,
)

from driftgauge._evaluate import evaluate
from driftgauge.reference import Reference
from driftgauge.windows import rows


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], list[list[float]], int, list[list[list[float]]]]:
    """Kinds of columns, their reference rows, a capacity, and blocks of rows (columns of values)."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=4))
    reference_rows = draw(st.integers(1, 30))
    reference = [[draw(KINDS[kind]) for _ in range(reference_rows)] for kind in kinds]
    capacity = draw(st.integers(1, 25))
    # half of the live values are values of the reference, so that they fall on points and not only in gaps
    blocks = []
    for size in draw(st.lists(st.integers(0, 40), min_size=1, max_size=6)):
        block = []
        for kind, column in zip(kinds, reference, strict=True):
            either = st.one_of(KINDS[kind], st.sampled_from(column))
            block.append([draw(either) for _ in range(size)])
        blocks.append(block)
    return kinds, reference, capacity, blocks


def numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


@given(streams())
@settings(max_examples=150, deadline=None)
def test_ks_and_psi_of_a_row_window_are_those_of_its_rows(stream: Any) -> None:
    kinds, reference_rows, capacity, blocks = stream
    features = [
        numeric_feature(f"{kind} {place}", column)
        for place, (kind, column) in enumerate(zip(kinds, reference_rows, strict=True))
    ]
    reference = stand_in(*features)
    window = rows(capacity).open(reference.layout, REFERENCE_ID)
    held: list[list[float]] = [[] for _ in kinds]
    for moment, block in enumerate(blocks):
        window.push(index_block(reference.layout, block), float(moment))
        held = [(old + new)[-capacity:] for old, new in zip(held, block, strict=True)]
        assert window.rows == len(held[0])
        if not held[0]:
            continue
        snapshot = evaluate(reference, [window], now_seconds=float(moment), min_rows=1)
        for feature, past, live, found in zip(
            features, reference_rows, held, snapshot.windows[0].features, strict=True
        ):
            if numbers(past) and numbers(live):
                # whole numbers and one division on our side, one subtraction of two quotients on theirs
                expected = stats.ks_2samp(numbers(live), numbers(past)).statistic
                assert found.ks == pytest.approx(expected, abs=1e-12)
            else:
                assert found.ks is None
            assert found.psi == pytest.approx(oracle_psi(feature, live), abs=1e-12)


@given(streams())
@settings(max_examples=50, deadline=None)
def test_from_fit_to_snapshot_ks_is_that_of_the_raw_rows(stream: Any) -> None:
    """The whole way that a user's rows go, with nothing of these tests in between."""
    kinds, reference_rows, capacity, blocks = stream
    names = [f"{kind} {place}" for place, kind in enumerate(kinds)]
    past = {name: [*column, 1.0] for name, column in zip(names, reference_rows, strict=True)}
    reference = Reference.fit({name: np.array(column) for name, column in past.items()})
    window = rows(capacity).open(reference.layout, reference.id)
    held: dict[str, list[float]] = {name: [] for name in names}
    for block in blocks:
        columns = dict(zip(names, block, strict=True))
        window.push(reference.index({name: np.array(column) for name, column in columns.items()}), 0.0)
        held = {name: (held[name] + columns[name])[-capacity:] for name in names}
        if window.rows == 0:
            continue
        for found in evaluate(reference, [window], now_seconds=0.0, min_rows=1).windows[0].features:
            live = numbers(held[found.name])
            if live:
                expected = stats.ks_2samp(live, numbers(past[found.name])).statistic
                assert found.ks == pytest.approx(expected, abs=1e-12)
            else:
                assert found.ks is None
            assert found.missing_ratio == (window.rows - len(live)) / window.rows


def oracle_psi(feature: Any, live: list[float]) -> float:
    starts = feature.bin_starts.tolist()
    bins = [0] * (len(starts) - 1)
    for value in live:
        cell = cell_of(value, feature.points.tolist())
        bins[next(b for b in range(len(bins)) if cell < starts[b + 1])] += 1
    return psi_by_definition(feature.reference_bins.tolist(), bins)


SAMPLES: dict[str, Any] = {
    "continuous": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=2.0, size=n),
    "integer": lambda rng, n: rng.integers(0, 200, n).astype(float),
    "tied": lambda rng, n: rng.choice([0.0, 1.0, 5.0], n, p=[0.9, 0.05, 0.05]),
    "constant": lambda _, n: np.full(n, 3.0),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_ks_is_exact_with_thousands_of_points_and_a_window_that_has_wrapped(kind: str) -> None:
    rng = np.random.default_rng(20)
    reference_rows: NDArray[np.float64] = SAMPLES[kind](rng, 5_000)
    live: NDArray[np.float64] = SAMPLES[kind](rng, 4_000) + 0.02
    feature = numeric_feature(kind, reference_rows.tolist())
    reference = stand_in(feature)
    window = rows(1_500).open(reference.layout, REFERENCE_ID)
    end = 0
    for size in (1, 700, 2_000, 3, 1_296):
        window.push(index_block(reference.layout, [live[end : end + size].tolist()]), 0.0)
        end += size
        found = evaluate(reference, [window], now_seconds=0.0, min_rows=1).windows[0].features[0]
        inside = live[max(0, end - 1_500) : end]
        assert found.ks == pytest.approx(stats.ks_2samp(inside, reference_rows).statistic, abs=1e-12)
        assert found.psi == pytest.approx(oracle_psi(feature, inside.tolist()), abs=1e-12)

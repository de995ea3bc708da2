"""The quantile summary: its bound holds whatever comes, and equal input gives equal output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge._summary import QuantileSummary
from driftgauge._tally import CHUNK_ROWS, MAX_LABELS, CategoryTally, NumberTally
from driftgauge.frames import Categories

SHAPES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "lognormal": lambda rng, n: rng.lognormal(sigma=3, size=n),
    "rising": lambda _, n: np.arange(n, dtype=float),
    "falling": lambda _, n: -np.arange(n, dtype=float),
    "half zero": lambda rng, n: np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    "moving": lambda rng, n: rng.normal(size=n) + np.arange(n) / n * 10,
}


def greatest_rank_error(values: np.ndarray, kept: np.ndarray, weights: np.ndarray) -> float:
    """Largest difference of two distribution functions, in share of the rows, by sorting everything."""
    everywhere = np.concatenate([values, kept])
    true = np.searchsorted(np.sort(values), everywhere, side="right") / values.size
    cumulative = np.concatenate([[0], np.cumsum(weights)])
    estimated = cumulative[np.searchsorted(kept, everywhere, side="right")] / cumulative[-1]
    return float(np.abs(true - estimated).max())


# law


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    distinct=st.sampled_from([2, 50, 10**6]),
    seed=st.integers(0, 2**32 - 1),
    joined=st.booleans(),
)
def test_no_rank_is_further_off_than_the_bound(
    parts: list[int], distinct: int, seed: int, joined: bool
) -> None:
    rng = np.random.default_rng(seed)
    chunks = [rng.integers(distinct, size=size).astype(float) for size in parts]
    whole = QuantileSummary(64)
    rest: list[np.ndarray] = []
    for chunk in chunks:
        part = QuantileSummary(64) if joined else whole
        values, weights = np.unique(chunk, return_counts=True)
        left, counts = part.add_sorted(values, weights, 4)
        rest.append(np.repeat(left, counts))
        if joined:
            whole.merge(part)
    kept, weights = whole.values()
    values = np.concatenate(chunks)
    assert whole.rows == weights.sum() == values.size - sum(map(len, rest))
    # the rows that filled no run are counted exactly beside the summary
    both = np.concatenate([kept, *rest])
    order = np.argsort(both, kind="stable")
    all_weights = np.concatenate([weights, np.ones(both.size - kept.size, int)])[order]
    if whole.rows:
        bound = whole.rank_error * whole.rows / values.size
        assert greatest_rank_error(values, both[order], all_weights) <= bound + 1e-12


@pytest.mark.parametrize("shape", SHAPES)
def test_a_tally_of_many_values_keeps_its_bound(shape: str) -> None:
    values = SHAPES[shape](np.random.default_rng(1), 700_001)
    tally = NumberTally()
    tally.update(values)
    kept, weights, rank_error = tally.distinct()
    assert tally.rows == weights.sum() == values.size
    assert 0 < rank_error < 0.0004
    assert greatest_rank_error(values, kept, weights) <= rank_error


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 200_000), max_size=6))
def test_the_cut_into_batches_makes_no_difference(cuts: list[int]) -> None:
    values = np.random.default_rng(2).normal(size=200_000)
    whole, cut = NumberTally(), NumberTally()
    whole.update(values)
    for batch in np.split(values, sorted(cuts)):
        cut.update(batch)
    for one, other in zip(whole.distinct(), cut.distinct(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_merge_of_summaries_keeps_the_bound() -> None:
    rng = np.random.default_rng(3)
    parts = [rng.normal(size=size) for size in (100_000, 70_000, 300_000, 10, 65_536)]
    merged = NumberTally()
    for part in parts:
        tally = NumberTally()
        tally.update(part)
        merged.merge(tally)
    values = np.concatenate(parts)
    kept, weights, rank_error = merged.distinct()
    assert merged.rows == weights.sum() == values.size
    assert greatest_rank_error(values, kept, weights) <= rank_error < 0.001


def test_a_long_exact_table_becomes_a_summary_within_the_bound() -> None:
    rng = np.random.default_rng(4)
    tied = rng.integers(20_000, size=500_000).astype(float)
    fresh = rng.normal(1e4, 1e4, size=500_000)
    tally = NumberTally()
    tally.update(tied)
    assert tally.summary is None
    tally.update(fresh)
    kept, weights, rank_error = tally.distinct()
    assert tally.summary is not None
    assert greatest_rank_error(np.concatenate([tied, fresh]), kept, weights) <= rank_error < 0.0004


# edge


def test_memory_does_not_grow_with_the_rows() -> None:
    rng = np.random.default_rng(5)
    tally = NumberTally()
    for _ in range(40):
        tally.update(rng.normal(size=CHUNK_ROWS))
    assert tally.summary is not None
    held = sum(buffer.size for buffer in tally.summary.buffers.values()) + tally.table[0].size
    # 40 chunks are 2**5 + 2**3: two buffers of 8,192
    assert held == 2 * 8_192


def test_specials_are_counted_and_kept_out_of_the_ranks() -> None:
    tally = NumberTally()
    tally.update(np.array([np.inf, -np.inf, -np.inf, np.nan, -0.0, 0.0, 5.0]))
    assert (tally.plus_infinity, tally.minus_infinity, tally.not_a_number, tally.missing) == (1, 2, 1, 0)
    values, weights, _ = tally.distinct()
    assert values.tolist() == [0.0, 5.0]
    assert not np.signbit(values).any()
    assert weights.tolist() == [2, 1]
    assert tally.rows == 7


def test_an_empty_tally_has_nothing() -> None:
    tally = NumberTally()
    tally.update(np.empty(0))
    assert tally.rows == 0
    assert tally.distinct()[0].size == 0


def column(counts: dict[str, int]) -> Categories:
    labels = tuple(counts)
    return Categories(np.repeat(np.arange(len(labels), dtype=np.int32), list(counts.values())), labels)


def test_categories_past_the_limit_are_let_go_with_a_stated_error() -> None:
    tally, true = CategoryTally(), {f"often {i}": 60 + i for i in range(100)}
    tally.update(column(true))
    for start in range(0, 250_000, 25_000):
        tally.update(column({f"once {i}": 1 for i in range(start, start + 25_000)}))
    rows = 250_000 + sum(true.values())
    assert tally.rows == rows
    assert len(tally.counts) <= MAX_LABELS
    assert 0 < tally.error <= rows / (MAX_LABELS // 2)
    for text, count in true.items():
        assert count - tally.error <= tally.counts[text] <= count


def test_merged_category_tallies_keep_all_rows_and_every_frequent_label() -> None:
    merged = CategoryTally()
    for part in range(4):
        tally = CategoryTally()
        tally.update(column({"common": 50} | {f"{part}-{i}": 1 for i in range(60_000)}))
        merged.merge(tally)
    assert merged.rows == 4 * 60_050
    assert 200 - merged.error <= merged.counts["common"] <= 200

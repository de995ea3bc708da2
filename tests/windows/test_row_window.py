"""Laws of the window over the last N rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_cases import REFERENCE_ID, any_block, counted, small_layout

from driftgauge._row_window import MARKS
from driftgauge.errors import DataError
from driftgauge.layout import Layout
from driftgauge.windows import RowWindow, rows

LAYOUT = small_layout()
sizes = st.lists(st.integers(0, 30), min_size=1, max_size=8)
seeds = st.integers(0, 2**32 - 1)


def opened(size: int, layout: Layout = LAYOUT) -> RowWindow:
    return rows(size).open(layout, REFERENCE_ID)


# Laws


@given(st.integers(1, 40), sizes, seeds)
@settings(max_examples=100, deadline=None)
def test_a_window_counts_the_last_rows_and_nothing_else(size: int, pushes: list[int], seed: int) -> None:
    window = opened(size)
    stream = any_block(LAYOUT, sum(pushes), seed)
    end = 0
    for count in pushes:
        window.push(stream[:, end : end + count], 0.0)
        end += count
        assert window.counts.tolist() == counted(LAYOUT, stream[:, max(0, end - size) : end])
        assert window.rows == min(end, size)


@given(st.integers(1, 40), st.integers(0, 60), seeds)
@settings(max_examples=50, deadline=None)
def test_rows_that_come_and_leave_again_leave_no_trace(size: int, visitors: int, seed: int) -> None:
    window = opened(size)
    residents = any_block(LAYOUT, size, seed)
    window.push(residents, 0.0)
    before = window.counts.copy()
    window.push(any_block(LAYOUT, visitors, seed + 1), 1.0)
    window.push(residents, 2.0)
    assert np.array_equal(window.counts, before)


@given(sizes, seeds)
@settings(max_examples=50, deadline=None)
def test_one_push_of_many_rows_is_many_pushes_of_one_row(pushes: list[int], seed: int) -> None:
    together, apart = opened(20), opened(20)
    for place, count in enumerate(pushes):
        block = any_block(LAYOUT, count, seed + place)
        together.push(block, 0.0)
        for row in range(count):
            apart.push(block[:, row : row + 1], 0.0)
    assert np.array_equal(together.counts, apart.counts)
    assert together.rows == apart.rows


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_inside_a_window_does_not_matter(seed: int) -> None:
    block = any_block(LAYOUT, 25, seed)
    shuffled = block[:, np.random.default_rng(seed).permutation(25)]
    first, second = opened(25), opened(25)
    first.push(block, 0.0)
    second.push(shuffled, 0.0)
    assert np.array_equal(first.counts, second.counts)


@given(st.integers(1, 40), sizes, seeds)
@settings(max_examples=50, deadline=None)
def test_every_feature_counts_every_row(size: int, pushes: list[int], seed: int) -> None:
    window = opened(size)
    for place, count in enumerate(pushes):
        window.push(any_block(LAYOUT, count, seed + place), 0.0)
        by_feature = np.add.reduceat(window.counts, LAYOUT.cell_offsets[:-1])
        assert by_feature.tolist() == [window.rows] * len(LAYOUT.features)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 1e9)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_window_reaches_back_to_the_block_of_its_oldest_row(pushes: list[tuple[int, float]]) -> None:
    window = opened(50)  # under 256 rows no runs are joined, so the time is exact
    arrivals: list[float] = []
    for count, seconds in pushes:
        window.push(any_block(LAYOUT, count, 1), seconds)
        arrivals = (arrivals + [seconds] * count)[-50:]
        assert window.seconds(2e9) == 2e9 - arrivals[0]


def test_how_far_back_the_window_reaches_is_late_by_one_run_at_most() -> None:
    size = 2_560
    window = opened(size)
    block = any_block(LAYOUT, 1, 5)
    for second in range(10_000):
        window.push(block, float(second))
        oldest = max(0, second - size + 1)
        assert oldest - size // MARKS <= second - window.seconds(float(second)) <= oldest
    assert len(window._marks) <= 2 * MARKS + 1


# Edges


def test_an_empty_window_reaches_nowhere() -> None:
    window = opened(5)
    window.push(any_block(LAYOUT, 0, 0), 3.0)
    assert (window.rows, window.seconds(10.0), int(window.counts.sum())) == (0, 0.0, 0)


def test_a_window_of_one_row_holds_the_newest() -> None:
    window = opened(1)
    block = any_block(LAYOUT, 7, 3)
    window.push(block, 0.0)
    assert window.counts.tolist() == counted(LAYOUT, block[:, 6:])


def test_a_clock_that_goes_back_does_not_make_a_window_reach_into_the_future() -> None:
    window = opened(5)
    window.push(any_block(LAYOUT, 2, 0), 100.0)
    window.push(any_block(LAYOUT, 2, 0), 50.0)
    assert window.seconds(60.0) == 0.0
    assert window.rows == 4


def test_a_cleared_window_is_a_new_one() -> None:
    window = opened(5)
    window.push(any_block(LAYOUT, 4, 0), 1.0)
    window.clear()
    block = any_block(LAYOUT, 9, 8)
    window.push(block, 2.0)
    assert window.counts.tolist() == counted(LAYOUT, block[:, 4:])
    assert window.seconds(2.0) == 0.0


def test_time_alone_lets_no_row_out() -> None:
    window = opened(5)
    window.push(any_block(LAYOUT, 4, 0), 1.0)
    window.advance(1e9)
    assert window.rows == 4


@pytest.mark.parametrize(
    "block", [np.zeros((2, 5), np.uint16), np.zeros((3, 5), np.int64), np.zeros(3, np.uint16)]
)
def test_a_block_of_another_shape_is_refused(block: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"uint16\[3, n\].*make it with Reference.index"):
        opened(5).push(block, 0.0)

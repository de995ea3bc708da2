"""Laws of the window over the last T seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from window_cases import REFERENCE_ID, any_block, counted, small_layout

from driftgauge.errors import ConfigError, DataError
from driftgauge.windows import Duration, DurationWindow, WindowState, duration

LAYOUT = small_layout()
SPEC = duration(60, panes=6)  # panes of 10 seconds
seeds = st.integers(0, 2**32 - 1)
# steps in time: mostly small, sometimes past the window, sometimes back by less than it
forward = st.one_of(st.floats(0, 15), st.floats(0, 200))
steps = st.lists(st.tuples(forward, st.integers(0, 12)), min_size=1, max_size=15)


def opened(spec: Duration = SPEC) -> DurationWindow:
    return spec.open(LAYOUT, REFERENCE_ID)


@dataclass
class Oracle:
    """Every row with the pane it came in; what is inside is asked of the list each time."""

    spec: Duration
    rows: list[tuple[int, float, list[int]]] = field(default_factory=list)
    newest: int | None = None

    def push(self, block: NDArray[np.uint16], now_seconds: float) -> None:
        pane = math.floor(now_seconds / (self.spec.seconds / self.spec.panes))
        if block.shape[1]:
            self.newest = pane if self.newest is None else max(pane, self.newest)
            self.rows += [(self.newest, now_seconds, column) for column in block.T.tolist()]
        elif self.newest is not None:
            self.newest = max(pane, self.newest)

    def inside(self) -> list[tuple[int, float, list[int]]]:
        return [
            row for row in self.rows if self.newest is not None and row[0] > self.newest - self.spec.panes
        ]

    def counts(self) -> list[int]:
        columns = [row[2] for row in self.inside()]
        return counted(LAYOUT, np.array(columns, dtype=np.uint16).reshape(-1, len(LAYOUT.features)).T)


# Laws


@given(steps, seeds, st.sampled_from([1, 2, 6, 7]))
@settings(max_examples=150, deadline=None)
def test_inside_are_exactly_the_rows_of_the_panes_within_the_last_t(
    stream: list[tuple[float, int]], seed: int, panes: int
) -> None:
    spec = duration(60, panes=panes)
    window, oracle, now = opened(spec), Oracle(spec), 1e9
    for place, (step, count) in enumerate(stream):
        now += step
        block = any_block(LAYOUT, count, seed + place)
        window.push(block, now)
        oracle.push(block, now)
        inside = oracle.inside()
        assert window.counts.tolist() == oracle.counts()
        assert window.rows == len(inside)
        assert window.seconds(now) == (now - inside[0][1] if inside else 0.0)
        assert window.seconds(now) <= spec.seconds
        assert window.late_rows == 0


@given(steps, seeds)
@settings(max_examples=50, deadline=None)
def test_every_row_younger_than_t_less_one_pane_is_inside(stream: list[tuple[float, int]], seed: int) -> None:
    window, arrivals, now = opened(), [], 1e9
    for place, (step, count) in enumerate(stream):
        now += step
        window.push(any_block(LAYOUT, count, seed + place), now)
        arrivals += [now] * count
    young = sum(now - arrival < SPEC.seconds - SPEC.pane_seconds for arrival in arrivals)
    kept = sum(now - arrival < SPEC.seconds for arrival in arrivals)
    assert young <= window.rows <= kept


@given(steps, seeds)
@settings(max_examples=50, deadline=None)
def test_rows_that_leave_take_back_what_they_added(stream: list[tuple[float, int]], seed: int) -> None:
    window, now = opened(), 1e9
    for place, (step, count) in enumerate(stream):
        now += step
        window.push(any_block(LAYOUT, count, seed + place), now)
    for _ in range(SPEC.panes):
        now += SPEC.pane_seconds
        window.advance(now)
        by_feature = np.add.reduceat(window.counts, LAYOUT.cell_offsets[:-1])
        assert by_feature.tolist() == [window.rows] * len(LAYOUT.features)
    assert (window.rows, int(window.counts.max()), window.seconds(now)) == (0, 0, 0.0)


@given(steps, seeds)
@settings(max_examples=50, deadline=None)
def test_asking_the_time_in_between_changes_nothing(stream: list[tuple[float, int]], seed: int) -> None:
    asked, unasked, now = opened(), opened(), 1e9
    for place, (step, count) in enumerate(stream):
        asked.advance(now + step / 2)
        now += step
        asked.advance(now)
        block = any_block(LAYOUT, count, seed + place)
        asked.push(block, now)
        unasked.push(block, now)
    assert np.array_equal(asked.counts, unasked.counts)
    assert asked.rows == unasked.rows


@given(steps, seeds)
@settings(max_examples=75, deadline=None)
def test_two_replicas_merged_are_one_window_fed_with_both(stream: list[tuple[float, int]], seed: int) -> None:
    replicas, fed_with_both, now = (opened(), opened()), opened(), 1e9
    for place, (step, count) in enumerate(stream):
        now += step
        block = any_block(LAYOUT, count, seed + place)
        replicas[place % 2].push(block, now)
        fed_with_both.push(block, now)
    merged = WindowState.merge([replica.state() for replica in replicas], now_seconds=now)
    assert np.array_equal(merged.counts, fed_with_both.counts)
    assert merged.rows == fed_with_both.rows
    assert merged.seconds(now) == fed_with_both.seconds(now)
    # and it can go on as that one window
    resumed = opened()
    resumed.restore(merged)
    for later in (5.0, 30.0, 55.0):
        block = any_block(LAYOUT, 3, seed)
        resumed.push(block, now + later)
        fed_with_both.push(block, now + later)
        assert np.array_equal(resumed.counts, fed_with_both.counts)


# Edges


def test_panes_are_counted_from_the_epoch_so_that_replicas_agree() -> None:
    early, late = opened(), opened()
    early.push(any_block(LAYOUT, 1, 0), 1_000_000_001.0)
    late.push(any_block(LAYOUT, 1, 0), 1_000_000_009.0)
    assert [state.panes[0].number for state in (early.state(), late.state())] == [100_000_000, 100_000_000]


def test_a_row_at_the_edge_of_a_pane_is_in_the_later_one() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 1, 0), 9.999)
    window.push(any_block(LAYOUT, 1, 0), 10.0)
    assert [pane.number for pane in window.state().panes] == [0, 1]


def test_a_gap_longer_than_t_empties_the_window() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 9, 0), 1_000.0)
    window.advance(1_059.0)
    assert window.rows == 9
    window.advance(1_060.0)
    assert (window.rows, int(window.counts.max())) == (0, 0)
    block = any_block(LAYOUT, 2, 1)
    window.push(block, 5_000.0)
    assert window.counts.tolist() == counted(LAYOUT, block)


def test_rows_that_come_late_are_in_the_newest_pane_and_counted() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1_000.0)
    window.push(any_block(LAYOUT, 4, 1), 985.0)
    assert (window.rows, window.late_rows) == (7, 4)
    assert [pane.rows for pane in window.state().panes] == [7]
    window.advance(1_059.0)
    assert window.rows == 7
    window.advance(1_060.0)
    assert window.rows == 0


def test_a_clock_set_back_by_more_than_t_does_not_keep_rows_for_ever() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1e9)
    window.push(any_block(LAYOUT, 2, 1), 1e9 + 20)
    window.push(any_block(LAYOUT, 4, 2), 1_000.0)  # the clock was a year wrong and has been set
    assert (window.rows, window.late_rows, window.seconds(1_000.0)) == (9, 0, 20.0)
    window.advance(1_040.0)  # the pane of the first three rows was two panes back
    assert window.rows == 6
    window.advance(1_060.0)
    assert window.rows == 0


def test_a_clock_that_jumps_forward_and_back_loses_rows_but_not_the_window() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1_000.0)
    window.push(any_block(LAYOUT, 1, 0), 9e8)
    assert window.rows == 1
    window.push(any_block(LAYOUT, 5, 0), 1_001.0)
    assert window.rows == 6
    window.advance(1_061.0)
    assert window.rows == 0


def test_times_before_the_epoch_are_times_too() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 1, 0), -65.0)
    window.push(any_block(LAYOUT, 1, 0), -5.0)
    assert window.rows == 1


@pytest.mark.parametrize("now_seconds", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_time_is_refused_and_changes_nothing(now_seconds: float) -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1_000.0)
    with pytest.raises(ConfigError, match="now_seconds must be a finite number"):
        window.push(any_block(LAYOUT, 3, 0), now_seconds)
    assert window.rows == 3


def test_a_block_of_another_shape_is_refused_before_time_moves_on() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1_000.0)
    with pytest.raises(DataError, match=r"uint16\[3, n\]"):
        window.push(np.zeros((4, 2), np.uint16), 9_000.0)
    assert window.rows == 3


def test_a_cleared_window_is_a_new_one() -> None:
    window = opened()
    window.push(any_block(LAYOUT, 3, 0), 1_000.0)
    window.push(any_block(LAYOUT, 3, 0), 900.0)
    window.clear()
    block = any_block(LAYOUT, 2, 4)
    window.push(block, 500.0)
    assert (window.counts.tolist(), window.rows, window.late_rows) == (counted(LAYOUT, block), 2, 0)


@pytest.mark.parametrize("repeats", [1, 255, 256, 70_000])
def test_a_pane_holds_counts_of_any_size(repeats: int) -> None:
    window = opened()
    block = np.repeat(any_block(LAYOUT, 1, 0), repeats, axis=1)
    window.push(block, 1_000.0)
    window.push(any_block(LAYOUT, 1, 9), 1_011.0)
    assert window.state().panes[0].rows == repeats
    window.advance(1_060.0)
    assert window.counts.tolist() == counted(LAYOUT, any_block(LAYOUT, 1, 9))

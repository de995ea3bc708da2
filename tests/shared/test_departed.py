"""What those leave behind that are gone: counts once each, rows until newer ones have taken their place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge._evaluate import Counters
from driftgauge.shared._departed import MOST_WINDOWS, DeadWindow, Departed, staying
from driftgauge.shared._folder import Present
from driftgauge.shared._merged import merged, merged_states
from driftgauge.shared._publication import Publication, Sizes
from driftgauge.windows import WindowState, duration, rows

CELLS, SIZE = 5, 100
SIZES = Sizes("ab12", CELLS, 2, 3, 1)
SPEC, HOUR = rows(SIZE), duration("1h")


def window(count: int, begun: float, ended: float) -> WindowState:
    """A row window whose rows came evenly from *begun* to *ended*, in ten runs."""
    counts = np.zeros(CELLS, np.uint32)
    counts[0] = count
    shares = [count // 10 + (each < count % 10) for each in range(10)]
    times = np.linspace(begun, ended, 10).tolist()
    marks = tuple((own, at) for own, at in zip(shares, times, strict=True) if own)
    return WindowState(spec=SPEC, reference_id="ab12", counts=counts, rows=count, marks=marks)


def dead(count: int, begun: float, ended: float) -> DeadWindow:
    return DeadWindow(state=window(count, begun, ended), newest_seconds=ended)


def process(count: int, begun: float, ended: float, epoch: int = 0) -> Publication:
    return Publication(
        epoch=epoch,
        newest_seconds=ended if count else -math.inf,
        windows=(window(min(count, SIZE), begun, ended), hour(count, begun)),
        counters=Counters(rows=count + 2, rows_sampled=count, rows_dropped={"buffer_full": 2}),
        bin_rows=np.array([count, 0]),
        ecell_rows=np.array([count, 0, 0]),
        bucket_rows=np.array([count]),
        arrivals=np.array([[0.0, begun]]),
    )


def hour(count: int, at: float) -> WindowState:
    opened = _Hour()
    opened.push(count, at)
    return opened.state()


class _Hour:
    """A window of an hour over one feature of five cells, of which the first is hit."""

    def __init__(self) -> None:
        from types import SimpleNamespace

        layout = SimpleNamespace(cell_offsets=np.array([0, CELLS]))
        self.window = HOUR.open(layout, "ab12")  # type: ignore[arg-type]

    def push(self, count: int, at: float) -> None:
        self.window.push(np.zeros((1, count), np.uint16), at)

    def state(self) -> WindowState:
        return self.window.state()


def present(departed: Departed, *living: Publication) -> Present:
    return Present(living={str(number): one for number, one in enumerate(living)}, departed=departed)


# Laws


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(0, 8))
def test_who_ends_changes_no_sum(counts: list[int], ended: int) -> None:
    everybody = [process(count, 100.0 * at, 100.0 * at + 50) for at, count in enumerate(counts, 1)]
    nobody = Departed.nobody(SIZES)
    some = nobody
    for number, one in enumerate(everybody[:ended]):
        some = some.with_processes({f"{number}.dgw": one}, everybody[number + 1 :], 1_000.0)
    some = Departed.of_bytes(some.to_bytes(), SIZES)
    before = merged(present(nobody, *everybody), (SPEC, HOUR), SIZES, 1_000.0)
    after = merged(present(some, *everybody[ended:]), (SPEC, HOUR), SIZES, 1_000.0)
    assert after.counters.rows == before.counters.rows == sum(counts) + 2 * len(counts)
    assert after.counters.rows_dropped.get("buffer_full", 0) == 2 * len(counts)
    assert after.bin_rows.tolist() == before.bin_rows.tolist()
    assert after.windows[1].rows == before.windows[1].rows == sum(counts)
    assert after.windows[1].counts.tolist() == before.windows[1].counts.tolist()
    assert after.windows[0].counts.sum() == after.windows[0].rows <= before.windows[0].rows


@given(st.lists(st.tuples(st.integers(1, SIZE), st.floats(0, 1e6), st.floats(0, 1e4)), max_size=40))
def test_what_is_kept_of_the_dead_is_bounded_and_loses_no_row_while_nobody_lives(
    lives: list[tuple[int, float, float]],
) -> None:
    departed = Departed.nobody(SIZES)
    for number, (count, begun, lasted) in enumerate(lives):
        one = process(count, begun, begun + lasted)
        departed = departed.with_processes({str(number): one}, [], 2e6)
    assert len(departed.windows) <= MOST_WINDOWS
    assert all(len(each.state.marks) <= 64 for each in departed.windows)
    ages = [each.newest_seconds for each in departed.windows]
    assert ages == sorted(ages)
    assert len(departed.durations) <= 1


@given(
    st.lists(st.tuples(st.integers(1, SIZE), st.floats(0, 1e3), st.floats(0, 1e3)), max_size=6),
    st.lists(st.tuples(st.integers(0, SIZE), st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=4),
)
def test_of_the_dead_the_oldest_leave_first_and_never_more_than_the_living_have_room_for(
    gone: list[tuple[int, float, float]], living: list[tuple[int, float, float]]
) -> None:
    ended = [dead(count, begun, begun + lasted) for count, begun, lasted in gone]
    held = [window(count, begun, begun + lasted) for count, begun, lasted in living]
    kept = staying(SIZE, ended, held)
    left = [each for each in ended if each not in kept]
    newest_left = max((each.newest_seconds for each in left), default=-math.inf)
    assert all(each.newest_seconds >= newest_left for each in kept)
    assert [each.newest_seconds for each in kept] == sorted(each.newest_seconds for each in kept)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.floats(0, 10_000))
def test_the_cheap_merge_counts_what_the_merge_of_states_counts(counts: list[int], now: float) -> None:
    everybody = [process(count, 900.0 * at, 900.0 * at + 50) for at, count in enumerate(counts)]
    half = Departed.nobody(SIZES).with_processes({"0": everybody[0]}, everybody[1:], now)
    who = present(half, *everybody[1:])
    views = merged(who, (SPEC, HOUR), SIZES, now).windows
    states = merged_states(who, (SPEC, HOUR), SIZES, now)
    for view, state in zip(views, states, strict=True):
        assert view.rows == state.rows
        assert view.counts.tolist() == state.counts.tolist()
        assert view.seconds(now) == state.seconds(now)


# Edges


def test_rows_of_the_dead_stay_while_nobody_lives() -> None:
    assert len(staying(SIZE, [dead(100, 0, 10), dead(100, 20, 30), dead(100, 40, 50)], [])) == 3


def test_rows_of_the_dead_leave_when_the_full_windows_of_the_living_are_newer() -> None:
    ended = [dead(100, 0, 10)]
    assert staying(SIZE, ended, [window(SIZE, 5, 50)]) == ended  # a row of before is still in
    assert staying(SIZE, ended, [window(SIZE, 11, 50)]) == []
    assert staying(SIZE, ended, [window(SIZE, 11, 50), window(SIZE, 9, 60)]) == ended
    assert (
        staying(SIZE, ended, [window(SIZE, 11, 50), window(3, 1, 2)]) == []
    )  # one that is idle holds nobody


def test_workers_that_end_before_their_window_is_full_make_it_no_longer() -> None:
    departed = Departed.nobody(SIZES)
    for life in range(200):  # a worker is replaced after 30 rows: no window is ever full
        now = 10.0 * life
        one, other = process(30, now, now + 5), process(15, now + 4, now + 9)
        departed = departed.with_processes({str(life): one}, [other], now + 9)
    shown = merged(present(departed, process(15, 2_000, 2_005)), (SPEC,), SIZES, 2_005).windows[0]
    # room for one window of the living; neighbours that were put together leave as one
    assert SIZE <= shown.rows <= SIZE + 15 + 2 * 30
    assert len(departed.names) == 200


def test_a_clock_that_was_set_back_does_not_hold_on_to_the_rows_of_the_dead() -> None:
    departed = Departed.nobody(SIZES).with_processes({"0": process(70, 1e6, 1e6 + 5)}, [], 1e6 + 5)
    living = process(30, 1e5, 1e5 + 5)
    assert merged(present(departed, living), (HOUR,), SIZES, 1e6 + 9).windows[0].rows == 70
    assert merged(present(departed, living), (HOUR,), SIZES, 1e5 + 9).windows[0].rows == 30


def test_the_rows_of_a_reset_directory_are_in_no_sum() -> None:
    departed = Departed.nobody(SIZES, epoch=3).with_processes({"0": process(50, 0, 5, epoch=2)}, [], 9.0)
    assert departed.counters.rows == 0
    assert departed.names == ("0",)


@pytest.mark.parametrize("kind", [Publication, Departed])
def test_bytes_that_are_damaged_anywhere_are_a_value_error_or_whole(kind: type) -> None:
    one = process(70, 0, 5)
    whole = one if kind is Publication else Departed.nobody(SIZES).with_processes({"0": one}, [], 9.0)
    data = whole.to_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(3_000):
        changed = bytearray(data[: int(rng.integers(len(data) + 1))] if rng.random() < 0.3 else data)
        for _ in range(int(rng.integers(1, 4))):
            if changed:
                changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
        try:
            kind.of_bytes(bytes(changed), SIZES)  # type: ignore[attr-defined]
        except ValueError:
            refused += 1
    assert refused > 500
    assert kind.of_bytes(data, SIZES).counters == whole.counters  # type: ignore[attr-defined]

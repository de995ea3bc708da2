"""Sampling rules and the tallies that count what they leave out."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge._buffer import Buffer, Tally
from driftgauge.errors import ConfigError
from driftgauge.sampling import Rate, rate, sampler, subset


@given(st.floats(0.01, 1e9), st.none() | st.floats(1, 1e9))
def test_a_rate_prints_as_the_code_that_makes_it_again(
    rows_per_second: float, burst_rows: float | None
) -> None:
    made = rate(rows_per_second, burst_rows=burst_rows)
    assert eval(repr(made), {"rate": rate}) == made


@given(st.integers(1, 300), st.data())
def test_a_subset_is_rising_without_repeats_and_of_the_size_asked_for(rows: int, data: Any) -> None:
    wanted = data.draw(st.integers(0, rows))
    chosen = subset(np.random.default_rng(0), rows, wanted)
    assert chosen.size == wanted
    assert (np.diff(chosen) > 0).all()
    assert ((chosen >= 0) & (chosen < rows)).all()


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=40))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(steps: list[tuple[float, int]]) -> None:
    now = [0.0]
    bucket = sampler(rate(3, burst_rows=7), rng=np.random.default_rng(0), clock=lambda: now[0])
    assert bucket is not None
    taken = 0
    for wait_seconds, rows in steps:
        now[0] += wait_seconds
        if rows == 1:
            taken += bucket.one()
        else:
            chosen = bucket.many(rows)
            taken += rows if chosen is None else chosen.size
        assert taken <= 7 + 3 * now[0] + 1e-6


@pytest.mark.parametrize("rows_per_second", [0, -1, float("inf"), float("nan")])
def test_a_rate_is_over_zero_and_finite(rows_per_second: float) -> None:
    with pytest.raises(ConfigError, match="rows_per_second"):
        rate(rows_per_second)


def test_a_burst_is_at_least_one_row() -> None:
    with pytest.raises(ConfigError, match="burst_rows"):
        rate(5, burst_rows=0.5)


def test_a_rate_is_a_value() -> None:
    assert rate(5) == Rate(5.0, 5.0) == rate(5, burst_rows=5)
    assert len({rate(5), rate(5.0)}) == 1


def test_children_of_a_fork_draw_their_own() -> None:
    one, other = (sampler(0.5, rng=np.random.default_rng(4), clock=float) for _ in range(2))
    assert one is not None
    assert other is not None
    assert [one.one() for _ in range(64)] == [other.one() for _ in range(64)]
    one.after_fork()
    assert [one.one() for _ in range(64)] != [other.one() for _ in range(64)]  # alike once in 2**64


def test_a_tally_of_many_threads_is_exact_and_never_falls() -> None:
    tally = Tally()

    def add() -> None:
        for _ in range(5_000):
            tally.one()
            tally.add(3)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = [0]
    while any(thread.is_alive() for thread in threads):
        seen.append(tally.read())
    assert sorted(seen) == seen
    assert tally.read() == tally.read() == 8 * 5_000 * 4
    tally.clear()
    tally.one()
    assert tally.read() == 1


def test_a_tally_that_nobody_reads_stays_small() -> None:
    tally = Tally()
    for _ in range(100_000):
        tally.add(2)
    assert len(tally._bulk) <= 1_001
    assert tally.read() == 200_000


@given(st.lists(st.integers(2, 500), max_size=30))
def test_grants_never_exceed_the_room_and_come_back(sizes: list[int]) -> None:
    buffer = Buffer(buffer_rows=64)
    held = []
    for size in sizes:
        granted, tokens = buffer.grant(size)
        assert 0 <= granted <= size
        held.append((granted, tokens))
    assert sum(granted for granted, _ in held) <= 64 * 16
    for _, tokens in held:
        buffer.give_back(tokens)
    assert buffer.grant(10**6)[0] == 64 * 16


def test_notes_are_bounded() -> None:
    buffer = Buffer(1)
    for number in range(1_000):
        buffer.failed("index", type(f"Error{number}", (Exception,), {})())
    assert len(buffer._notes) == 100
    assert buffer.errors["index"].read() == 1_000

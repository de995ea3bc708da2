"""Payloads on their way into a monitor: each is decoded, undecodable or dropped, and their rows add up."""

from __future__ import annotations

import logging
import os
import random
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_world import ANSWERED, ASKED, reference, watched
from services import until

from driftgauge import Monitor
from driftgauge._payload_intake import DROP_REASONS, Intake
from driftgauge.errors import ConfigError
from driftgauge.protocols import Decoded, Message, Names, Undecodable, decoder
from driftgauge.snapshot import PayloadCounts

REFERENCE = reference()


class Broken:
    """A decoder that raises."""

    name = "broken"
    both_halves = False

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        raise RuntimeError(message.body, names)

    def response(self, message: Message, names: Names, request: Decoded | None) -> Decoded | Undecodable:
        raise RuntimeError(message.body, names, request)


def is_exact(counts: PayloadCounts) -> bool:
    parts = counts.decoded + sum(counts.undecodable.values()) + sum(counts.dropped.values())
    return counts.payloads == parts


def exchange(rows: int) -> tuple[Message, Message]:
    asked = str([[30.0 + row] for row in range(rows)])
    answered = str([row / 100 for row in range(rows)])
    return Message(f'{{"instances": {asked}}}'.encode()), Message(f'{{"predictions": {answered}}}'.encode())


# ---------------------------------------------------------------------- laws


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from([b"", b"{}", b"[", ASKED, b"\xff", ANSWERED, None]),
        max_size=12,
    ),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(1, 20),
)
def test_every_payload_is_in_exactly_one_count(bodies: list[bytes | None], sample: float, room: int) -> None:
    with watched(sample=sample, queue_payloads=room, tick_seconds=10, rng=random.Random(7)) as (
        monitor,
        intake,
    ):
        for body in bodies:
            intake.offer(None if body is None else Message(body), Message(ANSWERED))
        assert intake.drain(10)
        counts = intake.counts()
        assert counts.payloads == len(bodies)
        assert is_exact(counts)
        assert monitor.snapshot().rows == 2 * counts.decoded
        assert set(counts.dropped) <= set(DROP_REASONS)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_rows_counted_in_batches_are_rows_counted_one_by_one(sizes: list[int]) -> None:
    with watched() as (together, intake), watched() as (alone, other):
        for rows in sizes:
            intake.put(*exchange(rows))
            other.put(*exchange(rows))
            other.work()
        intake.drain(10)
        one, two = together.snapshot(0.0), alone.snapshot(0.0)
        assert one.features == two.features
        assert one.windows[0].features == two.windows[0].features


def test_many_threads_lose_nothing() -> None:
    with watched(queue_payloads=50) as (monitor, intake):
        ready = threading.Barrier(8)

        def offer() -> None:
            ready.wait()
            for _ in range(200):
                intake.offer(*exchange(3))

        threads = [threading.Thread(target=offer) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert intake.drain(20)
        counts = intake.counts()
        assert counts.payloads == 1_600
        assert is_exact(counts)
        assert monitor.snapshot().rows == 3 * counts.decoded


# ---------------------------------------------------------------------- edges


def test_a_full_queue_drops_and_says_so() -> None:
    with watched(queue_payloads=2, tick_seconds=10) as (_, intake):
        intake._buffer.asleep.clear()  # nobody empties it
        assert [intake.offer(*exchange(1)) for _ in range(5)] == [True, True, False, False, False]
        assert intake.counts().dropped["queue_full"] == 3


def test_a_queue_is_full_by_its_bytes_too() -> None:
    with watched(queue_bytes=5_000) as (_, intake):
        intake._buffer.asleep.clear()
        assert not intake.offer(Message(b"x" * 5_000), None)
        assert intake.reserve(4_900)
        assert not intake.offer(*exchange(1)), "bytes that are being copied count"
        intake.give_back(4_900)
        assert intake.offer(*exchange(1))
        assert intake.drain(10)
        assert intake._bytes == 0


def test_a_request_without_a_response_has_inputs_only() -> None:
    with watched() as (monitor, intake):
        intake.offer(Message(ASKED), None)
        intake.drain(10)
        age, score = monitor.snapshot().windows[0].features
        assert (age.missing_ratio, score.missing_ratio) == (0.0, 1.0)


def test_a_response_without_a_request_is_unpaired() -> None:
    with watched() as (_, intake):
        assert not intake.offer(None, Message(ANSWERED))
        assert intake.counts().dropped["unpaired"] == 1


def test_a_response_alone_will_do_where_there_are_no_inputs() -> None:
    from driftgauge import Reference

    monitor = Monitor(Reference.fit({"score": np.linspace(0, 1, 50)}, outputs=["score"]), min_rows=1)
    intake = Intake(monitor, decoder("kserve_v1"), "sink")
    assert intake.offer(None, Message(ANSWERED))
    intake.drain(10)
    assert monitor.snapshot().rows == 2
    intake.close()


def test_an_answer_that_does_not_fit_is_told_and_its_request_counted() -> None:
    with watched() as (monitor, intake):
        intake.offer(Message(ASKED), Message(b'{"predictions": [1]}'))
        intake.drain(10)
        counts = intake.counts()
        assert (counts.decoded, counts.without_outputs) == (1, {"wrong_length": 1})
        assert monitor.snapshot().windows[0].features[1].missing_ratio == 1.0


def test_a_decoder_that_raises_costs_its_payload_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor(REFERENCE, budget=None)
    intake = Intake(monitor, Broken(), "file")
    intake.offer(Message(ASKED), None)
    intake.offer_columns({"age": [1.0]}, None)
    with caplog.at_level(logging.WARNING):
        intake.drain(10)
        until(lambda: caplog.text, "the thread, or this one, to tell")
    assert intake.counts().undecodable == {"internal_error": 1}
    assert intake.counts().decoded == 1
    assert "RuntimeError" in caplog.text
    assert "33" not in caplog.text
    intake.close()


def test_a_monitor_that_raises_loses_no_count() -> None:
    with watched() as (_, intake):
        intake._target = intake._target._replace(observe=_raise)
        for _ in range(3):
            intake.offer(*exchange(1))
        intake.drain(10)
        assert intake.counts().undecodable == {"internal_error": 3}


def _raise(*_: Any, **__: Any) -> None:
    raise MemoryError


def test_columns_that_cannot_share_a_batch_harm_no_others() -> None:
    with watched() as (monitor, intake):
        intake.offer_columns({"age": [30.0]}, {"score": [0.5]})
        intake.offer_columns({"age": [[1, 2]]}, {"score": [0.5]})
        intake.offer_columns({"age": np.array([40.0, 50.0])}, {"score": [0.5, 0.6]})
        intake.drain(10)
        found = monitor.snapshot()
        assert (found.rows, found.rows_sampled) == (4, 3)
        assert intake.counts().decoded == 3


def test_rows_of_different_hours_keep_their_times() -> None:
    from driftgauge.windows import duration

    monitor = Monitor(REFERENCE, windows=[duration("1h")], min_rows=1, budget=None)
    intake = Intake(monitor, decoder("kserve_v1"), "file")
    for hour in range(3):
        intake.offer(*exchange(1), now_seconds=1e9 + 3_600.0 * hour)
    intake.drain(10)
    assert monitor.snapshot(1e9 + 7_200.0).windows[0].rows < 3
    intake.close()


def test_what_cannot_be_read_is_told_once_a_minute_without_values(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    with (
        watched(clock=lambda: now[0]) as (_, intake),
        caplog.at_level(logging.WARNING, "driftgauge.payloads"),
    ):
        intake._buffer.asleep.clear()  # this thread does the work, and no other
        for when in (0.0, 1.0, 59.0, 61.0):
            now[0] = when
            intake.offer(Message(b'{"instances": "4111-1111"'), None)
            intake.work()
        assert len(caplog.records) == 2
        assert "4111" not in caplog.text


def test_an_exchange_that_a_fork_cuts_in_two_makes_no_room_in_the_child() -> None:
    with watched(queue_bytes=1_000) as (_, intake):
        assert intake.reserve(600)
        intake.after_fork_in_child()
        intake.give_back(600)  # the exchange ends in the child too
        assert not intake.reserve(1_001)
        assert intake.reserve(1_000)


def test_an_unknown_reason_makes_no_new_label() -> None:
    with watched() as (_, intake):
        intake.drop("whatever a client says")
        assert set(intake.counts().dropped) <= set(DROP_REASONS)


@pytest.mark.parametrize(
    "wrong",
    [{"way": "door"}, {"sample": 1.5}, {"sample": float("nan")}, {"queue_payloads": 0}, {"queue_bytes": 0}],
)
def test_a_wrong_setting_is_told_at_once(wrong: dict[str, Any]) -> None:
    given = {"way": "proxy", **wrong}
    with pytest.raises(ConfigError, match="must be"):
        Intake(Monitor(REFERENCE, budget=None), None, given.pop("way"), **given)


# ---------------------------------------------------------------------- stories


def test_the_thread_counts_by_itself() -> None:
    with watched() as (_, intake):
        intake.offer(*exchange(2))
        until(lambda: intake.counts().decoded == 1, "the thread to decode")
        until(lambda: intake._buffer.asleep, "the thread to sleep")
        intake.offer(*exchange(2))
        until(lambda: intake.counts().decoded == 2, "the thread to wake")


def test_a_new_monitor_takes_over() -> None:
    with watched() as (first, intake):
        intake.offer(*exchange(2))
        intake.drain(10)
        second = Monitor(REFERENCE, budget=None)
        intake.switch(second)
        intake.offer(*exchange(3))
        intake.drain(10)
        assert (first.snapshot().rows, second.snapshot().rows) == (2, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_begins_with_an_empty_queue_and_counts_by_itself() -> None:
    with watched(tick_seconds=10) as (monitor, intake):
        intake.offer(*exchange(2))
        intake.drain(10)
        child = os.fork()
        if child == 0:  # pragma: no cover - in another process
            code = 1
            try:
                empty = intake.counts().payloads == 0
                intake.offer(*exchange(3))
                done = intake.drain(10) and intake.counts().decoded == 1 and monitor.snapshot().rows == 3
                code = 0 if empty and done else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert intake.counts().decoded == 1


def test_columns_are_as_good_as_payloads() -> None:
    with watched() as (one, first), watched() as (two, second):
        first.offer(Message(ASKED), Message(ANSWERED))
        second.offer_columns({"age": [33.0, 51.0]}, {"score": [0.25, 0.75]})
        first.drain(10)
        second.drain(10)
        assert one.snapshot(0.0).features == two.snapshot(0.0).features

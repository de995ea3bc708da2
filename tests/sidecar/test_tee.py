"""Every event goes on to the sink that was there before: unchanged, later, within bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from event_models import (
    Other,
    event,
    listening,
    models,
    other_sink,
    posting,
    recorded_event,
    reference,
    snapshot,
    soon,
)
from services import free_port

from driftgauge.errors import ConfigError
from driftgauge.sidecar.settings import SinkSettings
from driftgauge.sidecar.sink import SinkWay
from driftgauge.sidecar.tee import OUTCOMES, Tee

HEADERS = ((b"Ce-Id", b"7"), (b"Content-Type", b"application/json"))
OF_THE_CONNECTION = {b"host", b"content-length", b"connection", b"transfer-encoding"}


def counts(tee: Tee, **expected: int) -> None:
    assert dict(tee.counts) == dict.fromkeys(OUTCOMES, 0) | expected


def through_a_sink(tmp_path: Path, events: list[tuple[Any, bytes]], **settings: Any) -> list[Any]:
    """What arrives at the other sink, in the order of the ids."""

    async def work() -> list[Any]:
        with models(tmp_path, settings=settings) as registry:
            async with other_sink() as other:
                way = SinkWay(SinkSettings(path="/events", tee=other.url), registry)
                await way.start()
                async with listening(way.routes()) as url, posting(url) as post:
                    for headers, body in events:
                        assert await post("/events", headers, body) == 200
                await way.stop(10)
                (found,) = snapshot(registry).payloads
                assert found.forwarded == {"delivered": len(events)}
                return other.events

    return asyncio.run(work())


def passed_on(headers: Any) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in OF_THE_CONNECTION]


def test_bytes_and_headers_arrive_as_they_came(tmp_path: Path) -> None:
    headers, body = recorded_event("request")
    headers += [("x-Odd_Case", "1"), ("X-Twice", "a"), ("X-Twice", "b"), ("X-Text", "größe")]
    ((arrived, same),) = through_a_sink(tmp_path, [(headers, body)])
    assert same == body
    assert passed_on(arrived) == [
        (name.encode(), value.encode()) for name, value in headers if name.lower() != "content-length"
    ]


def test_a_compressed_event_stays_compressed_and_an_empty_or_odd_one_what_it_is(tmp_path: Path) -> None:
    binary, _ = event("request", b"")
    bodies = [gzip.compress(b'{"instances": [[33, 12.5]]}'), b"", bytes(range(256)) * 400]
    sent = [
        ({**binary, "Ce-Id": "1", "Content-Encoding": "gzip"}, bodies[0]),
        ({**binary, "Ce-Id": "2"}, bodies[1]),
        ({"Content-Type": "application/cloudevents-batch+json"}, bodies[2]),
    ]
    arrived = through_a_sink(tmp_path, sent)
    assert sorted(body for _, body in arrived) == sorted(bodies)
    (encoded,) = [headers for headers, body in arrived if body == bodies[0]]
    assert (b"Content-Encoding", b"gzip") in encoded


@pytest.mark.parametrize(("token", "arrives"), [("", True), ("of-the-sidecar", False)])
def test_the_sidecars_own_token_is_not_given_away(tmp_path: Path, token: str, arrives: bool) -> None:
    headers, body = event("request", b"{}")
    sent = {**headers, "Authorization": "Bearer of-the-sidecar"}
    ((arrived, _),) = through_a_sink(tmp_path, [(sent, body)], server={"token": token})
    assert (b"authorization" in {name.lower() for name, _ in arrived}) is arrives


def test_an_event_with_no_room_in_our_own_queue_goes_on_all_the_same(tmp_path: Path) -> None:
    async def work() -> None:
        with models(tmp_path, settings={"limits": {"queue_payloads": 30}}) as registry:
            async with other_sink() as other:
                way = SinkWay(SinkSettings(path="/events", tee=other.url), registry)
                await way.start()
                with way._working:  # nothing is looked into
                    way._queue_events = 1
                    async with listening(way.routes()) as url, posting(url) as post:
                        for number in range(20):
                            await post("/events", *event("request", b"{}", str(number)))
                    await soon(lambda: len(other.events) == 20, "all events to arrive")
                await way.stop(5)
                (found,) = snapshot(registry).payloads
                assert found.dropped["queue_full"] == 19

    asyncio.run(work())


def test_forwarding_is_counted_with_the_model_that_a_structured_event_is_about(tmp_path: Path) -> None:
    async def work() -> None:
        with models(tmp_path, reference("fraud"), reference("churn")) as registry:
            async with other_sink(seconds=0.3) as other:
                way = SinkWay(SinkSettings(path="/events", tee=other.url), registry)
                await way.start()
                async with listening(way.routes()) as url, posting(url) as post:
                    body = {
                        "id": "7",
                        "type": "org.kubeflow.serving.inference.request",
                        "inferenceservicename": "churn",
                        "data": {"instances": [[33, 12.5]]},
                    }
                    headers = {"Content-Type": "application/cloudevents+json"}
                    assert await post("/events", headers, json.dumps(body).encode()) == 200
                await way.stop(10)
                (found,) = snapshot(registry, "churn").payloads
                assert found.forwarded == {"delivered": 1}
                assert snapshot(registry, "fraud").payloads == ()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("statuses", "outcome", "tries"),
    [
        ([200], "delivered", 1),
        ([503, 429, 202], "delivered", 3),
        ([500, 500, 500, 200], "failed", 3),
        ([404, 200], "refused", 1),
        ([307, 200], "refused", 1),
    ],
)
def test_what_may_help_is_tried_again_and_what_cannot_is_not(
    statuses: list[int], outcome: str, tries: int
) -> None:
    async def work() -> None:
        async with other_sink(statuses=list(statuses)) as other:
            tee = Tee(other.url, first_pause_seconds=0.01)
            await tee.start()
            assert tee.put(HEADERS, b"event")
            await tee.stop(10)
            counts(tee, **{outcome: 1})
            assert [body for _, body in other.events] == [b"event"] * tries

    asyncio.run(work())


def test_a_sink_that_is_away_for_a_moment_gets_its_events() -> None:
    async def work() -> None:
        port = free_port()
        tee = Tee(f"http://127.0.0.1:{port}/", attempts=50, first_pause_seconds=0.05)
        await tee.start()
        tee.put(HEADERS, b"event")
        await asyncio.sleep(0.3)
        other = Other()
        async with listening([web.post("/", other.take)], port=port):
            await tee.stop(20)
        counts(tee, delivered=1)
        assert len(other.events) == 1

    asyncio.run(work())


def test_a_dead_sink_costs_a_bounded_queue_and_no_answer_waits_for_it(tmp_path: Path) -> None:
    """The other sink takes connections and never answers: the worst that it can do."""

    async def work() -> None:
        with models(tmp_path, settings={"limits": {"queue_payloads": 20}}) as registry:
            async with other_sink(seconds=60.0) as other:
                way = SinkWay(SinkSettings(path="/events", tee=other.url, tee_timeout=0.2), registry)
                assert way._tee is not None
                await way.start()
                async with listening(way.routes()) as url, posting(url) as post:
                    begun = time.monotonic()
                    for number in range(100):
                        assert await post("/events", *event("request", b"{}", str(number))) == 200
                        assert len(way._tee._waiting) <= 20
                    # Had answers waited for it, the first alone would have taken 3 tries of 0.2 s.
                    assert time.monotonic() - begun < 100 * 0.2
                await way.stop(0.1)
                found = way._tee.counts
                assert found["queue_full"] > 0
                assert found["delivered"] == 0
                assert sum(found.values()) == 100

    asyncio.run(work())


def test_bytes_that_wait_are_bounded_too() -> None:
    async def work() -> None:
        tee = Tee("http://127.0.0.1:9/", queue_bytes=10_000, attempts=1)
        assert tee.put(HEADERS, b"x" * 7_000)  # and 2,000 for its headers
        assert not tee.put(HEADERS, b"x" * 7_000)
        counts(tee, queue_full=1)
        await tee.start()
        await tee.stop(5)
        counts(tee, queue_full=1, failed=1)

    asyncio.run(work())


def test_what_waits_at_the_end_is_counted_as_failed() -> None:
    async def work() -> None:
        async with other_sink(seconds=60.0) as other:
            tee = Tee(other.url, attempt_seconds=60)
            await tee.start()
            told: list[str] = []
            for _ in range(20):
                tee.put(HEADERS, b"event", told.append)
            await soon(lambda: len(tee._waiting) == 12, "all workers to be busy")
            await tee.stop(0.05)
            counts(tee, failed=20)
            assert told == ["failed"] * 20

    asyncio.run(work())


@pytest.mark.parametrize("url", ["", "events", "ftp://host/", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused_when_it_is_set(url: str) -> None:
    with pytest.raises(ConfigError, match="tee must be the http:// or https:// address"):
        Tee(url)

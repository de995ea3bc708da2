"""The sink of a payload logger, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from event_models import (
    RECORDED,
    Posts,
    dropped,
    event,
    listening,
    models,
    payloads,
    posting,
    recorded_event,
    reference,
    snapshot,
    soon,
    window,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from driftgauge.protocols import REASONS, Message
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.pairing import Pairing
from driftgauge.sidecar.settings import SinkSettings
from driftgauge.sidecar.sink import SinkWay
from driftgauge.sidecar.sink_events import Event, read_events

ASKED = b'{"instances":[[33.0,12.5],[51.0,99.0]]}'
ANSWERED = b'{"predictions":[0,1]}'
BOTH_ROWS = {"age": (2, pytest.approx(42.0, abs=0.2), 0.0), "fraud": (2, pytest.approx(0.5, abs=0.01), 0.0)}

Run = Callable[[SinkWay, Posts], Awaitable[Any]]


@asynccontextmanager
async def sink(registry: ModelRegistry, **settings: Any) -> AsyncIterator[tuple[SinkWay, Posts]]:
    way = SinkWay(SinkSettings(**{"path": "/events", **settings}), registry)
    await way.start()
    try:
        async with listening(way.routes()) as url, posting(url) as post:
            yield way, post
    finally:
        await way.stop(5)


def run(folder: Path, work: Run, *references: Any, limits: Any = None, **settings: Any) -> ModelRegistry:
    """The registry, closed, after *work* with a sink in front of it."""

    async def all_of_it(registry: ModelRegistry) -> None:
        async with sink(registry, **settings) as (way, post):
            await work(way, post)

    with models(folder, *references, settings={"limits": limits or {}}) as registry:
        asyncio.run(all_of_it(registry))
        return registry


def agree(registry: ModelRegistry, model: str = "") -> None:
    """The rows of the recorded exchange are in the window, inputs beside their outputs."""
    found = window(registry, model)
    assert {name: found[name] for name in BOTH_ROWS} == BOTH_ROWS


# ------------------------------------------------------------------ modes


@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_a_recorded_exchange_is_counted_in_whatever_order_its_halves_come(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        for half in order:
            assert await post("/events", *recorded_event(half)) == 200

    registry = run(tmp_path, work)
    assert payloads(registry).decoded == 1
    agree(registry)


def cloud_event(half: str, data: Any, **more: Any) -> CloudEvent:
    return CloudEvent(
        {
            "id": "7",
            "source": "http://localhost:9081/",
            "type": f"org.kubeflow.serving.inference.{half}",
            "datacontenttype": "application/json",
            "inferenceservicename": "fraud",
            **more,
        },
        data,
    )


@pytest.mark.parametrize("make", [to_binary_event, to_structured_event])
def test_events_of_the_cloudevents_library_are_read(tmp_path: Path, make: Any) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        for half, data in (("request", ASKED), ("response", ANSWERED)):
            message = make(cloud_event(half, json.loads(data)))
            assert await post("/events", message.headers, message.body) == 200

    registry = run(tmp_path, work)
    assert payloads(registry).decoded == 1
    agree(registry)


def test_a_batch_may_hold_both_halves_and_bytes_in_base64(tmp_path: Path) -> None:
    attributes = {"specversion": "1.0", "source": "/", "datacontenttype": "application/json"}
    batch = [
        {"id": str(number), "type": f"org.kubeflow.serving.inference.{half}", **attributes, **data}
        for number in range(3)
        for half, data in (
            ("response", {"data": json.loads(ANSWERED)}),
            ("request", {"data_base64": base64.b64encode(ASKED).decode()}),
        )
    ]

    async def work(_: SinkWay, post: Posts) -> None:
        headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
        assert await post("/events", headers, json.dumps(batch).encode()) == 200

    registry = run(tmp_path, work)
    assert payloads(registry).decoded == 3
    assert window(registry)["age"][0] == 6


def test_a_structured_event_may_be_compressed_and_its_data_be_text(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        headers = {"Content-Type": "application/cloudevents+json", "Content-Encoding": "gzip"}
        for half, data in (("request", "33.0,12.5\n51.0,99.0\n"), ("response", "0\n1\n")):
            body = {
                "specversion": "1.0",
                "id": "7",
                "source": "/",
                "type": f"org.kubeflow.serving.inference.{half}",
                "datacontenttype": "text/csv",
                "data": data,
            }
            assert await post("/events", headers, gzip.compress(json.dumps(body).encode())) == 200

    registry = run(tmp_path, work, protocol="sagemaker")
    agree(registry)


def test_records_as_the_logger_gives_them_to_a_store_are_read(tmp_path: Path) -> None:
    """Field names and base64 of Go's encoding/json of `LogRequest`, url.URL and all."""
    records = [
        {
            "Url": {"Scheme": "s3", "Host": "bucket", "User": None},
            "Bytes": base64.b64encode(data).decode(),
            "ContentType": "application/json",
            "ReqType": f"org.kubeflow.serving.inference.{half}",
            "Id": "0123",
            "SourceUri": None,
            "InferenceService": "fraud",
            "Namespace": "ml",
            "Component": "predictor",
            "Endpoint": "",
            "Metadata": None,
            "Annotations": None,
            "CertName": "",
            "TlsSkipVerify": False,
        }
        for half, data in (("request", ASKED), ("response", ANSWERED))
    ]

    async def work(_: SinkWay, post: Posts) -> None:
        assert (
            await post("/events", {"Content-Type": "application/json"}, json.dumps(records).encode()) == 200
        )

    agree(run(tmp_path, work))


# ------------------------------------------------------------------ what the logger does to a payload


def test_the_response_is_read_although_it_has_the_requests_content_type(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", b"33.0,12.5\n51.0,99.0\n", kind="text/csv"))
        await post("/events", *event("response", ANSWERED, kind="text/csv"))

    agree(run(tmp_path, work, protocol="sagemaker"))


@pytest.mark.parametrize("metadata", ['{"Inference-Header-Content-Length":["197"]}', "{}", ""])
def test_binary_tensors_are_read_whether_or_not_their_header_length_was_kept(
    tmp_path: Path, metadata: str
) -> None:
    asked = (RECORDED / "kserve" / "v2_binary_req.bin").read_bytes()
    answered = (RECORDED / "kserve" / "v2_binary_resp.bin").read_bytes()
    more = {"metadata": metadata} if metadata else {}

    async def work(_: SinkWay, post: Posts) -> None:
        for half, body in (("request", asked), ("response", answered)):
            await post("/events", *event(half, body, kind="application/octet-stream", **more))

    agree(run(tmp_path, work, protocol="open_inference"))


def test_a_binary_answer_to_a_request_in_json_is_read(tmp_path: Path) -> None:
    asked = json.dumps(
        {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [33, 12.5, 51, 99]}]}
    ).encode()
    answered = (RECORDED / "triton" / "resp_binary.bin").read_bytes()

    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", asked))
        await post("/events", *event("response", answered))

    registry = run(tmp_path, work, protocol="open_inference")
    counts = payloads(registry)
    assert counts.decoded == 1
    assert "not_json" not in counts.without_outputs


def test_compressed_payloads_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", gzip.compress(ASKED)))
        await post("/events", *event("response", gzip.compress(ANSWERED)))

    agree(run(tmp_path, work))


def test_a_request_that_failed_has_no_response_and_is_dropped_after_its_time(tmp_path: Path) -> None:
    async def work(way: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", ASKED))
        await soon(lambda: dropped(payloads_now(way)), "the request to be dropped")

    registry = run(tmp_path, work, pair_seconds=0.1)
    assert dropped(payloads(registry)) == {"unpaired": 1}
    assert snapshot(registry).rows == 0


def payloads_now(way: SinkWay) -> Any:
    return way._intake("fraud").counts()  # type: ignore[union-attr]


def test_halves_that_wait_at_the_end_are_counted_as_unpaired(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", ASKED, "1"))
        await post("/events", *event("response", ANSWERED, "2"))

    assert dropped(payloads(run(tmp_path, work))) == {"unpaired": 2}


@pytest.mark.parametrize(("has", "rows"), [({"outputs": False}, 2), ({"inputs": False}, 2)])
def test_nobody_waits_for_a_half_that_the_reference_knows_nothing_of(
    tmp_path: Path, has: dict[str, bool], rows: int
) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", ASKED))
        await post("/events", *event("response", ANSWERED))

    registry = run(tmp_path, work, reference(**has), protocol="kserve_v1")
    counts = payloads(registry)
    assert (counts.decoded, dropped(counts), snapshot(registry).rows) == (1, {}, rows)


def test_what_a_broker_delivers_twice_is_counted_once(tmp_path: Path) -> None:
    async def work(way: SinkWay, post: Posts) -> None:
        for _ in range(2):
            for half in ("request", "response"):
                await post("/events", *recorded_event(half))
        await soon(
            lambda: way._models.strays().get("sink") == {"delivered_again": 2}, "the events to be known"
        )

    registry = run(tmp_path, work)
    assert (payloads(registry).payloads, snapshot(registry).rows) == (1, 2)


def test_a_client_that_gives_all_requests_one_id_is_counted_all_the_same(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        for number in range(5):
            for half, body in (("request", ASKED), ("response", ANSWERED)):
                await post("/events", *event(half, body, "1", time=f"2026-11-21T01:59:2{number}Z"))

    registry = run(tmp_path, work)
    assert (payloads(registry).decoded, window(registry)["age"][0]) == (5, 10)


def test_requests_alone_are_counted_where_the_logger_logs_no_responses(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", ASKED))

    registry = run(tmp_path, work, unpaired="inputs", pair_seconds=0.05)
    assert payloads(registry).decoded == 1
    assert window(registry)["fraud"][2] == 1.0
    assert window(registry)["age"][2] == 0.0


# ------------------------------------------------------------------ laws

HALVES = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0, 5)), max_size=60)


@given(HALVES, st.integers(1, 8))
@hypothesis_settings(max_examples=300, deadline=None)
def test_every_half_is_in_a_pair_of_its_key_or_lost_and_what_waits_is_bounded(
    halves: list[tuple[int, bool, float]], most: int
) -> None:
    pairing = Pairing(seconds=7, halves=most, size_bytes=1 << 20)
    now, paired, lost = 0.0, 0, 0
    for number, (key, is_request, pause) in enumerate(halves):
        now += pause
        pair = pairing.add((str(key),), is_request, Message(b"%d %d" % (key, number), {}), now)
        if pair is not None:
            paired += 2
            asked, answered = pair.request.body.split(), pair.response.body.split()
            assert asked[0] == answered[0]
            assert halves[int(asked[1])][1]
            assert not halves[int(answered[1])][1]
        gone = pairing.overdue(now)
        lost += len(gone)
        assert len(pairing) <= most
        assert all(now - half.seconds <= 7 for half in pairing._waiting.values())
    rest = pairing.everything()
    assert paired + lost + len(rest) == len(halves)
    assert (len(pairing), pairing.size_bytes, pairing._by_key) == (0, 0, {})


@given(st.integers(1, 10), st.randoms())
def test_halves_of_different_ids_are_paired_in_whatever_order_they_come(ids: int, rng: Any) -> None:
    halves = [(number, is_request) for number in range(ids) for is_request in (True, False)]
    rng.shuffle(halves)
    pairing = Pairing(seconds=7, halves=100, size_bytes=1 << 20)
    pairs = [
        pairing.add((str(number),), is_request, Message(b"%d" % number), 0.0) for number, is_request in halves
    ]
    assert sorted(pair.request.body for pair in pairs if pair) == sorted(b"%d" % n for n in range(ids))
    assert all(pair.request.body == pair.response.body for pair in pairs if pair)


KINDS = st.sampled_from(
    ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json", "text/csv", ""]
)
TYPES = st.sampled_from(
    ["", "org.kubeflow.serving.inference.request", "org.kubeflow.serving.inference.response"]
)
PARTS = st.binary(max_size=60) | st.sampled_from(
    [
        b"{",
        b"[",
        b'{"id":"7","type":"org.kubeflow.serving.inference.request","data":',
        b"}",
        b"]",
        b"\x1f\x8b",
    ]
)


@given(KINDS, TYPES, st.lists(PARTS, max_size=6), st.sampled_from(["", "gzip", "deflate", "br"]), st.text())
@hypothesis_settings(max_examples=1_000, deadline=None)
def test_no_bytes_make_the_reading_of_events_raise(
    kind: str, type_: str, parts: list[bytes], encoding: str, metadata: str
) -> None:
    headers = {"content-type": kind, "ce-type": type_, "ce-id": "7", "ce-metadata": metadata}
    if encoding:
        headers["content-encoding"] = encoding
    for found in read_events(headers, b"".join(parts)):
        assert isinstance(found, Event) or found.reason in (*REASONS, "unknown_type")


# ------------------------------------------------------------------ which model


def test_several_models_are_told_apart_by_service_by_path_and_by_setting(tmp_path: Path) -> None:
    both = reference("fraud"), reference("churn")

    async def by_service(way: SinkWay, post: Posts) -> None:
        for half, body in (("request", ASKED), ("response", ANSWERED)):
            await post("/events", *event(half, body, inferenceservicename="churn", namespace="ml"))
            await post("/events", *event(half, body, inferenceservicename="unheard-of"))
            await post("/events/fraud", *event(half, body, inferenceservicename="unheard-of"))
        await soon(
            lambda: way._models.strays().get("sink") == {"unknown_model": 2},
            "events of no model to be counted",
        )

    registry = run(tmp_path, by_service, *both)
    assert (snapshot(registry, "churn").rows, snapshot(registry, "fraud").rows) == (2, 2)

    async def by_setting(_: SinkWay, post: Posts) -> None:
        for half, body in (("request", ASKED), ("response", ANSWERED)):
            await post("/events", *event(half, body, inferenceservicename="unheard-of"))

    assert snapshot(run(tmp_path, by_setting, *both, model="churn"), "churn").rows == 2


def test_halves_of_different_services_with_one_id_are_not_paired(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        await post("/events", *event("request", ASKED, inferenceservicename="a"))
        await post("/events", *event("response", ANSWERED, inferenceservicename="b"))

    assert dropped(payloads(run(tmp_path, work))) == {"unpaired": 2}


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not_json"),
        (b'{"id": 7}', "wrong_type"),
        (b'{"type": "org.kubeflow.serving.inference.request", "data": 1}', "missing_key"),
        (
            b'{"id": "7", "type": "org.kubeflow.serving.inference.request", "data_base64": "?"}',
            "bad_encoding",
        ),
        (b"[" * 100_000, "wrong_type"),
    ],
)
def test_an_event_that_cannot_be_read_is_counted_by_reason(tmp_path: Path, body: bytes, reason: str) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        assert await post("/events", {"Content-Type": "application/cloudevents+json"}, body) == 200

    assert payloads(run(tmp_path, work)).undecodable == {reason: 1}


def test_what_is_no_event_is_refused_aloud(tmp_path: Path) -> None:
    async def work(_: SinkWay, post: Posts) -> None:
        assert await post("/events", {"Content-Type": "text/plain"}, b"hello") == 415

    assert snapshot(run(tmp_path, work)).payloads == ()


def test_an_event_of_another_type_is_left_alone(tmp_path: Path) -> None:
    async def work(way: SinkWay, post: Posts) -> None:
        headers, body = event("request", ASKED)
        await post("/events", headers | {"Ce-Type": "io.kserve.inference.response"}, body)
        await soon(lambda: way._models.strays().get("sink") == {"unknown_type": 1}, "it to be seen")

    assert snapshot(run(tmp_path, work)).payloads == ()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused_and_counted(tmp_path: Path, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1_000

    async def work(_: SinkWay, post: Posts) -> None:
        headers, _body = event("request", b"")
        assert await post("/events", headers, pieces() if chunked else b" " * 20_000) == 413  # type: ignore[arg-type]

    registry = run(tmp_path, work, limits={"body_bytes": 10_000})
    assert dropped(payloads(registry)) == {"too_large": 1}


# ------------------------------------------------------------------ never late, never more than so much


def test_answers_do_not_wait_for_decoding_and_what_has_no_room_is_counted(tmp_path: Path) -> None:
    """The thread that looks into events is held up, as a slow decoder would."""
    events = 50

    async def work(way: SinkWay, post: Posts) -> None:
        held = threading.Event()
        way._working.acquire()
        threading.Thread(target=lambda: (held.wait(), way._working.release())).start()
        begun = time.monotonic()
        try:
            for number in range(events):
                assert await post("/events", *event("request", ASKED, str(number))) == 200
            assert time.monotonic() - begun < 10  # nothing waits; 50 answers take 0.05 s
            assert len(way._posts) == 10
        finally:
            held.set()

    registry = run(tmp_path, work, limits={"queue_payloads": 10})
    assert dropped(payloads(registry)) == {"queue_full": 40, "unpaired": 10}


def test_halves_that_wait_are_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    async def work(way: SinkWay, post: Posts) -> None:
        for number in range(30):
            await post("/events", *event("request", ASKED, str(number)))
        await soon(lambda: dropped(payloads_now(way)).get("unpaired") == 20, "the oldest to go")
        await post("/events", *event("response", ANSWERED, "29"))
        await post("/events", *event("response", ANSWERED, "0"))

    registry = run(tmp_path, work, pair_payloads=10)
    counts = payloads(registry)
    assert (counts.decoded, counts.payloads) == (1, 31)

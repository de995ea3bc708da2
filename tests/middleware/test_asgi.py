"""An ASGI application under the middleware does and says what it does alone, and its rows are counted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_cases import (
    PATH,
    REFERENCE,
    TRAINING,
    answer_to,
    draw,
    dropped,
    holds_nothing,
    monitor_of,
    numbers,
    only,
    request_body,
    response_body,
    same_numbers,
)

from driftgauge import Monitor, Reference
from driftgauge._payload_intake import Intake
from driftgauge.middleware._exchange import CHUNK_BYTES
from driftgauge.middleware.asgi import DriftgaugeMiddleware, Route
from driftgauge.protocols import Limits

ROUTES = [Route("/v1/models/{model}:predict", protocol="kserve_v1")]
BATCH = draw(3, seed=1)
Event = dict[str, Any]


class Peer:
    """A server with one request, and what it was told."""

    def __init__(self, *chunks: bytes, path: str = PATH, method: str = "POST", root: str = "") -> None:
        self.scope: Event = {
            "type": "http",
            "method": method,
            "path": path,
            "root_path": root,
            "headers": [(b"content-type", b"application/json")],
        }
        self.events: list[Event] = [
            {"type": "http.request", "body": chunk, "more_body": position < len(chunks) - 1}
            for position, chunk in enumerate(chunks)
        ]
        self.heard: list[Event] = []
        self.told: list[Event] = []

    async def receive(self) -> Event:
        self.heard.append(self.events.pop(0) if self.events else {"type": "http.disconnect"})
        return self.heard[-1]

    async def send(self, event: Event) -> None:
        self.told.append(event)

    def run(self, app: Any) -> Any:
        return asyncio.run(app(self.scope, self.receive, self.send))


async def body_of(receive: Callable[[], Awaitable[Event]]) -> bytes:
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return body
        body += event["body"]
        if not event["more_body"]:
            return body


def started(status: int = 200, *headers: tuple[bytes, bytes]) -> Event:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), *headers],
    }


async def model(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
    answer = answer_to(await body_of(receive))
    await send(started())
    await send({"type": "http.response.body", "body": answer})


def split(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    chunks, rest = [], body
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    return [*chunks, rest]


SIZES = st.lists(st.integers(0, 60), max_size=6)


@settings(max_examples=40)
@given(SIZES, SIZES, st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_however_bodies_are_cut_the_same_events_pass_and_the_rows_are_counted(
    asked: list[int], answered: list[int], count: int, seed: int
) -> None:
    batch = draw(count, seed)
    events = [started()]
    chunks = split(response_body(batch), answered)
    events += [
        {"type": "http.response.body", "body": chunk, "more_body": position < len(chunks) - 1}
        for position, chunk in enumerate(chunks)
    ]
    read: list[Event] = []

    async def app(scope: Event, receive: Any, send: Any) -> str:  # noqa: ARG001
        while True:
            read.append(await receive())
            if not read[-1].get("more_body"):
                break
        for event in events:
            await send(event)
        return "what the application returns"

    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        peer = Peer(*split(request_body(batch), asked))
        assert peer.run(middleware) == "what the application returns"
        assert [id(event) for event in read] == [id(event) for event in peer.heard]
        assert [id(event) for event in peer.told] == [id(event) for event in events]
        assert middleware.drain(30.0)
        assert only(middleware.payloads()).decoded == 1
        assert same_numbers(monitor, [batch])
        assert holds_nothing(middleware)
        middleware.close()


GONE = OSError("gone")


class HostError(Exception):
    """The host's own."""


def raising(when: str, error: BaseException) -> Any:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        if when == "at once":
            raise error
        await body_of(receive)
        if when == "after reading":
            raise error
        await send(started())
        if when == "after the start":
            raise error
        await send({"type": "http.response.body", "body": response_body(BATCH), "more_body": True})
        if when == "within the body":
            raise error
        await send({"type": "http.response.body", "body": b""})
        raise error  # a background task

    return app


@pytest.mark.parametrize("error", [HostError("theirs"), asyncio.CancelledError(), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("when", "reasons"),
    [
        ("at once", {"not_ok": 1}),
        ("after reading", {"not_ok": 1}),
        ("after the start", {"aborted": 1}),
        ("within the body", {"aborted": 1}),
        ("after the end", {}),
    ],
)
def test_what_the_application_raises_is_raised_as_it_is(
    error: BaseException, when: str, reasons: dict[str, int]
) -> None:
    monitor = monitor_of()
    middleware = DriftgaugeMiddleware(raising(when, error), monitor, ROUTES)

    async def serve() -> None:
        peer = Peer(request_body(BATCH))
        with pytest.raises(type(error)) as raised:
            await middleware(peer.scope, peer.receive, peer.send)
        assert raised.value is error
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None

    asyncio.run(serve())
    assert middleware.drain(30.0)
    if "not_ok" in reasons and not isinstance(error, Exception):
        reasons = {"aborted": 1}  # cancelled: nobody is answered
    assert dropped(middleware.payloads()) == reasons
    assert only(middleware.payloads()).decoded == (not reasons)
    assert holds_nothing(middleware)


def test_a_client_that_is_gone_is_the_applications_affair() -> None:
    monitor = monitor_of()
    middleware = DriftgaugeMiddleware(model, monitor, ROUTES)
    peer = Peer(request_body(BATCH))

    async def send(event: Event) -> None:
        if event["type"] == "http.response.body":
            raise GONE

    with pytest.raises(OSError, match="gone"):
        asyncio.run(middleware(peer.scope, peer.receive, send))
    assert dropped(middleware.payloads()) == {"aborted": 1}
    assert holds_nothing(middleware)


def test_nothing_is_held_back_and_nothing_runs_ahead() -> None:
    """The server sees each chunk before the application is let on: backpressure is between those two."""
    order: list[str] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        for _ in range(2):
            order.append("ask")
            await receive()
            order.append("have")
        await send(started())
        for number in range(3):
            order.append(f"say {number}")
            await send({"type": "http.response.body", "body": b"x", "more_body": number < 2})
            order.append(f"said {number}")

    peer = Peer(b"[", b"]")

    async def receive() -> Event:
        order.append("get")
        return await peer.receive()

    async def send(event: Event) -> None:
        if event["type"] == "http.response.body":
            order.append("out")
            await asyncio.sleep(0.001)
            order.append("sent")

    asyncio.run(DriftgaugeMiddleware(app, monitor_of(), ROUTES)(peer.scope, receive, send))
    halves = ["ask", "get", "have"] * 2
    assert order == halves + [
        word for number in range(3) for word in (f"say {number}", "out", "sent", f"said {number}")
    ]


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "http.of.tomorrow"])
def test_what_is_not_http_is_not_touched(kind: str) -> None:
    got: list[Any] = []

    async def app(*given: Any) -> None:
        got.extend(given)

    peer = Peer()
    peer.scope["type"] = kind
    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    asyncio.run(middleware(peer.scope, peer.receive, peer.send))
    assert got[0] is peer.scope
    assert (got[1], got[2]) == (peer.receive, peer.send)
    assert only(middleware.payloads()).payloads == 0


@pytest.mark.parametrize(
    ("path", "method", "root", "counted"),
    [
        (PATH, "POST", "", True),
        (PATH, "GET", "", False),
        ("/healthz", "POST", "", False),
        (f"/prefix{PATH}", "POST", "/prefix", True),
        (f"/prefix{PATH}", "POST", "/prefix/", True),
        (f"/prefix{PATH}", "POST", "", False),
        (PATH, "POST", "/prefix", True),
    ],
)
def test_routes_are_below_where_the_application_is_mounted(
    path: str, method: str, root: str, *, counted: bool
) -> None:
    monitor = monitor_of()
    middleware = DriftgaugeMiddleware(model, monitor, ROUTES)
    Peer(request_body(BATCH), path=path, method=method, root=root).run(middleware)
    middleware.drain(30.0)
    assert only(middleware.payloads()).decoded == counted


@pytest.mark.parametrize("half", ["request", "response"])
def test_a_body_over_the_limit_passes_and_is_not_held(half: str) -> None:
    sizes = {"request": (3_000, 10), "response": (10, 3_000)}[half]
    held: list[bool] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        for _ in range(sizes[1]):
            await send({"type": "http.response.body", "body": b"x" * 1_000, "more_body": True})
        held.append(holds_nothing(middleware))
        await send({"type": "http.response.body", "body": b""})

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES, limits=Limits(body_bytes=100_000))
    peer = Peer(*[b"y" * 1_000] * sizes[0])
    peer.run(middleware)
    assert len(peer.told) == sizes[1] + 2
    assert dropped(middleware.payloads()) == {"too_large": 1}
    assert held == [False]  # the other half is, until the end
    assert holds_nothing(middleware)


def test_exchanges_under_way_hold_no_more_than_the_queue_may() -> None:
    """A hundred requests at once, room for ten: ninety pass unwatched."""
    ready = asyncio.Event()
    waiting: list[int] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        body = await body_of(receive)
        waiting.append(1)
        if len(waiting) == 100:
            ready.set()
        await ready.wait()
        await send(started())
        await send({"type": "http.response.body", "body": answer_to(body)})

    body = request_body(BATCH)
    monitor = monitor_of()
    room = 10 * (len(body) + CHUNK_BYTES) + len(body) // 2
    middleware = DriftgaugeMiddleware(app, monitor, ROUTES, queue_bytes=room)
    peers = [Peer(body) for _ in range(100)]

    async def serve() -> None:
        await asyncio.gather(*(middleware(peer.scope, peer.receive, peer.send) for peer in peers))

    asyncio.run(serve())
    middleware.drain(30.0)
    assert {peer.told[1]["body"] for peer in peers} == {response_body(BATCH)}
    count = only(middleware.payloads())
    assert count.payloads == 100
    assert count.dropped["queue_full"] >= 90
    assert holds_nothing(middleware)


@pytest.mark.parametrize("status", [400, 422, 500, 503, 304])
def test_an_answer_that_is_none_is_not_counted(status: int) -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started(status))
        await send({"type": "http.response.body", "body": b'{"error": "no"}'})

    monitor = monitor_of()
    middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
    Peer(request_body(BATCH)).run(middleware)
    assert dropped(middleware.payloads()) == {"not_ok": 1}
    assert monitor.snapshot().rows == 0


@pytest.mark.parametrize("read", [0, 1])
def test_a_request_that_nobody_read_to_its_end_has_no_rows(read: int) -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        for _ in range(read):
            await receive()
        await send(started())
        await send({"type": "http.response.body", "body": response_body(BATCH)})

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    Peer(*split(request_body(BATCH), [5])).run(middleware)
    assert dropped(middleware.payloads()) == {"unpaired": 1}


@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
def test_an_answer_that_the_server_reads_from_a_file_is_not_seen(kind: str) -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        await send({"type": kind, "path": "/answers/1"})

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    peer = Peer(request_body(BATCH))
    peer.run(middleware)
    assert peer.told[1] == {"type": kind, "path": "/answers/1"}
    assert dropped(middleware.payloads()) == {"unpaired": 1}


def test_chunks_need_not_be_bytes_and_may_be_used_again() -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        buffer = bytearray(1)
        for byte in response_body(BATCH):
            buffer[0] = byte
            await send({"type": "http.response.body", "body": memoryview(buffer), "more_body": True})
        await send({"type": "http.response.body"})

    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        Peer(request_body(BATCH)).run(middleware)
        middleware.drain(30.0)
        assert same_numbers(monitor, [BATCH])


@pytest.mark.parametrize("body", [None, 3, "text"])
def test_an_event_that_is_wrong_is_the_servers_affair(body: Any) -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        await send({"type": "http.response.body", "body": body})

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    peer = Peer(request_body(BATCH))
    peer.run(middleware)
    assert peer.told[1]["body"] == body
    assert dropped(middleware.payloads()) == {"internal_error": 1}


def test_an_answer_that_is_compressed_is_understood() -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        answer = gzip.compress(answer_to(await body_of(receive)))
        await send(started(200, (b"Content-Encoding", b"gzip")))
        await send({"type": "http.response.body", "body": answer})

    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        Peer(request_body(BATCH)).run(middleware)
        middleware.drain(30.0)
        assert same_numbers(monitor, [BATCH])


def test_what_cannot_be_decoded_is_counted_by_its_reason() -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        await send({"type": "http.response.body", "body": b"?"})

    monitor = monitor_of()
    middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
    for body in (b"", b"{", b"[]", request_body(BATCH)):
        Peer(body).run(middleware)
    middleware.drain(30.0)
    count = only(middleware.payloads())
    assert sum(count.undecodable.values()) == 3
    assert count.decoded == 1
    assert count.without_outputs == {"not_json": 1}  # the inputs count, the outputs are missing
    assert monitor.snapshot().rows == len(BATCH)


@pytest.mark.parametrize(
    ("outputs", "features"), [((), ("age", "amount")), (("score",), ("score",))], ids=["inputs", "outputs"]
)
def test_a_half_that_the_reference_does_not_have_is_not_held(
    outputs: tuple[str, ...], features: tuple[str, ...]
) -> None:
    reference = Reference.fit({name: TRAINING[name] for name in features}, outputs=outputs)
    seen: list[int] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        await send({"type": "http.response.body", "body": response_body(BATCH), "more_body": True})
        seen.append(middleware._lines[0].intake._bytes)
        await send({"type": "http.response.body", "body": b""})

    with monitor_of(reference) as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        Peer(request_body(BATCH)).run(middleware)
        middleware.drain(30.0)
        assert seen == [len(response_body(BATCH) if outputs else request_body(BATCH)) + CHUNK_BYTES]
        assert only(middleware.payloads()).decoded == 1
        assert monitor.snapshot().windows[0].rows == len(BATCH)


def test_what_is_sampled_out_is_not_held() -> None:
    seen: list[bool] = []

    async def app(scope: Event, receive: Any, send: Any) -> None:
        await model(scope, receive, send)
        seen.append(holds_nothing(middleware))

    middleware = DriftgaugeMiddleware(app, monitor_of(), [Route("/**", protocol="kserve_v1", sample=0.0)])
    Peer(request_body(BATCH)).run(middleware)
    assert seen == [True]
    assert dropped(middleware.payloads()) == {"sampled_out": 1}


@pytest.mark.parametrize("broken", ["admit", "reserve", "put", "give_back"])
def test_if_driftgauge_breaks_traffic_goes_on(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> Any:
        raise MemoryError

    middleware = DriftgaugeMiddleware(model, monitor_of(), ROUTES)
    monkeypatch.setattr(middleware._lines[0].intake, broken, breaks)
    peer = Peer(request_body(BATCH))
    peer.run(middleware)
    assert peer.told[1]["body"] == response_body(BATCH)


def test_an_exchange_that_the_server_forgets_is_counted_and_costs_no_room() -> None:
    middleware = DriftgaugeMiddleware(model, monitor_of(), ROUTES)
    exchange = middleware.begin("POST", PATH)
    assert exchange is not None
    exchange.request.add(request_body(BATCH))
    cycle: list[Any] = [exchange]
    cycle.append(cycle)
    del exchange, cycle
    gc.collect()
    assert dropped(middleware.payloads()) == {"aborted": 1}
    assert holds_nothing(middleware)


def test_two_routes_of_one_protocol_are_one_in_the_counts() -> None:
    routes = [Route("/a", protocol="kserve_v1"), Route("/b", protocol="kserve_v1", sample=0.0)]
    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(model, monitor, [*routes, Route("/**", protocol="kserve_v1")])
        for path in ("/a", "/b", "/c", "/c"):
            Peer(request_body(BATCH), path=path).run(middleware)
        middleware.drain(30.0)
        assert only(middleware.payloads()).decoded == 3
        assert dropped(middleware.payloads()) == {"sampled_out": 1}


def test_the_monitors_own_snapshot_counts_the_exchanges_of_all_its_middlewares() -> None:
    """An exporter is given the monitor: what could not be read is seen where everything else is."""
    with monitor_of() as monitor:
        for body in (request_body(BATCH), b"{"):
            middleware = DriftgaugeMiddleware(
                model if body[1:] else answering(b"?"), monitor, [Route("/**", protocol="kserve_v1")]
            )
            Peer(body).run(middleware)
            middleware.drain(30.0)
        count = only(monitor.snapshot().payloads)
        assert (count.payloads, count.decoded, sum(count.undecodable.values())) == (2, 1, 1)


def answering(body: bytes) -> Any:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        await body_of(receive)
        await send(started())
        await send({"type": "http.response.body", "body": body})

    return app


def test_a_mapping_reads_the_hosts_own_json() -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:  # noqa: ARG001
        asked = json.loads(await body_of(receive))
        batch = [[one["who"]["age"], one["sum"]] for one in asked["customers"]]
        answer = {"risks": json.loads(response_body(batch))["predictions"]}
        await send(started())
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    mapping = {
        "inputs": {"age": "customers[].who.age", "amount": "customers[].sum"},
        "outputs": {"score": "risks"},
    }
    body = json.dumps({"customers": [{"who": {"age": age}, "sum": amount} for age, amount in BATCH]})
    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, [Route("/**", protocol="mapping", mapping=mapping)])
        Peer(body.encode()).run(middleware)
        middleware.drain(30.0)
        assert same_numbers(monitor, [BATCH])


ASKS = st.lists(st.sampled_from(["good", "bad", "not ok", "raises", "gone", "unread"]), max_size=15)


@settings(max_examples=30)
@given(ASKS)
def test_every_exchange_is_in_exactly_one_count(asks: list[str]) -> None:
    async def app(scope: Event, receive: Any, send: Any) -> None:
        how = scope["how"]
        if how == "raises":
            raise HostError
        body = await body_of(receive) if how != "unread" else request_body(BATCH)
        await send(started(500 if how == "not ok" else 200))
        if how == "gone":
            raise asyncio.CancelledError
        await send({"type": "http.response.body", "body": b"" if how == "bad" else answer_to(body)})

    async def one(how: str) -> None:
        peer = Peer(b"{" if how == "bad" else request_body(BATCH))
        peer.scope["how"] = how
        with contextlib.suppress(HostError, asyncio.CancelledError):
            await middleware(peer.scope, peer.receive, peer.send)

    async def serve() -> None:
        for how in asks:
            await one(how)

    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        asyncio.run(serve())
        assert middleware.drain(30.0)
        count = only(middleware.payloads())
        assert count.payloads == len(asks)
        assert count.decoded == asks.count("good")
        assert sum(count.undecodable.values()) == asks.count("bad")
        assert dropped(middleware.payloads()) == {
            reason: number
            for reason, number in (
                ("not_ok", asks.count("not ok") + asks.count("raises")),
                ("aborted", asks.count("gone")),
                ("unpaired", asks.count("unread")),
            )
            if number
        }
        assert monitor.snapshot().rows == len(BATCH) * asks.count("good")
        middleware.close()


def test_the_same_rows_by_hand_give_the_same_snapshot() -> None:
    """A story: forty requests of different sizes, of whose customers the later ones are older."""
    batches = [draw(1 + number % 7, seed=number) for number in range(40)]
    with monitor_of() as monitor, Monitor(REFERENCE, budget=None, min_rows=1) as other:
        middleware = DriftgaugeMiddleware(model, monitor, ROUTES)
        for batch in batches:
            Peer(request_body(batch)).run(middleware)
        middleware.drain(30.0)
        assert only(middleware.payloads()).decoded == 40
        assert same_numbers(monitor, batches)
        assert numbers(monitor.snapshot()) != numbers(other.snapshot())
        assert next(iter(monitor.snapshot().windows[0].features)).shift > 1.0
        assert isinstance(middleware._lines[0].intake, Intake)

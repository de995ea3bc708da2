"""The proxy changes no byte, whatever passes and whatever goes wrong; and what it watches adds up."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proxy_world import (
    ANSWERED,
    ASKED,
    PATH,
    World,
    answer,
    connect,
    received,
    request,
    rest,
    watched,
    world,
)
from services import unavailable, until

from driftgauge.sidecar.proxy_tap import Tap


@pytest.fixture
def at() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of localhost that nobody has signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl is not installed: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    paths = (folder / "certificate.pem", folder / "key.pem")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-out", str(paths[0]), "-keyout", str(paths[1]))
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return paths


# ---------------------------------------------------------------------- laws: the bytes are the same

NAMES = st.text("abcXYZ-0", min_size=1, max_size=12)
VALUES = st.text("abc ,;=\"'\t\xe9", max_size=20)


@st.composite
def messages(draw: st.DrawFn, first: bytes) -> bytes:
    """A message with headers of any case and order, and a body of any framing."""
    head = first
    for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=6)):
        head += f"X-{name}:{value}\r\n".encode("latin-1")
    body = draw(st.binary(max_size=2_000))
    if draw(st.booleans()):
        body = gzip.compress(body, mtime=0)
        head += b"content-ENCODING: gzip\r\n"
    if draw(st.booleans()):
        return head + b"Content-length: %d\r\n\r\n" % len(body) + body
    chunks = b""
    while body:
        size = draw(st.integers(1, 700))
        part, body = body[:size], body[size:]
        chunks += b"%X\r\n" % len(part) + part + b"\r\n"
    return head + b"transfer-encoding:  chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


REQUESTS = messages(f"POST {PATH}?a=%20b HTTP/1.1\r\nhost: m\r\n".encode())
ANSWERS = messages(b"HTTP/1.1 200 All is well\r\nServer: nobody\r\n")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(REQUESTS, ANSWERS), min_size=1, max_size=4), st.integers(1, 4_000))
def test_what_arrives_is_what_was_sent(at: World, pairs: list[tuple[bytes, bytes]], piece: int) -> None:
    asked = b"".join(one for one, _ in pairs)
    answered = b"".join(other for _, other in pairs)
    at.seen.clear()
    with watched() as (monitor, intake):
        port = at.proxy(at.scripted(answered, after=len(asked)), lambda *_: intake)
        with connect(port) as client:
            for begin in range(0, len(asked), piece):
                client.sendall(asked[begin : begin + piece])
            assert received(client, len(answered)) == answered
        assert bytes(at.seen) == asked
        until(lambda: intake.drain(10) and intake.counts().payloads == len(pairs), "all to be counted")
        counts = intake.counts()
        assert counts.payloads == counts.decoded + sum(counts.undecodable.values())
        assert monitor.snapshot().rows >= counts.decoded
    at.stop()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=3_000), st.binary(min_size=1, max_size=3_000))
def test_bytes_that_are_no_http_are_passed_on_too(at: World, asked: bytes, answered: bytes) -> None:
    at.seen.clear()
    port = at.proxy(at.scripted(answered, after=len(asked)))
    with connect(port) as client:
        client.sendall(asked)
        assert received(client, len(answered)) == answered
    assert bytes(at.seen) == asked
    at.stop()


def test_large_bodies_stream_both_ways_while_they_come(at: World) -> None:
    """The server answers each piece before the next is sent: nothing waits for a whole body."""

    async def echo(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while data := await reader.read(65_536):
            writer.write(b"%x\r\n" % len(data) + data + b"\r\n")

    with connect(at.proxy(at.server(echo))) as client:
        client.sendall(f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        assert received(client, 47).endswith(b"\r\n\r\n")
        for _ in range(5):
            client.sendall(b"x" * 100)
            assert received(client, 106) == b"64\r\n" + b"x" * 100 + b"\r\n"


def test_a_client_that_reads_slowly_makes_the_server_wait(at: World) -> None:
    written = [0]

    async def flood(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        for _ in range(1_000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written[0] += 100_000

    with connect(at.proxy(at.server(flood))) as client:
        client.sendall(request())
        until(lambda: written[0] > 0, "the server to begin")
        before = -1
        while written[0] != before:  # until the buffers are full
            before = written[0]
            time.sleep(0.3)
        assert written[0] < 50_000_000, "the proxy takes no more than a few buffers"
        assert len(received(client, 100_000_045)) == 100_000_045


# ---------------------------------------------------------------------- edges: servers


def test_without_a_server_the_client_gets_a_502(at: World) -> None:
    with watched() as (_, intake):
        port = at.proxy("http://127.0.0.1:1", lambda *_: intake)
        with connect(port) as client:
            client.sendall(request(b"x" * 300_000))
            found = rest(client)
        assert found.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert found.endswith(b"ConnectionRefusedError\n")
        assert intake.counts().dropped["not_ok"] == 1
        until(lambda: not at.connections, "the connection to end")


def test_an_answer_to_head_has_no_body(at: World) -> None:
    with connect(at.proxy("http://127.0.0.1:1")) as client:
        client.sendall(b"HEAD / HTTP/1.1\r\n\r\n")
        assert rest(client).endswith(b"\r\n\r\n")


def test_a_server_that_does_not_answer_gets_a_504(at: World) -> None:
    with connect(at.proxy(at.scripted(after=1 << 30), response_seconds=0.2)) as client:
        client.sendall(request())
        assert rest(client).startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    until(lambda: at.lost == 1, "the server's connection to end")


def test_a_server_that_stops_in_the_middle_ends_the_connection(at: World) -> None:
    half = answer(b"x" * 100)[:-50]
    with watched() as (_, intake):
        port = at.proxy(at.scripted(half), lambda *_: intake, response_seconds=0.2)
        with connect(port) as client:
            client.sendall(request())
            assert received(client, len(half)) == half
            with suppress(ConnectionResetError):
                assert rest(client) == b""
        assert intake.counts().dropped["aborted"] == 1


def test_a_slow_answer_is_waited_for(at: World) -> None:
    async def slow(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for place in range(len(answer())):
            writer.write(answer()[place : place + 1])
            await asyncio.sleep(0.005)
        await reader.read()

    with watched() as (monitor, intake):
        with connect(at.proxy(at.server(slow), lambda *_: intake)) as client:
            client.sendall(request())
            assert received(client, len(answer())) == answer()
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
        assert monitor.snapshot().rows == 2


@pytest.mark.parametrize("missing", [1, 10, len(ANSWERED)])
def test_an_answer_shorter_than_it_says_is_passed_on_as_it_is(at: World, missing: int) -> None:
    async def liar(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer()[:-missing])
        writer.close()

    with watched() as (_, intake):
        with connect(at.proxy(at.server(liar), lambda *_: intake)) as client:
            client.sendall(request())
            assert rest(client) == answer()[:-missing]
        until(lambda: intake.counts().payloads == 1, "it to be counted")
        assert intake.counts().dropped["aborted"] == 1


def test_an_answer_longer_than_it_says_is_passed_on_as_it_is(at: World) -> None:
    with watched() as (_, intake):
        port = at.proxy(at.scripted(answer() + b"and more"), lambda *_: intake)
        with connect(port) as client:
            client.sendall(request())
            assert received(client, len(answer()) + 8) == answer() + b"and more"
            client.sendall(request())
            until(lambda: len(at.seen) == 2 * len(request()), "the second request to arrive")
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "the first to be decoded")
        assert intake.counts().payloads == 1, "from then on nothing is certain, so nobody watches"
    assert at.gave_up == 1


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Odd : header\r\n",
    ],
)
def test_a_request_that_cannot_be_followed_is_passed_on_and_counted_with_those_that_wait(
    at: World, headers: bytes
) -> None:
    odd = f"POST {PATH} HTTP/1.1\r\n".encode() + headers + b"\r\n{}"
    sent = request() + odd + request()
    with watched() as (_, intake), connect(at.proxy(at.scripted(after=1 << 30), lambda *_: intake)) as client:
        client.sendall(sent)
        until(lambda: bytes(at.seen) == sent, "all to be passed on")
        until(lambda: intake.counts().dropped.get("unfollowed") == 2, "both to be counted")
        assert intake._bytes == 0
    assert at.gave_up == 1


def test_what_is_no_http_1_is_passed_on_and_told(at: World) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with watched() as (_, intake):
        with connect(at.proxy(at.scripted(b"settings"), lambda *_: intake)) as client:
            client.sendall(preface)
            assert received(client, 8) == b"settings"
        assert (bytes(at.seen), at.gave_up, intake.counts().payloads) == (preface, 1, 0)


def test_an_answer_that_ends_with_its_connection_is_decoded(at: World) -> None:
    async def old(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + ANSWERED)
        writer.write_eof()
        await reader.read()

    with watched() as (_, intake):
        with connect(at.proxy(at.server(old), lambda *_: intake)) as client:
            client.sendall(request())
            assert rest(client) == b"HTTP/1.0 200 OK\r\n\r\n" + ANSWERED
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")


# ---------------------------------------------------------------------- edges: clients


def test_a_client_that_half_closes_still_gets_its_answer(at: World) -> None:
    async def late(reader: Any, writer: Any) -> None:
        asked = await reader.read()  # until the client has ended
        at.seen += asked
        writer.write(answer())

    with watched() as (_, intake):
        with connect(at.proxy(at.server(late), lambda *_: intake)) as client:
            client.sendall(request())
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == answer()
        assert bytes(at.seen) == request()
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
    until(lambda: not at.connections, "the connections to end")


@pytest.mark.parametrize("sent", [10, len(request()) - 5, len(request())])
def test_a_client_that_goes_in_the_middle_leaves_nothing_behind(at: World, sent: int) -> None:
    with watched() as (_, intake):
        port = at.proxy(at.scripted(after=1 << 30), lambda *_: intake)
        client = connect(port)
        client.sendall(request()[:sent])
        until(lambda: len(at.seen) == sent, "the server to have it")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # gone with a reset
        client.close()
        until(lambda: at.lost == 1 and not at.connections, "both connections to end")
        assert intake.counts().dropped.get("aborted", 0) == (1 if sent > 50 else 0)
        assert intake._bytes == 0


def test_a_client_that_says_nothing_is_sent_away_in_time(at: World) -> None:
    with connect(at.proxy(at.scripted(answer()), idle_seconds=0.2)) as client:
        assert rest(client) == b""


def test_too_many_clients_get_a_503(at: World) -> None:
    port = at.proxy(at.scripted(answer()), most=1)
    with connect(port) as first:
        first.sendall(request())
        assert received(first, len(answer())) == answer()
        with connect(port) as second:
            second.sendall(request())
            assert rest(second).startswith(b"HTTP/1.1 503 ")


# ---------------------------------------------------------------------- edges: HTTP


def test_a_websocket_is_a_pair_of_streams(at: World) -> None:
    async def upgrade(reader: Any, writer: Any) -> None:
        at.seen += await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while data := await reader.read(65_536):
            writer.write(data[::-1])

    asked = f"GET {PATH} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
    port = at.proxy(at.server(upgrade), response_seconds=0.2, idle_seconds=0.2)
    with connect(port) as client:
        client.sendall(asked)
        assert received(client, 77).endswith(b"\r\n\r\n")
        time.sleep(0.6)  # both limits are over: they are for HTTP
        client.sendall(b"\x81\x05hello")
        assert received(client, 7) == b"olleh\x05\x81"
    assert bytes(at.seen) == asked


def test_an_interim_answer_is_not_the_answer(at: World) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    with watched() as (monitor, intake):
        port = at.proxy(at.scripted(interim, answer()), lambda *_: intake)
        with connect(port) as client:
            client.sendall(request(headers="Expect: 100-continue\r\n"))
            assert received(client, len(interim + answer())) == interim + answer()
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
        assert monitor.snapshot().rows == 2


def test_a_gzipped_pair_is_passed_on_untouched_and_understood(at: World) -> None:
    asked = request(gzip.compress(ASKED, mtime=0), headers="Content-Encoding: gzip\r\n")
    answered = answer(gzip.compress(ANSWERED, mtime=0), headers="Content-Encoding: gzip\r\n")
    with watched() as (monitor, intake):
        port = at.proxy(at.scripted(answered, after=len(asked)), lambda *_: intake)
        with connect(port) as client:
            client.sendall(asked)
            assert received(client, len(answered)) == answered
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
        assert monitor.snapshot().windows[0].features[1].missing_ratio == 0.0


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "302 Found"])
def test_an_answer_that_is_no_success_is_not_decoded(at: World, status: str) -> None:
    with watched() as (_, intake):
        port = at.proxy(at.scripted(answer(status=status)), lambda *_: intake)
        with connect(port) as client:
            client.sendall(request())
            assert received(client, len(answer(status=status))) == answer(status=status)
        until(lambda: intake.counts().payloads == 1, "it to be counted")
        assert intake.counts().dropped["not_ok"] == 1


@pytest.mark.parametrize("body", ["request", "answer"])
def test_a_body_beyond_the_limit_is_passed_on_and_not_copied(at: World, body: str) -> None:
    asked = request(b"x" * 5_000) if body == "request" else request()
    answered = answer(b"y" * 5_000) if body == "answer" else answer()
    with watched() as (_, intake):
        port = at.proxy(at.scripted(answered, after=len(asked)), lambda *_: intake, body_bytes=1_000)
        with connect(port) as client:
            client.sendall(asked)
            assert received(client, len(answered)) == answered
        until(lambda: intake.counts().payloads == 1, "it to be counted")
        assert intake.counts().dropped["too_large"] == 1
        assert intake._bytes == 0


def test_a_break_of_ours_stops_the_watching_and_not_the_traffic(at: World) -> None:
    def broken(*_: str) -> None:
        raise ZeroDivisionError

    told: list[Exception] = []
    port = at.proxy(at.scripted(answer()), broken, failed=told.append)
    with connect(port) as client:
        client.sendall(request())
        assert received(client, len(answer())) == answer()
        until(lambda: told, "it to be told")
    assert isinstance(told[0], ZeroDivisionError)


def test_a_tap_whose_intake_breaks_stops_and_says_so() -> None:
    class Intake:
        def admit(self) -> bool:
            raise OSError

    tap = Tap(lambda *_: Intake(), 1_000)  # type: ignore[arg-type,return-value]
    tap.from_client(request())
    tap.from_upstream(answer())
    assert isinstance(tap.failed, OSError)
    assert not tap.watching


# ---------------------------------------------------------------------- stories


def test_an_answer_that_is_due_goes_out_before_the_end(at: World) -> None:
    release = asyncio.Event()

    async def held(reader: Any, writer: Any) -> None:
        at.seen += await reader.readuntil(b"\r\n\r\n")
        await release.wait()
        writer.write(answer())
        await reader.read()

    port = at.proxy(at.server(held))
    with connect(port) as busy, connect(port) as idle:
        busy.sendall(request())
        until(lambda: at.seen, "the request to arrive")
        stopping = asyncio.run_coroutine_threadsafe(at._proxies[0].stop(10.0), at.loop)
        assert rest(idle) == b"", "who waits for nothing is sent away"
        assert not stopping.done()
        at.loop.call_soon_threadsafe(release.set)
        assert rest(busy) == answer()
        stopping.result(10)
        with pytest.raises(ConnectionRefusedError):
            connect(port)


def test_a_server_behind_tls_is_checked(at: World, certificate: tuple[Path, Path]) -> None:
    async def serve(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        await reader.read()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    upstream = f"https://localhost:{at.server(serve, ssl=context)}"
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with watched() as (_, intake):
        with connect(at.proxy(upstream, lambda *_: intake, tls=trusting)) as client:
            client.sendall(request())
            assert received(client, len(answer())) == answer()
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == b""
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
    with connect(at.proxy(upstream)) as client:
        client.sendall(request())
        assert b"SSLCertVerificationError" in rest(client)


def test_clients_may_come_by_tls(at: World, certificate: tuple[Path, Path]) -> None:
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with watched() as (_, intake):
        port = at.proxy(at.scripted(answer(), after=len(request())), lambda *_: intake, own_tls=own)
        with trusting.wrap_socket(connect(port), server_hostname="localhost") as client:
            client.sendall(request())
            assert received(client, len(answer())) == answer()
        assert bytes(at.seen) == request()
        until(lambda: intake.drain(10) and intake.counts().decoded == 1, "it to be decoded")
    until(lambda: not at.connections and at.lost == 1, "both connections to end")


def test_a_server_on_a_unix_socket_is_one_too(at: World, tmp_path: Path) -> None:
    async def serve(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer())
        await reader.read()
        writer.close()

    path = str(tmp_path / "s")
    server = at.run(asyncio.start_unix_server(serve, path))
    with connect(at.proxy(f"unix:{path}")) as client:
        client.sendall(request())
        assert received(client, len(answer())) == answer()
    server.close()

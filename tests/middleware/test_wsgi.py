"""A WSGI application under the middleware does and says what it does alone, and its rows are counted."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_cases import (
    PATH,
    answer_to,
    draw,
    dropped,
    holds_nothing,
    monitor_of,
    only,
    request_body,
    response_body,
    same_numbers,
)

from driftgauge.middleware.wsgi import DriftgaugeMiddleware, Route
from driftgauge.protocols import Limits

ROUTES = [Route("/v1/models/{model}:predict", protocol="kserve_v1")]
BATCH = draw(3, seed=1)
Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]


def environ_of(body: bytes, *, length: bool = True, path: str = PATH, **more: Any) -> Environ:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        **({"CONTENT_LENGTH": str(len(body))} if length else {}),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **more,
    }


def served(app: App, body: bytes, **more: Any) -> bytes:
    """All bytes that the standard library's server sends, but for the time of day."""
    environ = environ_of(body, **more)
    out = io.BytesIO()
    handler = SimpleHandler(io.BytesIO(body), out, sys.stderr, environ)
    handler.http_version = "1.1"
    handler.run(app)
    return re.sub(rb"\r\nDate: [^\r]*", b"", out.getvalue(), count=1)


def started(start_response: Any, status: str = "200 OK") -> Any:
    return start_response(status, [("Content-Type", "application/json")])


def read_at_once(stream: Any) -> bytes:
    return bytes(stream.read())


def read_length(stream: Any) -> bytes:
    return bytes(stream.read(len(request_body(BATCH))))


def read_little(stream: Any) -> bytes:
    return b"".join(iter(lambda: stream.read(7), b""))


def read_named(stream: Any) -> bytes:
    return bytes(stream.read(-1))


def read_lines(stream: Any) -> bytes:
    return b"".join(iter(lambda: stream.readline(), b""))


def read_all_lines(stream: Any) -> bytes:
    return b"".join(stream.readlines())


def read_by_iterating(stream: Any) -> bytes:
    return b"".join(stream)


def read_into(stream: Any) -> bytes:
    found, buffer = b"", bytearray(5)
    while size := stream.readinto(buffer):
        found += buffer[:size]
    return found


def read_once(stream: Any) -> bytes:
    return b"".join(iter(lambda: stream.read1(11), b""))


def read_buffered(stream: Any) -> bytes:
    return io.BufferedReader(stream).read()


READERS = [
    read_at_once,
    read_length,
    read_little,
    read_named,
    read_lines,
    read_all_lines,
    read_by_iterating,
    read_into,
    read_once,
    read_buffered,
]


def as_list(answer: bytes, _: Any) -> Iterable[bytes]:
    return [answer]


def as_list_of_many(answer: bytes, _: Any) -> Iterable[bytes]:
    return [answer[:4], b"", answer[4:]]


def as_generator(answer: bytes, _: Any) -> Iterable[bytes]:
    return (answer[position : position + 3] for position in range(0, len(answer), 3))


def as_written(answer: bytes, write: Any) -> Iterable[bytes]:
    write(answer[:5])
    write(answer[5:])
    return []


def as_written_and_list(answer: bytes, write: Any) -> Iterable[bytes]:
    write(answer[:5])
    return [answer[5:]]


ANSWERS = [as_list, as_list_of_many, as_generator, as_written, as_written_and_list]


@pytest.mark.parametrize("reads", READERS)
@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("length", [True, False])
def test_however_it_reads_and_answers_the_same_bytes_go_out_and_the_rows_are_counted(
    reads: Callable[[Any], bytes], answers: Any, *, length: bool
) -> None:
    body = request_body(BATCH).replace(b", [", b",\n [")

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        found = reads(environ["wsgi.input"]) or b""
        return answers(answer_to(found or body), started(start_response))  # type: ignore[no-any-return]

    if reads is read_length:
        body = request_body(BATCH)
    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        assert served(middleware, body, length=length) == served(app, body, length=length)
        middleware.drain(30.0)
        if reads is read_length and not length:  # nobody knows that this was all
            assert dropped(middleware.payloads()) == {"unpaired": 1}
        else:
            assert only(middleware.payloads()).decoded == 1
            assert same_numbers(monitor, [BATCH])
        assert holds_nothing(middleware)
        middleware.close()


def test_the_validator_of_the_standard_library_finds_no_fault_on_either_side() -> None:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        answer = answer_to(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        started(start_response)
        return [answer]

    body = request_body(BATCH)
    environ = environ_of(body)
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr}
    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(validator(app), monitor, ROUTES)
        answer = validator(middleware)(environ, lambda *_: lambda _: None)  # type: ignore[arg-type]
        assert b"".join(answer) == response_body(BATCH)
        answer.close()  # type: ignore[attr-defined]
        middleware.drain(30.0)
        assert same_numbers(monitor, [BATCH])


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["read", "readline", "read1"]), st.integers(0, 40)), max_size=20))
def test_a_stream_gives_its_reader_what_it_would_give_without_us(asks: list[tuple[str, int]]) -> None:
    body = request_body(draw(4, seed=2)).replace(b"], ", b"],\n")

    def reads(stream: Any) -> list[bytes]:
        return [getattr(stream, name)(size) for name, size in asks]

    found: list[list[bytes]] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        found.append(reads(environ["wsgi.input"]))
        started(start_response)
        return [b"{}"]

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    environ = environ_of(body) | {"wsgi.input": io.BytesIO(body)}
    answer: Any = middleware(environ, lambda *_: None)
    list(answer)
    answer.close()
    assert found == [reads(io.BytesIO(body))]
    middleware.drain(30.0)
    assert holds_nothing(middleware)


def test_a_stream_has_what_the_servers_stream_has_and_nothing_else() -> None:
    class Bare:
        def read(self, size: int = -1) -> bytes:  # noqa: ARG002
            return b""

    seen: list[Any] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        seen.append(environ["wsgi.input"])
        started(start_response)
        return []

    DriftgaugeMiddleware(app, monitor_of(), ROUTES)(environ_of(b"") | {"wsgi.input": Bare()}, lambda *_: None)
    assert hasattr(seen[0], "read")
    assert not hasattr(seen[0], "readinto")
    assert not hasattr(seen[0], "seek")
    with pytest.raises(AttributeError, match="'Bare' object has no attribute 'read1'"):
        seen[0].read1()


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_is_read_twice_is_counted_once_or_not_at_all(*, whole: bool) -> None:
    body = request_body(BATCH)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        stream = environ["wsgi.input"]
        stream.read(-1 if whole else 10)
        stream.seek(0)
        answer = answer_to(stream.read())
        started(start_response)
        return [answer]

    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(app, monitor, ROUTES)
        environ = environ_of(body) | {"wsgi.input": io.BytesIO(body)}
        answer: Any = middleware(environ, lambda *_: None)
        assert list(answer) == [response_body(BATCH)]
        answer.close()
        middleware.drain(30.0)
        assert dropped(middleware.payloads()) == ({} if whole else {"unpaired": 1})
        assert monitor.snapshot().rows == (len(BATCH) if whole else 0)


class HostError(Exception):
    """The host's own."""


class Answer:
    """An answer that can fail on its way, and knows how often it was closed."""

    def __init__(self, chunks: list[bytes], *, fails: bool = False) -> None:
        self.chunks = chunks
        self.fails = fails
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.fails:
            raise HostError

    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise HostError


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("to_its_end", [False, True])
def test_an_answer_is_closed_once_whatever_happens_to_it(*, fails: bool, to_its_end: bool) -> None:
    answer = Answer([response_body(BATCH), b" "], fails=fails)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        started(start_response)
        return answer

    body = request_body(BATCH)
    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    passed: Any = middleware(environ_of(body) | {"wsgi.input": io.BytesIO(body)}, lambda *_: None)
    chunks = iter(passed)
    if not to_its_end:
        next(chunks)
    elif fails:
        with pytest.raises(HostError):
            list(chunks)
    else:
        assert list(chunks) == answer.chunks
    if fails:
        with pytest.raises(HostError):
            passed.close()
    else:
        passed.close()
    assert answer.closed == 1
    middleware.drain(30.0)
    complete = to_its_end and not fails
    assert only(middleware.payloads()).decoded == complete
    assert dropped(middleware.payloads()) == ({} if complete else {"aborted": 1})
    assert holds_nothing(middleware)


@pytest.mark.parametrize("after", [False, True])
def test_what_the_application_raises_is_raised_as_it_is(*, after: bool) -> None:
    error = HostError()

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        if after:
            started(start_response)
        raise error

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    environ = environ_of(b"{}") | {"wsgi.input": io.BytesIO(b"{}")}
    with pytest.raises(HostError) as raised:
        middleware(environ, lambda *_: None)
    assert raised.value is error
    assert raised.value.__context__ is None
    assert dropped(middleware.payloads()) == {"aborted" if after else "not_ok": 1}
    assert holds_nothing(middleware)


def test_an_answer_that_turns_into_an_error_is_not_counted() -> None:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        started(start_response)
        try:
            answer_to(b"[]")
        except TypeError:
            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"sorry"]

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    assert served(middleware, request_body(BATCH)) == served(app, request_body(BATCH))
    assert dropped(middleware.payloads()) == {"not_ok": 1}


def test_nothing_is_asked_for_before_the_server_asks() -> None:
    order: list[str] = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        order.append("begun")
        environ["wsgi.input"].read()
        started(start_response)
        for number in range(2):
            order.append(f"made {number}")
            yield b"x"

    body = request_body(BATCH)
    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    answer: Any = middleware(environ_of(body) | {"wsgi.input": io.BytesIO(body)}, lambda *_: None)
    assert order == []
    for chunk in answer:
        order += [f"sent {chunk!r}"]
    answer.close()
    assert order == ["begun", "made 0", "sent b'x'", "made 1", "sent b'x'"]


def test_a_file_goes_the_servers_own_way() -> None:
    files: list[Any] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        started(start_response)
        files.append(environ["wsgi.file_wrapper"](io.BytesIO(b"a file")))
        return files[0]  # type: ignore[no-any-return]

    body = request_body(BATCH)
    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    environ = environ_of(body) | {"wsgi.input": io.BytesIO(body), "wsgi.file_wrapper": FileWrapper}
    assert middleware(environ, lambda *_: None) is files[0]
    assert dropped(middleware.payloads()) == {"unpaired": 1}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_no_route_has_is_not_touched(method: str) -> None:
    stream, seen = io.BytesIO(b""), []
    answer = [b"x"]

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        seen.append((environ["wsgi.input"], start_response))
        return answer

    def start_response(*_: Any) -> None:
        pass

    middleware = DriftgaugeMiddleware(app, monitor_of(), ROUTES)
    path = "/other" if method == "POST" else PATH
    environ = environ_of(b"", path=path) | {"wsgi.input": stream, "REQUEST_METHOD": method}
    assert middleware(environ, start_response) is answer
    assert seen[0][0] is stream
    assert seen[0][1] is start_response
    assert only(middleware.payloads()).payloads == 0


def test_a_path_may_have_any_letters() -> None:
    middleware = DriftgaugeMiddleware(model, monitor_of(), [Route("/modèle/{nom}", protocol="kserve_v1")])
    served(middleware, request_body(BATCH), path="/modèle/été")
    middleware.drain(30.0)
    assert only(middleware.payloads()).decoded == 1


def model(environ: Environ, start_response: Any) -> Iterable[bytes]:
    answer = answer_to(environ["wsgi.input"].read())
    started(start_response)
    return [answer]


def test_a_body_over_the_limit_passes_and_is_not_held() -> None:
    middleware = DriftgaugeMiddleware(model, monitor_of(), ROUTES, limits=Limits(body_bytes=50))
    body = request_body(draw(100, seed=5))
    assert served(middleware, body) == served(model, body)
    assert dropped(middleware.payloads()) == {"too_large": 1}
    assert holds_nothing(middleware)


def test_a_full_queue_costs_the_host_nothing() -> None:
    middleware = DriftgaugeMiddleware(model, monitor_of(), ROUTES, queue_bytes=10)
    assert served(middleware, request_body(BATCH)) == served(model, request_body(BATCH))
    assert dropped(middleware.payloads()) == {"queue_full": 1}
    assert holds_nothing(middleware)


@pytest.mark.parametrize("broken", ["admit", "reserve", "put", "give_back"])
def test_if_driftgauge_breaks_traffic_goes_on(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any) -> Any:
        raise MemoryError

    middleware = DriftgaugeMiddleware(model, monitor_of(), ROUTES)
    monkeypatch.setattr(middleware._lines[0].intake, broken, breaks)
    assert served(middleware, request_body(BATCH)) == served(model, request_body(BATCH))


def test_a_story_of_many_requests_gives_the_numbers_of_its_rows() -> None:
    batches = [draw(1 + number % 5, seed=number) for number in range(30)]
    with monitor_of() as monitor:
        middleware = DriftgaugeMiddleware(model, monitor, ROUTES)
        for batch in batches:
            served(middleware, request_body(batch))
        middleware.drain(30.0)
        assert only(middleware.payloads()).decoded == 30
        assert same_numbers(monitor, batches)

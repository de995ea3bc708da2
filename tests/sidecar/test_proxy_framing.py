"""Where messages begin and end, in whatever pieces they come; and no guess where that is not certain."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.sidecar.proxy_framing import (
    CHUNKED,
    TO_CLOSE,
    TUNNEL,
    Framer,
    UnreadableError,
    body_length,
    parse_head,
)

BODIES = st.binary(max_size=60)


class Cut:
    """Bodies of the messages that a framer has found."""

    def __init__(self, otherwise: int = 0) -> None:
        self.bodies: list[bytes] = []
        self._parts: list[bytes] = []
        self._otherwise = otherwise
        self.framer = Framer(self._head, self._parts.append, self._end)

    def _head(self, head: bytes) -> int:
        return body_length(parse_head(head).headers, self._otherwise)

    def _end(self) -> None:
        self.bodies.append(b"".join(self._parts))
        self._parts.clear()

    def feed(self, *pieces: bytes) -> Cut:
        for piece in pieces:
            self.framer.feed(piece)
        return self


def with_length(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x;name=value\r\n" % len(part) + part + b"\r\n" for part in parts)
    return b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n"


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(
    st.lists(st.tuples(BODIES, st.integers(0, 9)), max_size=5), st.lists(st.integers(0, 2_000), max_size=30)
)
def test_messages_are_the_same_in_whatever_pieces_they_come(
    messages: list[tuple[bytes, int]], cuts: list[int]
) -> None:
    stream = b"".join(in_chunks(body, size) if size else with_length(body) for body, size in messages)
    cut = Cut().feed(*pieces_of(stream, cuts))
    assert cut.bodies == [body for body, _ in messages]
    assert cut.framer.between


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_at_all_are_followed_or_unreadable(data: bytes, cuts: list[int]) -> None:
    cut = Cut()
    try:
        cut.feed(*pieces_of(data, cuts))
    except UnreadableError:
        return
    assert sum(map(len, cut.bodies)) <= len(data)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    cut = Cut(TO_CLOSE).feed(b"HTTP/1.1 200 OK\r\n\r\nab", b"c")
    assert cut.bodies == []
    cut.framer.eof()
    assert cut.bodies == [b"abc"]


def test_the_end_of_a_connection_completes_nothing_that_has_a_length() -> None:
    cut = Cut().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
    cut.framer.eof()
    assert cut.bodies == []


def test_after_a_tunnel_nothing_is_read() -> None:
    framer = Framer(lambda _: TUNNEL, pytest.fail, pytest.fail)
    framer.feed(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00")
    framer.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    assert framer.tunnel


def test_empty_lines_between_messages_are_passed_over() -> None:
    assert Cut().feed(b"\r\n\r\n", with_length(b"a"), b"\r\n", with_length(b"b")).bodies == [b"a", b"b"]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Content-Length: +3",
        b"Content-Length: 3_0",
        b"Content-Length: -1",
        b"Content-Length: 9999999999999999",
        "Content-Length: \u00b2".encode("latin-1"),
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b" folded: x",
        b"no colon",
        b"space : x",
        b": x",
    ],
)
def test_what_servers_may_read_differently_is_not_followed(head: bytes) -> None:
    with pytest.raises(UnreadableError):
        Cut().feed(b"POST / HTTP/1.1\r\n" + head + b"\r\n\r\nabc")


@pytest.mark.parametrize("size", [b"", b"x", b"+3", b"0x3", b"3_0", b"-1", b"f" * 16])
def test_a_chunk_without_a_size_is_not_followed(size: bytes) -> None:
    with pytest.raises(UnreadableError):
        Cut().feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc\r\n")


def test_a_chunk_that_goes_on_beyond_its_size_is_not_followed() -> None:
    with pytest.raises(UnreadableError):
        Cut().feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n")


def test_a_head_without_an_end_is_not_kept_for_ever() -> None:
    cut = Cut()
    with pytest.raises(UnreadableError):
        cut.feed(*[b"x" * 1_000] * 1_000)


def test_the_length_of_a_body() -> None:
    assert body_length({"transfer-encoding": "Chunked"}, 0) == CHUNKED
    assert body_length({}, TO_CLOSE) == TO_CLOSE
    assert body_length({"content-length": "12"}, 0) == 12

"""Where messages of HTTP/1.1 begin and end in a stream of bytes (RFC 9112), for one who only watches.

Nothing here changes, holds back or refuses a byte of the traffic. What cannot be followed with certainty is
`UnreadableError`, and then nobody watches this connection any more: a length given twice, two ways of framing
at once, line ends that are not CRLF. Servers may read those differently, and a guess would count wrong rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

__all__ = ["CHUNKED", "TO_CLOSE", "TUNNEL", "Framer", "Head", "UnreadableError", "body_length", "parse_head"]

HEAD_BYTES: Final = 64 << 10  # servers refuse heads of 8 to 64 KiB
LINE_BYTES: Final = 4 << 10  # of a chunk's size, or of one trailer

CHUNKED: Final = -1
TO_CLOSE: Final = -2
TUNNEL: Final = -3
"""In place of a length: chunks, until the connection ends, and no HTTP from here on."""

_END: Final = b"\r\n\r\n"
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")


class UnreadableError(Exception):
    """These bytes cannot be followed as HTTP/1.1 with certainty."""


class Head(NamedTuple):
    """First line and headers; names in lower case, those that come twice joined by a comma."""

    first: str
    headers: Mapping[str, str]


def parse_head(head: bytes) -> Head:
    """First line and headers of what stands before the empty line.

    Examples
    --------
    >>> parse_head(b"POST /predict HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 2")
    Head(first='POST /predict HTTP/1.1', headers={'host': 'a', 'content-length': '2'})
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name[0] in " \t" or name[-1] in " \t":
            raise UnreadableError
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(first, headers)


def body_length(headers: Mapping[str, str], otherwise: int) -> int:
    """Bytes of the body, `CHUNKED`, or *otherwise* where the headers do not say."""
    length = headers.get("content-length")
    encoding = headers.get("transfer-encoding")
    if encoding is not None:
        if length is not None or encoding.lower() != "chunked":
            raise UnreadableError
        return CHUNKED
    if length is None:
        return otherwise
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise UnreadableError
    return int(length)


class Framer:
    """Cuts one direction of a connection into messages.

    Parameters
    ----------
    head : callable
        Given the bytes before the empty line; says how long the body is: a number, `CHUNKED`, `TO_CLOSE` or
        `TUNNEL`.
    body : callable
        Given each part of a body, chunks undone.
    end : callable
        Called when a message is complete.

    Examples
    --------
    >>> bodies = []
    >>> framer = Framer(lambda head: body_length(parse_head(head).headers, 0), bodies.append, lambda: None)
    >>> framer.feed(b"POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nab")
    >>> framer.feed(b"c\\r\\n0\\r\\n\\r\\nGET / HTTP/1.1\\r\\n\\r\\n")
    >>> bodies, framer.between
    ([b'ab', b'c'], True)
    """

    __slots__ = ("_body", "_end", "_head", "_kept", "_left", "_read")

    def __init__(
        self,
        head: Callable[[bytes], int],
        body: Callable[[bytes], None],
        end: Callable[[], None],
    ) -> None:
        self._head = head
        self._body = body
        self._end = end
        self._kept = b""
        self._left = 0
        self._read: Callable[[bytes], bytes] | None = self._read_head

    @property
    def between(self) -> bool:
        """Whether no message has begun."""
        return not self._kept and self._read == self._read_head

    @property
    def tunnel(self) -> bool:
        """Whether what follows is no HTTP."""
        return self._read is None

    def feed(self, data: bytes) -> None:
        """Go on with *data*.

        Raises
        ------
        UnreadableError
            And then there is no use in giving it more.
        """
        if self._kept:
            data, self._kept = self._kept + data, b""
        while data and self._read is not None:
            data = self._read(data)

    def eof(self) -> None:
        """The stream has ended, which ends a body without a length."""
        if self._read == self._read_rest:
            self._read = self._read_head
            self._end()

    def _read_head(self, data: bytes) -> bytes:
        if data[0] in b"\r\n":  # empty lines before a message are passed over (RFC 9112, 2.2)
            data = data.lstrip(b"\r\n")
        at = data.find(_END)
        if at < 0:
            return self._keep(data, HEAD_BYTES)
        length = self._head(data[:at])
        if length == TUNNEL:
            self._read = None
            return b""
        if length == CHUNKED:
            self._read = self._read_size
        elif length == TO_CLOSE:
            self._read = self._read_rest
        elif length == 0:
            self._end()
        else:
            self._left = length
            self._read = self._read_length
        return data[at + 4 :]

    def _read_length(self, data: bytes) -> bytes:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            self._body(data)
            return b""
        self._read = self._read_head
        self._body(data[:left])
        self._end()
        return data[left:]

    def _read_rest(self, data: bytes) -> bytes:
        self._body(data)
        return b""

    def _read_size(self, data: bytes) -> bytes:
        at = data.find(b"\r\n")
        if at < 0:
            return self._keep(data, LINE_BYTES)
        size = data[:at].partition(b";")[0].strip(b" \t")
        if _SIZE.fullmatch(size) is None:  # int() takes "+5", "0x5" and "5_0" too, which are no sizes
            raise UnreadableError
        left = self._left = int(size, 16)
        self._read = self._read_chunk if left else self._read_trailer
        return data[at + 2 :]

    def _read_chunk(self, data: bytes) -> bytes:
        left = self._left
        if left:
            self._body(data[:left])
            self._left = max(0, left - len(data))
            if len(data) <= left:
                return b""
            data = data[left:]
        if len(data) < 2:
            return self._keep(data, LINE_BYTES)
        if data[:2] != b"\r\n":
            raise UnreadableError
        self._read = self._read_size
        return data[2:]

    def _read_trailer(self, data: bytes) -> bytes:
        at = data.find(b"\r\n")
        if at < 0:
            return self._keep(data, LINE_BYTES)
        if at == 0:
            self._read = self._read_head
            self._end()
        return data[at + 2 :]

    def _keep(self, data: bytes, most: int) -> bytes:
        if len(data) > most:
            raise UnreadableError
        self._kept = data
        return b""

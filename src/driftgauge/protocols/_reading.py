"""Bodies made readable: content encoding undone, limits held, JSON parsed."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

from driftgauge.errors import MissingExtraError
from driftgauge.protocols._types import Limits, Message

try:
    import msgspec
except ImportError as error:  # pragma: no cover - the tests' environment has it
    _ABSENT = "protocols need msgspec; pip install driftgauge[sidecar]"
    raise MissingExtraError(_ABSENT) from error

__all__ = [
    "Parsed",
    "Unfit",
    "content_type",
    "json_prefix",
    "open_body",
    "parse_json",
    "read_json",
    "undo_base64",
]

_parse: Final = msgspec.json.Decoder().decode
_python: Final = json.JSONDecoder(
    strict=False, parse_int=lambda text: int(text) if len(text) < 309 else float(text)
)
_MOST_ENCODINGS: Final = 3
_MOST_MEMBERS: Final = 64
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS  # zlib looks at the header to tell which
_RAW_DEFLATE: Final = -zlib.MAX_WBITS  # what some clients send as "deflate"
_ESCAPED: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_FORM: Final = "application/x-www-form-urlencoded"
_MAY_BE_JSON: Final = ("", "text/plain", "application/octet-stream", _FORM)


class Unfit(Exception):  # noqa: N818 - not an error of ours: the payload is what it is
    """A payload that cannot be decoded: a reason of `REASONS` and a detail without values."""

    def __init__(self, *, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Parsed(Message):
    """A message whose JSON has been read already."""

    __slots__ = ("value",)
    value: Any

    def __init__(self, message: Message, value: Any) -> None:
        super().__init__(message.body, message.headers, message.path)
        object.__setattr__(self, "value", value)


def content_type(headers: Mapping[str, str]) -> str:
    """The media type without parameters, in lower case; empty where there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def open_body(message: Message, limits: Limits) -> bytes:
    """The body with its content encoding undone.

    Raises
    ------
    Unfit
        When it is empty, too large or in an encoding that is not understood.
    """
    body = message.body
    if len(body) > limits.body_bytes:
        raise Unfit(reason="too_large", detail=f"{len(body)} bytes; at most {limits.body_bytes}")
    encoded = message.headers.get("content-encoding")
    if encoded:
        encodings = [each.strip().lower() for each in encoded.split(",")]
        if len(encodings) > _MOST_ENCODINGS:
            raise Unfit(
                reason="unsupported_encoding", detail=f"{len(encodings)} content encodings upon each other"
            )
        for encoding in reversed(encodings):
            body = _undo(body, encoding, limits)
    if not body:
        raise Unfit(reason="empty", detail="the body is empty")
    return body


def _undo(body: bytes, encoding: str, limits: Limits) -> bytes:
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unfit(
            reason="unsupported_encoding", detail="the content encoding is not gzip, deflate or identity"
        )
    if not body:
        raise Unfit(reason="empty", detail="the body is empty")
    try:
        return _inflate(body, _GZIP_OR_ZLIB, limits)
    except zlib.error as error:
        if encoding == "deflate":
            try:
                return _inflate(body, _RAW_DEFLATE, limits)
            except zlib.error:
                pass
        raise Unfit(reason="bad_encoding", detail="the body is not in its content encoding") from error


def _inflate(body: bytes, form: int, limits: Limits) -> bytes:
    """Inflate with the limit held on the way: a few kilobytes can hold gigabytes."""
    parts: list[bytes] = []
    left, rest = limits.decompressed_bytes, body
    while rest:  # gzip may come in several members, each of which copies the rest
        if len(parts) == _MOST_MEMBERS:
            raise Unfit(reason="bad_encoding", detail=f"more than {_MOST_MEMBERS} compressed members")
        stream = zlib.decompressobj(form)
        part = stream.decompress(rest, left + 1)
        left -= len(part)
        if left < 0:
            raise Unfit(
                reason="too_large", detail=f"more than {limits.decompressed_bytes} bytes after decompression"
            )
        if not stream.eof:
            raise Unfit(reason="truncated", detail="the compressed body ends too early")
        parts.append(part)
        rest = stream.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_json(message: Message, limits: Limits) -> Any:
    """The JSON value that a message holds, out of its content encoding, form or structured CloudEvent."""
    if type(message) is Parsed:
        return message.value
    body = open_body(message, limits)
    kind = content_type(message.headers)
    if kind == _FORM and body[:5].lower() == b"json=":  # Seldon's clients
        body = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), body[5:].replace(b"+", b" "))
    try:
        value = parse_json(body, limits)
    except Unfit as unfit:
        if unfit.reason in ("not_json", "not_utf8") and kind not in _MAY_BE_JSON and "json" not in kind:
            raise Unfit(
                reason="unsupported_content_type", detail="the content type is not JSON, nor the body"
            ) from unfit
        raise
    if kind == "application/cloudevents+json" and type(value) is dict:
        if "data_base64" in value:
            return parse_json(undo_base64(value["data_base64"]), limits)
        return value.get("data")
    return value


def parse_json(body: bytes, limits: Limits) -> Any:
    """The value of a JSON text in UTF-8. What Python writes besides, NaN and Infinity, is read too."""
    # 3 bytes of "{}," become 72 of memory: refuse before parsing. Commas within texts count too.
    commas = body.count(b",") + body.count(b"[") + body.count(b"{")
    if commas > limits.values:
        raise Unfit(reason="too_many_values", detail=f"{commas} commas and brackets; at most {limits.values}")
    with contextlib.suppress(ValueError):
        return _parse(body)
    # A second look at what msgspec refuses: NaN, 1e400, half a surrogate pair, a byte order mark.
    try:
        return _python.decode(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Unfit(reason="not_utf8", detail="the body is not UTF-8") from error
    except ValueError as error:
        blank = not body.strip()
        raise Unfit(reason="empty" if blank else "not_json", detail="the body is not JSON") from error


def json_prefix(body: bytes, limits: Limits) -> tuple[Any, int]:
    """A JSON value at the start of *body*, and where it ends.

    For binary tensors whose header length was lost, as KServe's payload logger does.
    """
    try:
        # latin-1 has one character a byte, so that places agree whatever follows.
        _, end = _python.raw_decode(body.decode("latin-1"))
    except ValueError as error:
        raise Unfit(reason="not_json", detail="the body does not start with JSON") from error
    return parse_json(body[:end], limits), end


def undo_base64(text: Any) -> bytes:
    """Bytes of a base64 text."""
    if type(text) is not str:
        raise Unfit(reason="wrong_type", detail=f"base64 is a {type(text).__name__}, not a text")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit(reason="bad_encoding", detail="a text is not base64") from error

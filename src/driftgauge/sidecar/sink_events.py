"""CloudEvents of payload loggers: bytes and headers of one POST in, halves of exchanges out.

==================  ===============================  ==================================================
mode                content type                     where the attributes are
==================  ===============================  ==================================================
binary              the payload's                    headers ``ce-id``, ``ce-type``, ``ce-…``
structured          application/cloudevents+json     keys of one object, the payload under ``data``
batched             …/cloudevents-batch+json         a list of such objects
log records         application/json, no ``ce-type`` KServe's `LogRequest`, as its stores write them
==================  ===============================  ==================================================

What KServe's payload logger does to a payload (``pkg/logger`` at aaac4e2): the response has the content type
of the *request*, headers are lost unless its ``metadataHeaders`` name them, and those that it has are the
request's in both events. So the content type of a response is believed only where the body agrees, and a
content encoding is known by its first two bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from driftgauge.errors import MissingExtraError
from driftgauge.protocols import Limits, Message

try:
    import msgspec
except ImportError as error:  # pragma: no cover - the tests' environment has it
    _ABSENT = "the sink needs msgspec; pip install driftgauge[sidecar]"
    raise MissingExtraError(_ABSENT) from error

__all__ = ["EVENT_TYPES", "Event", "Unreadable", "is_event", "read_events"]

EVENT_TYPES: Final = ("org.kubeflow.serving.inference.", "io.seldon.serving.inference.")
"""What the types of events begin with that are halves of exchanges; ``request`` or ``response`` follows."""

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
MOST_EVENTS: Final = 10_000  # in one batch
MOST_ID_CHARS: Final = 256  # a longer id is one of nobody's logger, and ids wait in memory
MOST_METADATA_CHARS: Final = 16_384

_GZIP: Final = b"\x1f\x8b"
# Those that a decoder reads. Others may hold secrets of the client.
_KEPT_HEADERS: Final = ("content-encoding", "inference-header-content-length")


@dataclass(frozen=True, slots=True)
class Event:
    """One half of an exchange.

    Parameters
    ----------
    is_request : bool
    key : tuple of str
        Id, service, namespace, component and endpoint: alike in both halves. The client may choose the id,
        so that it alone would pair halves of different services.
    stamp : str
        When it was sent, as text. An event that has key, half and stamp of another is that one, again.
    service, namespace : str
        Of the InferenceService; empty where the event does not say.
    message : Message
    """

    is_request: bool
    key: tuple[str, ...]
    stamp: str
    service: str
    namespace: str
    message: Message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why there is no event. Reasons are those of `driftgauge.protocols`, and ``unknown_type``."""

    reason: str
    detail: str


class _Structured(msgspec.Struct):
    """A CloudEvent in JSON. Only what is read; `msgspec.Raw` keeps the payload's very bytes."""

    id: str = ""
    type: str = ""
    time: str = ""
    datacontenttype: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None
    inferenceservicename: str = ""
    namespace: str = ""
    component: str = ""
    endpoint: str = ""
    metadata: str = ""


class _Record(msgspec.Struct, rename="pascal"):
    """KServe's `LogRequest` as Go's ``encoding/json`` writes it, for blob stores and remote marshallers."""

    bytes: str | None = None
    content_type: str = ""
    req_type: str = ""
    id: str = ""
    inference_service: str = ""
    namespace: str = ""
    component: str = ""
    endpoint: str = ""
    metadata: dict[str, list[str] | None] | None = None


_structured: Final = msgspec.json.Decoder(_Structured)
_structured_batch: Final = msgspec.json.Decoder(list[_Structured])
_record: Final = msgspec.json.Decoder(_Record)
_record_batch: Final = msgspec.json.Decoder(list[_Record])
_metadata: Final = msgspec.json.Decoder(dict[str, list[str] | str | None])


def is_event(headers: Mapping[str, str]) -> bool:
    """Whether headers are those of a CloudEvent, or of records in JSON. Names in lower case."""
    return bool(headers.get("ce-id") and headers.get("ce-type")) or _media_type(headers) in (
        STRUCTURED,
        BATCHED,
        "application/json",
    )


def read_events(
    headers: Mapping[str, str], body: bytes, limits: Limits | None = None
) -> list[Event | Unreadable]:
    """The halves of exchanges in one POST, and why there is none. It never raises.

    Parameters
    ----------
    headers : mapping of str to str
        Names in lower case.
    body : bytes
        As it came, in its content encoding.
    limits : Limits, optional

    Examples
    --------
    >>> headers = {"ce-id": "7", "ce-type": "org.kubeflow.serving.inference.request"}
    >>> (event,) = read_events(headers, b'{"instances": [[33]]}')
    >>> event.is_request, event.key[0], event.message.body
    (True, '7', b'{"instances": [[33]]}')
    """
    try:
        return _read(headers, body, limits or Limits())
    except msgspec.ValidationError:
        return [Unreadable("wrong_type", "an attribute of the event is not of the type that it should be")]
    except msgspec.DecodeError:
        return [Unreadable("not_json", "the event is not JSON")]
    except RecursionError:
        return [Unreadable("too_deep", "values are nested too deep to be read at all")]
    except Exception as error:
        return [Unreadable("internal_error", f"a {type(error).__name__} while an event was read")]


def _read(headers: Mapping[str, str], body: bytes, limits: Limits) -> list[Event | Unreadable]:
    if headers.get("ce-type"):
        return [_binary(headers, body)]
    kind = _media_type(headers)
    # Not before the binary mode: there the encoding is the payload's, and its decoder undoes it.
    opened = _inflated(headers, body, limits)
    if isinstance(opened, Unreadable):
        return [opened]
    several = opened.lstrip()[:1] == b"["
    if kind == STRUCTURED:
        return [_of_structured(_structured.decode(opened))]
    if kind == BATCHED:
        return _all_of(_structured_batch.decode(opened), _of_structured)
    if several:
        return _all_of(_record_batch.decode(opened), _of_record)
    return [_of_record(_record.decode(opened))]


def _all_of(found: Sequence[Any], make: Any) -> list[Event | Unreadable]:
    if len(found) > MOST_EVENTS:
        return [Unreadable("too_many_rows", f"{len(found)} events in a batch; at most {MOST_EVENTS}")]
    return [make(each) for each in found]


def _binary(headers: Mapping[str, str], body: bytes) -> Event | Unreadable:
    kept = {name: headers[name] for name in ("content-type", *_KEPT_HEADERS) if name in headers}
    return _event(
        headers.get("ce-id", ""),
        headers.get("ce-type", ""),
        headers.get("ce-time", ""),
        tuple(headers.get(f"ce-{name}", "") for name in _SERVICE),
        _from_metadata(headers.get("ce-metadata", "")) | kept,
        body,
    )


_SERVICE: Final = ("inferenceservicename", "namespace", "component", "endpoint")


def _of_structured(found: _Structured) -> Event | Unreadable:
    kind = found.datacontenttype
    if found.data_base64 is not None:
        try:
            body = base64.b64decode(found.data_base64, validate=True)
        except (binascii.Error, ValueError):
            return Unreadable("bad_encoding", "data_base64 is not base64")
    else:
        body = bytes(found.data)
        if body[:1] == b'"' and kind and "json" not in kind.lower():
            # Text of another type is a JSON string; of JSON the value itself is there.
            body = msgspec.json.decode(body, type=str).encode()
    headers = _from_metadata(found.metadata)
    if kind:
        headers["content-type"] = kind
    service = (found.inferenceservicename, found.namespace, found.component, found.endpoint)
    return _event(found.id, found.type, found.time, service, headers, body)


def _of_record(found: _Record) -> Event | Unreadable:
    try:
        body = base64.b64decode(found.bytes or "", validate=True)
    except (binascii.Error, ValueError):
        return Unreadable("bad_encoding", "Bytes is not base64")
    headers = {
        name.lower(): values[0]
        for name, values in (found.metadata or {}).items()
        if values and name.lower() in _KEPT_HEADERS
    }
    if found.content_type:
        headers["content-type"] = found.content_type
    service = (found.inference_service, found.namespace, found.component, found.endpoint)
    return _event(found.id, found.req_type, "", service, headers, body)


def _event(
    id_: str, type_: str, stamp: str, service: tuple[str, ...], headers: dict[str, str], body: bytes
) -> Event | Unreadable:
    start = next((start for start in EVENT_TYPES if type_.startswith(start)), None)
    half = type_[len(start) :] if start else ""
    if half not in ("request", "response"):
        return Unreadable("unknown_type", "the type of the event is not one of a payload logger")
    if not id_:
        return Unreadable("missing_key", "the event has no id")
    if any(len(text) > MOST_ID_CHARS for text in (id_, stamp, *service)):
        return Unreadable("too_large", f"an attribute of the event has more than {MOST_ID_CHARS} characters")
    is_request = half == "request"
    if not is_request:
        _believe_no_more_than_the_body(headers, body)
    if body[:2] == _GZIP:
        headers.setdefault("content-encoding", "gzip")
    return Event(is_request, (id_, *service), stamp, service[0], service[1], Message(body, headers))


def _believe_no_more_than_the_body(headers: dict[str, str], body: bytes) -> None:
    """Drop the headers of the request that a response event carries and its body belies."""
    headers.pop("inference-header-content-length", None)
    if body[:2] != _GZIP:
        headers.pop("content-encoding", None)
    if body[:64].lstrip()[:1] in (b"{", b"[") or body[:2] == _GZIP:
        headers.pop("content-type", None)


def _from_metadata(text: str) -> dict[str, str]:
    """Headers that the logger was told to keep: ``{"Name": ["value"]}``."""
    if len(text) < 3 or len(text) > MOST_METADATA_CHARS:
        return {}
    try:
        found = _metadata.decode(text)
    except msgspec.DecodeError:
        return {}
    kept = {}
    for name, values in found.items():
        value = values[0] if isinstance(values, list) and values else values
        if isinstance(value, str) and name.lower() in _KEPT_HEADERS:
            kept[name.lower()] = value
    return kept


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _inflated(headers: Mapping[str, str], body: bytes, limits: Limits) -> bytes | Unreadable:
    from driftgauge.protocols._reading import Unfit, open_body

    try:
        return open_body(Message(body, headers), limits)
    except Unfit as unfit:
        return Unreadable(unfit.reason, unfit.detail)

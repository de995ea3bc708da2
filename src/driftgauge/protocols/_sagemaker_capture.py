"""SageMaker DataCapture: each line of a file holds a request, a response, and when they were."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Final

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, read_json, undo_base64
from driftgauge.protocols._sagemaker import Sagemaker
from driftgauge.protocols._tables import Side
from driftgauge.protocols._types import Decoded, Limits, Message

__all__ = ["SagemakerCapture"]

_TYPES: Final = {"CSV": "text/csv", "JSON": "application/json"}


class SagemakerCapture(BaseDecoder):
    """The decoder ``sagemaker_capture``: one line is one message, and both halves of an exchange."""

    name = "sagemaker_capture"
    both_halves = True

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._inner = Sagemaker(limits)

    def read_request(self, message: Message, side: Side) -> Decoded:
        """What is under ``endpointInput``."""
        line = self._line(message)
        found = self._inner.read_request(_half(line, "endpointInput"), side)
        return dataclasses.replace(found, seconds=_seconds(line))

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:
        """What is under ``endpointOutput``."""
        line = self._line(message)
        found = self._inner.read_response(_half(line, "endpointOutput"), side, request)
        return dataclasses.replace(found, seconds=_seconds(line))

    def _line(self, message: Message) -> dict[str, Any]:
        line = read_json(message, self.limits)
        if type(line) is not dict:
            raise Unfit(reason="wrong_type", detail=f"a line is a {type(line).__name__}, not an object")
        return line


def _half(line: dict[str, Any], key: str) -> Message:
    captured = line.get("captureData")
    half = captured.get(key) if type(captured) is dict else None
    if type(half) is not dict:
        raise Unfit(reason="missing_key", detail=f"the line has no captureData.{key}")
    data, encoding = half.get("data"), half.get("encoding")
    if type(data) is not str:
        raise Unfit(reason="missing_key", detail=f"captureData.{key} has no data")
    if encoding == "BASE64":
        body = undo_base64(data)
    elif type(encoding) is str and encoding in _TYPES:
        body = data.encode("utf-8", "surrogatepass")  # what is no UTF-8 is told of when it is read
    else:
        raise Unfit(reason="unsupported_encoding", detail="the encoding is none of CSV, JSON and BASE64")
    observed = half.get("observedContentType")
    kind = observed if type(observed) is str else _TYPES.get(encoding, "")
    return Message(body, {"content-type": kind})


def _seconds(line: dict[str, Any]) -> float | None:
    """When the inference was; None where it is not said in a way that is understood."""
    event = line.get("eventMetadata")
    told = event.get("inferenceTime") if type(event) is dict else None
    if type(told) is not str:
        return None
    try:
        moment = datetime.datetime.fromisoformat(told)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return zoned.timestamp()
    except (ValueError, OverflowError):
        return None

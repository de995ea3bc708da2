"""The Open Inference Protocol, V2, over REST: JSON tensors, and binary ones after the JSON.

The binary extension tells the length of the JSON in the header ``Inference-Header-Content-Length``. A payload
logger may lose that header; then the JSON ends where it ends.
"""

from __future__ import annotations

from typing import Any

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, content_type, json_prefix, open_body, parse_json, read_json
from driftgauge.protocols._tables import Side
from driftgauge.protocols._tensors import Tensor, check_shape, from_tensors, json_values, raw_values
from driftgauge.protocols._types import Decoded, Limits, Message

__all__ = ["HEADER_LENGTH", "OpenInference"]

HEADER_LENGTH = "inference-header-content-length"
_MOST_DIGITS = 12


class OpenInference(BaseDecoder):
    """The decoder ``open_inference``."""

    name = "open_inference"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The tensors under ``inputs``."""
        return self._tensors(message, side, "inputs")

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """The tensors under ``outputs``."""
        return self._tensors(message, side, "outputs")

    def _tensors(self, message: Message, side: Side, key: str) -> Decoded:
        body, rest = _split(message, self.limits)
        if type(body) is not dict:
            raise Unfit(reason="wrong_type", detail=f"the body is a {type(body).__name__}, not an object")
        if key not in body:
            raise Unfit(reason="missing_key", detail=f"the body has no {key}")
        listed = body[key]
        if type(listed) is not list or any(type(each) is not dict for each in listed):
            raise Unfit(reason="wrong_type", detail=f"{key} are not a list of objects")
        side.check_columns(len(listed))
        tensors, place = [], 0
        for each in listed:
            name, datatype = each.get("name"), each.get("datatype")
            if type(name) is not str:
                raise Unfit(reason="missing_key", detail="a tensor has no name")
            shape = check_shape(each.get("shape"), datatype, self.limits)
            size = _binary_size(each)
            if size is None:
                if "data" not in each:
                    raise Unfit(reason="missing_key", detail="a tensor has no data")
                values: Any = json_values(each["data"], str(datatype), self.limits)
            else:
                if place + size > len(rest):
                    detail = f"{len(rest)} bytes of binary tensors; {place + size} announced"
                    raise Unfit(reason="truncated", detail=detail)
                values = raw_values(rest[place : place + size], str(datatype), shape)
                place += size
            tensors.append(Tensor(name, shape, values))
        if place != len(rest):
            detail = f"{len(rest)} bytes of binary tensors; {place} announced"
            raise Unfit(reason="wrong_length", detail=detail)
        return from_tensors(tensors, side)


def _binary_size(tensor: dict[str, Any]) -> int | None:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise Unfit(reason="wrong_type", detail="a binary_data_size is not a whole number of at least 0")
    return size


def _split(message: Message, limits: Limits) -> tuple[Any, memoryview]:
    """The JSON of a message, and the bytes after it."""
    length = message.headers.get(HEADER_LENGTH)
    if length is None:
        try:
            return read_json(message, limits), memoryview(b"")
        except Unfit as unfit:
            kind = content_type(message.headers)
            if unfit.reason not in ("not_json", "not_utf8", "unsupported_content_type") or "text" in kind:
                raise
        body = open_body(message, limits)
        value, end = json_prefix(body, limits)
        return value, memoryview(body)[end:]
    body = open_body(message, limits)
    text = length.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise Unfit(reason="wrong_length", detail=f"{HEADER_LENGTH} is not a whole number")
    end = int(text)
    if end > len(body):
        raise Unfit(reason="truncated", detail=f"{len(body)} bytes, {end} of them JSON")
    if end == 0:
        raise Unfit(reason="missing_key", detail="a raw body, without the JSON that names its tensors")
    return parse_json(body[:end], limits), memoryview(body)[end:]

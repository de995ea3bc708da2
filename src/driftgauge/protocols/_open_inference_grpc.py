"""The gRPC messages of the Open Inference Protocol, as something has logged them.

Protobuf bytes, with or without the five bytes that gRPC puts before a message, or their JSON form in either
spelling (``modelName``, ``model_name``). Tensors have typed contents, or raw ones as Triton always answers.
"""

from __future__ import annotations

from typing import Any, Final

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._open_inference_messages import infer_messages
from driftgauge.protocols._reading import Unfit, open_body, parse_json, undo_base64
from driftgauge.protocols._tables import Side
from driftgauge.protocols._tensors import Tensor, check_shape, from_tensors, json_values, raw_values
from driftgauge.protocols._types import Decoded, Limits, Message

__all__ = ["OpenInferenceGrpc"]

_CONTENTS: Final = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_FRAME: Final = 5
_NAMED_NUMBERS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class OpenInferenceGrpc(BaseDecoder):
    """The decoder ``open_inference_grpc``."""

    name = "open_inference_grpc"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._request, self._response = infer_messages()

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The tensors of a ModelInferRequest."""
        return self._tensors(message, side, self._request, "inputs", "raw_input_contents")

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """The tensors of a ModelInferResponse."""
        return self._tensors(message, side, self._response, "outputs", "raw_output_contents")

    def _tensors(self, message: Message, side: Side, kind: Any, key: str, raw_key: str) -> Decoded:
        body = _unframed(open_body(message, self.limits), message, self.limits)
        if body.lstrip()[:1] == b"{":  # as a protobuf tag this would be the end of a group that never began
            found = _Json(parse_json(body, self.limits))
            return from_tensors(self._from_json(found, side, key, raw_key), side)
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

        _check_size(body, self.limits)
        parsed = kind()
        try:
            parsed.ParseFromString(body)
        except DecodeError as error:
            raise Unfit(reason="not_protobuf", detail="the body is not a message of protobuf") from error
        listed, raws = getattr(parsed, key), getattr(parsed, raw_key)
        if not listed:
            raise Unfit(reason="missing_key", detail=f"the message has no {key}")
        _check_counts(len(listed), len(raws), side)
        tensors = []
        for place, each in enumerate(listed):
            datatype = each.datatype
            # one more than there may be: a dimension takes a byte, and 24 in a list
            shape = check_shape(list(each.shape[: self.limits.depth + 1]), datatype, self.limits)
            if raws:
                values: Any = raw_values(memoryview(raws[place]), datatype, shape)
            else:
                typed = getattr(each.contents, _typed(datatype))
                if len(typed) > self.limits.values:
                    detail = f"{len(typed)} elements; at most {self.limits.values}"
                    raise Unfit(reason="too_many_values", detail=detail)
                values = list(typed)
                if datatype == "BYTES":
                    values = [value.decode("utf-8", "replace") for value in values]
            tensors.append(Tensor(each.name, shape, values))
        return from_tensors(tensors, side)

    def _from_json(self, found: _Json, side: Side, key: str, raw_key: str) -> list[Tensor]:
        listed, raws = found.listed(key), found.listed(raw_key)
        if not listed:
            raise Unfit(reason="missing_key", detail=f"the message has no {key}")
        _check_counts(len(listed), len(raws), side)
        tensors = []
        for place, value in enumerate(listed):
            each = _Json(value)
            datatype = each.get("datatype")
            shape = check_shape([_whole(size) for size in each.listed("shape")], datatype, self.limits)
            if raws:
                values: Any = raw_values(memoryview(undo_base64(raws[place])), datatype, shape)
            else:
                contents = each.get("contents")
                typed = [] if contents is None else _Json(contents).listed(_typed(datatype))
                values = json_values(_plain(typed, datatype), datatype, self.limits)
            name = each.get("name")
            tensors.append(Tensor(name if type(name) is str else "", shape, values))
        return tensors


class _Json:
    """An object of protobuf's JSON form, whose keys are in one of two spellings."""

    def __init__(self, value: Any) -> None:
        if type(value) is not dict:
            raise Unfit(reason="wrong_type", detail=f"a message is a {type(value).__name__}, not an object")
        self._value: dict[str, Any] = value

    def get(self, name: str) -> Any:
        """What is under a name of the .proto file, in either spelling; None where nothing is."""
        if name in self._value:
            return self._value[name]
        first, *rest = name.split("_")
        return self._value.get(first + "".join(map(str.capitalize, rest)))

    def listed(self, name: str) -> list[Any]:
        """The list under a name; empty where nothing is, as protobuf leaves out what is empty."""
        value = self.get(name)
        if value is None:
            return []
        if type(value) is not list:
            raise Unfit(reason="wrong_type", detail=f"{name} is a {type(value).__name__}, not a list")
        return value


def _check_counts(tensors: int, raws: int, side: Side) -> None:
    side.check_columns(tensors)
    if raws not in (0, tensors):
        raise Unfit(reason="wrong_length", detail=f"{raws} raw contents for {tensors} tensors")


def _check_size(body: bytes, limits: Limits) -> None:
    """Refuse tensors without number before they are parsed: an empty one takes 2 bytes, and 73 in memory."""
    fields, place, end = 0, 0, len(body)
    most = 2 * limits.columns + 1_000  # tensors, their raw contents and the rest
    if end < 2 * most:
        return
    while place < end:
        fields += 1
        if fields > most:
            raise Unfit(reason="too_many_columns", detail=f"more than {most} fields")
        tag, place = _varint(body, place)
        wire = tag & 7
        if wire == 2:
            size, place = _varint(body, place)
            place += size
        elif wire == 0:
            _, place = _varint(body, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            return  # groups: whatever the runtime makes of them, it is small


def _varint(body: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift, byte in enumerate(body[place : place + 10]):
        number |= (byte & 127) << 7 * shift
        if byte < 128:
            return number, place + shift + 1
    raise Unfit(reason="not_protobuf", detail="the body is not a message of protobuf")


def _typed(datatype: str) -> str:
    field = _CONTENTS.get(datatype)
    if field is None:
        raise Unfit(reason="unsupported_datatype", detail=f"{datatype} has no typed contents")
    return field


def _whole(value: Any) -> Any:
    """An int64, which protobuf's JSON writes as a text."""
    if type(value) is str and value.isascii() and len(value) <= 20 and value.lstrip("-").isdigit():
        try:
            return int(value)
        except ValueError:  # "--1"
            return value
    return value


def _plain(values: list[Any], datatype: str) -> list[Any]:
    if datatype == "BYTES":
        return [undo_base64(value).decode("utf-8", "replace") for value in values]
    if datatype in ("INT64", "UINT64"):
        return [_whole(value) for value in values]
    if str in set(map(type, values)):
        return [_NAMED_NUMBERS.get(value, value) if type(value) is str else value for value in values]
    return values


def _unframed(body: bytes, message: Message, limits: Limits) -> bytes:
    """The message without gRPC's frame: a byte that says whether it is compressed, and its length in four.

    No message of protobuf starts with 0 or 1: there is no field of number 0.
    """
    if body[0] > 1:
        return body
    if len(body) < _FRAME or int.from_bytes(body[1:_FRAME], "big") != len(body) - _FRAME:
        raise Unfit(reason="truncated", detail="a frame of gRPC is shorter or longer than it says")
    inner = body[_FRAME:]
    if body[0] == 0:
        if not inner:
            raise Unfit(reason="empty", detail="the message is empty")
        return inner
    encoding = message.headers.get("grpc-encoding", "gzip")
    return open_body(Message(inner, {"content-encoding": encoding}), limits)

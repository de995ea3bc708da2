"""Seldon V1: ``{"data": {"names": […], "ndarray" or "tensor" or "tftensor": …}}``, or ``{"jsonData": …}``.

Models of Seldon are given the values in order, and names beside them, which most do not look at. So where the
reference has none of the names, values are named by their position, which is what the model sees.
"""

from __future__ import annotations

from typing import Any, Final

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, read_json, undo_base64
from driftgauge.protocols._tables import Side, flatten, from_any, from_matrix, from_rows
from driftgauge.protocols._tensorflow import only_key, rows_of
from driftgauge.protocols._tensors import Tensor, check_shape, from_tensors, json_values, raw_values
from driftgauge.protocols._types import Decoded, Message

__all__ = ["Seldon"]

_TFTENSORS: Final = {
    "DT_FLOAT": ("FP32", "floatVal"),
    "DT_DOUBLE": ("FP64", "doubleVal"),
    "DT_INT32": ("INT32", "intVal"),
    "DT_INT64": ("INT64", "int64Val"),
    "DT_BOOL": ("BOOL", "boolVal"),
}


class Seldon(BaseDecoder):
    """The decoder ``seldon``."""

    name = "seldon"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The values of ``data`` or ``jsonData``."""
        return self._values(message, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """The values of ``data`` or ``jsonData``."""
        return self._values(message, side)

    def _values(self, message: Message, side: Side) -> Decoded:
        key, data = only_key(read_json(message, self.limits), ("data", "jsonData", "strData", "binData"))
        if key == "jsonData":
            return from_any(data, side)
        if key != "data":
            raise Unfit(reason="unsupported_datatype", detail=f"{key} has no columns")
        form, value = only_key(data, ("ndarray", "tensor", "tftensor"))
        names = data.get("names") or []
        if type(names) is not list or any(type(name) is not str for name in names):
            raise Unfit(reason="wrong_type", detail="names are not a list of texts")
        if form == "ndarray":
            rows = rows_of(value)
        elif form == "tensor":
            rows = self._rows(value)
        else:
            return from_tensors([self._tftensor(value)], side)
        if names and rows and all(type(row) is list and len(row) == len(names) for row in rows):
            return from_matrix(names, rows, side, or_by_position=True)
        return from_rows(rows, side)

    def _rows(self, tensor: Any) -> list[Any]:
        if type(tensor) is not dict or type(tensor.get("values")) is not list:
            raise Unfit(reason="wrong_type", detail="a tensor is not an object with values")
        shape = check_shape(tensor.get("shape"), "FP64", self.limits)
        values = flatten(tensor["values"], self.limits)
        made = Tensor("", shape, values)
        if made.rows * made.width != len(values):
            raise Unfit(reason="wrong_shape", detail=f"{len(values)} values in a tensor of shape {shape}")
        if len(shape) < 2 or not made.width:
            return values
        return [values[start : start + made.width] for start in range(0, len(values), made.width)]

    def _tftensor(self, value: Any) -> Tensor:
        if type(value) is not dict:
            raise Unfit(reason="wrong_type", detail="a tftensor is not an object")
        datatype, field = _TFTENSORS.get(str(value.get("dtype")), ("", ""))
        declared = value.get("tensorShape")
        dims = declared.get("dim", []) if type(declared) is dict else None
        if type(dims) is not list or any(type(dim) is not dict for dim in dims):
            raise Unfit(reason="wrong_shape", detail="a tftensor has no tensorShape")
        sizes = [dim.get("size") for dim in dims]
        whole = [int(size) if type(size) is str and _is_size(size) else size for size in sizes]
        shape = check_shape(whole, datatype, self.limits)
        if "tensorContent" in value:
            raw = memoryview(undo_base64(value["tensorContent"]))
            return Tensor("", shape, raw_values(raw, datatype, shape))
        values = json_values(value.get(field, []), datatype or "FP64", self.limits)
        return Tensor("", shape, values)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20

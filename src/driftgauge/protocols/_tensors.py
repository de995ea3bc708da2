"""Tensors of the Open Inference Protocol, turned into named columns.

A tensor whose name is a feature's is that feature's column. One of another name and of width k gives the
features ``name_0`` to ``name_k-1`` where the reference has them. A single tensor of another name is all
features in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftgauge.protocols._reading import Unfit
from driftgauge.protocols._tables import ATOMS, Side, flatten
from driftgauge.protocols._types import Column, Decoded, Limits

__all__ = ["DATATYPES", "Tensor", "check_shape", "from_tensors", "json_values", "raw_values"]

DATATYPES: Final = {
    "BOOL": np.dtype("?"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype("<u2"),
    "BYTES": np.dtype("V"),
}
"""Of one element as it lies in a binary tensor; BYTES have a length of four bytes before each."""

_NUMERIC: Final = frozenset({int, float, bool, type(None)})


class Tensor(NamedTuple):
    """One tensor: its elements are flat, in row-major order."""

    name: str
    shape: tuple[int, ...]
    values: Sequence[Any] | NDArray[Any]

    @property
    def rows(self) -> int:
        """The first dimension; a tensor without dimensions is one row."""
        return self.shape[0] if self.shape else 1

    @property
    def width(self) -> int:
        """Values of one row."""
        return prod(self.shape[1:])

    def columns(self, names: Sequence[str], side: Side) -> dict[str, Column]:
        """Named columns, of as many names as a row has values."""
        width, values = len(names), self.values
        if isinstance(values, np.ndarray):
            return {name: values[place::width] for place, name in enumerate(names)}
        return {name: side.clean(values[place::width]) for place, name in enumerate(names)}


def check_shape(shape: Any, datatype: Any, limits: Limits) -> tuple[int, ...]:
    """A tensor's shape as a tuple; refused where it or the datatype is none."""
    if type(shape) is not list or not all(type(size) is int and size >= 0 for size in shape):
        raise Unfit(reason="wrong_shape", detail="a shape is not a list of whole numbers of at least 0")
    if len(shape) > limits.depth:
        raise Unfit(reason="too_deep", detail=f"more than {limits.depth} dimensions")
    if type(datatype) is not str or datatype not in DATATYPES:
        raise Unfit(reason="unsupported_datatype", detail="a datatype is not one of the protocol's")
    return tuple(shape)


def json_values(data: Any, datatype: str, limits: Limits) -> list[Any]:
    """Elements as JSON has them: nested or flat, of a type that goes with the datatype."""
    values = flatten(data, limits) if type(data) is list else [data]
    kinds = set(map(type, values))
    allowed = ATOMS if datatype == "BYTES" else _NUMERIC
    if not kinds <= allowed:
        found = sorted(kind.__name__ for kind in kinds - allowed)
        raise Unfit(reason="wrong_type", detail=f"an element of a {datatype} tensor is a {found[0]}")
    return values


def raw_values(raw: memoryview, datatype: str, shape: tuple[int, ...]) -> Sequence[Any] | NDArray[Any]:
    """Elements of a little-endian binary tensor."""
    size = prod(shape)
    if datatype == "BYTES":
        return _texts(raw, size)
    dtype = DATATYPES[datatype]
    if len(raw) != size * dtype.itemsize:
        came = f"{len(raw)} bytes for {size} elements of {datatype}"
        raise Unfit(reason="wrong_length", detail=came)
    if datatype == "BF16":  # the upper half of a float32
        return (np.frombuffer(raw, dtype).astype(np.uint32) << 16).view(np.float32)
    # a copy: the tensor may lie at any address, and would keep the whole body in memory
    values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
    return values.astype(bool) if datatype == "BOOL" else values


def _texts(raw: memoryview, size: int) -> list[str]:
    if 4 * size > len(raw):
        raise Unfit(reason="truncated", detail=f"{len(raw)} bytes for {size} elements of BYTES")
    found, start = [], 0
    for _ in range(size):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if end > len(raw) or start + 4 > len(raw):
            raise Unfit(reason="truncated", detail="an element of BYTES ends after the tensor")
        found.append(str(raw[start + 4 : end], "utf-8", "replace"))
        start = end
    if start != len(raw):
        raise Unfit(reason="wrong_length", detail="a tensor of BYTES goes on after its last element")
    return found


def from_tensors(tensors: Sequence[Tensor], side: Side) -> Decoded:
    """Named columns of all tensors that the reference knows."""
    if not tensors:
        raise Unfit(reason="empty", detail="there are no tensors")
    side.check_columns(len(tensors))
    for each in tensors:
        if prod(each.shape) != len(each.values):
            came = f"{len(each.values)} elements in a tensor of shape {list(each.shape)}"
            raise Unfit(reason="wrong_shape", detail=came)
    columns: dict[str, Column] = {}
    rows = 0
    for each in tensors:
        name, width = each.name, each.width
        if name not in side.known:
            names = side.parts(name, width) if each.rows else None
            if names is None:
                continue
        elif width == 1:
            names = [name]
        elif len(tensors) == 1:  # features together, and their name is by accident that of one
            continue
        else:
            detail = f"a tensor of one feature has {width} values a row"
            raise Unfit(reason="wrong_shape", detail=detail)
        side.check_rows(each.rows)
        if rows not in (0, each.rows):
            raise Unfit(reason="wrong_length", detail=f"tensors of {rows} and of {each.rows} rows")
        rows = each.rows
        if not columns.keys().isdisjoint(names):
            raise Unfit(reason="several_keys", detail="two tensors have the same name")
        columns |= each.columns(names, side)
    if columns:
        return side.decoded(columns, rows, names_given=True)
    if len(tensors) > 1:
        raise side.unknown()
    return _by_position(tensors[0], side)


def _by_position(only: Tensor, side: Side) -> Decoded:
    width = len(side.expected)
    if only.width != width and only.shape == (width,):  # one row, of a model without a batch dimension
        only = Tensor(only.name, (1, width), only.values)
    if only.width != width:
        side.check_columns(only.width)
        raise side.misfit(only.width)
    side.check_rows(only.rows)
    return side.decoded(only.columns(side.expected, side), only.rows, names_given=False)

"""Plain values and arrays as bytes and back. Nothing is pickled; what does not fit is a ValueError."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Arrays", "Header", "pack", "unpack"]

Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

FORMAT: Final = 1
_LENGTH: Final = struct.Struct("<I")
_DTYPES: Final = frozenset({"<f8", "<f4", "<i8", "<u8", "<u4", "<u2", "|u1"})
_ALIGNED: Final = 8


def pack(kind: str, header: Header, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Bytes of a header of JSON values and of *arrays*."""
    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    described = {
        "format": FORMAT,
        "kind": kind,
        "header": header,
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in held.items()],
    }
    text = json.dumps(described, separators=(",", ":"), allow_nan=False).encode()
    parts = [_LENGTH.pack(len(text)), text, bytes(-(_LENGTH.size + len(text)) % _ALIGNED)]
    for array in held.values():
        parts += [array.tobytes(), bytes(-array.nbytes % _ALIGNED)]
    return b"".join(parts)


def unpack(kind: str, data: bytes) -> tuple[Header, Arrays]:
    """What `pack` was given; the arrays cannot be written to.

    Raises
    ------
    ValueError
        Another kind or format, or the bytes do not add up.
    """
    if len(data) < _LENGTH.size:
        message = f"{len(data)} bytes are too few"
        raise ValueError(message)
    (length,) = _LENGTH.unpack_from(data)
    described = json.loads(data[_LENGTH.size : _LENGTH.size + length])
    if not isinstance(described, dict) or described.get("format") != FORMAT or described.get("kind") != kind:
        message = f"this is no {kind} of format {FORMAT}; another version of driftgauge wrote it"
        raise ValueError(message)
    at = _LENGTH.size + length
    at += -at % _ALIGNED
    arrays: Arrays = {}
    for name, dtype, shape in described["arrays"]:
        if dtype not in _DTYPES or not all(isinstance(size, int) and size >= 0 for size in shape):
            message = f"{name} is no array of plain numbers"
            raise ValueError(message)
        count = math.prod(shape)
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape)  # ValueError when it is too short
        at += arrays[name].nbytes
        at += -at % _ALIGNED
    return dict(described["header"]), arrays

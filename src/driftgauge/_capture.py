"""Safe snapshots of what predict was given and what it returned, taken while the host waits.

Inputs are captured before predict runs, because it may change them; outputs after. What is captured, by form:

=============================  ==================================================  ==========================
what comes                     what is kept                                        not safe
=============================  ==================================================  ==========================
array, one row of float64/32   its bytes                                           —
array, other                   a copy; of an object array the references           mutable objects in it
torch tensor on the CPU        a copy of ``detach().cpu().numpy()``                —
frame of any kind, one row     its values, or the bytes of ``to_numpy()``           mutable objects in cells
pandas frame, other            ``copy()``, deep also where copy-on-write is on     mutable objects in cells
polars frame, other            ``clone()``: shared buffers that never change        writing to NumPy memory
                                                                                   that it was made from
pyarrow table, batch, other    the object itself: it never changes                 writing to NumPy memory
                                                                                   that it was made from
dict of scalars                a shallow copy                                      mutable values in it
dict of columns, list of rows  a copy of each column or row                        mutable objects in them
scalar                         the object itself                                   —
=============================  ==================================================  ==========================

pandas 3 copies on write, so a shallow copy would do, except for a frame over a NumPy array that the host
still writes to (``DataFrame(array, copy=False)``: measured, the shallow copy changed). Deep costs 13.3 µs
at 1,000 rows x 20 columns, shallow 8.4 µs (pandas 3.1): 5 µs buy a rule without exceptions.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ATOMS",
    "FLOAT32",
    "FLOAT64",
    "NAMED",
    "RECORD",
    "SHAPE",
    "UNSUPPORTED",
    "VALUES",
    "Call",
    "Named",
    "Refused",
    "count_rows",
    "freeze",
    "freeze_frame",
    "is_atom",
    "is_one_dtype",
    "kind_of",
    "looks_like_data",
    "open_series",
    "other_rows",
    "to_array",
]

SHAPE: Final = "shape_mismatch"
UNSUPPORTED: Final = "unsupported_type"

FLOAT64: Final = np.dtype(np.float64)
FLOAT32: Final = np.dtype(np.float32)

RECORD: Final = "record"
NAMED: Final = "named"
VALUES: Final = "values"
"""What one row was, where it was no plain array: a dict of scalars, numbers with names, a row of a frame."""

ATOMS: Final = frozenset(
    {float, int, bool, str, bytes, type(None), np.bool_, np.str_}
    | {np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8}
    | {np.uint64, np.uint32, np.uint16, np.uint8}
)
"""Types of one value, immutable, so that a reference is a snapshot."""

Chosen = NDArray[np.int64] | None
"""Positions of the rows to keep, rising; None for all."""


_NO_DATA: Final = frozenset({"atom", "other"})


class Refused(Exception):  # noqa: N818 - not an error of ours: the data is what it is
    """Data that cannot be recorded: a drop reason, how many rows, and what came, without its values."""

    def __init__(self, reason: str, rows: int, came: str) -> None:
        super().__init__(reason, rows, came)
        self.reason = reason
        self.rows = rows
        self.came = came


class Named(NamedTuple):
    """One row of numbers with the names of its columns: an index object or a sequence, by reference."""

    raw: bytes
    dtype: np.dtype[Any]
    columns: Any


class Call:
    """What is known of one watched call until the background thread has it."""

    __slots__ = ("chosen", "data", "names", "result", "rows", "tokens", "total")

    def __init__(self, *, total: int, rows: int, chosen: Chosen, tokens: int, names: tuple[str, ...]) -> None:
        self.total = total
        self.rows = rows
        self.chosen = chosen
        self.tokens = tokens
        self.names = names
        self.data: Any = None
        self.result: Any = None


Kind = Literal["array", "atom", "frame", "mapping", "other", "sequence", "series", "tensor"]


def _kind(cls: type) -> Kind:
    if issubclass(cls, np.ndarray | np.void):  # a row of a structured array is np.void
        return "array"
    if issubclass(cls, Mapping):
        return "mapping"
    if issubclass(cls, list | tuple):
        return "sequence"
    plain = numbers.Number | np.generic | str | bytes | datetime.date | datetime.time | datetime.timedelta
    if issubclass(cls, plain) or cls.__name__ in {"NoneType", "NAType", "NaTType"}:
        return "atom"
    if hasattr(cls, "detach") and hasattr(cls, "cpu"):
        return "tensor"
    if hasattr(cls, "column_names") or (hasattr(cls, "columns") and hasattr(cls, "__len__")):
        return "frame"
    return "series" if hasattr(cls, "to_frame") and hasattr(cls, "to_numpy") else "other"


# Asked of the class, once: a failing ``hasattr`` on a pandas frame takes 3 µs, and there were five.
kind_of: Callable[[type], Kind] = lru_cache(maxsize=256)(_kind)
"""What instances of a class are for us."""


def is_atom(value: object) -> bool:
    """Whether *value* is one immutable value."""
    return type(value) in ATOMS or kind_of(type(value)) == "atom"


def looks_like_data(value: object) -> bool:
    """Whether *value* may hold the inputs of a model: anything with rows, columns or keys."""
    return kind_of(type(value)) not in _NO_DATA


def to_array(tensor: Any) -> NDArray[Any]:
    """The NumPy array of a tensor, known by what it can do; it may share the tensor's memory."""
    tensor = tensor.detach().cpu()
    try:
        return np.asarray(tensor.numpy())
    except TypeError:  # bfloat16 has no NumPy counterpart
        return np.asarray(tensor.float().numpy())


def open_series(data: Any, names: Collection[str]) -> Any:
    """What a series stands for: one row, if its index has some of *names*, else a column or an array."""
    if kind_of(type(data)) != "series":
        return np.array(data) if isinstance(data, np.void) else data
    if hasattr(data, "iloc") and any(str(entry) in names for entry in data.index):
        return dict(zip(map(str, data.index), data.tolist(), strict=True))
    return data.to_frame() if len(names) == 1 else data.to_numpy()


def other_rows(data: Any) -> int:
    """Rows of what is no data for us, such as a sparse matrix."""
    shape = getattr(data, "shape", None)
    return int(shape[0]) if isinstance(shape, tuple) and len(shape) == 2 else 1


def count_rows(data: Any, width: int, known: Collection[str] = ()) -> int:
    """Rows of *data* when *width* columns are expected of what has no names.

    Of a dict the columns *known* are looked at, and all where it has none of them.

    Raises
    ------
    Refused
        When it cannot hold rows of that width, or is no data at all.
    """
    kind = kind_of(type(data))
    if kind == "array":
        return _array_rows(data, width)
    if kind == "mapping":
        if not data:
            raise Refused(SHAPE, 1, "an empty dict")
        values = [value for key, value in data.items() if str(key) in known] or data.values()
        return next((len(value) for value in values if _is_sized(value)), 1)
    if kind == "sequence":
        if data and is_atom(data[0]):
            return _vector_rows(len(data), width, "a list")
        return len(data)
    if kind == "frame":
        return int(data.num_rows if hasattr(type(data), "num_rows") else len(data))
    if kind == "tensor":
        return _array_rows(to_array(data), width)
    if kind == "atom":
        return _vector_rows(1, width, "one value")
    raise Refused(UNSUPPORTED, other_rows(data), f"a {type(data).__name__}")


def _is_sized(value: Any) -> bool:
    return not is_atom(value) and getattr(value, "ndim", 1) != 0 and hasattr(value, "__len__")


def _array_rows(array: NDArray[Any], width: int) -> int:
    if array.dtype.names is not None:
        return int(array.size)
    if array.ndim < 2:
        return _vector_rows(int(array.size), width, f"an array of shape {array.shape}")
    if array.ndim == 2 and array.shape[1] == width:
        return int(array.shape[0])
    raise Refused(SHAPE, int(array.shape[0]), f"an array of shape {array.shape}")


def _vector_rows(size: int, width: int, came: str) -> int:
    if width == 1:
        return size
    if size == width:
        return 1
    raise Refused(SHAPE, 1, f"{came} of {size} values")


def freeze(data: Any, chosen: Chosen, *, only: Collection[str] | None = None) -> Any:
    """A snapshot of *data*, of the rows *chosen* only, that no later change of *data* reaches.

    Parameters
    ----------
    data
        What `count_rows` has accepted.
    chosen : int64[k] or None
        Positions of the rows to keep, rising; None for all.
    only : collection of str, optional
        Columns that are wanted of a dict of columns; the others keep their name and nothing else.
    """
    kind = kind_of(type(data))
    if kind == "tensor":
        data, kind = to_array(data), "array"
    if kind == "array":
        return data.copy() if chosen is None else data[chosen]
    if kind == "mapping":
        if all(is_atom(value) for key, value in data.items() if only is None or str(key) in only):
            return dict(data)
        return {
            key: _freeze_column(value, chosen) if only is None or str(key) in only else None
            for key, value in data.items()
        }
    if kind == "sequence":
        rows = data if chosen is None else [data[place] for place in chosen.tolist()]
        return list(rows) if data and is_atom(data[0]) else [_freeze_row(row) for row in rows]
    if kind == "frame":
        return freeze_frame(data, chosen)
    return data


def _freeze_column(column: Any, chosen: Chosen) -> Any:
    kind = kind_of(type(column))
    if kind == "tensor":
        column, kind = to_array(column), "array"
    if kind == "array":
        return column.copy() if chosen is None or not column.ndim else column[chosen]
    if kind == "series":
        return freeze_frame(column, chosen)
    if kind == "sequence" or isinstance(column, range):
        return list(column) if chosen is None else [column[place] for place in chosen.tolist()]
    return column


def _freeze_row(row: Any) -> Any:
    kind = kind_of(type(row))
    if kind == "mapping":
        return dict(row)
    if kind == "tensor":
        row, kind = to_array(row), "array"
    if kind == "array":
        return row.tolist()
    return list(row) if kind == "sequence" else row


def is_one_dtype(frame: Any, values: NDArray[Any]) -> bool:
    """Whether *values*, the ``to_numpy()`` of a pandas frame, are in the dtype of every column.

    A read-only array is a view (pandas 3), which only columns of one dtype have: `dtypes` takes 15 µs.
    """
    return not values.flags.writeable or len(set(frame.dtypes)) == 1


def freeze_frame(frame: Any, chosen: Chosen) -> Any:
    """`freeze` of a frame or a series of one."""
    cls = type(frame)
    if hasattr(cls, "iloc"):  # pandas and its like
        if chosen is not None:
            return frame.iloc[chosen]
        return frame.copy()
    if chosen is not None:
        return frame.take(chosen) if hasattr(cls, "num_rows") else frame[chosen]
    return frame.clone() if hasattr(cls, "clone") else frame

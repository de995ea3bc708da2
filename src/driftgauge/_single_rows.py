"""One row of a data frame or of columns, as plain values, so that neighbours are put together later.

A frame of one row costs the background thread as much as one of a thousand, 1 to 2 ms for 20 columns. As a
tuple of values it costs what a dict does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge._capture import Named, is_atom, is_one_dtype, kind_of, to_array

__all__ = ["FrameRow", "FrameRows", "names_of", "record_of", "same_columns", "singles_of"]

CELLS: Final = 32  # up to here one look-up a cell, 1.7 µs each; beyond, all at once and their dtypes, 36 µs

_SINGLE: Final = frozenset({np.float32, np.float16})
_SINGLE_NAMES: Final = frozenset({"Float32", "Float16", "float", "halffloat"})  # of polars and of Arrow


class FrameRow(NamedTuple):
    """One row of a frame.

    `columns` is what names the values: a pandas index, a list or tuple of names, or an Arrow schema. `types`
    are the polars or Arrow types of the values, or None where the values themselves are of NumPy's.
    """

    values: Sequence[Any]
    columns: Any
    types: Sequence[Any] | None


def _find_library(cls: type) -> str | None:
    roots = (base.__module__.partition(".")[0] for base in cls.__mro__)
    return next((root for root in roots if root in {"pandas", "polars", "pyarrow"}), None)


_library: Callable[[type], str | None] = lru_cache(maxsize=64)(_find_library)


def names_of(columns: Any) -> tuple[str, ...]:
    """Names in a pandas index, a sequence of names or an Arrow schema, as text."""
    return tuple(map(str, columns.names if hasattr(columns, "metadata") else columns))


def singles_of(values: Sequence[Any], types: Sequence[Any] | None) -> tuple[int, ...]:
    """Places of the values that came as float32 or float16."""
    if types is None:
        kinds = list(map(type, values))
        return () if _SINGLE.isdisjoint(kinds) else tuple(i for i, k in enumerate(kinds) if k in _SINGLE)
    # A polars type is a class or an instance of it, an Arrow type a text.
    named = [getattr(kind, "__name__", None) or _type_name(kind) for kind in types]
    return tuple(place for place, name in enumerate(named) if name in _SINGLE_NAMES)


def _type_name(kind: Any) -> str:
    name = type(kind).__name__
    return str(kind) if name == "DataType" else name


class FrameRows:
    """Takes the row out of frames of one row.

    Parameters
    ----------
    known : frozenset of str
        The columns that are wanted. Of a frame that has all of them and more, the others are left behind.
    numeric : bool
        Whether all of them are numeric: then one row of one dtype is kept as bytes.
    """

    def __init__(self, known: frozenset[str], *, numeric: bool) -> None:
        self._known = known
        self._numeric = numeric
        self._seen: tuple[Any, tuple[int, ...], tuple[str, ...]] = (None, (), ())

    def read(self, frame: Any) -> Named | FrameRow | None:
        """The one row of *frame*; None where it must be kept as it is."""
        library = _library(type(frame))
        if library == "pandas":
            return self._pandas(frame)
        if library == "polars":
            return self._chosen(frame.row(0), frame.columns, frame.dtypes)
        if library == "pyarrow":
            try:
                return self._arrow(frame)
            except (ValueError, ImportError):  # nanoseconds have no Python value
                return None
        return None

    def _pandas(self, frame: Any) -> Named | FrameRow:
        if self._numeric:
            found = frame.to_numpy()
            if found.dtype.kind in "fiu" and is_one_dtype(frame, found):
                return Named(found.tobytes(), found.dtype, frame.columns)
            self._numeric = False  # mixed columns: looking for numbers only costs 18 µs a row
        columns: Any = frame.columns
        width = len(columns)
        places: Sequence[int] = range(width)
        if width > len(self._known):
            places, names = self._places(columns)
            columns = names or columns
        if len(places) <= CELLS:
            cell = frame.iat
            values = [cell[0, place] for place in places]
        else:
            row, dtypes = frame.to_numpy(dtype=object)[0].tolist(), frame.dtypes.tolist()
            values = [_retyped(row[place], dtypes[place]) for place in places]
        # Numbers of NumPy columns are NumPy's. A float of Python's is an object, a gap among texts or
        # categories, or of an Arrow column, whose float32 comes as one too.
        plain = [at for at, value in enumerate(values) if type(value) is float]
        if plain:
            dtypes = frame.dtypes.tolist()
            for at in plain:
                dtype = dtypes[places[at]]
                if not isinstance(dtype, np.dtype):
                    values[at] = None if values[at] != values[at] else _retyped(values[at], dtype)
        return FrameRow(values, columns, None)

    def _arrow(self, frame: Any) -> FrameRow:
        schema = frame.schema
        places: Sequence[int] = range(len(schema))
        if len(schema) > len(self._known):
            places, names = self._places(schema)
            if names:
                types = schema.types
                values = [frame.column(place)[0].as_py() for place in places]
                return FrameRow(values, names, [types[place] for place in places])
        return FrameRow([column[0].as_py() for column in frame.columns], schema, schema.types)

    def _chosen(self, values: Sequence[Any], columns: Any, types: Sequence[Any]) -> FrameRow:
        if len(values) > len(self._known):
            places, names = self._places(columns)
            if names:
                return FrameRow([values[at] for at in places], names, [types[at] for at in places])
        return FrameRow(values, columns, types)

    def _places(self, columns: Any) -> tuple[Sequence[int], tuple[str, ...]]:
        """Where the known columns are and their names; all places and no names where one is absent."""
        seen, places, names = self._seen
        if columns is not seen and not same_columns(columns, seen):
            found = names_of(columns)
            places = tuple(range(len(found)))
            names = ()
            if self._known <= set(found):
                places = tuple(place for place in places if found[place] in self._known)
                names = tuple(found[place] for place in places)
            self._seen = (columns, places, names)
        return places, names


def same_columns(columns: Any, seen: Any) -> bool:
    """Whether two of what names columns are equal."""
    if type(columns) is not type(seen):
        return False
    return bool(columns.equals(seen) if hasattr(columns, "equals") else columns == seen)


def _retyped(value: Any, dtype: Any) -> Any:
    """A cell that was read as an object, with the type that it has by itself."""
    if getattr(dtype, "kind", "O") != "f" or not isinstance(value, float):
        return value
    return np.float32(value) if dtype.itemsize < 8 else np.float64(value)


def record_of(columns: Mapping[Any, Any], known: Collection[str]) -> dict[str, Any] | None:
    """The one row of a dict of columns of one value each; None where it is not that simple."""
    record = {}
    for key, value in columns.items():
        name = str(key)
        if name not in known:
            continue
        if name in record:
            return None
        kind = kind_of(type(value))
        column = to_array(value) if kind == "tensor" else value
        if kind in {"array", "tensor"} and type(column) is np.ndarray and column.dtype.kind in "biufOSU":
            if column.size != 1:
                return None
            record[name] = column.reshape(1)[0]
        elif kind == "sequence":
            if len(column) != 1:
                return None
            record[name] = column[0]
        elif is_atom(column):
            record[name] = column
        else:
            return None
    return record

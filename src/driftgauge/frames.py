"""Data of any kind, turned into columns once, at the door."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge._columns import (
    Categories,
    Column,
    Columns,
    array_column,
    label,
    object_column,
    tensor_array,
)
from driftgauge._frame_series import series_column
from driftgauge.errors import DataError

__all__ = ["Categories", "Columns", "find_column", "label", "to_columns"]

_SCALARS = (str, bytes, int, float, np.generic, type(None))


def to_columns(
    data: Any,
    *,
    names: Sequence[str] | None = None,
    only: Collection[str] | None = None,
    exclude: Collection[str] = (),
    categorical: Collection[str] = (),
) -> Columns:
    """Columns of *data*, in its own order.

    Parameters
    ----------
    data : pandas, polars or pyarrow frame, dict of columns, list of dicts, array, list of rows, torch tensor
        A frame's series, a NumPy structured array and a record batch too. A dict of scalars is one row. A
        one-dimensional array is one column, or one row where *names* has as many names as it has values.
    names : sequence of str, optional
        Names for what has none of its own: arrays, tensors, lists of rows. Frames and dicts keep their own.
        Without it columns are called ``feature_0``, ``feature_1`` and so on.
    only : collection of str, optional
        The columns that are wanted; the others are not looked at. What is absent is simply not in the result.
    exclude : collection of str
        Columns that are not looked at.
    categorical : collection of str
        Columns whose numbers are names of categories, such as a postcode. They are never rounded.

    Returns
    -------
    Columns

    Raises
    ------
    DataError
        Wanted columns of unequal length or of the same name, lists in cells, complex numbers, more names than
        columns.

    Examples
    --------
    >>> columns = to_columns({"age": [31, None, 40], "plan": ["free", "paid", None]})
    >>> columns.names, columns.dtypes, columns.values[1].codes.tolist()
    (('age', 'plan'), ('numeric', 'categorical'), [0, 1, -1])

    Notes
    -----
    NaN and null are two things. A null (None, ``pd.NA``, an Arrow or polars null) becomes `cells.MISSING`; a
    NaN stays what it is, except in a categorical column, where it is missing as well.
    """
    if isinstance(data, Columns):
        return data

    def is_wanted(name: str) -> bool:
        return name not in exclude and (only is None or name in only)

    found = _find_columns(data, names, is_wanted)
    wanted = [(name, column) for name, column in found if is_wanted(name)]
    _check_names([name for name, _ in wanted])
    columns = [(name, _convert(name, column, name in categorical)) for name, column in wanted]
    sizes = {name: _length(column) for name, column in columns}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name!r} {size}" for name, size in sorted(sizes.items()))
        message = f"columns have different lengths: {listed}"
        raise DataError(message)
    return Columns(
        names=tuple(name for name, _ in columns),
        rows=next(iter(sizes.values()), _rows_of(found)),
        values=tuple(column.values for _, column in columns),
        dtypes=tuple(column.dtype for _, column in columns),
        single=frozenset(name for name, column in columns if column.single),
        too_large=frozenset(name for name, column in columns if column.too_large),
    )


def find_column(data: Any, name: str, names: Sequence[str] | None = None) -> Any:
    """The one column of *data* called *name*, as its library has it: a narwhals series, an array or a list.

    *names* as `to_columns` takes it. `DataError` where there is none, or two.
    """
    found = _find_columns(data, names, lambda there: there == name)
    columns = [column for there, column in found if there == name]
    if len(columns) != 1:
        known = ", ".join(sorted(there for there, _ in found))
        message = (
            f"there are two columns {name!r}" if columns else f"there is no column {name!r}, only {known}"
        )
        raise DataError(message)
    column = columns[0]
    if isinstance(column, np.ndarray | list | tuple | range) or hasattr(column, "to_native"):
        return column
    frame = None if hasattr(column, "detach") else _as_frame(column)
    return frame[0][1] if frame is not None and len(frame) == 1 else column


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        message = f"two columns have the name {twice[0]!r}; rename one of them"
        raise DataError(message)


def _length(column: Column) -> int:
    values = column.values
    return int(values.codes.size if isinstance(values, Categories) else values.size)


def _rows_of(found: Sequence[tuple[str, Any]]) -> int:
    """Rows of data of which no column was wanted."""
    return len(found[0][1]) if found and hasattr(found[0][1], "__len__") else 0


def _find_columns(
    data: Any, names: Sequence[str] | None, is_wanted: Callable[[str], bool]
) -> list[tuple[str, Any]]:
    """Name and still unconverted values of each column."""
    if isinstance(data, Mapping):
        return _mapping_columns(data)
    if isinstance(data, list | tuple):
        return _list_columns(data, names)
    if isinstance(data, np.ndarray):
        return _array_columns(data, names)
    if hasattr(data, "detach"):
        return _array_columns(tensor_array(data), names)
    frame = _as_frame(data, is_wanted)
    if frame is not None:
        return frame
    if isinstance(data, _SCALARS) and data is not None:
        return _array_columns(np.asarray([data]), names)
    if hasattr(data, "__array__"):
        return _array_columns(np.asarray(data), names)
    message = f"cannot read a {type(data).__name__}; give a data frame, a dict of columns, dicts or an array"
    raise DataError(message)


def _mapping_columns(data: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    if data and all(isinstance(value, _SCALARS) for value in data.values()):
        return [(str(name), [value]) for name, value in data.items()]
    return [(str(name), value) for name, value in data.items()]


def _list_columns(data: Sequence[Any], names: Sequence[str] | None) -> list[tuple[str, Any]]:
    if data and all(isinstance(row, Mapping) for row in data):
        keys: dict[str, None] = {}
        for row in data:
            keys.update(dict.fromkeys(row))
        return [(str(key), [row.get(key) for row in data]) for key in keys]
    if data and all(isinstance(row, list | tuple) for row in data):
        widths = {len(row) for row in data}
        if len(widths) > 1:
            message = f"rows have different lengths, from {min(widths)} to {max(widths)} values"
            raise DataError(message)
        turned = [list(column) for column in zip(*data, strict=True)]
        return _named(turned, names)
    if data and all(hasattr(row, "shape") or hasattr(row, "detach") for row in data):
        return _array_columns(np.stack([tensor_array(row) for row in data]), names)
    if names is not None and len(names) == len(data) != 1:
        return [(str(name), [value]) for name, value in zip(names, data, strict=True)]
    return _named([list(data)], names)


def _array_columns(array: NDArray[Any], names: Sequence[str] | None) -> list[tuple[str, Any]]:
    if array.dtype.names is not None:
        return [(name, array[name]) for name in array.dtype.names]
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim == 1:
        one_row = names is not None and len(names) == array.size != 1
        array = array.reshape((1, -1) if one_row else (-1, 1))
    if array.ndim != 2:
        message = f"an array must have one or two dimensions, got shape {array.shape}; flatten the inner ones"
        raise DataError(message)
    return _named([array[:, column] for column in range(array.shape[1])], names)


def _named(columns: list[Any], names: Sequence[str] | None) -> list[tuple[str, Any]]:
    if names is None:
        names = [f"feature_{number}" for number in range(len(columns))]
    if len(names) != len(columns):
        message = f"{len(columns)} columns but {len(names)} names: {', '.join(map(repr, names))}"
        raise DataError(message)
    return list(zip(map(str, names), columns, strict=True))


def _as_frame(data: Any, is_wanted: Callable[[str], bool] | None = None) -> list[tuple[str, Any]] | None:
    if isinstance(data, _SCALARS):
        return None
    import narwhals

    if type(data).__module__.startswith("pyarrow."):
        import pyarrow  # loaded already, by whoever made the data

        if isinstance(data, pyarrow.RecordBatch):
            data = pyarrow.Table.from_batches([data])
        elif isinstance(data, pyarrow.Array):
            data = pyarrow.chunked_array([data])
    if type(data).__name__ == "LazyFrame":
        message = "a LazyFrame has no rows yet; give data.collect(), or its batches to fit_batches"
        raise DataError(message)
    try:
        frame = narwhals.from_native(data, eager_only=True, allow_series=True)
    except narwhals.exceptions.DuplicateError:
        # It looks at all columns. Those that nobody asked for may share a name.
        table = hasattr(data, "column_names")
        there = [str(name) for name in (data.column_names if table else data.columns)]
        places = [place for place, name in enumerate(there) if is_wanted is None or is_wanted(name)]
        _check_names([there[place] for place in places])
        frame = narwhals.from_native(
            data.select(places) if table else data.iloc[:, places], eager_only=True, allow_series=True
        )
    except TypeError:
        return None
    if isinstance(frame, narwhals.Series):
        return [(str(frame.name) if frame.name not in {None, ""} else "feature_0", frame)]
    return [(str(name), frame.get_column(name)) for name in frame.columns]


def _convert(name: str, column: Any, categorical: bool) -> Column:
    try:
        if isinstance(column, np.ndarray):
            return array_column(_flat(column), categorical=categorical)
        if isinstance(column, list | tuple | range):
            return object_column(column, categorical=categorical)
        if hasattr(column, "to_native"):
            return series_column(column, categorical=categorical)
        if hasattr(column, "detach"):
            return array_column(_flat(tensor_array(column)), categorical=categorical)
        frame = _as_frame(column)
        if frame is not None and len(frame) == 1:
            return series_column(frame[0][1], categorical=categorical)
        if hasattr(column, "__array__"):
            return array_column(_flat(np.asarray(column)), categorical=categorical)
        if isinstance(column, Iterable) and not isinstance(column, str | bytes):
            return object_column(list(column), categorical=categorical)
    except DataError as error:
        message = f"column {name!r}: {error}"
        raise DataError(message) from error
    message = f"column {name!r} is a {type(column).__name__}; a column is a list, an array or a series"
    raise DataError(message)


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        message = f"it has shape {array.shape}; a column has one dimension, give one column for each part"
        raise DataError(message)
    return array

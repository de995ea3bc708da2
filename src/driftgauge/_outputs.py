"""What predict returned: a snapshot of it at once, and later one column for each output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge._capture import (
    SHAPE,
    UNSUPPORTED,
    Chosen,
    Refused,
    count_rows,
    freeze,
    freeze_frame,
    is_atom,
    kind_of,
    to_array,
)
from driftgauge.frames import Columns, to_columns

__all__ = ["NOT_RECORDED", "Reordered", "freeze_output", "output_columns", "single_columns"]

NOT_RECORDED: Final = object()
"""Stands for the result of a call whose outputs could not be read."""


class Reordered(NamedTuple):
    """A result whose parts are the outputs *names*, and not all of the reference's in its order."""

    names: tuple[str, ...]
    result: Any


def freeze_output(result: Any, total: int, chosen: Chosen, names: Collection[str]) -> Any:
    """A snapshot of what predict returned for *total* rows, of the rows *chosen* only.

    Parameters
    ----------
    result
        What predict returned.
    total : int
        Rows that it was given.
    chosen : int64[k] or None
        Positions of the rows to keep, rising; None for all.
    names : collection of str
        The outputs that are wanted; what a dict has besides is not looked at.

    Returns
    -------
    atom, array, dict, frame, list or tuple
        A list is one entry by row, a tuple one entry by output; entries are frozen themselves.

    Raises
    ------
    Refused
        When it does not hold each output for each row; nothing is copied then.
    """
    width = len(names)
    if is_atom(result):
        if total * width == 1:
            return result
        raise Refused(SHAPE, total, f"one value for {total} rows")
    kind = kind_of(type(result))
    if kind == "tensor":
        result, kind = to_array(result), "array"
    if kind == "array":
        if result.dtype.names is None and not _fits(result.shape, total, width):
            raise Refused(SHAPE, total, f"an array of shape {result.shape} for {total} rows")
        return result.copy() if chosen is None else result[chosen]
    if kind == "mapping":
        wanted = [key for key in result if str(key) in names]
        if not wanted:
            raise Refused(SHAPE, total, f"a dict of {', '.join(map(str, result))}")
        return {key: freeze_output(result[key], total, chosen, (str(key),)) for key in wanted}
    if kind == "sequence":
        return _freeze_sequence(result, total, chosen, names)
    if kind == "series":
        result, kind = result.to_frame(), "frame"
    if kind == "frame":
        rows = count_rows(result, width)
        if rows != total:
            raise Refused(SHAPE, total, f"a frame of {rows} rows for {total} rows")
        return freeze_frame(result, chosen)
    raise Refused(UNSUPPORTED, total, f"a {type(result).__name__}")


def _fits(shape: tuple[int, ...], total: int, width: int) -> bool:
    if shape == (total, width):
        return True
    if len(shape) == 1:
        return shape[0] == total * width and 1 in (total, width)
    return shape == () and total * width == 1


def _freeze_sequence(
    result: list[Any] | tuple[Any, ...], total: int, chosen: Chosen, names: Collection[str]
) -> Any:
    if len(result) == len(names) > 1 and (total == 1 or isinstance(result, tuple)):
        return tuple(
            freeze_output(value, total, chosen, (name,)) for value, name in zip(result, names, strict=True)
        )
    if len(result) == total:
        return freeze(result, chosen)
    raise Refused(SHAPE, total, f"a {type(result).__name__} of {len(result)} values for {total} rows")


def single_columns(results: Sequence[Any], names: tuple[str, ...]) -> Mapping[str, Any]:
    """Columns of the results of calls of one row each."""
    if len(names) == 1 and all(map(is_atom, results)):
        return {names[0]: results}
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for result in results:
        order = names
        if type(result) is Reordered:
            order, result = result
        found = {} if result is NOT_RECORDED else output_columns(result, 1, order)
        if not isinstance(found, Mapping):
            table = to_columns(found, only=names)
            found = {name: _first(value) for name, value in zip(table.names, table.values, strict=True)}
        for name, column in columns.items():
            column.append(found[name][0] if name in found else None)
    return columns


def _first(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return [float(values[0])]
    code = int(values.codes[0])
    return [None if code < 0 else values.labels[code]]


def output_columns(result: Any, rows: int, names: tuple[str, ...]) -> Any:
    """What `to_columns` takes of one call's frozen result."""
    if is_atom(result):
        return {names[0]: [result]}
    if isinstance(result, np.ndarray):
        if result.dtype.names is not None:
            return {name: result[name].reshape(rows) for name in result.dtype.names if name in names}
        table = result.reshape(rows, len(names))
        return {name: table[:, place] for place, name in enumerate(names)}
    if isinstance(result, Mapping):
        return {str(key): _column(value, rows) for key, value in result.items()}
    if isinstance(result, tuple):
        return {name: _column(value, rows) for name, value in zip(names, result, strict=True)}
    if isinstance(result, list):
        if result and isinstance(result[0], Mapping):
            return {name: [row.get(name) for row in result] for name in names}
        if result and isinstance(result[0], list):
            return {name: [row[place] for row in result] for place, name in enumerate(names)}
        return {names[0]: result}
    columns = to_columns(result)
    if len(columns.names) == len(names) and not set(names) & set(columns.names):
        return Columns(
            names=names,
            rows=columns.rows,
            values=columns.values,
            dtypes=columns.dtypes,
            too_large=columns.too_large,
        )
    return columns


def _column(value: Any, rows: int) -> Any:
    if is_atom(value):
        return [value]
    return value.reshape(rows) if isinstance(value, np.ndarray) else value

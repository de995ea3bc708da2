"""The column that says when each row was, as seconds since 1970."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._time_buckets import from_local
from driftgauge.cells import Floats
from driftgauge.errors import DataError
from driftgauge.frames import find_column

__all__ = ["read_times"]

# Seconds beyond it are in the year 5138; so large a number counts milliseconds or less.
_LARGEST: Final = 1e11

_EPOCH: Final = datetime.datetime(1970, 1, 1)
_SECOND: Final = datetime.timedelta(seconds=1)


def read_times(data: Any, name: str, *, timezone: str = "UTC", names: Sequence[str] | None = None) -> Floats:
    """Seconds since 1970 of each row of *data*, float64[rows].

    Parameters
    ----------
    data : as `frames.to_columns` takes it
    name : str
        A column of datetimes or dates, of text as ISO 8601 writes them, or of numbers that are seconds
        since 1970.
    timezone : str
        Of what says no zone of its own: an IANA name. In the hour that comes twice when clocks are set
        back, the first is taken.
    names : sequence of str, optional
        Column names for arrays.

    Raises
    ------
    DataError
        No such column, something in it that is no time, or a row without one.

    Examples
    --------
    >>> read_times({"at": ["1970-01-01T00:00:10", "1970-01-01 01:00:20+01:00"]}, "at").tolist()
    [10.0, 20.0]
    """
    try:
        seconds, local = _seconds(find_column(data, name, names))
    except _NotTimeError as error:
        message = f"column {name!r} {error}; a time column holds datetimes, ISO text or seconds since 1970"
        raise DataError(message) from error
    absent = int(np.count_nonzero(~np.isfinite(seconds)))
    if absent:
        message = f"column {name!r} has no time in {absent:,} of {seconds.size:,} rows; drop these rows"
        raise DataError(message)
    return np.where(local, from_local(seconds, timezone), seconds) if local.any() else seconds


class _NotTimeError(Exception):
    """Why a column holds no times."""


def _seconds(column: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """Seconds, not finite where there is no time, and whether each is by the clock of an unnamed zone."""
    if hasattr(column, "to_native") and hasattr(column, "dtype"):
        return _series(column)
    if isinstance(column, np.ndarray):
        return _array(column)
    if isinstance(column, list | tuple | range):
        return _objects(column)
    if hasattr(column, "detach"):
        column = column.detach().cpu()
    return _array(np.asarray(column))


def _array(array: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        message = f"has shape {array.shape}"
        raise _NotTimeError(message)
    if array.dtype.kind == "M":
        seconds = array.astype("datetime64[us]").astype(np.float64) / 1e6
        seconds[np.isnat(array)] = np.nan
        return seconds, np.ones(seconds.size, np.bool_)
    if array.dtype.kind in "iuf":
        return _numbers(np.where(np.ma.getmaskarray(array), np.nan, np.asarray(array, np.float64)))
    if array.dtype.kind in "OUT":
        return _objects(array.tolist())
    message = f"holds {array.dtype}"
    raise _NotTimeError(message)


def _numbers(numbers: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    numbers = np.asarray(numbers)
    if np.any(np.abs(numbers[np.isfinite(numbers)]) > _LARGEST):
        message = "holds numbers too large for seconds since 1970, perhaps milliseconds"
        raise _NotTimeError(message)
    return numbers, np.zeros(numbers.size, np.bool_)


def _series(series: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """A narwhals series."""
    kind = series.dtype
    if kind.is_temporal():
        if type(kind).__name__ not in {"Datetime", "Date"}:
            message = f"holds {type(kind).__name__.lower()}s"
            raise _NotTimeError(message)
        missing = series.is_null().to_numpy().astype(bool)
        whole = series.dt.timestamp("us").to_numpy()
        seconds = np.where(missing, np.nan, np.asarray(whole, np.float64) / 1e6)
        return seconds, np.full(seconds.size, getattr(kind, "time_zone", None) is None)
    if kind.is_numeric():
        missing = series.is_null().to_numpy().astype(bool)
        return _numbers(np.where(missing, np.nan, np.asarray(series.to_numpy(), np.float64)))
    return _objects(series.to_list())


def _objects(values: Iterable[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    found = [_time(value) for value in values]
    seconds = np.array([second for second, _ in found], np.float64)
    local = np.array([is_local for _, is_local in found], np.bool_)
    _numbers(seconds[~local])
    return seconds, local


def _time(value: Any) -> tuple[float, bool]:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return np.nan, False
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            message = f"holds {value!r}"
            raise _NotTimeError(message) from None
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return (value - _EPOCH) / _SECOND, True
        return value.timestamp(), False
    if isinstance(value, datetime.date):
        return float((value - _EPOCH.date()).days * 86_400), True
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return float(value), False
    message = f"holds {value!r}"
    raise _NotTimeError(message)

"""From rows to a finished reference: what is in memory, and what is read twice, batch by batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._calibrate import Calibrator, sample_stride
from driftgauge._columns import Categories, Columns
from driftgauge._fit import FitOptions
from driftgauge._partial import PartialReference
from driftgauge._season import Times
from driftgauge._time_column import read_times
from driftgauge.errors import DataError

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["fit_rows"]

# Rows that are indexed together: 65,536 of 100 features are 13 MB of cells.
_PART_ROWS: Final = 1 << 16


def fit_rows(
    data: Any,
    *,
    time: str | None,
    timezone: str,
    joint: bool,
    created_timestamp_seconds: float | None,
    settings: FitOptions,
) -> Reference:
    """`Reference.fit`: the rows are all here, and are put into the order of their times."""
    partial = PartialReference(**_without_time(settings, time), bounded=False)
    columns = partial.columns(data)
    seconds = None
    if time is not None:
        seconds = read_times(data, time, timezone=timezone, names=settings.get("names"))
        if columns.rows != seconds.size:
            message = f"column {time!r} has {seconds.size} rows, the others have {columns.rows}"
            raise DataError(message)
    reference = partial.update(columns).finish(created_timestamp_seconds=created_timestamp_seconds)
    times = None
    order: NDArray[np.int64] | None = None
    if seconds is not None:
        if np.any(np.diff(seconds) < 0):
            order = np.argsort(seconds, kind="stable")
            seconds = seconds[order]
        times = Times(timezone)
        times.add(seconds)
    if not joint and times is None:
        return reference
    sampled = slice(None, None, sample_stride(columns.rows))
    sample = reference.index(_part(columns, sampled if order is None else order[sampled]))
    calibrator = Calibrator(reference, sample, times, joint=joint)
    for start in range(0, columns.rows, _PART_ROWS) if calibrator.needs_rows else ():
        rows = slice(start, start + _PART_ROWS)
        cells = reference.index(_part(columns, rows if order is None else order[rows]))
        calibrator.add(cells, None if seconds is None else seconds[rows])
    return reference.with_calibration(calibrator.finish())


def _without_time(settings: FitOptions, time: str | None) -> FitOptions:
    """Settings with the time column among those that are no feature."""
    if time is None:
        return settings
    exclude = settings.get("exclude", ())
    others = (exclude,) if isinstance(exclude, str) else tuple(exclude)
    return {**settings, "exclude": (*others, time)}


def _part(columns: Columns, rows: slice | NDArray[np.int64]) -> Columns:
    """Some rows of *columns*."""
    values = tuple(
        replace(each, codes=each.codes[rows]) if isinstance(each, Categories) else each[rows]
        for each in columns.values
    )
    held = range(columns.rows)[rows] if isinstance(rows, slice) else rows
    return replace(columns, rows=len(held), values=values)

"""From rows to a finished reference: what is in memory, and what is read twice, batch by batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._calibrate import Calibrator
from driftgauge._columns import Categories, Columns
from driftgauge._fit import FitOptions
from driftgauge._half_replay import training_drift
from driftgauge._partial import PartialReference
from driftgauge._row_sample import RowSample, sample_stride
from driftgauge._season import Times
from driftgauge._time_buckets import check_timezone
from driftgauge._time_column import read_times
from driftgauge.cells import Floats
from driftgauge.errors import ConfigError, DataError, TimeOrderWarning, TrainingDriftWarning

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["Batches", "calibrate_batches", "fit_batches", "fit_rows"]

Batches = Iterable[Any] | Callable[[], Iterable[Any]]
_Part = tuple[Columns, Floats | None]

# From here on, finding cells with the twins takes longer than compiling: 76 ns a value, and 6 s.
_COMPILE_VALUES: Final = 50_000_000

_CALLER: Final = 4  # of Reference.fit, fit_batches or calibrate

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
    check_timezone(timezone)
    partial = PartialReference(**_without_time(settings, time), bounded=False)
    columns = partial.columns(data)
    seconds = None
    if time is not None:
        seconds = read_times(data, time, timezone=timezone, names=settings.get("names"))
    reference = partial.update(columns).finish(created_timestamp_seconds=created_timestamp_seconds)
    if not joint and seconds is None:
        return reference
    order, times = None, None
    if seconds is not None:
        seconds, order = _in_order(seconds)
        times = Times(timezone)
        times.add(seconds)
    stride = sample_stride(columns.rows)
    sample = _part(columns, slice(None, None, stride) if order is None else order[::stride])

    def parts() -> Iterator[_Part]:
        for start in range(0, columns.rows, _PART_ROWS):
            rows = slice(start, start + _PART_ROWS)
            yield (
                _part(columns, rows if order is None else order[rows]),
                None if seconds is None else seconds[rows],
            )

    return _calibrated(reference, parts, sample, times, joint=joint)


def fit_batches(
    batches: Batches,
    *,
    time: str | None,
    timezone: str,
    joint: bool,
    on_rows: Callable[[int], object] | None,
    created_timestamp_seconds: float | None,
    settings: FitOptions,
) -> Reference:
    """`Reference.fit_batches`: read once for the counts and, where that is possible, a second time."""
    check_timezone(timezone)
    partial = PartialReference(**_without_time(settings, time))
    again = _again(batches)
    if again is None and time is not None:
        message = (
            "time= needs batches that can be read twice, and an iterator cannot; "
            "give a list, or a function that returns a new iterator"
        )
        raise ConfigError(message)
    source = _Source(partial.columns, time, timezone, settings.get("names"), on_rows)
    if again is None or (not joint and time is None):
        once = cast("Iterable[Any]", batches) if again is None else again()
        for columns, _ in source.parts(once):
            partial.update(columns)
        return partial.finish(created_timestamp_seconds=created_timestamp_seconds)
    sample, times = RowSample(), Times(timezone)
    for columns, seconds in source.parts(again()):
        partial.update(columns)
        sample.add(columns)
        if seconds is not None:
            times.add(seconds)
    reference = partial.finish(created_timestamp_seconds=created_timestamp_seconds)
    return _calibrated(
        reference,
        lambda: source.parts(again()),
        sample.columns(),
        None if time is None else times,
        joint=joint,
    )


def calibrate_batches(
    reference: Reference,
    batches: Batches,
    *,
    time: str | None,
    timezone: str,
    joint: bool,
    on_rows: Callable[[int], object] | None,
) -> Reference:
    """`Reference.calibrate`: both readings are for what the counts do not say."""
    again = _again(batches)
    if again is None:
        message = (
            "calibrating reads the batches twice, which an iterator does not allow; "
            "give a list, or a function that returns a new iterator"
        )
        raise ConfigError(message)
    check_timezone(timezone)
    source = _Source(reference.columns, time, timezone, None, on_rows)
    sample, times = RowSample(), Times(timezone)
    for columns, seconds in source.parts(again()):
        sample.add(columns)
        if seconds is not None:
            times.add(seconds)
    _check_rows(sample.rows, reference.rows)
    return _calibrated(
        reference,
        lambda: source.parts(again()),
        sample.columns(),
        None if time is None else times,
        joint=joint,
    )


def _calibrated(
    reference: Reference,
    parts: Callable[[], Iterator[_Part]],
    sample: Columns,
    times: Times | None,
    *,
    joint: bool,
) -> Reference:
    if reference.rows * len(reference.features) >= _COMPILE_VALUES:
        kernels.warm_up()
    calibrator = Calibrator(reference, reference.index(sample), times, joint=joint)
    if calibrator.needs_rows:
        for columns, seconds in parts():
            calibrator.add(reference.index(columns), seconds)
        _check_rows(calibrator.rows, reference.rows)
    calibration = calibrator.finish()
    if times is not None and not times.in_order:
        message = (
            "batches do not come in the order of their times, so that rows are taken as independent; "
            "sort them by time"
        )
        warnings.warn(message, TimeOrderWarning, stacklevel=_CALLER)
    drift = training_drift(calibration)
    if drift is not None:
        warnings.warn(drift, TrainingDriftWarning, stacklevel=_CALLER)
    return reference.with_calibration(calibration)


def _check_rows(found: int, expected: int) -> None:
    if found != expected:
        message = f"there are {found:,} rows in this reading of the batches, the reference has {expected:,}"
        raise DataError(message)


def _again(batches: Batches) -> Callable[[], Iterator[Any]] | None:
    """What begins the batches anew; None for what can be read once only."""
    if callable(batches):
        return lambda: iter(batches())
    first = iter(batches)
    return None if first is batches else lambda: iter(batches)


class _Source:
    """Batches as columns and times, in the order of their times within a batch."""

    def __init__(
        self,
        columns: Callable[[Any], Columns],
        time: str | None,
        timezone: str,
        names: Sequence[str] | None,
        on_rows: Callable[[int], object] | None,
    ) -> None:
        self._columns = columns
        self._time = time
        self._timezone = timezone
        self._names = names
        self._on_rows = on_rows

    def parts(self, batches: Iterable[Any]) -> Iterator[_Part]:
        for batch in batches:
            columns = self._columns(batch)
            seconds = None
            if self._time is not None:
                seconds = read_times(batch, self._time, timezone=self._timezone, names=self._names)
                seconds, order = _in_order(seconds)
                if order is not None:
                    columns = _part(columns, order)
            yield columns, seconds
            if self._on_rows is not None:
                self._on_rows(columns.rows)


def _in_order(seconds: Floats) -> tuple[Floats, NDArray[np.int64] | None]:
    """Times in order, and the order they were put into; None where they were in order already."""
    if not np.any(np.diff(seconds) < 0):
        return seconds, None
    order = np.argsort(seconds, kind="stable")
    return seconds[order], order


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

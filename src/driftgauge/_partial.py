"""A reference that is not finished: counts of the rows seen so far, to be added to, merged and saved."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from driftgauge._archive import damaged, read_archive, write_archive
from driftgauge._column_tally import ColumnTally, check_type, has_value
from driftgauge._fit import (
    FitOptions,
    FitSettings,
    boolean_feature,
    categorical_feature,
    numeric_feature,
    unnamed_counts,
)
from driftgauge._tally import CategoryTally, NumberTally
from driftgauge.cells import FeatureReference, Kind
from driftgauge.errors import ConfigError, DataError
from driftgauge.frames import Columns, to_columns

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["PartialReference"]

_KIND: Final = "partial reference"


def _names(value: str | Collection[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(name) for name in value)


def _label_fault(text: str) -> str:
    """Why *text* can be no label of a metric; nothing where it can.

    An empty label is none to Prometheus, and half a surrogate pair is written as a question mark, so that two
    features could become one series.
    """
    if not text:
        return "is empty"
    return "has half a surrogate pair" if any("\ud800" <= letter <= "\udfff" for letter in text) else ""


class PartialReference:
    """Counts of some of the reference's rows, in bounded memory, to which more can be added.

    Parameters
    ----------
    model, version : str
        What the reference is of; they become labels of every metric.
    outputs : name or sequence of names
        Columns that are model outputs; all others are inputs.
    names : sequence of str, optional
        Column names for arrays; see `frames.to_columns`.
    exclude : collection of str
        Columns that are no features: identifiers, dates, labels.
    categorical : collection of str
        Columns of numbers that are names of categories.
    resolution, bins, category_bins, min_category_count : int
        See `Reference.fit`.
    bounded : bool
        False keeps all values until the end, so that quantiles are exact however many distinct values there
        are; for rows that are in memory anyway. What is saved and loaded is bounded again.

    Notes
    -----
    *Merge is concat*: for a column of at most 32,000 distinct values, and for categories up to 100,000
    labels, the merged partials give the very reference that one pass over all rows gives. A column with more
    is summarised with a rank error that is known (`FeatureReference.ks_error_bound` includes it). A column
    takes 2 MB at most, and categories about 12 MB, whatever the number of rows.

    A partial is working state: it holds the distinct values and rare categories that a finished reference
    does not name. Keep it where the training data may be kept.

    Examples
    --------
    >>> monday = PartialReference(model="churn").update({"age": [31, 40]})
    >>> tuesday = PartialReference(model="churn").update({"age": [35]})
    >>> monday.merge(tuesday).finish(created_timestamp_seconds=0.0).rows
    3
    """

    def __init__(
        self,
        *,
        model: str = "model",
        version: str = "1",
        outputs: str | Sequence[str] = (),
        names: Sequence[str] | None = None,
        exclude: str | Collection[str] = (),
        categorical: str | Collection[str] = (),
        resolution: int = 1023,
        bins: int = 10,
        category_bins: int = 20,
        min_category_count: int = 5,
        bounded: bool = True,
    ) -> None:
        self._settings = FitSettings(
            resolution=resolution,
            bins=bins,
            category_bins=category_bins,
            min_category_count=min_category_count,
        )
        self._model = str(model)
        self._version = str(version)
        self._outputs = _names(outputs)
        self._names = None if names is None else _names(names)
        self._exclude = tuple(sorted(set(_names(exclude))))
        self._categorical = tuple(sorted(set(_names(categorical))))
        for parameter, value in (("model", self._model), ("version", self._version)):
            fault = _label_fault(value)
            if fault:
                message = f"{parameter} must be text that a metric can have as a label, but {value!r} {fault}"
                raise ConfigError(message)
        self._columns: dict[str, ColumnTally] = {}
        self._bounded = bounded
        self.rows = 0

    @property
    def options(self) -> FitOptions:
        """The settings it was made with; ``PartialReference(**partial.options)`` can be merged with it."""
        settings = self._settings
        return {
            "model": self._model,
            "version": self._version,
            "outputs": list(self._outputs),
            "names": None if self._names is None else list(self._names),
            "exclude": list(self._exclude),
            "categorical": list(self._categorical),
            "resolution": int(settings.resolution),
            "bins": int(settings.bins),
            "category_bins": int(settings.category_bins),
            "min_category_count": int(settings.min_category_count),
        }

    def columns(self, data: Any) -> Columns:
        """The columns of *data* that are features."""
        return to_columns(data, names=self._names, exclude=self._exclude, categorical=self._categorical)

    def update(self, data: Any) -> PartialReference:
        """Count the rows of *data*; returns itself. The first data decide which columns there are.

        Raises
        ------
        DataError
            Other columns than before, a column that changes its type, dates, identifiers beyond 2**53.
            Nothing of *data* is counted then.
        """
        columns = self.columns(data)
        names = columns.names
        if not self._columns:
            self._check_names(names)
        elif set(names) != set(self._columns):
            odd = sorted(set(names) ^ set(self._columns))
            where = "before" if odd[0] in self._columns else "in these rows"
            message = (
                f"column {odd[0]!r} is there only {where}; all data of one reference need the same columns"
            )
            raise DataError(message)
        starting = {}
        for name, values, dtype in zip(names, columns.values, columns.dtypes, strict=True):
            check_type(name, dtype, too_large=name in columns.too_large)
            known = self._columns[name].dtype if name in self._columns else None
            if not has_value(values, known):
                continue
            if known is None:
                starting[name] = dtype
            elif known != dtype:
                message = (
                    f"column {name!r} was {known} and is {dtype} in later rows; make it one type before, "
                    f"or give categorical=[{name!r}]"
                )
                raise DataError(message)
        for name, values in zip(names, columns.values, strict=True):
            column = self._columns.setdefault(name, ColumnTally())
            if name in starting:
                column.start(starting[name], bounded=self._bounded)
            if column.tally is None:
                column.missing += columns.rows
            elif has_value(values, column.dtype):
                column.update(values, single=name in columns.single)
            else:
                column.tally.missing += columns.rows
        self.rows += columns.rows
        return self

    def _check_names(self, names: Sequence[str]) -> None:
        if not names:
            message = "there is no column to make a reference of; give at least one that is not in exclude="
            raise DataError(message)
        for place, name in enumerate(names, 1):
            fault = _label_fault(name)
            if fault:
                message = (
                    f"the name of column {place}, {name!r}, {fault}, which no metric can have as a label; "
                    "rename it, or name it in exclude="
                )
                raise DataError(message)
        for parameter, wanted in (("outputs", self._outputs), ("categorical", self._categorical)):
            absent = sorted(set(wanted) - set(names))
            if absent:
                known = ", ".join(sorted(names))
                message = f"{parameter}= names {absent[0]!r}, which is not a column; there are {known}"
                raise DataError(message)

    def merge(self, other: PartialReference) -> PartialReference:
        """Add what *other* counted; returns itself. *other* must have been made with the same settings.

        Raises
        ------
        ConfigError
            *other* was made with other settings.
        DataError
            *other* has other columns, or a column of another type.
        """
        mine, theirs = dict(self.options), dict(other.options)
        if mine != theirs:
            differing = next(key for key in mine if mine[key] != theirs[key])
            message = (
                f"partials must have the same settings: {differing} is {mine[differing]!r} here, "
                f"{theirs[differing]!r} there"
            )
            raise ConfigError(message)
        if self._columns and other._columns and set(self._columns) != set(other._columns):
            odd = sorted(set(self._columns) ^ set(other._columns))
            message = (
                f"column {odd[0]!r} is in one partial only; all data of one reference need the same columns"
            )
            raise DataError(message)
        for name, column in other._columns.items():
            known = self._columns[name].dtype if name in self._columns else None
            if known is not None and column.dtype is not None and known != column.dtype:
                message = (
                    f"column {name!r} is {known} in one partial, {column.dtype} in another; make it one type"
                )
                raise DataError(message)
        for name, column in other._columns.items():
            target = self._columns.setdefault(name, ColumnTally())
            if target.dtype is None and column.dtype is not None:
                target.start(column.dtype, bounded=self._bounded)
            if column.tally is None:
                if target.tally is None:
                    target.missing += column.missing
                else:
                    target.tally.missing += column.missing
            elif isinstance(target.tally, NumberTally):
                target.tally.merge(cast("NumberTally", column.tally))
                target.single = target.single and column.single
            elif target.tally is not None:
                target.tally.merge(cast("CategoryTally", column.tally))
        self.rows += other.rows
        return self

    def finish(self, *, created_timestamp_seconds: float | None = None) -> Reference:
        """The reference of all rows counted. More rows can be counted after, for a later one.

        Parameters
        ----------
        created_timestamp_seconds : float, optional
            Seconds since 1970; now where left out. It is not part of the reference's id.

        Raises
        ------
        DataError
            No rows, or a column that has no value at all.
        """
        from driftgauge.reference import Reference  # it needs this module for Reference.fit

        if self.rows == 0:
            message = "there are no rows to make a reference of; give at least one"
            raise DataError(message)
        inputs = [name for name in self._columns if name not in self._outputs]
        features, unnamed = [], {}
        for name in (*inputs, *self._outputs):
            column = self._columns[name]
            features.append(self._feature(name, column))
            if column.dtype == "categorical":
                unnamed[name] = unnamed_counts(cast("CategoryTally", column.tally), self._settings)
        if created_timestamp_seconds is None:
            created_timestamp_seconds = time.time()
        return Reference(
            model=self._model,
            version=self._version,
            created_timestamp_seconds=float(created_timestamp_seconds),
            features=tuple(features),
            unnamed_counts=unnamed,
        )

    def _feature(self, name: str, column: ColumnTally) -> FeatureReference:
        kind: Kind = "output" if name in self._outputs else "input"
        if column.tally is None:
            message = f"column {name!r} has no value at all in {self.rows:,} rows; name it in exclude="
            raise DataError(message)
        if isinstance(column.tally, NumberTally):
            return replace(numeric_feature(name, kind, column.tally, self._settings), single=column.single)
        if column.dtype == "boolean":
            return boolean_feature(name, kind, column.tally)
        return categorical_feature(name, kind, column.tally, self._settings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to one file, atomically, to be loaded and merged elsewhere."""
        columns, arrays = [], {}
        for number, (name, column) in enumerate(self._columns.items()):
            header: dict[str, Any] = {
                "name": name,
                "dtype": column.dtype,
                "missing": column.missing,
                "single": column.single,
                "tally": None,
            }
            if column.tally is not None:
                header["tally"], parts = column.tally.state()
                header["arrays"] = sorted(parts)
                arrays.update({f"{number:05d}_{part}": array for part, array in parts.items()})
            columns.append(header)
        content = {"configuration": self.options, "rows": self.rows, "columns": columns}
        write_archive(path, _KIND, content, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PartialReference:
        """Read what `save` wrote; `ReferenceFileError` says what is wrong with any other file."""
        header, arrays = read_archive(path, _KIND)
        try:
            partial = cls(**header["configuration"])
            partial.rows = int(header["rows"])
            for number, saved in enumerate(header["columns"]):
                column = ColumnTally()
                column.dtype, column.missing = saved["dtype"], int(saved["missing"])
                column.single = bool(saved["single"])
                if saved["tally"] is not None:
                    kind = NumberTally if column.dtype == "numeric" else CategoryTally
                    parts = {part: arrays[f"{number:05d}_{part}"] for part in saved["arrays"]}
                    column.tally = kind.restore(saved["tally"], parts)
                partial._columns[saved["name"]] = column
                if (column.tally is None) != (column.dtype is None) or column.rows != partial.rows:
                    message = f"the parts of column {saved['name']!r} do not fit each other"
                    raise ValueError(message)  # noqa: TRY301
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        return partial

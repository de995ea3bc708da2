"""From captured calls to blocks of cell indices, on the background thread.

Calls with one row each are put together while they are of one form, so that a thousand of them cost one look
at the columns and not a thousand. The order of arrival is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftgauge._arguments import quoted
from driftgauge._buffer import Buffer
from driftgauge._capture import FLOAT64, NAMED, RECORD, VALUES, Call, is_atom, kind_of
from driftgauge._index import index_numbers
from driftgauge._outputs import NOT_RECORDED, Reordered, output_columns, single_columns
from driftgauge._single_rows import FrameRow, names_of, same_columns, singles_of
from driftgauge.errors import DataError
from driftgauge.frames import to_columns
from driftgauge.reference import Reference

__all__ = ["Block", "Indexer"]

Indices = NDArray[np.uint16]
Entry = tuple[Any, Any, Any] | Call

_Key = tuple[str, object]


class Block(NamedTuple):
    """Rows that arrived one after the other."""

    indices: Indices
    rows: int


class Indexer:
    """Turns entries of the buffer into blocks; what cannot be turned is dropped and counted.

    Parameters
    ----------
    reference : Reference
    buffer : Buffer
        For its tallies, and to give back the room of calls that are done with.
    """

    def __init__(self, reference: Reference, buffer: Buffer) -> None:
        self._reference = reference
        self._buffer = buffer
        self._layout = reference.layout
        self._inputs = reference.inputs
        self._known = frozenset(reference.inputs)
        self._input_numbers = np.array([reference.number(name) for name in reference.inputs], np.int32)
        self._numeric = bool(self._layout.numeric[self._input_numbers].all())
        self._missing = np.array([[f.missing_cell] for f in self._layout.features], np.uint16)
        self._seen: tuple[Any, tuple[str, ...]] = (None, ())
        self._types: tuple[Any, tuple[int, ...]] = (None, ())

    def blocks(self, entries: Iterable[Entry]) -> Iterator[Block]:
        """Blocks of the rows of *entries*, in their order."""
        for (form, _), run in groupby(entries, self._key):
            yield from self._guarded(form, list(run))

    def _key(self, entry: Entry) -> _Key:
        """What neighbours must have in common to be put together."""
        if not isinstance(entry, tuple):
            return ("call", id(entry))
        data, form, _ = entry
        if form is not RECORD and form is not NAMED and form is not VALUES:
            return ("raw", form)
        try:
            # A column of float32 is compared with points rounded to float32, so it stays one.
            if form is RECORD:
                return (RECORD, singles_of(data.values(), None))
            if form is VALUES:
                return (VALUES, (self._columns_of(data.columns), self._singles_of(data)))
            return (NAMED, (data.dtype, self._columns_of(data.columns)))
        except Exception as error:  # names that have no text
            self._buffer.failed("index", error)
            return ("nameless", id(entry))

    def _singles_of(self, row: FrameRow) -> tuple[int, ...]:
        if row.types is None:
            return singles_of(row.values, None)
        types, places = self._types
        if types is not row.types and types != row.types:
            places = singles_of(row.values, row.types)
            self._types = (row.types, places)
        return places

    def _guarded(self, form: str, run: list[Any]) -> Iterator[Block]:
        try:
            block = self._block(form, run)
        except Exception as error:
            if len(run) > 1:  # only the row at fault is lost
                for entry in run:
                    yield from self._guarded(form, [entry])
                return
            self._drop(run[0], error)
            return
        for entry in run:
            if isinstance(entry, Call):
                self._buffer.give_back(entry.tokens)
        yield block

    def _drop(self, entry: Entry, error: Exception) -> None:
        buffer = self._buffer
        rows = 1
        if isinstance(entry, Call):
            rows = entry.rows
            buffer.give_back(entry.tokens)
        if isinstance(error, _MismatchError):
            buffer.dropped["shape_mismatch"].add(rows)
        elif isinstance(error, DataError):
            buffer.dropped["unsupported_type"].add(rows)
            buffer.note(
                "rows/DataError",
                "rows hold values that are neither a number nor a category and are not recorded; "
                "give inputs= to pick others; further ones are only counted",
            )
        else:
            buffer.failed("index", error)
            buffer.dropped["internal_error"].add(rows)

    def _block(self, form: str, run: list[Any]) -> Block:
        if form == "raw":
            indices = self._matrix(b"".join([raw for raw, _, _ in run]), run[0][1], len(run), self._inputs)
        elif form == NAMED:
            first = run[0][0]
            names = self._check(self._columns_of(first.columns), len(run))
            indices = self._matrix(b"".join([row.raw for row, _, _ in run]), first.dtype, len(run), names)
        elif form == VALUES:
            indices = self._frame_rows([row for row, _, _ in run])
        elif form == RECORD:
            indices = self._records([record for record, _, _ in run], len(run))
        else:
            (call,) = run
            indices = self._call(call)
            if indices.shape[1] != call.rows:
                message = f"{indices.shape[1]} rows of inputs where {call.rows} were counted"
                raise _MismatchError(message)
            self._add_outputs(indices, call.result, call.rows)
            return Block(indices, call.rows)
        self._add_outputs(indices, [result for _, _, result in run], len(run), single=True)
        return Block(indices, len(run))

    # ------------------------------------------------------------------ inputs

    def _matrix(self, raw: bytes, dtype: Any, rows: int, names: Sequence[str]) -> Indices:
        values = np.frombuffer(raw, dtype).reshape(rows, -1)
        if self._numeric and dtype == FLOAT64 and tuple(names) == self._inputs:
            indices = np.repeat(self._missing, rows, axis=1)
            index_numbers(values, self._layout, self._input_numbers, indices)
            return indices
        return self._reference.index(to_columns(values, names=names, only=self._known))

    def _frame_rows(self, rows: Sequence[FrameRow]) -> Indices:
        names = self._check(self._columns_of(rows[0].columns), len(rows))
        singles = self._singles_of(rows[0]) if rows[0].types is not None else ()
        columns: dict[str, Any] = {}
        for place, values in enumerate(zip(*[row.values for row in rows], strict=True)):
            name = names[place]
            if name not in self._known:
                continue
            if name in columns:
                message = f"two columns have the name {name!r}; rename one of them"
                raise DataError(message)
            columns[name] = values
            if place in singles:
                columns[name] = [None if value is None else np.float32(value) for value in values]
        return self._reference.index(to_columns(columns))

    def _records(self, records: Sequence[Mapping[Any, Any]], calls: int) -> Indices:
        if not all(self._known <= record.keys() for record in records):
            if calls == len(records) > 1 and any(self._known.isdisjoint(record) for record in records):
                message = "a row without any input of the reference"
                raise _MismatchError(message)  # then each row is looked at by itself
            records = [{str(key): value for key, value in record.items()} for record in records]
            for record in (
                records if calls == len(records) else [dict.fromkeys(k for r in records for k in r)]
            ):
                self._check(tuple(record), 1)
        columns = {name: [record.get(name) for record in records] for name in self._inputs}
        return self._reference.index(to_columns(columns))

    def _call(self, call: Call) -> Indices:
        data = call.data
        if data is None and not self._inputs:
            return np.repeat(self._missing, call.rows, axis=1)
        if isinstance(data, np.ndarray):
            if data.dtype.names is not None:
                self._check(data.dtype.names, 1)
                data = data.reshape(-1)
            else:
                if isinstance(data, np.matrix):
                    data = np.asarray(data)  # a column of a matrix is a matrix
                data = data.reshape(call.rows, len(call.names))
        elif isinstance(data, list):
            if data and isinstance(data[0], Mapping):
                if not all(isinstance(row, Mapping) for row in data):
                    message = "not every row is a dict"
                    raise DataError(message)
                return self._records(data, 1)
            if data and is_atom(data[0]):
                data = [data] if call.total == 1 else [[value] for value in data]
        elif isinstance(data, Mapping):
            self._check(tuple(map(str, data)), 1)
        elif kind_of(type(data)) == "frame":
            return self._frame(data)
        else:
            data = [[data]]
        return self._reference.index(to_columns(data, names=call.names, only=self._known))

    def _frame(self, frame: Any) -> Indices:
        names = self._columns_of(
            frame.column_names if hasattr(type(frame), "column_names") else frame.columns
        )
        found = self._check(names, 1)
        if found != names:  # columns without names, in the order of the reference
            frame = np.asarray(frame)
            return self._reference.index(to_columns(frame, names=found))
        return self._reference.index(to_columns(frame, only=self._known))

    def _columns_of(self, columns: Any) -> tuple[str, ...]:
        """Names as text. The last are remembered: pandas takes 20 µs to list 20 of them, 4 µs to compare."""
        seen, names = self._seen
        if columns is seen:
            return names
        if same_columns(columns, seen):
            return names
        names = names_of(columns)
        self._seen = (columns, names)
        return names

    def _check(self, came: tuple[str, ...], calls: int) -> tuple[str, ...]:
        """Names to use for what came with the names *came*, once it is noted how they differ."""
        absent = self._known.difference(came)
        if not absent:
            return came
        if absent == self._known and came == tuple(map(str, range(len(self._inputs)))):
            return self._inputs  # numbered columns are columns without names
        self._buffer.errors["names"].add(calls)
        self._buffer.note(
            "names",
            f"names of inputs do not match the reference: it has {quoted(self._inputs)}, "
            f"what came has {quoted(came)}; "
            "an absent input counts as missing, and where none is there the row is not recorded; "
            "further ones are only counted",
        )
        if absent == self._known:
            message = "no input of the reference is there"
            raise _MismatchError(message)
        return came

    # ------------------------------------------------------------------ outputs

    def _add_outputs(self, indices: Indices, result: Any, rows: int, *, single: bool = False) -> None:
        """Write the cells of the outputs; they stay missing where there is nothing to read."""
        names = self._reference.outputs
        if not names or result is NOT_RECORDED:
            return
        if type(result) is Reordered:
            names, result = result
        try:
            values = single_columns(result, names) if single else output_columns(result, rows, names)
            found = self._reference.index(to_columns(values, only=names))
            numbers = [self._reference.number(name) for name in names]
            indices[numbers] = found[numbers]  # raises where the rows are not as many
        except Exception as error:
            if single and rows > 1:
                raise  # the rows are looked at one by one then
            self._buffer.failed("outputs", error)


class _MismatchError(Exception):
    """Inputs in which the reference's features cannot be found."""

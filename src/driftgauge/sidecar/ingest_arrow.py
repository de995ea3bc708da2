"""Rows in Arrow IPC, stream or file. Needs pyarrow: ``pip install 'driftgauge[files]'``.

Whoever posts is not trusted: a few kilobytes can claim, or decompress to, gigabytes. So each message is
looked at before pyarrow makes arrays of it: its rows, and the sizes that its compressed buffers claim.
pyarrow allocates what they claim, and it is an error when they decompress to another size.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from driftgauge.errors import MissingExtraError
from driftgauge.protocols import Column, Decoded, Limits
from driftgauge.protocols._reading import Unfit
from driftgauge.protocols._tables import Side

__all__ = ["read_arrow"]

_FILE_START: Final = b"ARROW1\0\0"  # a file is this, a stream, and a footer that is not needed
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2  # enum MessageHeader of Arrow's Message.fbs


def read_arrow(body: bytes, side: Side) -> Decoded:
    """Columns of the features that are there, by name.

    Parameters
    ----------
    body : bytes
    side : Side

    Raises
    ------
    Unfit
        When it is not Arrow IPC, or has no feature of the reference, or a type that is no number or text.
    MissingExtraError
        When pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        message = "Arrow needs pyarrow; pip install 'driftgauge[files]'"
        raise MissingExtraError(message) from error

    stream = body[len(_FILE_START) :] if body.startswith(_FILE_START) else body
    try:
        _check_sizes(pa, stream, side.limits)
        reader = pa.ipc.open_stream(stream)
        table = _table(pa, reader, side)
    except (pa.ArrowException, OSError, ValueError, KeyError, struct.error, OverflowError) as error:
        raise Unfit(reason="wrong_type", detail="the body is not Arrow IPC, or is damaged") from error
    side.check_rows(table.num_rows)
    columns: dict[str, Column] = {
        name: _column(pa, table.column(name), side) for name in side.expected if name in table.column_names
    }
    return side.decoded(columns, table.num_rows, names_given=True)


def _table(pa: Any, reader: Any, side: Side) -> Any:
    there = reader.schema.names
    side.check_columns(len(there))
    wanted = [name for name in side.expected if name in there]
    if not wanted:
        raise side.unknown()
    if any(there.count(name) > 1 for name in wanted):
        raise Unfit(reason="several_keys", detail="two columns have the same name")
    places = [there.index(name) for name in wanted]
    for place in places:
        if not _is_plain(pa, reader.schema.field(place).type):
            raise Unfit(
                reason="unsupported_datatype",
                detail=f"the column of a feature is {str(reader.schema.field(place).type)[:40]}",
            )
    batches = []
    for batch in reader:
        chosen = batch.select(wanted)
        chosen.validate(full=True)  # offsets and indices may point anywhere
        batches.append(chosen)
    schema = pa.schema([reader.schema.field(place) for place in places])
    return pa.Table.from_batches(batches, schema)


def _is_plain(pa: Any, kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
        or types.is_decimal(kind)
        or types.is_temporal(kind)
    )


def _column(pa: Any, column: Any, side: Side) -> Column:
    types, kind = pa.types, column.type
    if types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    if (
        types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    ) and not column.null_count:
        values: Column = column.to_numpy()
        return values
    if types.is_temporal(kind):
        listed: list[Any] = column.to_pylist()
        return listed
    return side.clean(column.to_pylist())


def _check_sizes(pa: Any, stream: bytes, limits: Limits) -> None:
    """Refuse messages that claim too much, before anything is made of them."""
    reader = pa.MessageReader.open_stream(stream)
    claimed = rows = 0
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        more_rows, more_bytes = _claims(message.metadata.to_pybytes(), message.body)
        rows += more_rows
        claimed += more_bytes
        if rows > limits.rows:
            raise Unfit(reason="too_many_rows", detail=f"more than {limits.rows} rows")
        if claimed > limits.decompressed_bytes:
            raise Unfit(
                reason="too_large",
                detail=f"more than {limits.decompressed_bytes} bytes after decompression",
            )


def _claims(metadata: bytes, body: Any) -> tuple[int, int]:
    """Rows of a message, and the bytes of its buffers when they are decompressed."""
    message = _Table(metadata, struct.unpack_from("<I", metadata)[0])
    kind = message.number(1, "<B")
    header = message.table(2)
    if header is not None and kind == _DICTIONARY_BATCH:
        header = header.table(1)
    elif kind != _RECORD_BATCH:
        return 0, 0
    if header is None:
        return 0, 0
    rows = header.number(0, "<q")
    if rows < 0:
        raise Unfit(reason="wrong_type", detail="the body is not Arrow IPC, or is damaged")
    if header.table(3) is None or body is None:
        return rows, 0 if body is None else body.size
    claimed = 0
    for offset, length in header.pairs(2):
        if length >= 8:
            size = struct.unpack_from("<q", body, offset)[0]
            claimed += size if size >= 0 else length  # -1: this one is not compressed
    return rows, claimed


class _Table:
    """A table of FlatBuffers: just enough to read three fields of a message."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place
        self._fields = place - struct.unpack_from("<i", data, place)[0]
        self._size = struct.unpack_from("<H", data, self._fields)[0]

    def _find(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._place + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        place = self._find(field)
        return int(struct.unpack_from(form, self._data, place)[0]) if place else 0

    def table(self, field: int) -> _Table | None:
        place = self._find(field)
        if not place:
            return None
        return _Table(self._data, place + struct.unpack_from("<I", self._data, place)[0])

    def pairs(self, field: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit integers."""
        place = self._find(field)
        if not place:
            return []
        start = place + struct.unpack_from("<I", self._data, place)[0]
        count = struct.unpack_from("<I", self._data, start)[0]
        if count * 16 > len(self._data):
            raise Unfit(reason="wrong_type", detail="the body is not Arrow IPC, or is damaged")
        return [struct.unpack_from("<qq", self._data, start + 4 + 16 * each) for each in range(count)]

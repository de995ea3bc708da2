"""Rows whose values have the names of features: one object a row, or one list a feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from driftgauge.protocols import Column, Decoded, Limits, Message, Names, Undecodable
from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, parse_json, read_json
from driftgauge.protocols._tables import Side

__all__ = ["NamedRows", "Observations", "columns_of", "rows_of_lines", "side_of"]

_LISTED: Final = (list,)


class Observations:
    """Rows that were read, inputs and outputs apart.

    Parameters
    ----------
    found : Decoded
    names : Names
    """

    def __init__(self, found: Decoded, names: Names) -> None:
        columns = found.columns
        self.inputs = {name: columns[name] for name in names.inputs if name in columns}
        outputs = {name: columns[name] for name in names.outputs if name in columns}
        self.outputs = outputs or None
        self.rows = found.rows
        self.missing = [name for name in (*names.inputs, *names.outputs) if name not in columns]


def side_of(names: Names, limits: Limits) -> Side:
    """All features of a reference, whether inputs or outputs: their names differ."""
    return Side((*names.inputs, *names.outputs), limits, "rows", categorical=names.categorical)


def columns_of(value: Any, side: Side) -> Decoded:
    """Columns by name; nothing is taken by its position.

    Parameters
    ----------
    value
        A list of objects, an object of lists, or one object, as `json` gives them.
    side : Side

    Raises
    ------
    Unfit
        When it is something else, or has no name that the reference has.

    Examples
    --------
    >>> side = side_of(Names(inputs=("age",), outputs=("score",)), Limits())
    >>> columns_of([{"age": 33, "score": 0.2}, {"age": 51}], side).columns
    {'age': [33, 51], 'score': [0.2, None]}
    >>> columns_of({"age": [33, 51]}, side).columns
    {'age': [33, 51]}
    """
    if type(value) is list:
        return _from_objects(value, side)
    if type(value) is not dict:
        raise Unfit(reason="wrong_type", detail=f"rows are a {type(value).__name__}, not objects")
    wanted = [name for name in side.expected if type(value.get(name)) in _LISTED]
    if not wanted:
        return _from_objects([value], side)
    side.check_columns(len(value))
    columns: dict[str, Column] = {}
    for name in side.expected:
        if name in value:
            if type(value[name]) is not list:
                raise Unfit(reason="wrong_length", detail="lists and values stand side by side")
            columns[name] = side.clean(value[name])
    rows = len(columns[wanted[0]])
    side.check_rows(rows)
    return side.decoded(columns, rows, names_given=True)


def _from_objects(rows: Sequence[Any], side: Side) -> Decoded:
    side.check_rows(len(rows))
    if any(type(row) is not dict for row in rows):
        raise Unfit(reason="wrong_type", detail="a row is not an object with names and values")
    known: set[str] = set()
    for row in rows:
        if len(row) > side.limits.columns:
            side.check_columns(len(row))
        known.update(side.known.intersection(row))
    if not known:
        raise side.unknown()
    columns: dict[str, Column] = {
        name: side.clean([row.get(name) for row in rows]) for name in side.expected if name in known
    }
    return side.decoded(columns, len(rows), names_given=True)


def rows_of_lines(body: bytes, limits: Limits) -> list[Any]:
    """The objects of NDJSON, one a line.

    Raises
    ------
    Unfit
        Which line is none. Those after it are not looked at.
    """
    if body.count(b"\n") > 2 * limits.rows:  # blank lines between them are allowed, a million are not
        raise Unfit(reason="too_many_rows", detail=f"more than {2 * limits.rows} lines")
    rows = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            try:
                rows.append(parse_json(line, limits))
            except Unfit as unfit:
                raise Unfit(reason=unfit.reason, detail=f"line {number}: {unfit.detail}") from unfit
    return rows


class NamedRows(BaseDecoder):
    """A line of NDJSON that holds inputs and outputs of a row, by name.

    Examples
    --------
    >>> from driftgauge.protocols import decode_exchange
    >>> line = Message(b'{"age": 33, "score": 0.2, "customer": "c-17"}')
    >>> found = decode_exchange(NamedRows(Limits()), line, None, Names(("age",), ("score",)))
    >>> found.inputs, found.outputs
    ({'age': [33]}, {'score': [0.2]})
    """

    name: ClassVar[str] = "ndjson"
    both_halves: ClassVar[bool] = True

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        """The inputs of a line. One with outputs only has rows whose inputs are missing."""
        found = super().request(message, names)
        if isinstance(found, Undecodable) and found.reason == "unknown_columns":
            outputs = super().response(message, names, None)
            if isinstance(outputs, Decoded):
                return Decoded({}, outputs.rows, True, self.name)
        return found

    def read_request(self, message: Message, side: Side) -> Decoded:
        """What has the name of an input."""
        return columns_of(read_json(message, self.limits), side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """What has the name of an output."""
        return columns_of(read_json(message, self.limits), side)

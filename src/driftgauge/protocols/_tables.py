"""Values as JSON has them, turned into named columns.

What has names is taken by its names: features that the reference knows, the others are not looked at.
What has none is named by position, where there are as many values as features. Nothing is guessed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

from driftgauge._columns import label
from driftgauge.protocols._reading import Unfit, undo_base64
from driftgauge.protocols._types import Column, Decoded, Limits

__all__ = ["ATOMS", "Side", "flatten", "from_any", "from_matrix", "from_rows", "one_name_only"]

ATOMS: Final = frozenset({int, float, bool, str, type(None)})
_LARGEST: Final = int(sys.float_info.max)


class Side:
    """What is known of one half of an exchange before it is read.

    Parameters
    ----------
    expected : tuple of str
        Features of the reference, in order.
    limits : Limits
    protocol : str
    rows : int or None
        Of the request, when its response is read.
    categorical : frozenset of str
    """

    def __init__(
        self,
        expected: tuple[str, ...],
        limits: Limits,
        protocol: str,
        rows: int | None = None,
        categorical: frozenset[str] = frozenset(),
    ) -> None:
        self.expected = expected
        self.limits = limits
        self.protocol = protocol
        self.rows = rows
        self.categorical = categorical

    @cached_property
    def known(self) -> frozenset[str]:
        """The features as a set, made only where names have to be looked up."""
        return frozenset(self.expected)

    def parts(self, name: str, width: int) -> list[str] | None:
        """Features ``name_0``, ``name_1``, … for a value of several; None if not all are there."""
        if not 1 < width <= len(self.expected):
            return None
        names = [f"{name}_{place}" for place in range(width)]
        return names if self.known.issuperset(names) else None

    def places(self, names: Sequence[str]) -> dict[str, int]:
        """Where each feature is among *names*, in the reference's order; refused where one is there twice."""
        found: dict[str, int] = {}
        for place, name in enumerate(names):
            if name in self.known and found.setdefault(name, place) != place:
                raise Unfit(reason="several_keys", detail="two columns have the same name")
        return {name: found[name] for name in self.expected if name in found}

    def check_rows(self, rows: int) -> None:
        """Refuse none and too many."""
        if not rows:
            raise Unfit(reason="empty", detail="there are no rows")
        if rows > self.limits.rows:
            raise Unfit(reason="too_many_rows", detail=f"{rows} rows; at most {self.limits.rows}")

    def check_columns(self, columns: int) -> None:
        """Refuse too many."""
        if columns > self.limits.columns:
            raise Unfit(reason="too_many_columns", detail=f"{columns} columns; at most {self.limits.columns}")

    def unknown(self) -> Unfit:
        """Of names none of which the reference has."""
        shown = ", ".join(map(repr, self.expected[:10])) + (", …" if len(self.expected) > 10 else "")
        return Unfit(reason="unknown_columns", detail=f"no name is one of the reference's: {shown}")

    def misfit(self, width: int) -> Unfit:
        """Of values without names that are not as many as the features."""
        return Unfit(
            reason="wrong_shape",
            detail=f"{width} values a row without names for {len(self.expected)} features",
        )

    def decoded(self, columns: dict[str, Column], rows: int, *, names_given: bool) -> Decoded:
        """The result, when its columns are as long as they should be."""
        for column in columns.values():
            if len(column) != rows:
                raise Unfit(
                    reason="wrong_length", detail=f"a column of {len(column)} values among {rows} rows"
                )
        return Decoded(columns, rows, names_given, self.protocol)

    def clean(self, column: Sequence[Any]) -> list[Any]:
        """A column of numbers, booleans, texts and None only; ``[x]`` is x, and ``{"b64": …}`` its text."""
        values = column if type(column) is list else list(column)
        for _ in range(self.limits.depth):
            kinds = set(map(type, values))
            if kinds <= ATOMS:
                if int in kinds:
                    values = _finite(values, kinds)
                return self._short(values) if str in kinds else values
            if kinds == {list}:
                if any(len(each) != 1 for each in values):
                    raise Unfit(reason="wrong_shape", detail="a value of one feature is a list of several")
                values = [each[0] for each in values]
            elif kinds <= ATOMS | {dict}:
                values = [_text_of(each) if type(each) is dict else each for each in values]
            else:
                found = sorted(kind.__name__ for kind in kinds - ATOMS)
                raise Unfit(
                    reason="wrong_type", detail=f"a value is a {found[0]}, where a number or a text is due"
                )
        raise Unfit(reason="too_deep", detail=f"more than {self.limits.depth} lists within each other")

    def _short(self, values: list[Any]) -> list[Any]:
        most = self.limits.text_chars
        if any(type(each) is str and len(each) > most for each in values):
            return [label(each) if type(each) is str and len(each) > most else each for each in values]
        return values


def _finite(values: list[Any], kinds: set[type]) -> list[Any]:
    """The values, integers beyond float64 as infinity: one would have all rows of a batch refused."""
    whole = values if kinds == {int} else [each for each in values if type(each) is int]
    if max(whole) <= _LARGEST and min(whole) >= -_LARGEST:
        return values
    endless = float("inf")
    return [
        (endless if each > 0 else -endless) if type(each) is int and abs(each) > _LARGEST else each
        for each in values
    ]


def _text_of(value: dict[str, Any]) -> str:
    if set(value) != {"b64"}:
        raise Unfit(reason="wrong_type", detail="a value is an object, where a number or a text is due")
    return undo_base64(value["b64"]).decode("utf-8", "replace")


def flatten(values: list[Any], limits: Limits) -> list[Any]:
    """Values of nested lists, in row-major order. Lists and values side by side are refused."""
    for _ in range(limits.depth):
        lists = sum(type(each) is list for each in values) if list in set(map(type, values)) else 0
        if not lists:
            return values
        if lists < len(values):
            raise Unfit(reason="wrong_shape", detail="lists and values stand side by side")
        values = list(chain.from_iterable(values))
    raise Unfit(reason="too_deep", detail=f"more than {limits.depth} lists within each other")


def from_any(value: Any, side: Side, *, flat_row: bool = False) -> Decoded:
    """Columns of rows, of a dict of columns, of one row as a dict, or of one value.

    *flat_row*: whether a list of as many values as features is one row; else it is a column.
    """
    if type(value) is list:
        return from_rows(value, side, flat_row=flat_row)
    if type(value) is dict:
        return _from_dict(value, side)
    return from_rows([value], side)


def from_rows(rows: list[Any], side: Side, *, flat_row: bool = False) -> Decoded:
    """Columns of a list with one entry a row: a list of values, a dict, or the one value that there is."""
    side.check_rows(len(rows))
    kinds = set(map(type, rows))
    if kinds == {list}:
        return _from_lists(rows, side)
    if kinds == {dict} and not one_name_only(rows, "b64"):
        return _from_records(rows, side)
    if not kinds <= ATOMS | {dict}:
        raise Unfit(reason="wrong_type", detail=f"rows are of {len(kinds)} kinds")
    width = len(side.expected)
    if width == 1:
        return side.decoded({side.expected[0]: side.clean(rows)}, len(rows), names_given=False)
    if len(rows) == width and (flat_row or side.rows == 1):
        return from_rows([rows], side)
    raise side.misfit(1)


def one_name_only(rows: list[Any], name: str) -> bool:
    """Whether the first row has this one key: rows that are values and not records."""
    return len(rows[0]) == 1 and name in rows[0]


def _one_row(values: list[Any], names: Sequence[str], side: Side) -> dict[str, Column] | None:
    """Columns of one row, cleaned at once, which takes a third of the time; None where it is not plain."""
    if not ATOMS.issuperset(map(type, values)):
        return None
    return {name: [each] for name, each in zip(names, side.clean(values), strict=True)}


def _from_lists(rows: list[list[Any]], side: Side) -> Decoded:
    width = len(side.expected)
    if len(rows) == 1 and len(rows[0]) == width <= side.limits.columns:
        row = _one_row(rows[0], side.expected, side)
        if row is not None:
            return side.decoded(row, 1, names_given=False)
    if set(map(len, rows)) != {width}:
        rows = [flatten(row, side.limits) for row in rows]
        widths = set(map(len, rows))
        if widths != {width}:
            side.check_columns(max(widths))
            if len(widths) > 1:
                raise Unfit(reason="wrong_shape", detail="rows have different lengths")
            raise side.misfit(widths.pop())
    side.check_columns(width)
    columns: dict[str, Column] = {
        name: side.clean(column) for name, column in zip(side.expected, zip(*rows, strict=True), strict=True)
    }
    return side.decoded(columns, len(rows), names_given=False)


def _from_records(rows: list[dict[str, Any]], side: Side) -> Decoded:
    keys = dict.fromkeys(rows[0]) if len(rows) == 1 else dict.fromkeys(chain.from_iterable(rows))
    side.check_columns(len(keys))
    names = [name for name in side.expected if name in keys]
    columns = _one_row([rows[0][name] for name in names], names, side) if len(rows) == 1 else None
    if columns is None:
        columns = {name: side.clean([row.get(name) for row in rows]) for name in names}
    for key in keys:
        if key not in side.known and type(rows[0].get(key)) is list:
            columns |= _spread(key, [row.get(key) for row in rows], side)
    if columns:
        return side.decoded(columns, len(rows), names_given=True)
    if len(keys) == 1:  # a tensor with a name of its own, and not of a feature
        (key,) = keys
        inner = [row.get(key) for row in rows]
        if {dict} != set(map(type, inner)):
            return from_rows(inner, side)
    raise side.unknown()


def _spread(key: str, cells: list[Any], side: Side) -> dict[str, Column]:
    """Columns ``key_0``, ``key_1`` of cells that are lists; none where the reference has no such features."""
    names = side.parts(key, len(cells[0])) if type(cells[0]) is list else None
    if names is None:
        return {}
    if any(type(cell) is not list or len(cell) != len(names) for cell in cells):
        raise Unfit(reason="wrong_shape", detail="values of one name have different lengths")
    turned = zip(*cells, strict=True)
    return {name: side.clean(column) for name, column in zip(names, turned, strict=True)}


def _from_dict(table: dict[str, Any], side: Side) -> Decoded:
    side.check_columns(len(table))
    wanted = {name: table[name] for name in side.expected if name in table}
    if not any(type(value) is list for value in (wanted or table).values()):
        if len(table) == 1 and not wanted and "b64" not in table:
            (value,) = table.values()
            if type(value) is dict:
                raise side.unknown()
        return from_rows([table], side)
    columns: dict[str, Column] = {}
    for name, value in wanted.items():
        if type(value) is not list:
            raise Unfit(reason="wrong_length", detail="lists and values stand side by side")
        side.check_rows(len(value))
        columns[name] = side.clean(value)
    for key, value in table.items():
        if key not in side.known and type(value) is list and value:
            columns |= _spread(key, value, side)
    if columns:
        return side.decoded(columns, len(next(iter(columns.values()))), names_given=True)
    if len(table) == 1:  # a tensor with a name of its own, and not of a feature
        (value,) = table.values()
        return from_rows(value, side)
    raise side.unknown()


def from_matrix(names: Sequence[str], rows: list[Any], side: Side, *, or_by_position: bool) -> Decoded:
    """Columns of rows under a common list of names.

    Parameters
    ----------
    names : sequence of str
    rows : list
        Each a list of as many values.
    side : Side
    or_by_position : bool
        Whether values are named by their position when the reference has none of the names.
    """
    side.check_rows(len(rows))
    side.check_columns(len(names))
    if set(map(type, rows)) != {list}:
        raise Unfit(reason="wrong_type", detail="a row is not a list")
    if set(map(len, rows)) != {len(names)}:
        raise Unfit(
            reason="wrong_length", detail=f"a row has another number of values than the {len(names)} names"
        )
    places = side.places(names)
    if not places:
        if or_by_position:
            return _from_lists(rows, side)
        raise side.unknown()
    columns: dict[str, Column] = {
        name: side.clean([row[place] for row in rows]) for name, place in places.items()
    }
    return side.decoded(columns, len(rows), names_given=True)

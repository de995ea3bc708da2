"""Many small exchanges put together into columns: counting 500 rows at once costs what counting 5 does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from driftgauge.protocols import Column

__all__ = ["Batch", "joinable"]

_PLAIN: Final = frozenset({float, int, bool, str, type(None)})
_NUMBERS: Final = frozenset({float, int})
_KINDS: Final = frozenset("biufU")


def joinable(columns: Mapping[str, Any], rows: int) -> bool:
    """Whether columns may share a batch: a list in a cell would have the rows of all others refused.

    Examples
    --------
    >>> joinable({"age": [31, None]}, 2), joinable({"age": [31, [2]]}, 2), joinable({"age": [31]}, 2)
    (True, False, False)
    """
    for column in columns.values():
        if isinstance(column, np.ndarray):
            if column.shape != (rows,) or column.dtype.kind not in _KINDS:
                return False
        elif type(column) is not list or len(column) != rows or not set(map(type, column)) <= _PLAIN:
            return False
    return True


class Batch:
    """Columns that grow by one exchange after the other.

    Parameters
    ----------
    names : sequence of str
        The columns that are wanted. One that an exchange does not have is missing in its rows.
    numeric : collection of str
        Those whose values are numbers: they are joined to arrays, which are indexed 3 times as fast.

    Examples
    --------
    >>> batch = Batch(("age", "plan"), numeric=("age",))
    >>> batch.add({"age": [31.5], "plan": ["free"]}, 1)
    >>> batch.add({"age": [40.0]}, 1)
    >>> batch.columns()
    {'age': array([31.5, 40. ]), 'plan': ['free', None]}
    """

    def __init__(self, names: Sequence[str], numeric: Collection[str]) -> None:
        self._pieces: dict[str, list[Column]] = {name: [] for name in names}
        self._numeric = frozenset(numeric)

    def add(self, columns: Mapping[str, Column] | None, rows: int) -> None:
        """Append *rows* rows; None: all of them are missing."""
        found: Mapping[str, Column] = columns or {}
        for name, pieces in self._pieces.items():
            column = found.get(name)
            pieces.append([None] * rows if column is None else column)

    def columns(self) -> dict[str, Column]:
        """All rows so far."""
        return {name: self._joined(pieces, name in self._numeric) for name, pieces in self._pieces.items()}

    def _joined(self, pieces: list[Column], numeric: bool) -> Column:
        if len(pieces) == 1:
            return pieces[0]
        arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
        # Arrays of one type only: numbers beside texts would all become texts.
        if len(arrays) == len(pieces) and len({piece.dtype for piece in arrays}) == 1:
            return np.concatenate(arrays)
        values = list(
            chain.from_iterable(
                piece.tolist() if isinstance(piece, np.ndarray) else piece for piece in pieces
            )
        )
        if numeric and set(map(type, values)) <= _NUMBERS:
            try:
                return np.array(values, np.float64)
            except OverflowError:  # an integer of more than 308 digits
                return values
        return values

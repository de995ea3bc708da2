"""One column of an unfinished reference: its type once it is known, and its tally."""

from __future__ import annotations

import numpy as np

from driftgauge._columns import Categories, ColumnType
from driftgauge._tally import CategoryTally, NumberTally
from driftgauge.cells import Floats, is_missing
from driftgauge.errors import DataError

__all__ = ["ColumnTally", "check_type", "has_value"]


class ColumnTally:
    """One column: its type, known with its first value that is not missing, and its tally."""

    __slots__ = ("dtype", "missing", "single", "tally")

    def __init__(self) -> None:
        self.dtype: str | None = None
        self.missing = 0
        """Rows before the type was known; all of them were missing."""
        self.single = True
        """Whether all numbers so far came as float32."""
        self.tally: NumberTally | CategoryTally | None = None

    @property
    def rows(self) -> int:
        """Rows seen."""
        return self.missing if self.tally is None else self.tally.rows

    def start(self, dtype: str, *, bounded: bool) -> None:
        """Settle the type; the rows so far were missing."""
        self.dtype = dtype
        self.tally = NumberTally(bounded=bounded) if dtype == "numeric" else CategoryTally()
        self.tally.missing = self.missing

    def update(self, values: Floats | Categories, *, single: bool) -> None:
        """Count the values of one batch; *single* says that it came as float32."""
        if isinstance(self.tally, NumberTally):
            assert not isinstance(values, Categories)
            if self.single and not single:
                self.single = not bool(np.isfinite(values).any())
            self.tally.update(values)
        elif self.tally is not None:
            self.tally.update(values if isinstance(values, Categories) else _boolean_codes(values))


def _boolean_codes(values: Floats) -> Categories:
    codes = np.full(values.size, -1, np.int32)
    present = ~np.isnan(values)
    codes[present] = values[present] != 0.0
    return Categories(codes, ("false", "true"))


def has_value(values: Floats | Categories, known: str | None = None) -> bool:
    """Whether any value is not missing; only then is a column's type known.

    A NaN is missing in a column that is *known* not to be numeric: pandas writes so where a boolean has gaps.
    """
    if isinstance(values, Categories):
        return bool((values.codes >= 0).any())
    if known not in {None, "numeric"}:
        return not bool(np.isnan(values).all())
    return not bool(is_missing(values).all())


def check_type(name: str, dtype: ColumnType, *, too_large: bool) -> None:
    """Refuse, with a hint, what can be no feature."""
    if dtype == "date":
        message = (
            f"column {name!r} holds dates or durations, which always move on; name it in time= if it says "
            "when each row was, else in exclude=, or derive an age from it"
        )
        raise DataError(message)
    if too_large:
        message = (
            f"column {name!r} holds integers beyond 2**53, which float64 cannot tell apart; if it is an "
            "identifier name it in exclude=, if a category in categorical="
        )
        raise DataError(message)

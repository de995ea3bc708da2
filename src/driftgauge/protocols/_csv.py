"""CSV as servers take it, which says nothing of types."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from driftgauge.protocols._reading import Unfit
from driftgauge.protocols._tables import Side
from driftgauge.protocols._types import Limits

__all__ = ["csv_column", "csv_rows"]

_MISSING: Final = frozenset(
    {"", "NA", "N/A", "n/a", "NULL", "null", "None", "<NA>", "#N/A", "#NA", "-nan", "-NaN"}
)
"""Cells that pandas, with which MLflow reads CSV, takes as missing; NaN is read as a number."""


def csv_rows(body: bytes, limits: Limits) -> list[list[str]]:
    """Cells of each line that has any."""
    lines = max(body.count(b"\n"), body.count(b"\r"))
    if (
        lines > limits.rows + 1
    ):  # before they are split: a line of one digit takes 90 times its text in memory
        raise Unfit(reason="too_many_rows", detail=f"{lines} lines; at most {limits.rows} rows")
    if body.count(b",") + lines > limits.values:
        raise Unfit(reason="too_many_values", detail=f"more than {limits.values} cells")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unfit(reason="not_utf8", detail="the body is not UTF-8") from error
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise Unfit(reason="not_csv", detail="the body is not CSV") from error
    if not rows:
        raise Unfit(reason="empty", detail="there are no rows")
    return rows


def csv_column(cells: Sequence[str], name: str, side: Side) -> list[Any]:
    """Values of one feature: texts where it is categorical; else numbers, and texts where a cell is none."""
    if name in side.categorical:
        return side.clean([None if cell in _MISSING else cell for cell in cells])
    with contextlib.suppress(ValueError):  # all numbers, as most columns are: a third of the time
        values = list(map(float, cells))
        if "_" not in "".join(cells):
            return values
    return side.clean([None if cell in _MISSING else _number(cell) for cell in cells])


def _number(cell: str) -> Any:
    try:
        return cell if "_" in cell else float(cell)  # float takes 1_000 as a number
    except ValueError:
        return cell

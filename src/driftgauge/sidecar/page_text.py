"""Small pieces of text on the status page: names that may hold anything, numbers, spans of time."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from typing import Final

__all__ = ["ago", "grouped", "instant", "number", "percent", "shown", "span"]

NAME_CHARACTERS: Final = 120
# Control, format (they turn the direction of writing), surrogate, private use and unassigned characters, and
# separators of lines. Marks that combine are left, but a thousand of them on one letter cover the page.
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKS: Final = {"Mn", "Me"}
_MOST_MARKS: Final = 2
_UNITS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def shown(name: str, characters: int = NAME_CHARACTERS) -> str:
    """*name* as it can be shown: what is invisible as an escape, what is long cut.

    Escaping for HTML is not done here: the templates do it, always.

    Examples
    --------
    >>> shown("age")
    'age'
    >>> shown("pay" + chr(0x202E) + "exe", 10)
    'pay\\\\u202e…'
    """
    made: list[str] = []
    length = marks = 0
    for character in name:
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if category in _HIDDEN or marks > _MOST_MARKS:
            piece = character.encode("unicode_escape", "surrogatepass").decode("ascii")
        else:
            piece = character
        if length + len(piece) >= characters and len(name) > 1:
            rest = length + len(piece) == characters and len(made) + 1 == len(name)
            made.append(piece if rest else "…")
            break
        made.append(piece)
        length += len(piece)
    return "".join(made) or "(no name)"


def number(value: float | None, digits: int = 2) -> str:
    """*value* with *digits* decimals; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.2e}"


def percent(share: float | None) -> str:
    """A share of rows in percent; never 0 for what is there, never 100 for what is not all."""
    if share is None or math.isnan(share):
        return "–"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{share:.1%}".replace("%", " %")


def grouped(count: int) -> str:
    """A count with its thousands set apart."""
    return f"{count:,}".replace(",", "\u00a0")


def span(seconds: float | None) -> str:
    """A span of time in its largest unit, with one decimal where that is short.

    Examples
    --------
    >>> span(42), span(5_400), span(86_400 * 90)
    ('42 s', '1.5 h', '90 d')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def instant(timestamp_seconds: float | None) -> str:
    """A moment in UTC, to the second; a dash where there is none or no calendar has it."""
    if timestamp_seconds is None or not math.isfinite(timestamp_seconds):
        return "–"
    try:
        return datetime.fromtimestamp(timestamp_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "–"


def ago(timestamp_seconds: float | None, now_seconds: float) -> str:
    """A moment and how long ago it was."""
    text = instant(timestamp_seconds)
    if text == "–" or timestamp_seconds is None:
        return text
    return f"{text}, {span(now_seconds - timestamp_seconds)} ago"

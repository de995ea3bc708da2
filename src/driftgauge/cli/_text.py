"""Small pieces of text: numbers, ratios, sparklines, names that may hold anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["clean", "number", "ratio", "short", "sparkline"]

BLOCKS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS: Final = "_.-=+*%#"


def number(value: float | None, digits: int = 3) -> str:
    """*value* with *digits* decimals; empty where there is none."""
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def ratio(value: float | None) -> str:
    """A ratio as percent with one decimal; empty where there is none."""
    return "" if value is None or math.isnan(value) else f"{value:.1%}"


def short(value: float) -> str:
    """A value of the data in at most six significant digits."""
    return f"{value:.6g}"


def clean(name: str) -> str:
    """*name* with control characters written as escapes, so that a column's name cannot steer a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in name)


def sparkline(values: Sequence[float], top: float, width: int, *, plain: bool = False) -> str:
    """*values* as *width* blocks, 0 to *top*; the largest of the values that share a block; NaN is a space.

    Examples
    --------
    >>> sparkline([0.0, 1.0, 2.0, 4.0], top=4.0, width=4)
    '▁▃▅█'
    """
    blocks = PLAIN_BLOCKS if plain else BLOCKS
    line = []
    for i in range(min(width, len(values))):
        start, stop = i * len(values) // width, (i + 1) * len(values) // width
        shared = values[i : i + 1] if len(values) <= width else values[start:stop]
        finite = [value for value in shared if not math.isnan(value)]
        if not finite:
            line.append(" ")
            continue
        share = min(max(finite) / top, 1.0) if top > 0 else 0.0
        line.append(blocks[min(int(share * len(blocks)), len(blocks) - 1)])
    return "".join(line)

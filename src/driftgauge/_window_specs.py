"""What a window is to hold: the last N rows, or the last T seconds. Frozen values, no state.

The public door is `driftgauge.windows`; this module exists so that a window state can name its
specification without importing the windows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from driftgauge.errors import ConfigError

if TYPE_CHECKING:
    from driftgauge._duration_window import DurationWindow
    from driftgauge._row_window import RowWindow
    from driftgauge.layout import Layout

__all__ = ["Duration", "Rows", "WindowSpec", "duration", "rows", "spec_from_dict"]

MAX_ROWS: Final = 2**31 - 1  # counts are uint32; half of that leaves room to merge a second window
MAX_PANES: Final = 1_000
MAX_SECONDS: Final = 3_660 * 86_400  # ten years
# The window forgets in steps of T / panes. Our choice: an hour forgets every five minutes. Each closed pane
# costs memory (`DurationWindow.nbytes`), so more panes are not free.
DEFAULT_PANES: Final = 12

_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """The last `size` rows, exact row by row. Made by `rows`."""

    size: int

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        if not whole or not 1 <= self.size <= MAX_ROWS:
            message = f"a row window's size must be a whole number from 1 to {MAX_ROWS:,}, got {self.size!r}"
            raise ConfigError(message)

    @property
    def name(self) -> str:
        """The value of the label `window`: ``'10000rows'``."""
        return f"{self.size}rows"

    def __repr__(self) -> str:
        return f"rows({self.size})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file; `spec_from_dict` reads them."""
        return {"kind": "rows", "size": self.size}

    def open(self, layout: Layout, reference_id: str) -> RowWindow:
        """Make an empty window of this kind over the cells of *layout*."""
        from driftgauge._row_window import RowWindow

        return RowWindow(self, layout, reference_id)


@dataclass(frozen=True, slots=True, repr=False)
class Duration:
    """The last `seconds` seconds, in `panes` steps. Made by `duration`."""

    seconds: float
    panes: int = DEFAULT_PANES

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= MAX_SECONDS:  # NaN fails both
            message = (
                f"a duration window must be from 1 second to ten years long, got {self.seconds!r} seconds"
            )
            raise ConfigError(message)
        whole = isinstance(self.panes, int) and not isinstance(self.panes, bool)
        if not whole or not 1 <= self.panes <= MAX_PANES:
            message = f"panes must be a whole number from 1 to {MAX_PANES:,}, got {self.panes!r}"
            raise ConfigError(message)

    @property
    def name(self) -> str:
        """The value of the label `window`: ``'1h'``, ``'90m'``, ``'36.5s'``."""
        for letter, unit in _UNITS.items():
            if letter != "w" and self.seconds % unit == 0:  # people say 7d and 14d
                return f"{int(self.seconds // unit)}{letter}"
        return f"{self.seconds!r}s"

    @property
    def pane_seconds(self) -> float:
        """Length of one pane in seconds."""
        return self.seconds / self.panes

    def pane_number(self, now_seconds: float) -> int:
        """Number of the pane that a moment falls into, counted from the epoch.

        Counted from the epoch and not from the first row, so that the panes of two replicas are the same
        panes and their states can be added.
        """
        if not math.isfinite(now_seconds):
            message = f"now_seconds must be a finite number of seconds since the epoch, got {now_seconds!r}"
            raise ConfigError(message)
        return math.floor(now_seconds / self.pane_seconds)

    def __repr__(self) -> str:
        return f"duration({self.name!r}, panes={self.panes})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file; `spec_from_dict` reads them."""
        return {"kind": "duration", "seconds": self.seconds, "panes": self.panes}

    def open(self, layout: Layout, reference_id: str) -> DurationWindow:
        """Make an empty window of this kind over the cells of *layout*."""
        from driftgauge._duration_window import DurationWindow

        return DurationWindow(self, layout, reference_id)


WindowSpec = Rows | Duration


def rows(size: int) -> Rows:
    """Specification of a window over the last *size* rows.

    Parameters
    ----------
    size : int
        1 to 2,147,483,647. The window keeps 2 bytes a row and feature.

    Returns
    -------
    Rows

    Raises
    ------
    ConfigError
        When *size* is not a whole number in that range.

    Examples
    --------
    >>> rows(10_000)
    rows(10000)
    >>> rows(10_000).name
    '10000rows'
    """
    return Rows(size)


def duration(length: str | float | timedelta, *, panes: int = DEFAULT_PANES) -> Duration:
    """Specification of a window over the last *length* of time.

    Parameters
    ----------
    length : str, float or timedelta
        ``'90s'``, ``'15m'``, ``'1h'``, ``'1h30m'``, ``'7d'``, ``'2w'``; or seconds; at least 1 second.
    panes : int
        1 to 1,000. The window forgets in whole panes of ``length / panes``, so it reaches back at least
        ``length * (1 - 1 / panes)`` and less than *length*. Default 12: an hour forgets every five minutes.

    Returns
    -------
    Duration

    Raises
    ------
    ConfigError
        When *length* cannot be read or is under a second, or *panes* is out of range.

    Examples
    --------
    >>> duration("1h")
    duration('1h', panes=12)
    >>> duration(5400, panes=6)
    duration('90m', panes=6)
    >>> duration("1h") == duration(3600)
    True
    """
    if isinstance(length, timedelta):
        return Duration(length.total_seconds(), panes)
    if isinstance(length, str):
        return Duration(_seconds(length), panes)
    if isinstance(length, bool) or not isinstance(length, (int, float)):
        message = f"a duration is text such as '1h', seconds, or a timedelta, got {length!r}"
        raise ConfigError(message)
    return Duration(float(length), panes)


def spec_from_dict(values: object) -> WindowSpec:
    """The specification that `to_dict` wrote; ConfigError when it is not one."""
    fields: dict[str, Any] = values if isinstance(values, dict) else {}
    if fields.get("kind") == "rows" and set(fields) == {"kind", "size"}:
        return Rows(fields["size"])
    if fields.get("kind") == "duration" and set(fields) == {"kind", "seconds", "panes"}:
        seconds = fields["seconds"]
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
            return Duration(float(seconds), fields["panes"])
    message = f"a window specification has kind 'duration' or 'rows' and its own fields, got {values!r}"
    raise ConfigError(message)


def _seconds(text: str) -> float:
    compact = text.replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        message = f"a duration reads like '90s', '15m', '1h', '1h30m' or '7d', got {text!r}"
        raise ConfigError(message)
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))

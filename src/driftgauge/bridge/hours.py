"""Quiet hours: times of the week, in a time zone, at which nothing is started."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

__all__ = ["QuietHours", "quiet_until"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY: Final = 1_440
_TEXT: Final = re.compile(
    r"(?:([a-z]{3})(?:-([a-z]{3}))?\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Minutes of some days of the week.

    Parameters
    ----------
    days : frozenset of int
        Days on which it begins, Monday being 0.
    begin, end : int
        Minutes after midnight; an end before the begin, or equal to it, is on the next day.
    """

    days: frozenset[int]
    begin: int
    end: int

    @classmethod
    def read(cls, text: str) -> QuietHours:
        """From ``'22:00-06:00'``, ``'sat 00:00-24:00'`` or ``'mon-fri 08:00-18:00'``.

        Raises
        ------
        ValueError
            When it is none of these.

        Examples
        --------
        >>> QuietHours.read("sat-sun 20:00-08:00")
        QuietHours(days=frozenset({5, 6}), begin=1200, end=480)
        """
        found = _TEXT.fullmatch(text.strip())
        message = "must be such as '22:00-06:00', 'sat 00:00-24:00' or 'mon-fri 08:00-18:00'"
        if not found:
            raise ValueError(message)
        first, last = (each.lower() if each else None for each in (found[1], found[2]))
        if (first and first not in DAYS) or (last and last not in DAYS):
            raise ValueError(message)
        if first is None:
            days = frozenset(range(7))
        else:
            start = DAYS.index(first)
            length = (DAYS.index(last) - start) % 7 if last else 0
            days = frozenset((start + step) % 7 for step in range(length + 1))
        begin, end = int(found[3]) * 60 + int(found[4]), int(found[5]) * 60 + int(found[6])
        if begin >= MINUTES_A_DAY or end > MINUTES_A_DAY or int(found[4]) > 59 or int(found[6]) > 59:
            raise ValueError(message)
        return cls(days, begin, end)

    def until(self, now_seconds: float, zone: tzinfo) -> float | None:
        """When the quiet hours that hold this moment end; None when none do.

        Times are those of the wall's clock: a night in which it is changed is longer or shorter.
        """
        now = datetime.fromtimestamp(now_seconds, zone)
        for back in (1, 0):
            midnight = datetime(now.year, now.month, now.day, tzinfo=zone) - timedelta(days=back)
            if midnight.weekday() not in self.days:
                continue
            length = (self.end - self.begin) % MINUTES_A_DAY or MINUTES_A_DAY
            begin = _at(midnight, self.begin)
            end = _at(midnight, self.begin + length)
            if begin <= now_seconds < end:
                return end
        return None


def _at(midnight: datetime, minutes: int) -> float:
    """Unix time of a time on the wall's clock. Adding to an aware time is adding on the wall."""
    return (midnight + timedelta(minutes=minutes)).astimezone(UTC).timestamp()


def quiet_until(hours: Sequence[QuietHours], now_seconds: float, zone: tzinfo) -> float | None:
    """When all quiet hours that follow on each other from now have ended; None when it is not quiet."""
    end: float | None = None
    at = now_seconds
    for _ in range(15):  # a week of days that join; for ever quiet is looked at again after it
        ends = [found for each in hours if (found := each.until(at, zone)) is not None]
        if not ends:
            break
        end = at = max(ends)
    return end

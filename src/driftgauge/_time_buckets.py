"""Seconds since 1970 to hours and days as people in a time zone count them."""

from __future__ import annotations

import datetime
import math
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.errors import ConfigError

__all__ = ["check_timezone", "from_local", "local_hour", "local_hours"]

# No clock has been set between two quarters of an hour since 1972; Lord Howe Island's moves by half an hour.
_QUARTER: Final = 900

_EPOCH: Final = datetime.datetime(1970, 1, 1)


def check_timezone(timezone: str) -> None:
    """Raise `ConfigError` where *timezone* is no IANA name that this machine knows."""
    if timezone == "UTC":
        return
    try:
        zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        message = (
            f"time zone {timezone!r} is not known on this machine; give an IANA name, 'Europe/Berlin', "
            "and install the package tzdata where there is no zone database"
        )
        raise ConfigError(message) from error


@lru_cache(maxsize=1 << 16)  # two years of quarters
def _offset(timezone: str, quarter: int) -> int:
    """Seconds that local time is ahead of UTC in this quarter of an hour since 1970."""
    zone = zoneinfo.ZoneInfo(timezone)
    try:
        ahead = datetime.datetime.fromtimestamp(quarter * _QUARTER, zone).utcoffset()
    except (OverflowError, ValueError, OSError):  # a clock gone mad must not stop anybody
        return 0
    return 0 if ahead is None else int(ahead.total_seconds())


@lru_cache(maxsize=1 << 16)
def _offset_of_local(timezone: str, quarter: int) -> int:
    """The same by local time; in the hour that comes twice, the first."""
    zone = zoneinfo.ZoneInfo(timezone)
    try:
        local = _EPOCH + datetime.timedelta(seconds=quarter * _QUARTER)
        ahead = local.replace(tzinfo=zone).utcoffset()
    except (OverflowError, ValueError, OSError):
        return 0
    return 0 if ahead is None else int(ahead.total_seconds())


def _offsets(seconds: Floats, timezone: str, look_up: Callable[[str, int], int]) -> NDArray[np.int64]:
    """Offset of each, asked once for each run of values in one quarter: times mostly come in order."""
    quarters = np.floor(seconds / _QUARTER).astype(np.int64)
    if quarters.size == 0:
        return quarters
    starts = np.concatenate(([0], np.flatnonzero(np.diff(quarters)) + 1))
    offsets = np.array([look_up(timezone, quarter) for quarter in quarters[starts].tolist()], np.int64)
    return np.repeat(offsets, np.diff(np.append(starts, quarters.size)))


def _local_seconds(seconds: Floats, timezone: str) -> Floats:
    """What a clock in *timezone* shows, in seconds since 1970: float64, the shape of *seconds*."""
    return seconds if timezone == "UTC" else seconds + _offsets(seconds, timezone, _offset)


def from_local(seconds: Floats, timezone: str) -> Floats:
    """Seconds since 1970 when a clock there showed *seconds*; in the hour that comes twice, the first."""
    return seconds if timezone == "UTC" else seconds - _offsets(seconds, timezone, _offset_of_local)


def local_hours(seconds: Floats, timezone: str) -> NDArray[np.int64]:
    """Whole hours since 1970 by a clock in *timezone*, int64 of the shape of *seconds*."""
    hours: NDArray[np.int64] = np.floor(_local_seconds(seconds, timezone) / 3_600).astype(np.int64)
    return hours


def local_hour(seconds: float, timezone: str) -> int:
    """`local_hours` of one time, at a twentieth of its cost. Of what is no number, 0."""
    if not math.isfinite(seconds):
        return 0
    if timezone != "UTC":
        seconds += _offset(timezone, math.floor(seconds / _QUARTER))
    return math.floor(seconds / 3_600)

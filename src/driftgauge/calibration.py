"""What a reference knows of its rows beyond each column's counts: order in time, season, and joint law.

All of it is counts and a few numbers by e-cell. It is learned in a second pass over the reference's rows and
is part of the reference's content, so that replicas which fit the same rows agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from driftgauge._time_buckets import check_timezone, local_hour, local_hours
from driftgauge.cells import Floats
from driftgauge.errors import ConfigError

__all__ = ["CYCLES", "Calibration", "Cycle", "StreamCalibration", "TimeBuckets", "VirtualFeature"]

Cycle = Literal["none", "hour", "hour_weekend", "hour_weekday", "weekday"]

CYCLES: Final[dict[str, int]] = {"none": 1, "hour": 24, "hour_weekend": 48, "hour_weekday": 168, "weekday": 7}
"""Number of buckets by cycle."""

_Hours = TypeVar("_Hours", int, NDArray[np.int64])


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBuckets:
    """The times that are compared with the same times of the reference.

    Parameters
    ----------
    cycle : 'none', 'hour', 'hour_weekend', 'hour_weekday' or 'weekday'
        1, 24, 48 (working day or weekend), 168 or 7 buckets.
    timezone : str
        In which hours and days are counted, an IANA name. Default UTC.

    Raises
    ------
    ConfigError
        Another cycle, or a time zone that this machine does not know.

    Examples
    --------
    >>> buckets = TimeBuckets(cycle="hour", timezone="Asia/Kolkata")
    >>> buckets.at(0.0)  # 05:30 there
    5
    """

    cycle: Cycle = "none"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.cycle not in CYCLES:
            message = f"cycle must be one of {', '.join(map(repr, sorted(CYCLES)))}, got {self.cycle!r}"
            raise ConfigError(message)
        check_timezone(self.timezone)

    @property
    def size(self) -> int:
        """Number of buckets, H."""
        return CYCLES[self.cycle]

    def of(self, seconds: Floats) -> NDArray[np.int64]:
        """Bucket of each time, int64 of the shape of *seconds* (since 1970), from 0 to ``size - 1``."""
        if self.cycle == "none":
            return np.zeros(seconds.shape, np.int64)
        return _bucket(local_hours(seconds, self.timezone), self.cycle)

    def at(self, seconds: float) -> int:
        """Bucket of one time."""
        return 0 if self.cycle == "none" else _bucket(local_hour(seconds, self.timezone), self.cycle)


def _bucket(hours: _Hours, cycle: str) -> _Hours:
    """Bucket of local hours since 1970, which began on a Thursday at midnight."""
    hour, weekday = hours % 24, (hours // 24 + 3) % 7
    if cycle == "hour":
        return hour
    if cycle == "weekday":
        return weekday
    return hour + 24 * (weekday if cycle == "hour_weekday" else weekday // 5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamCalibration:
    """One stream: a feature of the reference, or a virtual one.

    Parameters
    ----------
    counts : float64[K]
        Reference rows by e-cell.
    bucket_counts : uint32[H, K] or None
        The same by time bucket, raw. None: the stream has no season, or no times are known.
    design_effects : float32[4 + K]
        Variance inflation by dependence between neighbouring rows, at least 1: of the four score functions
        (location, scale, cubic, quartic), then of each e-cell's indicator. All ones when the order of the
        reference's rows is not known.
    largest_burst : float
        Rows of the largest burst into one e-cell; 0 where there was none or the order is not known.
    """

    counts: Floats
    bucket_counts: NDArray[np.uint32] | None
    design_effects: NDArray[np.float32]
    largest_burst: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VirtualFeature:
    """A number made of the normal scores of several features: what shows drift between them.

    Its value for a row is the sum of ``weights * score``, or of ``weights * score**2`` when `squared`, where
    score is the mean normal score of the reference in the e-cell that the row's value fell into; 0 for
    missing values and for what has no order.

    Parameters
    ----------
    name : str
        ``'age + income'``, ``'age - income'``, ``'sum'``, ``'sum of squares'``, ``'projection 3'``.
    features : int32[k]
        Numbers of the features in the reference.
    weights : float32[k]
    squared : bool
    edges : float64[K - 1]
        Rising. E-cell 0 is up to and with the first edge, e-cell ``K - 1`` is over the last. All K are
        ordered.
    """

    name: str
    features: NDArray[np.int32]
    weights: NDArray[np.float32]
    squared: bool
    edges: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """What was learned of a reference's rows.

    Parameters
    ----------
    rows : int
        Rows it was learned from.
    in_time_order : bool
        Whether the rows came with times, so that `design_effects` are measured and not assumed.
    buckets : TimeBuckets
    virtual : tuple of VirtualFeature
    streams : tuple of StreamCalibration
        Features in the reference's order, then virtual features.
    half_score : float or None
        Highest drift score of the second half of the rows against the first, at a budget of one false alert
        in 90 days with an evaluation a minute. Above 1 the reference itself drifts. None without times.
    half_features : tuple of str
        The features that drift there.
    """

    rows: int
    in_time_order: bool
    buckets: TimeBuckets
    virtual: tuple[VirtualFeature, ...]
    streams: tuple[StreamCalibration, ...]
    half_score: float | None = None
    half_features: tuple[str, ...] = ()

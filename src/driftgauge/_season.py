"""Times of rows: which of them are alike, and whether matching like with like pays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._dependence import BlockMoments, Integers
from driftgauge._time_buckets import local_hours
from driftgauge.calibration import CYCLES, Cycle
from driftgauge.cells import Floats

__all__ = ["Season", "Times", "find_season"]

# A time bucket with fewer rows than this is too thin to be compared with; so few rows may lie in such ones.
MIN_BUCKET_ROWS: Final = 1_000
_MAX_THIN_RATIO: Final = 0.01
_MIN_CYCLES: Final = 3

# A season is matched where it explains this share of a score's variance beyond noise: a quarter of the
# smallest effect that is looked for by default.
SEASON_EFFECT: Final = 0.0025
_SEASON_ERRORS: Final = 6.0

# Rows that step back in time by no more than an hour are in order: local clocks are set back by that much.
_BACK_SECONDS: Final = 3_600.0

# Sums by bucket may take so much memory; with more streams, hours of the day only.
_MAX_SUM_BYTES: Final = 256 << 20


@dataclass(slots=True)
class Times:
    """What is known of the times of all rows before the second pass.

    Parameters
    ----------
    timezone : str
        In which hours and days are counted.
    """

    timezone: str
    rows: int = 0
    in_order: bool = True
    bucket_rows: Integers = field(default_factory=lambda: np.zeros(CYCLES["hour_weekday"], np.int64))
    _first: float = np.inf
    _last: float = -np.inf
    _days: set[int] = field(default_factory=set)

    def add(self, seconds: Floats) -> None:
        """Take in the times of a batch, which are in order within it."""
        if seconds.size == 0:
            return
        self.rows += seconds.size
        self.in_order &= bool(seconds[0] >= self._last - _BACK_SECONDS)
        self._first = min(self._first, float(seconds[0]))
        self._last = max(self._last, float(seconds[-1]))
        hours = local_hours(seconds, self.timezone)
        days = hours // 24
        self._days.update(np.unique(days).tolist())
        bucket = hours % 24 + 24 * ((days + 3) % 7)
        self.bucket_rows += np.bincount(bucket, minlength=self.bucket_rows.size)

    @property
    def rows_per_minute(self) -> float:
        """In the mean; all of them where they have one time."""
        span = self._last - self._first
        return self.rows / max(span / 60, 1.0)

    def cycles(self) -> list[Cycle]:
        """Cycles that the rows fill, from coarse to fine."""
        weeks = len({(day + 3) // 7 for day in self._days})
        found: list[Cycle] = []
        occupied = 1
        order: tuple[Cycle, ...] = ("weekday", "hour", "hour_weekend", "hour_weekday")
        for cycle in order:
            rows = np.bincount(bucket_groups(cycle), weights=self.bucket_rows)
            thin = rows[rows < MIN_BUCKET_ROWS].sum() > _MAX_THIN_RATIO * self.rows
            enough = (len(self._days) if cycle == "hour" else weeks) >= _MIN_CYCLES
            if enough and not thin and (rows > 0).sum() > occupied:
                found.append(cycle)
                occupied = int((rows > 0).sum())
        return found

    def finest(self) -> Cycle:
        """The cycle to count in, of whose buckets those of all `cycles` are made."""
        cycles = self.cycles()
        if not cycles or cycles == ["hour"]:
            return "hour" if cycles else "none"
        return "hour_weekday"

    def buckets(self, cycle: Cycle, seconds: Floats) -> Integers:
        """Bucket in *cycle* of each time."""
        hours = local_hours(seconds, self.timezone)
        found: Integers = bucket_groups(cycle)[hours % 24 + 24 * ((hours // 24 + 3) % 7)]
        return found


def bucket_groups(cycle: str) -> Integers:
    """Bucket in *cycle* of each hour of the week, int64[168]."""
    hours = np.arange(CYCLES["hour_weekday"])
    if cycle == "none":
        return np.zeros_like(hours)
    if cycle == "hour":
        return hours % 24
    if cycle == "weekday":
        return hours // 24
    return hours if cycle == "hour_weekday" else hours % 24 + 24 * (hours // 24 // 5)


@dataclass(frozen=True, slots=True)
class Season:
    """The buckets that like is compared with like in.

    Parameters
    ----------
    cycle : str
    matched : bool[S]
        The streams for which it pays.
    counts : uint32[H, E]
        Rows by bucket and e-cell.
    """

    cycle: Cycle
    matched: NDArray[np.bool_]
    counts: NDArray[np.uint32]


def find_season(moments: BlockMoments, times: Times, finest: Cycle) -> tuple[Season, Floats]:
    """The season that pays, and the design effects with it taken out where it is matched.

    A finer cycle is taken where it explains more of some stream than a coarser one by `SEASON_EFFECT`, beyond
    what noise explains of rows as dependent as these.
    """

    def group_of(cycle: Cycle) -> Integers:
        folded = np.zeros(CYCLES[finest], np.int64)
        folded[bucket_groups(finest)] = bucket_groups(cycle)
        return folded

    def effects_of(cycle: Cycle) -> Floats:
        ones = np.ones(moments.scores)
        return moments.design_effects(group_of(cycle)) if times.in_order else ones

    chosen: Cycle = "none"
    plain = effects = effects_of("none")
    share, occupied = moments.explained(group_of("none"))
    matched = np.zeros(moments.offsets.size - 1, np.bool_)
    for cycle in sorted(times.cycles(), key=lambda each: each == "weekday"):
        if cycle == "weekday" and chosen != "none":
            break  # the hours explain something, and weekdays alone would lose it
        finer, buckets = moments.explained(group_of(cycle))
        finer_effects = effects_of(cycle)
        noise = finer_effects / moments.rows
        more = buckets - occupied
        gain = finer - share - more * noise
        certain = gain > np.maximum(SEASON_EFFECT, _SEASON_ERRORS * np.sqrt(2 * more) * noise)
        pays = np.logical_or.reduceat(certain, moments.score_offsets)
        if pays.any():
            chosen, effects, share, occupied = cycle, finer_effects, finer, buckets
            matched |= pays
    counts = moments.counts_of(group_of(chosen))
    by_score = np.repeat(matched, np.diff(np.append(moments.score_offsets, moments.scores)))
    return Season(chosen, matched, counts.astype(np.uint32)), np.where(by_score, effects, plain)

"""Times of rows: which of them are alike, and whether matching like with like pays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._dependence import BlockMoments, Integers
from driftgauge._time_buckets import local_hours
from driftgauge.budget import one_false_alert
from driftgauge.calibration import CYCLES, Cycle
from driftgauge.cells import Floats
from driftgauge.detectors._allowance import MIN_EFFECT, most_errors, needed_errors, standard_errors
from driftgauge.detectors._alternatives import ECELLS_WEIGHT, SCORE_WEIGHTS

__all__ = ["Season", "Times", "find_season"]

# Times are alike only where they have come round so often.
_MIN_CYCLES: Final = 3

# A season is matched where drift is then seen sooner. That is measured by what a row says of a score moved by
# half a standard deviation, at the default min_effect: its square beyond what is allowed for, by the design
# effect. Matching lowers the design effect and allows for the error of fewer rows. Of 56 simulated seasons,
# amplitudes 0 to 1 sd and 30 to 3,000 rows an hour of the day, this chose in 54 what the bank of alternatives
# then sees sooner: 1,000 rows an hour pay from 0.05 or 0.1 sd, 300 from 0.2 or 0.3, 100 from 0.5 or 1.
_MOVED: Final = 0.5

# Without the order of rows there are no design effects to go by. Then a season is matched where it explains
# this share of a score's variance beyond noise, a quarter of the smallest effect that is looked for.
SEASON_EFFECT: Final = 0.0025
_SEASON_ERRORS: Final = 6.0
_MIN_BUCKET_ROWS: Final = 300

# Rows that step back in time by no more than an hour are in order: local clocks are set back by that much.
_BACK_SECONDS: Final = 3_600.0


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
        """Cycles that came round often enough, from coarse to fine, each of more buckets than the last."""
        weeks = len({(day + 3) // 7 for day in self._days})
        found: list[Cycle] = []
        occupied = 1
        order: tuple[Cycle, ...] = ("weekday", "hour", "hour_weekend", "hour_weekday")
        for cycle in order:
            rows = np.bincount(bucket_groups(cycle), weights=self.bucket_rows)
            enough = (len(self._days) if cycle == "hour" else weeks) >= _MIN_CYCLES
            if enough and (rows > 0).sum() > occupied:
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

    All streams have one cycle, that in which rows say most of all streams together; each is matched or not.
    """
    groups = {cycle: _fold(finest, cycle) for cycle in ("none", *times.cycles())}
    if not times.in_order:
        return _by_share(moments, groups), np.ones(moments.scores)
    effects = {cycle: moments.design_effects(group) for cycle, group in groups.items()}
    said = {cycle: _information(moments, effects[cycle], groups[cycle]) for cycle in groups}
    plain = said["none"]
    chosen = max(groups, key=lambda cycle: np.maximum(plain, said[cycle]).sum())
    matched = said[chosen] > plain
    by_score = np.repeat(matched, np.diff(np.append(moments.score_offsets, moments.scores)))
    season = Season(chosen, matched, moments.counts_of(groups[chosen]).astype(np.uint32))
    return season, np.where(by_score, effects[chosen], effects["none"])


def _fold(finest: Cycle, cycle: Cycle) -> Integers:
    """Bucket in *cycle* of each bucket of *finest*."""
    folded = np.zeros(CYCLES[finest], np.int64)
    folded[bucket_groups(finest)] = bucket_groups(cycle)
    return folded


def _information(moments: BlockMoments, effects: Floats, group: Integers) -> Floats:
    """What a row says of drift by `_MOVED` in each stream, float64[S], with these buckets matched."""
    ecells = np.diff(moments.offsets)
    weights = np.repeat(ECELLS_WEIGHT / ecells, ecells + len(SCORE_WEIGHTS))
    for number, weight in enumerate(SCORE_WEIGHTS):
        ordered = moments.functions[number, moments.offsets[:-1]] != 0
        weights[moments.score_offsets + number] = np.where(ordered, weight, 0.0)
    rows = np.bincount(group, weights=moments.bucket_rows)
    rows = rows[rows > 0]
    share, held = moments.explained(group)
    noise = (held - 1) * effects / moments.rows
    moved = _MOVED / np.sqrt(1 - np.clip(share - noise, 0.0, 0.99))  # in deviations of what is left
    # The likelihood ratio of a Gaussian that has moved: its deviation is about the move, its growth half of
    # the square.
    evidence = one_false_alert().log_evaluations + np.log(ecells.size / np.maximum(weights, 1e-9))
    needed = needed_errors(evidence, moved, moved**2 / 2)
    # By bucket and function; their mean over rows.
    worth = rows[:, np.newaxis] / effects
    errors = standard_errors(needed, worth, most_errors(moments.rows))
    left = moved - math.sqrt(MIN_EFFECT) - errors / np.sqrt(worth)
    each = rows / rows.sum() @ np.maximum(left, 0.0) ** 2 / effects
    said: Floats = np.add.reduceat(each * weights, moments.score_offsets)
    return said


def _by_share(moments: BlockMoments, groups: dict[Cycle, Integers]) -> Season:
    """The finest cycle that explains more of some stream than the one before, beyond what chance would."""
    chosen: Cycle = "none"
    share, occupied = moments.explained(groups["none"])
    matched = np.zeros(moments.offsets.size - 1, np.bool_)
    noise = 1 / moments.rows
    for cycle in sorted(groups, key=lambda each: each == "weekday"):
        rows = np.bincount(groups[cycle], weights=moments.bucket_rows)
        thin = rows[rows < _MIN_BUCKET_ROWS].sum() > 0.01 * moments.rows
        if cycle == "none" or thin or (cycle == "weekday" and chosen != "none"):
            continue  # where hours explain something, weekdays alone would lose it
        finer, buckets = moments.explained(groups[cycle])
        more = buckets - occupied
        gain = finer - share - more * noise
        certain = gain > max(SEASON_EFFECT, _SEASON_ERRORS * math.sqrt(2 * more) * noise)
        pays = np.logical_or.reduceat(certain, moments.score_offsets)
        if pays.any():
            chosen, share, occupied = cycle, finer, buckets
            matched |= pays
    return Season(chosen, matched, moments.counts_of(groups[chosen]).astype(np.uint32))

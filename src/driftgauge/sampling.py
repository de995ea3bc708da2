"""Which rows are taken: each with a probability, or so many a second. Rows left out are counted.

>>> rate(100)
rate(100.0)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from driftgauge.errors import ConfigError

__all__ = ["Rate", "rate"]

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, repr=False)
class Rate:
    """At most so many rows a second, from a token bucket. Made by `rate`."""

    rows_per_second: float
    burst_rows: float

    def __repr__(self) -> str:
        """Code that makes the same value again."""
        burst = (
            "" if self.burst_rows == max(1.0, self.rows_per_second) else f", burst_rows={self.burst_rows!r}"
        )
        return f"rate({self.rows_per_second!r}{burst})"


def rate(rows_per_second: float, *, burst_rows: float | None = None) -> Rate:
    """A sampling rule: take at most *rows_per_second* on average, the first ones that come.

    Parameters
    ----------
    rows_per_second : float
        Over 0, finite.
    burst_rows : float, optional
        How many rows may be taken at once after a quiet time, at least 1. Default: one second's worth, so
        that traffic which comes in one batch a second is sampled like traffic that comes evenly (our choice).

    Raises
    ------
    ConfigError
        When a value is out of its range.

    Examples
    --------
    >>> rate(50.0).burst_rows
    50.0
    >>> rate(0.2, burst_rows=10)
    rate(0.2, burst_rows=10.0)

    Notes
    -----
    Under load the taken rows are those that follow a refill, not a random choice; take a probability where
    rows that come together resemble each other. Two threads that decide at the same instant may take
    one row more between them: a lock would cost every call to save it.
    """
    if not _is_real(rows_per_second) or not 0 < rows_per_second < math.inf:
        message = f"rows_per_second must be a number over 0 and finite, got {rows_per_second!r}"
        raise ConfigError(message)
    burst = max(1.0, float(rows_per_second)) if burst_rows is None else burst_rows
    if not _is_real(burst) or not 1 <= burst < math.inf:
        message = f"burst_rows must be a number, at least 1 and finite, got {burst_rows!r}"
        raise ConfigError(message)
    return Rate(float(rows_per_second), float(burst))


def _is_real(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


class Sampler(Protocol):
    """A sampling rule at work."""

    def one(self) -> bool:
        """True when the one row at hand is to be taken."""

    def many(self, rows: int) -> Rows | None:
        """Rising positions of the rows to take out of *rows*; None for all of them."""

    def after_fork(self) -> None:
        """Forget what belongs to the parent process."""


def sampler(sample: object, *, rng: np.random.Generator | None, clock: Callable[[], float]) -> Sampler | None:
    """The sampler of a ``sample=`` argument; None when every row is taken.

    Raises
    ------
    ConfigError
        When *sample* is neither a probability in [0, 1] nor a `rate`.
    """
    if isinstance(sample, Rate):
        return _Bucket(sample, rng, clock)
    if _is_real(sample) and 0 <= sample <= 1:  # type: ignore[operator]
        return None if sample == 1 else _Bernoulli(float(sample), rng)  # type: ignore[arg-type]
    message = f"sample must be a probability from 0 to 1 or driftgauge.rate(rows_per_second), got {sample!r}"
    raise ConfigError(message)


def subset(rng: np.random.Generator, rows: int, wanted: int) -> Rows:
    """*wanted* of *rows* positions, each set equally likely, in rising order."""
    chosen: Rows = rng.choice(rows, wanted, replace=False, shuffle=False)
    chosen.sort()
    return chosen


class _Bernoulli:
    """Each row on its own, with one probability."""

    def __init__(self, probability: float, rng: np.random.Generator | None) -> None:
        self._probability = probability
        self._rng = rng or np.random.default_rng()
        # One draw: 35 ns from random.Random, 210 ns from a NumPy generator (Python 3.11, NumPy 2.4).
        self._draw = random.Random(int(self._rng.integers(2**63))).random

    def one(self) -> bool:
        return self._draw() < self._probability

    def many(self, rows: int) -> Rows | None:
        return subset(self._rng, rows, int(self._rng.binomial(rows, self._probability)))

    def after_fork(self) -> None:
        # Or every child of a preforking server would take the same rows.
        self._rng = np.random.default_rng()
        self._draw = random.Random().random


class _Bucket:
    """A token bucket that a clock fills."""

    def __init__(self, spec: Rate, rng: np.random.Generator | None, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._rng = rng or np.random.default_rng()
        self._clock = clock
        self._rows = spec.burst_rows
        self._seen_seconds = -math.inf  # full at first, and the clock is not needed to say so

    def _refill(self) -> float:
        now_seconds = self._clock()
        elapsed_seconds = now_seconds - self._seen_seconds
        if elapsed_seconds > 0:
            self._rows = min(self._spec.burst_rows, self._rows + elapsed_seconds * self._spec.rows_per_second)
            self._seen_seconds = now_seconds
        elif elapsed_seconds < 0:  # a clock set back refills nothing; a time that is NaN is not remembered
            self._seen_seconds = now_seconds
        return self._rows

    def one(self) -> bool:
        if self._refill() < 1:
            return False
        self._rows -= 1
        return True

    def many(self, rows: int) -> Rows | None:
        taken = min(rows, int(self._refill()))
        self._rows -= taken
        return None if taken == rows else subset(self._rng, rows, taken)

    def after_fork(self) -> None:
        self._rng = np.random.default_rng()
        self._rows = self._spec.burst_rows
        self._seen_seconds = -math.inf

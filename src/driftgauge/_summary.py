"""A sorted sample of a stream of numbers, in bounded memory, with a hard bound on its rank error."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats

__all__ = ["BUFFER", "QuantileSummary"]

# 8,192 values a buffer: at 10 million rows the bound is 0.03 % of the rows, a third of the widest gap at the
# default resolution, in at most 2 buffers a level. benchmarks/measure_resolution.py has 2,048 to 16,384.
BUFFER: Final = 8_192


class QuantileSummary:
    """A stream's values by rank: buffers of sorted values, all values of a buffer standing for as many rows.

    Two buffers of one stride make one of twice the stride: their values are merged and every second one is
    kept, the odd and the even ones by turns. Nothing is drawn at random, so equal input gives equal output.

    Parameters
    ----------
    size : int
        Values a buffer, a power of two.

    Notes
    -----
    Manku, Rajagopalan & Lindsay, *Approximate medians and other order statistics in one pass and with limited
    memory*, SIGMOD 1998, section 3 (the collapse operation). The bound here is not their worst case but the
    sum of what each collapse did: `error_low` and `error_high` bracket, over every value, estimated minus
    true rank. KLL (Karnin, Lang & Liberty, FOCS 2016) needs less memory at the same *probable* error, but
    draws random bits, so that one data set would have a new id each time it is fitted, and its bound holds
    99 times of 100 only.
    """

    __slots__ = ("buffers", "error_high", "error_low", "rows", "size", "turns")

    def __init__(self, size: int = BUFFER) -> None:
        self.size = size
        self.rows = 0
        self.buffers: dict[int, Floats] = {}
        """Stride to its one buffer of `size` sorted values."""
        self.turns: dict[int, int] = {}
        """Stride to 0 or 1: which half the next collapse keeps."""
        self.error_low = 0
        self.error_high = 0

    @property
    def rank_error(self) -> float:
        """At most how far an estimated share of rows up to any value is from the true one."""
        return max(-self.error_low, self.error_high) / self.rows if self.rows else 0.0

    def add_sorted(
        self, values: Floats, weights: NDArray[np.int64], least_stride: int
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Take the rows in runs of ``size * stride``, largest stride first; give back those that fill no run.

        Parameters
        ----------
        values : float64[n]
            Rising and finite.
        weights : int64[n]
            Rows of each value, at least 1.
        least_stride : int
            Rows that would need a smaller stride are given back.

        Returns
        -------
        values, weights
            The highest values: fewer than ``size * least_stride`` rows.

        Notes
        -----
        A run of ``size * s`` rows is kept as its rows number ``s/2``, ``3s/2``, …: a rank within it is wrong
        by at most ``s/2``. The runs follow each other in value, so at most one of them is cut by any value,
        and the largest stride bounds the error of all.
        """
        cumulative = np.cumsum(weights)
        total = int(cumulative[-1]) if cumulative.size else 0
        start = 0
        stride = least_stride
        while self.size * stride * 2 <= total:
            stride *= 2
        if self.size * stride <= total and stride > 1:
            self.error_low -= stride // 2
            self.error_high += stride // 2 - 1
        while stride >= least_stride:
            if self.size * stride <= total - start:
                ranks = start + stride // 2 + stride * np.arange(self.size)
                self._insert(values[np.searchsorted(cumulative, ranks, side="right")], stride)
                start += self.size * stride
            stride //= 2
        self.rows += start
        first = int(np.searchsorted(cumulative, start, side="right"))
        rest = weights[first:].copy()
        if rest.size:
            rest[0] = cumulative[first] - start
        return values[first:], rest

    def _insert(self, buffer: Floats, stride: int) -> None:
        while stride in self.buffers:
            both = np.concatenate([self.buffers.pop(stride), buffer])
            both.sort(kind="stable")  # two sorted runs: merged, not sorted
            turn = self.turns.get(stride, 0)
            self.turns[stride] = 1 - turn
            buffer = both[turn::2]
            # of r values up to x, kept are ceil(r / 2) on even turns and floor(r / 2) on odd ones
            if turn:
                self.error_low -= stride
            else:
                self.error_high += stride
            stride *= 2
        self.buffers[stride] = buffer

    def merge(self, other: QuantileSummary) -> None:
        """Take in the rows of *other*, which is left as it was; the error bounds add."""
        self.rows += other.rows
        self.error_low += other.error_low
        self.error_high += other.error_high
        for stride in sorted(other.buffers):
            self._insert(other.buffers[stride], stride)

    def values(self) -> tuple[Floats, NDArray[np.int64]]:
        """The values kept, rising, and how many rows each stands for; the weights sum to `rows`."""
        if not self.buffers:
            return np.empty(0), np.empty(0, np.int64)
        strides = sorted(self.buffers)
        values = np.concatenate([self.buffers[stride] for stride in strides])
        weights = np.repeat(np.asarray(strides, np.int64), self.size)
        return distinct(values, weights)


def distinct(values: Floats, weights: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Rising distinct values, and the summed weights of each."""
    if values.size == 0:
        return values, weights
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], np.add.reduceat(weights, starts)

"""How much neighbouring rows repeat each other: design effects, from counts in blocks of rows."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats

__all__ = ["BLOCK_ROWS", "LENGTHS", "BlockMoments", "Integers"]

Integers = NDArray[np.int64]

LENGTHS: Final = (20, 80, 320, 1_280, 5_120)
"""Rows of the blocks whose means are compared; each four of the one before."""

BLOCK_ROWS: Final = LENGTHS[-1]

# Fewer blocks than this, and their variance says nothing.
_MIN_BLOCKS: Final = 8

# A variance ratio counts when it is so many standard errors over 1, a correlation of neighbours likewise.
_VARIANCE_ERRORS: Final = 3.0
_CORRELATION_ERRORS: Final = 2.5


class BlockMoments:
    """Sums over blocks of rows from which the design effect of any function of an e-cell follows.

    Parameters
    ----------
    offsets : int64[S + 1]
        Where each stream's e-cells begin among all of them.
    functions : float64[4, E]
        Score functions of all streams end to end.
    buckets : int
        Time buckets, H. Means by bucket can be taken out later, whole or several buckets taken together.

    Notes
    -----
    A block's sum less its buckets' means is ``dn @ g - m @ mean``, with ``dn`` the block's rows by e-cell and
    ``m`` those by bucket. Its square is a sum of products of ``dn`` and ``m``, so the products are what is
    kept, and the means may be learned from the same rows. Memory: 80 bytes an e-cell and bucket.
    """

    def __init__(self, offsets: Integers, functions: Floats, buckets: int) -> None:
        self.offsets = offsets
        self.functions = functions
        self.rows = 0
        ecells, streams, levels = int(offsets[-1]), offsets.size - 1, len(LENGTHS)
        self.bucket_counts = np.zeros((buckets, ecells), np.int64)
        self._blocks = np.zeros(levels, np.int64)
        self._sum = np.zeros((levels, ecells))
        self._square = np.zeros((levels, ecells))
        self._lag = np.zeros((levels, ecells))
        self._score_square = np.zeros((levels, 4, streams))
        self._score_lag = np.zeros((levels, 4, streams))
        self._ends = np.zeros((levels, 2, ecells))  # the first block and the last
        self._cross = np.zeros((levels, buckets, ecells))
        self._cross_lag = np.zeros((levels, buckets, ecells))
        self._bucket_sum = np.zeros((levels, buckets))
        self._bucket_square = np.zeros((levels, buckets, buckets))
        self._bucket_lag = np.zeros((levels, buckets, buckets))
        self._bucket_ends = np.zeros((levels, 2, buckets))

    def add(self, ecells: NDArray[np.uint8], buckets: Integers) -> None:
        """Take in rows, uint8[S, rows]: a multiple of `BLOCK_ROWS` of them, but for the last call."""
        rows = buckets.size
        blocks = rows // LENGTHS[0]
        self.rows += rows
        self._count_buckets(ecells, buckets)
        inside = blocks * LENGTHS[0]
        counts = np.empty((blocks, int(self.offsets[-1])))
        block = np.repeat(np.arange(blocks), LENGTHS[0])
        for stream, (start, stop) in enumerate(self._spans()):
            size = stop - start
            place = block * size + ecells[stream, :inside]
            counts[:, start:stop] = np.bincount(place, minlength=blocks * size).reshape(blocks, size)
        size = self.bucket_counts.shape[0]
        times = np.bincount(block * size + buckets[:inside], minlength=blocks * size)
        self._add_blocks(counts, times.reshape(blocks, size).astype(np.float64))

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True))

    def _count_buckets(self, ecells: NDArray[np.uint8], buckets: Integers) -> None:
        present, inverse = np.unique(buckets, return_inverse=True)
        for stream, (start, stop) in enumerate(self._spans()):
            size = stop - start
            place = inverse * size + ecells[stream]
            found = np.bincount(place, minlength=present.size * size).reshape(present.size, size)
            self.bucket_counts[present, start:stop] += found

    def _add_blocks(self, counts: Floats, times: Floats) -> None:
        for level in range(len(LENGTHS)):
            if level:
                whole = counts.shape[0] // 4 * 4
                counts = counts[:whole].reshape(whole // 4, 4, -1).sum(axis=1)
                times = times[:whole].reshape(whole // 4, 4, -1).sum(axis=1)
            if counts.shape[0] == 0:
                return
            self._add_level(level, counts, times)

    def _add_level(self, level: int, counts: Floats, times: Floats) -> None:
        first = self._blocks[level] == 0
        self._blocks[level] += counts.shape[0]
        if first:
            self._ends[level, 0], self._bucket_ends[level, 0] = counts[0], times[0]
            before, before_times = counts[:-1], times[:-1]
            after, after_times = counts[1:], times[1:]
        else:
            before = np.concatenate((self._ends[level, 1:], counts[:-1]))
            before_times = np.concatenate((self._bucket_ends[level, 1:], times[:-1]))
            after, after_times = counts, times
        self._ends[level, 1], self._bucket_ends[level, 1] = counts[-1], times[-1]
        self._sum[level] += counts.sum(axis=0)
        self._square[level] += np.einsum("be,be->e", counts, counts)
        self._lag[level] += np.einsum("be,be->e", before, after)
        starts = self.offsets[:-1]
        for number, function in enumerate(self.functions):
            scores = np.add.reduceat(counts * function, starts, axis=1)
            self._score_square[level, number] += np.einsum("bs,bs->s", scores, scores)
            if first:
                earlier, later = scores[:-1], scores[1:]
            else:
                last = np.add.reduceat(before[:1] * function, starts, axis=1)
                earlier, later = np.concatenate((last, scores[:-1])), scores
            self._score_lag[level, number] += np.einsum("bs,bs->s", earlier, later)
        self._bucket_sum[level] += times.sum(axis=0)
        here = np.flatnonzero(times.any(axis=0) | before_times.any(axis=0))
        times, before_times, after_times = times[:, here], before_times[:, here], after_times[:, here]
        self._cross[level, here] += times.T @ counts
        self._cross_lag[level, here] += after_times.T @ before + before_times.T @ after
        both = np.ix_(here, here)
        self._bucket_square[level][both] += times.T @ times
        self._bucket_lag[level][both] += before_times.T @ after_times

    def counts_of(self, group: Integers) -> Integers:
        """Rows by group of buckets and e-cell, int64[groups, E]; *group* is the group of each bucket."""
        counts = np.zeros((int(group.max()) + 1, self.bucket_counts.shape[1]), np.int64)
        np.add.at(counts, group, self.bucket_counts)
        return counts

    @property
    def scores(self) -> int:
        """Functions of all streams together: four scores and each e-cell's indicator, stream by stream."""
        return int(self.offsets[-1]) + 4 * (self.offsets.size - 1)

    @property
    def score_offsets(self) -> Integers:
        """Where those of each stream begin, int64[S]."""
        return self.offsets[:-1] + 4 * np.arange(self.offsets.size - 1)

    def explained(self, group: Integers) -> tuple[Floats, int]:
        """Share of each function's variance that groups of buckets explain, noise too, and groups held."""
        counts = self.counts_of(group).astype(np.float64)
        held = counts[counts.any(axis=1)]
        shares = []
        for start, stop in self._spans():
            own = held[:, start:stop]
            g = np.vstack((self.functions[:, start:stop], np.eye(stop - start)))
            rows = own.sum(axis=1)
            share = own.sum(axis=0) / rows.sum()
            middle = g @ share
            variance = g**2 @ share - middle**2
            between = (rows / rows.sum()) @ (own @ g.T / rows[:, None] - middle) ** 2
            shares.append(np.where(variance > 1e-12, between / np.maximum(variance, 1e-12), 0.0))
        return np.concatenate(shares), held.shape[0]

    def design_effects(self, group: Integers) -> Floats:
        """Design effects with the means of each group of buckets taken out, float64[4 + E'] by stream.

        Parameters
        ----------
        group : int64[H]
            Group of each bucket; all zeros takes out nothing but the mean.

        Returns
        -------
        float64[4 * S + E]
            Stream by stream: of its four score functions, then of its e-cells.

        Notes
        -----
        The ratio of the variance of block means to that of independent rows, where it is significantly over
        1, times ``(1 + r) / (1 - r)`` where neighbouring blocks have a significant correlation ``r``; the
        largest over the block lengths. Batch means: Law & Kelton, *Simulation Modeling and Analysis*, 3rd
        ed., section 9.5.3.
        """
        groups = int(group.max()) + 1
        fold = np.zeros((groups, group.size))
        fold[group, np.arange(group.size)] = 1.0
        counts = self.counts_of(group).astype(np.float64)
        cross = [fold @ level for level in self._cross]
        cross_lag = [fold @ level for level in self._cross_lag]
        bucket_square = [fold @ level @ fold.T for level in self._bucket_square]
        bucket_lag = [fold @ level @ fold.T for level in self._bucket_lag]
        effects = []
        for stream, (start, stop) in enumerate(self._spans()):
            own = slice(start, stop)
            g = np.vstack((self.functions[:, own], np.eye(stop - start)))
            rows = np.maximum(counts[:, own].sum(axis=1, keepdims=True), 1.0)
            mean = counts[:, own] @ g.T / rows
            variance, kurtosis = _residual_law(counts[:, own], g, mean)
            best = np.ones(g.shape[0])
            for level, length in enumerate(LENGTHS):
                blocks = int(self._blocks[level])
                if blocks < _MIN_BLOCKS:
                    break
                total = g @ self._sum[level, own] - (fold @ self._bucket_sum[level]) @ mean
                ends = self._ends[level][:, own] @ g.T - (self._bucket_ends[level] @ fold.T) @ mean
                square = np.concatenate((self._score_square[level, :, stream], self._square[level, own]))
                square = square - 2 * (mean * (cross[level][:, own] @ g.T)).sum(axis=0)
                square += (mean * (bucket_square[level] @ mean)).sum(axis=0)
                lag = np.concatenate((self._score_lag[level, :, stream], self._lag[level, own]))
                lag = lag - (mean * (cross_lag[level][:, own] @ g.T)).sum(axis=0)
                lag += (mean * (bucket_lag[level] @ mean)).sum(axis=0)
                middle = total / blocks
                spread = np.maximum(square / blocks - middle**2, 0.0)
                lag += (blocks - 1) * middle**2 - middle * (2 * total - ends.sum(axis=0))
                ratio = spread / length / variance
                error = np.sqrt((2 + np.maximum(kurtosis, 0) / length) / blocks)
                related = np.clip(lag / (blocks - 1) / np.maximum(spread, 1e-12 * length**2), 0, 0.9)
                related[related < _CORRELATION_ERRORS / math.sqrt(blocks)] = 0.0
                counted = (ratio > 1 + _VARIANCE_ERRORS * error) | (related > 0)
                effect = np.maximum(ratio, 1) * (1 + related) / (1 - related)
                best = np.maximum(best, np.where(counted, effect, 1.0))
            effects.append(best)
        return np.concatenate(effects)


def _residual_law(counts: Floats, g: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """Variance and excess kurtosis of each function less its group's mean, over all rows."""
    rows = counts.sum()
    second, fourth = np.zeros(g.shape[0]), np.zeros(g.shape[0])
    for number in np.flatnonzero(counts.any(axis=1)):
        square = (g - mean[number][:, None]) ** 2
        second += square @ counts[number]
        fourth += square**2 @ counts[number]
    variance = np.maximum(second / rows, 1e-12)
    return variance, np.minimum(fourth / rows / variance**2 - 3, 1e6)

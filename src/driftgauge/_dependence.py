"""How much neighbouring rows repeat each other: design effects, from counts in blocks of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

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

# A variance ratio of short blocks that is so many standard errors over 1 makes the whole stream dependent.
_DEPENDENT_ERRORS: Final = 5.0
_SHORT_LEVELS: Final = 2


@dataclass(frozen=True, slots=True)
class _Level:
    """Rows by bucket of the blocks of one length in a chunk, [buckets that are there, blocks].

    Sparse: a short block lies in one hour or two. With whole matrices this were most of the time.
    """

    first: bool
    here: Integers
    now: Any
    before: Integers
    """Buckets of the last block of the chunk before."""
    last: Floats
    """Its rows in each of them."""


def _merged(counts: Floats, level: int) -> Floats:
    """Blocks of the length at *level* from those of the one before; what is left over waits for no more."""
    if level == 0:
        return counts
    whole = counts.shape[0] // 4
    merged: Floats = counts[: whole * 4].reshape(whole, 4, math.prod(counts.shape[1:])).sum(axis=1)
    return merged


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
        self.most = np.zeros((levels, ecells))
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
        inside = blocks * LENGTHS[0]
        first = self.rows == 0
        self.rows += rows
        size = self.bucket_counts.shape[0]
        block = np.repeat(np.arange(blocks), LENGTHS[0])
        times = np.bincount(block * size + buckets[:inside], minlength=blocks * size)
        levels = self._add_times(times.reshape(blocks, size).astype(np.float64), first=first)
        present, place = np.unique(buckets, return_inverse=True)
        # Stream by stream, so that a chunk's blocks stay in the cache: a quarter of the time of all at once.
        for stream, (start, stop) in enumerate(self._spans()):
            cells, own = ecells[stream], slice(start, stop)
            size = stop - start
            found = np.bincount(place * size + cells, minlength=present.size * size)
            self.bucket_counts[present, own] += found.reshape(present.size, size)
            counts = np.bincount(block * size + cells[:inside], minlength=blocks * size)
            self._add_counts(stream, own, counts.reshape(blocks, size).astype(np.float64), levels)

    def _spans(self) -> list[tuple[int, int]]:
        return list(zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True))

    def _add_times(self, times: Floats, *, first: bool) -> list[_Level]:
        """Add up what concerns time alone, and prepare what all streams need of it, one entry a level."""
        from scipy.sparse import csr_array

        levels = []
        for level in range(len(LENGTHS)):
            times = _merged(times, level)
            if times.shape[0] == 0:
                break
            last = self._bucket_ends[level, 1].copy()
            if first:
                self._bucket_ends[level, 0] = times[0]
            self._blocks[level] += times.shape[0]
            self._bucket_ends[level, 1] = times[-1]
            self._bucket_sum[level] += times.sum(axis=0)
            here = np.flatnonzero(times.any(axis=0))
            now = times[:, here]
            both = np.ix_(here, here)
            self._bucket_square[level][both] += now.T @ now
            self._bucket_lag[level][both] += now[:-1].T @ now[1:]
            before = np.flatnonzero(last)
            self._bucket_lag[level][np.ix_(before, here)] += np.outer(last[before], now[0])
            levels.append(_Level(first, here, csr_array(now.T), before, last[before]))
        return levels

    def _add_counts(self, stream: int, own: slice, counts: Floats, levels: list[_Level]) -> None:
        functions = self.functions[:, own].T
        seasonal = self.bucket_counts.shape[0] > 1
        for level, times in enumerate(levels):
            counts = _merged(counts, level)
            scores = counts @ functions
            self._sum[level, own] += counts.sum(axis=0)
            self.most[level, own] = np.maximum(self.most[level, own], counts.max(axis=0))
            self._square[level, own] += np.einsum("be,be->e", counts, counts)
            self._lag[level, own] += np.einsum("be,be->e", counts[:-1], counts[1:])
            self._score_square[level, :, stream] += np.einsum("bk,bk->k", scores, scores)
            self._score_lag[level, :, stream] += np.einsum("bk,bk->k", scores[:-1], scores[1:])
            last = self._ends[level, 1, own].copy()  # nothing yet where this chunk is the first
            self._lag[level, own] += last * counts[0]
            self._score_lag[level, :, stream] += (last @ functions) * scores[0]
            if times.first:
                self._ends[level, 0, own] = counts[0]
            self._ends[level, 1, own] = counts[-1]
            if not seasonal:
                continue
            # A block's buckets meet its own counts, and those of the block before and of the one after.
            size = counts.shape[1]
            beside = np.zeros((counts.shape[0], 2 * size))
            beside[:, :size] = counts
            beside[0, size:] = last
            beside[1:, size:] = counts[:-1]
            beside[:-1, size:] += counts[1:]
            met = times.now @ beside
            self._cross[level, times.here, own] += met[:, :size]
            self._cross_lag[level, times.here, own] += met[:, size:]
            self._cross_lag[level, times.before, own] += np.outer(times.last, counts[0])

    def counts_of(self, group: Integers) -> Integers:
        """Rows by group of buckets and e-cell, int64[groups, E]; *group* is the group of each bucket."""
        counts = np.zeros((int(group.max()) + 1, self.bucket_counts.shape[1]), np.int64)
        np.add.at(counts, group, self.bucket_counts)
        return counts

    @property
    def bucket_rows(self) -> Integers:
        """Rows by bucket, int64[H]."""
        rows: Integers = self.bucket_counts[:, : int(self.offsets[1])].sum(axis=1)
        return rows

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
        ed., section 9.5.3. A correlation alone does not count: among 25 long blocks of independent rows it
        is over 0.5 in one function of 200, which then had a design effect of 3 to 10.

        Once a stream is known to be dependent, what its short blocks show counts in every function,
        significant or not: with AR(1) of 0.5 the rest are 1.1 to 1.4, and taking them as 1 gave 36 alarms in
        200 streams where 20 are allowed; so it gives 6.
        """
        groups = int(group.max()) + 1
        fold = np.zeros((groups, group.size))
        fold[group, np.arange(group.size)] = 1.0
        counts = self.counts_of(group).astype(np.float64)
        cross, cross_lag = self._folded(fold)
        bucket_square = [fold @ level @ fold.T for level in self._bucket_square]
        bucket_lag = [fold @ level @ fold.T for level in self._bucket_lag]
        effects = []
        for stream, (start, stop) in enumerate(self._spans()):
            own = slice(start, stop)
            g = np.vstack((self.functions[:, own], np.eye(stop - start)))
            rows = np.maximum(counts[:, own].sum(axis=1, keepdims=True), 1.0)
            mean = counts[:, own] @ g.T / rows
            variance, kurtosis = _residual_law(counts[:, own], g, mean)
            best, short, dependent = np.ones(g.shape[0]), np.ones(g.shape[0]), False
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
                effect = ratio * (1 + related) / (1 - related)
                best = np.maximum(best, np.where(ratio > 1 + _VARIANCE_ERRORS * error, effect, 1.0))
                if level < _SHORT_LEVELS:
                    short = np.maximum(short, ratio)
                    dependent = dependent or bool((ratio > 1 + _DEPENDENT_ERRORS * error).any())
            if dependent:
                best = np.maximum(best, short)
            effects.append(best)
        return np.concatenate(effects)

    def _folded(self, fold: Floats) -> tuple[list[Floats], list[Floats]]:
        """Sums of products with groups of buckets; with one bucket, in which all rows are, they follow."""
        if fold.shape[1] > 1:
            return [fold @ level for level in self._cross], [fold @ level for level in self._cross_lag]
        cross = [length * total[np.newaxis] for length, total in zip(LENGTHS, self._sum, strict=True)]
        lag = [
            2 * one - length * ends.sum(axis=0)
            for one, length, ends in zip(cross, LENGTHS, self._ends, strict=True)
        ]
        return cross, lag


def _residual_law(counts: Floats, g: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """Variance and excess kurtosis of each function less its group's mean, over all rows.

    By moments of the groups, as functions have a variance near 1 and no digits are lost that matter.
    """
    rows = counts.sum()
    held = counts.sum(axis=1)
    first, second, third, fourth = (counts @ (g**power).T for power in range(1, 5))
    variance = (second.sum(axis=0) - held @ mean**2) / rows
    peaked = fourth - 4 * mean * third + 6 * mean**2 * second - 4 * mean**3 * first
    peaked = (peaked.sum(axis=0) + held @ mean**4) / rows
    variance = np.maximum(variance, 1e-12)
    return variance, np.minimum(peaked / variance**2 - 3, 1e6)

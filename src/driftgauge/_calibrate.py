"""Learning, in one pass over the rows of a finished reference, what its counts by column do not say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._bursts import largest_bursts
from driftgauge._dependence import BLOCK_ROWS, BlockMoments, Integers
from driftgauge._features import FeatureSet
from driftgauge._half_replay import HalfReplay
from driftgauge._season import Times, find_season
from driftgauge._virtual import choose_virtual, virtual_ecells
from driftgauge.calibration import CYCLES, Calibration, StreamCalibration, TimeBuckets, VirtualFeature
from driftgauge.cells import Floats
from driftgauge.detectors._bank import normal_scores, score_functions

__all__ = ["Calibrator"]

# Fewer rows than this, and a relation between two features cannot be told from noise within a window.
MIN_JOINT_ROWS: Final = 500

# Fewer than this, and half of them are too few to be compared with.
MIN_HALVES_ROWS: Final = 1_000

# Rows that are worked on together, a multiple of BLOCK_ROWS: 4 * 5,120 rows of 240 streams are 5 MB.
_CHUNK_ROWS: Final = 4 * BLOCK_ROWS
_SHORT_ROWS: Final = 5 * _CHUNK_ROWS


class Calibrator:
    """Takes the rows of a reference in order and gives what they say.

    Parameters
    ----------
    features : FeatureSet
        The reference, finished.
    sample : uint16[features, rows]
        Cells of a sample of the rows.
    times : Times or None
        What is known of all rows' times; None where they have none.
    joint : bool
        Whether to make virtual features.
    """

    def __init__(
        self, features: FeatureSet, sample: NDArray[np.uint16], times: Times | None, *, joint: bool
    ) -> None:
        self._features = features
        self._times = times
        self._rows = features.rows
        self._scores = [normal_scores(each.counts, each.ordered) for each in features.ecells]
        self.virtual: tuple[VirtualFeature, ...] = ()
        if joint and self._rows >= MIN_JOINT_ROWS:
            self.virtual = choose_virtual(features.names, features.ecells, self._scores, self._ecells(sample))
        sizes = [each.size for each in features.ecells]
        self._offsets = np.cumsum([0, *sizes, *(feature.edges.size + 1 for feature in self.virtual)])
        # What is short is worked on as a whole, so that its halves are halves to the row.
        chunk = self._rows if self._rows < _SHORT_ROWS else _CHUNK_ROWS
        self._half = self._rows // 2 // chunk * chunk
        self._chunk = np.empty((self._offsets.size - 1, chunk), np.uint8)
        self._seconds = np.zeros(chunk)
        self._filled = 0
        self._worked = 0
        self.rows = 0
        self._counts = np.zeros(int(self._offsets[-1]), np.int64)
        self._replay: HalfReplay | None = None
        self._finest = times.finest() if times is not None else "none"
        if times is not None:
            self._functions = self._score_functions(self._ecells(sample))
            self._moments = self._new_moments()

    @property
    def needs_rows(self) -> bool:
        """Whether there is anything to learn of them."""
        return bool(self.virtual) or self._times is not None

    def add(self, cells: NDArray[np.uint16], seconds: Floats | None) -> None:
        """Take in rows as cells uint16[features, rows], with their times if they have any."""
        start, rows = 0, cells.shape[1]
        features = len(self._features.features)
        while start < rows:
            stop = min(rows, start + self._chunk.shape[1] - self._filled)
            place = slice(self._filled, self._filled + stop - start)
            self._chunk[:features, place] = self._ecells(cells[:, start:stop])
            if seconds is not None:
                self._seconds[place] = seconds[start:stop]
            self._filled += stop - start
            start = stop
            if self._filled == self._chunk.shape[1]:
                self._work()
        self.rows += rows

    def finish(self) -> Calibration | None:
        """What the rows said; None where that is nothing."""
        if self._filled:
            self._work()
        if not self.needs_rows:
            return None
        if self._times is not None:
            whole = self._describe(self._moments, [each.counts for each in self._features.ecells])
        else:
            whole = self._without_times()
        if self._replay is None:
            return whole
        return replace(whole, half_score=self._replay.score, half_features=self._replay.drifted())

    def _without_times(self) -> Calibration:
        counts = [each.counts for each in self._features.ecells]
        counts += self._split(self._counts.astype(np.float64))[len(counts) :]
        return Calibration(
            rows=self._rows,
            in_time_order=False,
            buckets=TimeBuckets(),
            virtual=self.virtual,
            streams=tuple(
                StreamCalibration(
                    counts=each, bucket_counts=None, design_effects=np.ones(4 + each.size, np.float32)
                )
                for each in counts
            ),
        )

    def _describe(self, moments: BlockMoments, feature_counts: Sequence[Floats]) -> Calibration:
        """What *moments* say; the counts of features where they are given, else those of the moments."""
        times = self._times
        assert times is not None
        season, effects = find_season(moments, times, self._finest)
        counts = self._split(moments.bucket_counts.sum(axis=0).astype(np.float64))
        counts[: len(feature_counts)] = feature_counts
        by_bucket = np.split(season.counts, self._offsets[1:-1], axis=1)
        by_stream = np.split(effects, moments.score_offsets[1:])
        bursts = largest_bursts(moments, effects, season.counts, season.matched)
        return Calibration(
            rows=moments.rows,
            in_time_order=times.in_order,
            buckets=TimeBuckets(cycle=season.cycle, timezone=times.timezone),
            virtual=self.virtual,
            streams=tuple(
                StreamCalibration(
                    counts=own,
                    bucket_counts=np.ascontiguousarray(buckets) if matched else None,
                    design_effects=effect.astype(np.float32),
                    largest_burst=burst,
                )
                for own, buckets, effect, matched, burst in zip(
                    counts, by_bucket, by_stream, season.matched.tolist(), bursts.tolist(), strict=True
                )
            ),
        )

    def _split(self, by_ecell: Floats) -> list[Floats]:
        return np.split(by_ecell, self._offsets[1:-1])

    def _new_moments(self) -> BlockMoments:
        return BlockMoments(self._offsets, self._functions, CYCLES[self._finest])

    def _ecells(self, cells: NDArray[np.uint16]) -> NDArray[np.uint8]:
        found = np.empty(cells.shape, np.uint8)
        for number, each in enumerate(self._features.ecells):
            np.take(each.cell_map, cells[number], out=found[number])
        return found

    def _score_functions(self, sample: NDArray[np.uint8]) -> Floats:
        """Score functions of all streams end to end; those of virtual features by the sample's counts."""
        functions = [score_functions(each.counts, each.ordered) for each in self._features.ecells]
        rows = np.empty((len(self.virtual), sample.shape[1]), np.uint8)
        virtual_ecells(self.virtual, self._scores, sample, rows)
        for feature, own in zip(self.virtual, rows, strict=True):
            size = feature.edges.size + 1
            functions.append(score_functions(np.bincount(own, minlength=size).astype(np.float64), size))
        return np.concatenate(functions, axis=1)

    def _work(self) -> None:
        """Count the rows that have gathered. They are cut in the same places however they came."""
        rows, seconds = self._chunk[:, : self._filled], self._seconds[: self._filled]
        features = len(self._features.features)
        virtual_ecells(self.virtual, self._scores, rows[:features], rows[features:])
        if self._times is None:
            for stream in range(features, rows.shape[0]):
                start, stop = self._offsets[stream : stream + 2]
                self._counts[start:stop] += np.bincount(rows[stream], minlength=stop - start)
        else:
            buckets = self._times.buckets(self._finest, seconds)
            self._replay_half(rows, buckets, seconds)
            self._moments.add(rows, buckets)
        self._worked += self._filled
        self._filled = 0

    def _replay_half(self, rows: NDArray[np.uint8], buckets: Integers, seconds: Floats) -> None:
        """Weigh the rows of the second half against what was learned of the first."""
        times = self._times
        if times is None or not times.in_order or self._rows < MIN_HALVES_ROWS:
            return
        half, first = 0, self._moments
        if self._half == 0:
            half, first = rows.shape[1] // 2, self._new_moments()
            first.add(rows[:, :half], buckets[:half])
        if self._replay is None and self._worked == self._half:
            left = self._rows - self._half - half
            self._replay = HalfReplay(self._features, self._describe(first, ()), left, times.rows_per_minute)
        if self._replay is not None:
            self._replay.add(rows[:, half:], seconds[half:])

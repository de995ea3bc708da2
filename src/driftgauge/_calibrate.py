"""Learning, in one pass over the rows of a finished reference, what its counts by column do not say."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._dependence import BLOCK_ROWS, BlockMoments
from driftgauge._features import FeatureSet
from driftgauge._season import Season, Times, find_season, no_season
from driftgauge._virtual import choose_virtual, virtual_ecells
from driftgauge.calibration import CYCLES, Calibration, StreamCalibration, TimeBuckets, VirtualFeature
from driftgauge.cells import Floats
from driftgauge.detectors._bank import normal_scores, score_functions

__all__ = ["Calibrator"]

# Fewer rows than this, and a relation between two features cannot be told from noise within a window.
MIN_JOINT_ROWS: Final = 500

# Rows that are worked on together, a multiple of BLOCK_ROWS: 2 * 5,120 rows of 240 streams are 2.5 MB.
_CHUNK_ROWS: Final = 2 * BLOCK_ROWS


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
        self._features_end = sum(sizes)
        self._offsets = np.cumsum([0, *sizes, *(feature.edges.size + 1 for feature in self.virtual)])
        self._virtual_counts = np.zeros(int(self._offsets[-1]) - self._features_end, np.int64)
        self._chunk = np.empty((self._offsets.size - 1, min(_CHUNK_ROWS, self._rows)), np.uint8)
        self._seconds = np.zeros(self._chunk.shape[1])
        self._filled = 0
        self.rows = 0
        self._finest = times.finest() if times is not None else "none"
        self._moments: BlockMoments | None = None
        if times is not None:
            functions = self._functions(self._ecells(sample))
            self._moments = BlockMoments(self._offsets, functions, CYCLES[self._finest])

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
        season, effects = self._matched()
        counts = [each.counts for each in self._features.ecells]
        own = self._virtual_counts.astype(np.float64)
        splits = self._offsets[len(counts) : -1] - self._features_end
        counts += np.split(own, splits[1:]) if self.virtual else []
        streams = []
        for stream, each in enumerate(counts):
            span = slice(int(self._offsets[stream]), int(self._offsets[stream + 1]))
            streams.append(
                StreamCalibration(
                    counts=each,
                    bucket_counts=season.counts[:, span].copy() if season.matched[stream] else None,
                    design_effects=effects[stream].astype(np.float32),
                )
            )
        return Calibration(
            rows=self._rows,
            in_time_order=self._times is not None and self._times.in_order,
            buckets=TimeBuckets(cycle=season.cycle, timezone=self._times.timezone)
            if self._times is not None
            else TimeBuckets(),
            virtual=self.virtual,
            streams=tuple(streams),
        )

    def _ecells(self, cells: NDArray[np.uint16]) -> NDArray[np.uint8]:
        found = np.empty(cells.shape, np.uint8)
        for number, each in enumerate(self._features.ecells):
            np.take(each.cell_map, cells[number], out=found[number])
        return found

    def _functions(self, sample: NDArray[np.uint8]) -> Floats:
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
        rows = self._chunk[:, : self._filled]
        features = len(self._features.features)
        virtual_ecells(self.virtual, self._scores, rows[:features], rows[features:])
        for stream in range(features, rows.shape[0]):
            start, stop = self._offsets[stream : stream + 2] - self._features_end
            self._virtual_counts[start:stop] += np.bincount(rows[stream], minlength=stop - start)
        if self._times is not None and self._moments is not None:
            self._moments.add(rows, self._times.buckets(self._finest, self._seconds[: self._filled]))
        self._filled = 0

    def _matched(self) -> tuple[Season, list[Floats]]:
        """The season that is matched, and the design effects of each stream."""
        splits = self._offsets[1:] + 4 * np.arange(1, self._offsets.size)
        if self._times is None or self._moments is None:
            ones = np.ones(int(splits[-1]))
            return no_season(splits.size), np.split(ones, splits[:-1])
        season, effects = find_season(self._moments, self._times, self._finest)
        return season, np.split(effects, splits[:-1])

"""Where everything of every feature lies in a few flat arrays, so that one compiled call serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Counts, FeatureReference, Floats
from driftgauge.kernels import QUANTILE_LEVELS, Search, build_search, twins
from driftgauge.kernels._blocks import sums_before_blocks

__all__ = ["Layout"]

# Cuts of the reference's mass for the two shifts: 5 % steps, finer in the tails, where drift shows.
_GROUP_CUTS: Final = (0.001, 0.01, *(i / 20 for i in range(1, 20)), 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """The features of one reference, laid end to end. Built once by `Layout.of`; never changed after.

    Feature ``f`` owns the slice ``offsets[f]:offsets[f + 1]`` of each flat array, except where stated.

    Parameters
    ----------
    features : tuple of FeatureReference
        As given, with `points`, `counts` and `bin_starts` as views of the arrays here: nothing is held twice.
    cell_offsets : int64[F + 1]
        Slices of `reference` and of every window's counts.
    bin_offsets : int64[F + 1]
        Slices of `reference_bins` and of every array by bin.
    bin_starts : int32[bins total + F]
        A feature with ``b`` bins has ``b + 1`` entries, from ``bin_offsets[f] + f`` on; that feature's cells.
    reference : uint32[C]
    reference_bins : int64[bins total]
    numeric : bool[F]
    edges, tables, lows, scales, steps, ordered
        The `Search` of each numeric feature; slices by `edge_offsets` and `table_offsets`, int64[F + 1].
    block_offsets : int64[F + 1]
        Slices of `reference_blocks`: the reference's rows before every 64th cell, and at the end all.
    deviations : float64[F]
        Standard deviation of each numeric feature's reference; NaN else.
    group_offsets : int64[F + 1]
        Slices of the group tables; empty for what is not numeric.
    group_ends : int32[groups]
        A group is the number cells from the end of the one before up to but not including its own.
    group_scores : float64[groups, 2]
        What one live row in the group adds to `shift` and to `scale_shift`, standardised and centred.
    quantile_levels : float64[5]
    """

    features: tuple[FeatureReference, ...]
    cell_offsets: NDArray[np.int64]
    bin_offsets: NDArray[np.int64]
    bin_starts: NDArray[np.int32]
    reference: Counts
    reference_bins: NDArray[np.int64]
    numeric: NDArray[np.bool_]
    edges: Floats
    edge_offsets: NDArray[np.int64]
    tables: NDArray[np.uint16]
    table_offsets: NDArray[np.int64]
    lows: Floats
    scales: Floats
    steps: NDArray[np.int64]
    ordered: NDArray[np.bool_]
    block_offsets: NDArray[np.int64]
    reference_blocks: NDArray[np.int64]
    deviations: Floats
    group_offsets: NDArray[np.int64]
    group_ends: NDArray[np.int32]
    group_scores: Floats
    quantile_levels: Floats

    @classmethod
    def of(cls, features: Sequence[FeatureReference]) -> Layout:
        """Layout of *features*, in their order.

        Parameters
        ----------
        features : sequence of FeatureReference
            At least one; already validated by whoever made them.
        """
        searches = [build_search(f.points) if f.dtype == "numeric" else None for f in features]
        groups = [_groups(f) for f in features]
        blocks = [sums_before_blocks(f.counts) for f in features]
        cell_offsets = _offsets([f.cells for f in features])
        bin_offsets = _offsets([f.bin_starts.size - 1 for f in features])
        edge_offsets = _offsets([0 if s is None else s.edges.size for s in searches])
        reference = _flat([f.counts for f in features], np.uint32)
        bin_starts = _flat([f.bin_starts for f in features], np.int32)
        edges = _flat([s.edges for s in searches if s is not None], np.float64)
        kept: list[FeatureReference] = []
        for number, feature in enumerate(features):
            first_bin = bin_offsets[number] + number
            first_edge = edge_offsets[number] + 1
            points = edges[first_edge : first_edge + feature.points.size]
            kept.append(
                replace(
                    feature,
                    counts=reference[cell_offsets[number] : cell_offsets[number + 1]],
                    bin_starts=bin_starts[first_bin : first_bin + feature.bin_starts.size],
                    points=points if feature.dtype == "numeric" else feature.points,
                )
            )
        return cls(
            features=tuple(kept),
            cell_offsets=cell_offsets,
            bin_offsets=bin_offsets,
            bin_starts=bin_starts,
            reference=reference,
            reference_bins=_flat([f.reference_bins for f in features], np.int64),
            numeric=np.array([f.dtype == "numeric" for f in features], dtype=np.bool_),
            edges=edges,
            edge_offsets=edge_offsets,
            tables=_flat([s.table for s in searches if s is not None], np.uint16),
            table_offsets=_offsets([0 if s is None else s.table.size for s in searches]),
            lows=np.array([0.0 if s is None else s.low for s in searches]),
            scales=np.array([0.0 if s is None else s.scale for s in searches]),
            steps=np.array([0 if s is None else s.steps for s in searches], dtype=np.int64),
            ordered=np.array([s is not None and s.ordered for s in searches], dtype=np.bool_),
            block_offsets=_offsets([b.size for b in blocks]),
            reference_blocks=_flat(blocks, np.int64),
            # The twin on purpose: a reference's numbers must not depend on who serves when it is laid out.
            deviations=np.array([twins.mean_and_deviation(f.points, f.counts)[1] for f in features]),
            group_offsets=_offsets([len(ends) for ends, _ in groups]),
            group_ends=_flat([ends for ends, _ in groups], np.int32),
            group_scores=np.concatenate([np.empty((0, 2)), *(scores for _, scores in groups)]),
            quantile_levels=np.array(QUANTILE_LEVELS),
        )

    @property
    def cells(self) -> int:
        """Cells over all features: the length of a window's counts."""
        return int(self.cell_offsets[-1])

    @property
    def bins(self) -> int:
        """Bins over all features."""
        return int(self.bin_offsets[-1])

    @property
    def numeric_columns(self) -> NDArray[np.int32]:
        """Numbers of the numeric features, int32[m]."""
        return np.flatnonzero(self.numeric).astype(np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        fields = (getattr(self, name) for name in self.__slots__)
        return sum(value.nbytes for value in fields if isinstance(value, np.ndarray))

    def search(self, feature: int) -> Search:
        """The `Search` of a numeric feature, as views."""
        first, last = self.edge_offsets[feature : feature + 2]
        first_bucket, last_bucket = self.table_offsets[feature : feature + 2]
        return Search(
            self.edges[first:last],
            self.tables[first_bucket:last_bucket],
            float(self.lows[feature]),
            float(self.scales[feature]),
            int(self.steps[feature]),
            bool(self.ordered[feature]),
        )


def _offsets(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Where each part starts, and at the end the total, int64[len(sizes) + 1]."""
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _flat(parts: Sequence[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    """All parts end to end."""
    return np.concatenate([np.empty(0, dtype=dtype), *parts]).astype(dtype, copy=False)


def _groups(feature: FeatureReference) -> tuple[NDArray[np.int32], Floats]:
    """Groups of consecutive number cells and what a live row in each adds to the two shifts.

    Returns
    -------
    ends : int32[groups]
    scores : float64[groups, 2]

    Notes
    -----
    A group that holds the reference's mass from share ``a`` to share ``b`` has the mean normal score
    ``(phi(z_a) - phi(z_b)) / (b - a)`` with ``z = Phi^-1``, and for the scale score ``(z**2 - 1) / sqrt(2)``
    the mean ``(z_a phi(z_a) - z_b phi(z_b)) / (b - a) / sqrt(2)`` (truncated normal moments: Johnson, Kotz &
    Balakrishnan, *Continuous Univariate Distributions* 1, 2nd ed., section 13.10). The reference's mean of
    either is 0 by construction. Dividing by the variance that grouping leaves makes a Gaussian shift of ``d``
    give ``d`` to first order.
    """
    empty = np.empty(0, dtype=np.int32), np.empty((0, 2))
    number = feature.counts[: feature.number_cells].astype(np.int64)
    total = int(number.sum())
    if feature.dtype != "numeric" or total == 0:
        return empty
    share = np.cumsum(number) / total
    # A cut belongs after the first cell that reaches it; a tie on the last cell would leave an empty group.
    cuts = np.unique(np.searchsorted(share, _GROUP_CUTS) + 1)
    ends = np.append(cuts[share[cuts - 1] < 1.0], number.size)
    upper = np.append(share[ends[:-1] - 1], 1.0)
    lower = np.append(0.0, upper[:-1])
    normal = NormalDist()
    inside = upper[:-1]
    z = np.array([normal.inv_cdf(float(p)) for p in inside])
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    width = upper - lower
    location = -np.diff(np.concatenate(([0.0], density, [0.0]))) / width
    scale = -np.diff(np.concatenate(([0.0], z * density, [0.0]))) / width / np.sqrt(2.0)
    scores = np.stack((location, scale), axis=1)
    variance = width @ (scores * scores)
    # One group tells nothing about direction: no meaning rather than a made-up zero.
    scores = np.divide(scores, variance, out=np.full_like(scores, np.nan), where=variance > 1e-12)
    return ends.astype(np.int32), scores

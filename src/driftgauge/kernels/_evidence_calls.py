"""What `driftgauge.kernels` has for evidence of drift: the four functions, with their contracts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels import _warm_up
from driftgauge.kernels._types import Counts, Ecells, EvidenceArrays, Floats, Indices, VirtualArrays

__all__ = ["advance", "count_ecells", "count_virtual", "virtual_values"]


def count_ecells(
    indices: Indices,
    cell_offsets: NDArray[np.int64],
    cell_map: Ecells,
    ecell_offsets: NDArray[np.int64],
    counts: Counts,
    out: Ecells,
) -> None:
    """Write the e-cell of each value, and add one to its count.

    Parameters
    ----------
    indices : uint16[F, n]
        Cells. May be a slice of a wider block.
    cell_offsets : int64[F + 1]
    cell_map : uint8[C]
        E-cell of each cell, of all features end to end.
    ecell_offsets : int64[S + 1]
        Features first; there may be more streams than features.
    counts : uint32[E]
    out : uint8[F, n]
    """
    _warm_up.active.count_ecells(indices, cell_offsets, cell_map, ecell_offsets, counts, out)


def virtual_values(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    out: Floats,
) -> None:
    """Write the value of each virtual feature, as `driftgauge.calibration.VirtualFeature` defines it.

    Sums are taken in the order of the definition, so they are the same numbers everywhere.

    Parameters
    ----------
    ecells : uint8[F, n]
        As `count_ecells` writes them. May be a slice of a wider block.
    scores : float64[E]
        Normal score of each e-cell, of all features end to end.
    ecell_offsets : int64[S + 1]
    virtual : driftgauge.detectors._tables.VirtualTables
    out : float64[V, n]
    """
    _warm_up.active.virtual_values(ecells, scores, ecell_offsets, virtual, out)


def count_virtual(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    counts: Counts,
) -> None:
    """Add one to the count of the e-cell of each virtual feature's value.

    A value is in the e-cell whose number is how many edges are less than it. The parameters are those of
    `virtual_values`; stream ``F + v`` of *ecell_offsets* is virtual feature ``v``.
    """
    _warm_up.active.count_virtual(ecells, scores, ecell_offsets, virtual, counts)


def advance(
    counts: Counts,
    bucket_rows: NDArray[np.int64],
    start_seconds: float,
    layout: EvidenceArrays,
    caps: Floats,
    evidence: Floats,
    moments: Floats,
    total_evidence: Floats,
    total_moments: Floats,
) -> None:
    """Let every component of every stream take one step on a block of rows.

    With ``s`` the tempered log likelihood ratio of the block, less its bound: evidence becomes
    ``min((evidence + weight) exp(s), cap)``, and the moment ``(moment + weight start_seconds) exp(s)``,
    scaled down with the evidence when that meets the cap.

    Parameters
    ----------
    counts : uint32[E]
        Rows of the block by e-cell.
    bucket_rows : int64[H]
        Rows of the block by time bucket; of length 1 or what the tables have. At least one row in all.
    start_seconds : float
        Time of the block's first row.
    layout : driftgauge.detectors._tables.EvidenceTables
    caps : float64[S]
        Above 0; see `driftgauge.detectors.DriftScore`.
    evidence, moments : float64[components]
        The state, changed in place: of each component its weight times its evidence, and that times the mean
        time at which the change began.
    total_evidence, total_moments : float64[S]
        Written: sums of the state by stream; 0 for a stream without components.

    Notes
    -----
    Shiryaev & Roberts' recursion: M. Pollak, *Ann. Statist.* 13 (1985), section 1; with likelihood ratios
    divided by a bound of their mean it is an e-detector of Shin, Ramdas & Rinaldo, *New England J. Statist.
    Data Sci.* 2 (2024), definition 2.2. Kept as it is and not in logarithms: one exponential a component
    instead of three. No exponent is over 300 either way, so nothing overflows.
    """
    _warm_up.active.advance(
        counts,
        bucket_rows,
        start_seconds,
        layout,
        caps,
        evidence,
        moments,
        total_evidence,
        total_moments,
    )

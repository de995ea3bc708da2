"""The compiled functions for evidence under the parameters of their twins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels import evidence as compiled
from driftgauge.kernels._types import Counts, Ecells, EvidenceArrays, Floats, VirtualArrays

__all__ = ["advance", "count_virtual", "virtual_values"]


def virtual_values(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    out: Floats,
) -> None:
    """See `driftgauge.kernels.virtual_values`."""
    compiled.virtual_values(
        ecells,
        scores,
        ecell_offsets,
        virtual.offsets,
        virtual.features,
        virtual.weights,
        virtual.squared,
        out,
    )


def count_virtual(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    counts: Counts,
) -> None:
    """See `driftgauge.kernels.count_virtual`."""
    compiled.count_virtual(
        ecells,
        scores,
        ecell_offsets,
        virtual.offsets,
        virtual.features,
        virtual.weights,
        virtual.squared,
        virtual.edge_offsets,
        virtual.edges,
        counts,
    )


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
    """See `driftgauge.kernels.advance`."""
    compiled.advance(
        counts,
        bucket_rows,
        start_seconds,
        layout.ecell_offsets,
        layout.tables,
        layout.state_offsets,
        layout.component_offsets,
        layout.function_offsets,
        layout.functions,
        layout.sources,
        layout.slopes,
        layout.weights,
        layout.drift_offsets,
        layout.drifts,
        caps,
        evidence,
        moments,
        total_evidence,
        total_moments,
    )

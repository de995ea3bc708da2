"""NumPy twins of the functions in `driftgauge.kernels.evidence`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.kernels._steps import LARGEST_EXPONENT, SCORES
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
    """See `driftgauge.kernels.count_ecells`."""
    features = indices.shape[0]
    out[:] = cell_map[indices + cell_offsets[:features, np.newaxis]]
    places = out + ecell_offsets[:features, np.newaxis]
    counts += np.bincount(places.ravel(), minlength=counts.size).astype(np.uint32)


def virtual_values(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    out: Floats,
) -> None:
    """See `driftgauge.kernels.virtual_values`."""
    held = scores[ecells + ecell_offsets[: ecells.shape[0], np.newaxis]]
    out[:] = 0.0
    for v in range(virtual.squared.size):
        for k in range(virtual.offsets[v], virtual.offsets[v + 1]):
            own = held[virtual.features[k]]
            out[v] += virtual.weights[k] * (own * own if virtual.squared[v] else own)


def count_virtual(
    ecells: Ecells,
    scores: Floats,
    ecell_offsets: NDArray[np.int64],
    virtual: VirtualArrays,
    counts: Counts,
) -> None:
    """See `driftgauge.kernels.count_virtual`."""
    values = np.empty((virtual.squared.size, ecells.shape[1]))
    virtual_values(ecells, scores, ecell_offsets, virtual, values)
    for v, row in enumerate(values):
        edges = virtual.edges[virtual.edge_offsets[v] : virtual.edge_offsets[v + 1]]
        first = ecell_offsets[ecells.shape[0] + v]
        held = np.bincount(np.searchsorted(edges, row), minlength=edges.size + 1)
        counts[first : first + held.size] += held.astype(np.uint32)


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
    for s, table in enumerate(layout.tables):
        first, last = layout.component_offsets[table : table + 2]
        total_evidence[s] = total_moments[s] = 0.0
        if first == last:
            continue
        held = counts[layout.ecell_offsets[s] : layout.ecell_offsets[s + 1]].astype(np.float64)
        own = layout.functions[layout.function_offsets[table] : layout.function_offsets[table + 1]]
        known = np.concatenate((held @ own.reshape(-1, SCORES), held))
        drifts = layout.drifts[layout.drift_offsets[table] : layout.drift_offsets[table + 1]]
        by_bucket = drifts.reshape(-1, last - first).astype(np.float64)
        rows = bucket_rows if by_bucket.shape[0] == bucket_rows.size else bucket_rows.sum(keepdims=True)
        exponents = layout.slopes[first:last] * known[layout.sources[first:last]] + rows @ by_bucket
        steps = np.exp(np.clip(exponents, -LARGEST_EXPONENT, LARGEST_EXPONENT))
        weights = layout.weights[first:last]
        state = slice(layout.state_offsets[s], layout.state_offsets[s + 1])
        now = (evidence[state] + weights) * steps
        then = (moments[state] + weights * start_seconds) * steps
        shrink = np.minimum(1.0, caps[s] / np.maximum(now, caps[s]))
        evidence[state] = np.minimum(now, caps[s])
        moments[state] = then * shrink
        total_evidence[s] = evidence[state].sum()
        total_moments[s] = moments[state].sum()

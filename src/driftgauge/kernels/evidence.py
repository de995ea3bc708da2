"""Rows by e-cell, and what a block of them says about every alternative of every stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from driftgauge.kernels._jit import (
    BOOLEANS,
    COUNTS,
    ECELL_ROWS,
    ECELLS,
    FLAG,
    FLOAT,
    FLOATS,
    INDEX_BLOCK,
    INDICES,
    INTEGERS,
    NUMBER,
    OUT_COUNTS,
    OUT_ECELL_ROWS,
    OUT_FLOAT_ROWS,
    OUT_FLOATS,
    SCORE_ROWS,
    SINGLES,
    SMALL_INTEGERS,
    VOID,
    kernel,
)
from driftgauge.kernels._steps import LARGEST_EXPONENT, SCORES

__all__ = ["advance", "count_ecells", "count_virtual", "virtual_values"]

_BLOCK = 256  # rows whose scores are held at once: 200 KiB for 100 features


@kernel(VOID, INDEX_BLOCK, INTEGERS, ECELLS, INTEGERS, OUT_COUNTS, OUT_ECELL_ROWS)
def count_ecells(
    indices: Any, cell_offsets: Any, cell_map: Any, ecell_offsets: Any, counts: Any, out: Any
) -> None:
    """See `driftgauge.kernels.count_ecells`."""
    for f in range(indices.shape[0]):
        ecells = cell_map[cell_offsets[f] : cell_offsets[f + 1]]
        held = counts[ecell_offsets[f] : ecell_offsets[f + 1]]
        for j in range(indices.shape[1]):
            ecell = ecells[indices[f, j]]
            out[f, j] = ecell
            held[ecell] += np.uint32(1)


@kernel(VOID, ECELL_ROWS, FLOATS, INTEGERS, NUMBER, OUT_FLOAT_ROWS)
def look_up(ecells: Any, scores: Any, ecell_offsets: Any, start: int, out: Any) -> None:
    """Write the scores of the rows from *start* on, as many as fit into *out*, float64[F, b]."""
    size = min(out.shape[1], ecells.shape[1] - start)
    for f in range(ecells.shape[0]):
        own = scores[ecell_offsets[f] : ecell_offsets[f + 1]]
        for j in range(size):
            out[f, j] = own[ecells[f, start + j]]


@kernel(VOID, SCORE_ROWS, SMALL_INTEGERS, FLOATS, FLAG, NUMBER, OUT_FLOATS)
def add_up(scores: Any, features: Any, weights: Any, squared: bool, size: int, out: Any) -> None:
    """Write the value of one virtual feature for the first *size* rows of *scores*."""
    for j in range(size):
        out[j] = 0.0
    for k in range(features.size):
        own = scores[features[k]]
        weight = weights[k]
        if squared:
            for j in range(size):
                out[j] += weight * (own[j] * own[j])
        else:
            for j in range(size):
                out[j] += weight * own[j]


@kernel(
    VOID,
    ECELL_ROWS,
    FLOATS,
    INTEGERS,
    INTEGERS,
    SMALL_INTEGERS,
    FLOATS,
    BOOLEANS,
    OUT_FLOAT_ROWS,
)
def virtual_values(
    ecells: Any,
    scores: Any,
    ecell_offsets: Any,
    offsets: Any,
    features: Any,
    weights: Any,
    squared: Any,
    out: Any,
) -> None:
    """See `driftgauge.kernels.virtual_values`. *offsets* to *squared* are fields of a `VirtualTables`."""
    rows = ecells.shape[1]
    held = np.empty((ecells.shape[0], _BLOCK), np.float64)
    for start in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - start)
        look_up(ecells, scores, ecell_offsets, start, held)
        for v in range(squared.size):
            first = offsets[v]
            last = offsets[v + 1]
            add_up(
                held,
                features[first:last],
                weights[first:last],
                squared[v],
                size,
                out[v, start : start + size],
            )


@kernel(
    VOID,
    ECELL_ROWS,
    FLOATS,
    INTEGERS,
    INTEGERS,
    SMALL_INTEGERS,
    FLOATS,
    BOOLEANS,
    INTEGERS,
    FLOATS,
    OUT_COUNTS,
)
def count_virtual(
    ecells: Any,
    scores: Any,
    ecell_offsets: Any,
    offsets: Any,
    features: Any,
    weights: Any,
    squared: Any,
    edge_offsets: Any,
    edges: Any,
    counts: Any,
) -> None:
    """See `driftgauge.kernels.count_virtual`. *offsets* to *edges* are fields of a `VirtualTables`.

    Notes
    -----
    Counting the values over each edge is one comparison for many rows at a time, cheaper than a search per
    value for two dozen edges.
    """
    rows = ecells.shape[1]
    held = np.empty((ecells.shape[0], _BLOCK), np.float64)
    values = np.empty(_BLOCK, np.float64)
    for start in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - start)
        look_up(ecells, scores, ecell_offsets, start, held)
        for v in range(squared.size):
            first = offsets[v]
            last = offsets[v + 1]
            add_up(held, features[first:last], weights[first:last], squared[v], size, values)
            ecell = ecell_offsets[ecells.shape[0] + v]
            left = np.int64(size)
            for e in range(edge_offsets[v], edge_offsets[v + 1]):
                edge = edges[e]
                over = np.int64(0)
                for j in range(size):
                    over += np.int64(values[j] > edge)
                counts[ecell] += np.uint32(left - over)
                ecell += 1
                left = over
            counts[ecell] += np.uint32(left)


@kernel(
    VOID,
    COUNTS,
    INTEGERS,
    FLOAT,
    INTEGERS,
    SMALL_INTEGERS,
    INTEGERS,
    INTEGERS,
    INTEGERS,
    FLOATS,
    INDICES,
    FLOATS,
    FLOATS,
    INTEGERS,
    SINGLES,
    FLOATS,
    OUT_FLOATS,
    OUT_FLOATS,
    OUT_FLOATS,
    OUT_FLOATS,
)
def advance(
    counts: Any,
    bucket_rows: Any,
    start_seconds: float,
    ecell_offsets: Any,
    tables: Any,
    state_offsets: Any,
    component_offsets: Any,
    function_offsets: Any,
    functions: Any,
    sources: Any,
    slopes: Any,
    weights: Any,
    drift_offsets: Any,
    drifts: Any,
    caps: Any,
    evidence: Any,
    moments: Any,
    total_evidence: Any,
    total_moments: Any,
) -> None:
    """See `driftgauge.kernels.advance`. *ecell_offsets* to *drifts* are fields of an `EvidenceTables`."""
    rows = np.int64(0)
    for h in range(bucket_rows.size):
        rows += bucket_rows[h]
    known = np.empty(SCORES + 256, np.float64)
    most = np.int64(0)
    for s in range(tables.size):
        most = max(most, state_offsets[s + 1] - state_offsets[s])
    exponents = np.empty(most, np.float64)
    for s in range(tables.size):
        table = tables[s]
        first = component_offsets[table]
        size = component_offsets[table + 1] - first
        total_evidence[s] = 0.0
        total_moments[s] = 0.0
        if size == 0:
            continue
        held = counts[ecell_offsets[s] : ecell_offsets[s + 1]]
        own = functions[function_offsets[table] : function_offsets[table + 1]]
        for k in range(SCORES):
            known[k] = 0.0
        for c in range(held.size):
            number = np.float64(held[c])
            known[SCORES + c] = number
            for k in range(SCORES):
                known[k] += number * own[SCORES * c + k]
        by_bucket = drifts[drift_offsets[table] : drift_offsets[table + 1]]
        if by_bucket.size == size:
            for i in range(size):
                exponents[i] = rows * np.float64(by_bucket[i])
        else:
            for i in range(size):
                exponents[i] = 0.0
            for h in range(bucket_rows.size):
                if bucket_rows[h] > 0:
                    for i in range(size):
                        exponents[i] += bucket_rows[h] * np.float64(by_bucket[h * size + i])
        for i in range(size):
            exponent = exponents[i] + slopes[first + i] * known[sources[first + i]]
            exponents[i] = math.exp(min(max(exponent, -LARGEST_EXPONENT), LARGEST_EXPONENT))
        cap = caps[s]
        state = state_offsets[s]
        total = 0.0
        moment = 0.0
        for i in range(size):
            weight = weights[first + i]
            now = (evidence[state + i] + weight) * exponents[i]
            then = (moments[state + i] + weight * start_seconds) * exponents[i]
            if now > cap:
                then *= cap / now
                now = cap
            evidence[state + i] = now
            moments[state + i] = then
            total += now
            moment += then
        total_evidence[s] = total
        total_moments[s] = moment

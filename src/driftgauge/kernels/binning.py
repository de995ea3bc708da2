"""From values to cells: a table by a monotone map of the value, then the same few steps for every value."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.kernels._jit import (
    BOOLEANS,
    FLAG,
    FLOAT,
    FLOAT_COLUMN,
    FLOAT_ROWS,
    FLOATS,
    INDICES,
    INTEGERS,
    NUMBER,
    OUT_INDEX_ROWS,
    OUT_INDICES,
    SMALL_INTEGERS,
    VOID,
    kernel,
)

__all__ = ["index_columns", "index_values"]

_BLOCK = 512  # values, bits and positions of a block take 10 KiB and stay in the first-level cache
_MISSING_BITS = np.int64(0x7FF8_0000_0000_07A2)
_MAGNITUDE = np.int64(0x7FFF_FFFF_FFFF_FFFF)


@kernel(VOID, FLOAT_COLUMN, FLOATS, INDICES, FLOAT, FLOAT, NUMBER, FLAG, OUT_INDICES)
def index_values(
    values: Any, edges: Any, table: Any, low: float, scale: float, steps: int, ordered: bool, out: Any
) -> None:
    """Write the cell of each value. The parameters are the fields of a `Search`.

    Notes
    -----
    Every value of a bucket has reached ``edges[table[bucket]]``, and no bucket holds over ``2**steps - 1``
    edges, so `steps` halving steps end on the last edge that is no greater than the value. The loop over
    steps is outside and the loop over values inside: steps of neighbouring values do not wait for each other,
    and nothing branches on data. 3.2 ns a value at 1,023 normal points against 7.9 ns where the compiler made
    a branch of the comparison; multiplying by it, as below, keeps it arithmetic.
    """
    top = np.float64(table.size - 1)
    block = np.empty(_BLOCK, np.float64)
    bits = block.view(np.int64)
    mapped = np.empty(_BLOCK, np.float64)
    mapped_bits = mapped.view(np.int64)
    position = np.empty(_BLOCK, np.uint32)
    nan_cell = np.uint32(2 * (edges.size - (1 << steps)) - 1)
    for start in range(0, values.size, _BLOCK):
        size = min(_BLOCK, values.size - start)
        nans = 0
        for j in range(size):
            value = values[start + j]
            block[j] = value
            mapped[j] = value + 0.0  # -0.0 becomes 0.0; not in `block`, where NaN must keep its bits
            nans += value != value
        if ordered:
            for j in range(size):
                mapped[j] = np.float64(mapped_bits[j] ^ ((mapped_bits[j] >> np.int64(63)) & _MAGNITUDE))
        for j in range(size):
            place = (mapped[j] - low) * scale
            place = place if place > 0.0 else 0.0  # also for NaN
            place = place if place < top else top
            position[j] = table[np.uint64(np.int64(place))]
        for s in range(steps - 1, -1, -1):
            step = np.uint32(1) << np.uint32(s)
            for j in range(size):
                here = position[j]
                reached = np.uint32(edges[np.uint64(here + step)] <= block[j])
                position[j] = np.uint32(here + reached * step)
        for j in range(size):
            here = position[j]
            on_edge = np.uint32(edges[np.uint64(here)] == block[j])
            out[start + j] = np.uint16(here + here + np.uint32(1) - on_edge)
        if nans > 0:
            for j in range(size):
                if block[j] != block[j]:
                    out[start + j] = np.uint16(nan_cell + np.uint32(bits[j] == _MISSING_BITS))


@kernel(
    VOID,
    FLOAT_ROWS,
    FLOATS,
    INTEGERS,
    INDICES,
    INTEGERS,
    FLOATS,
    FLOATS,
    INTEGERS,
    BOOLEANS,
    SMALL_INTEGERS,
    OUT_INDEX_ROWS,
)
def index_columns(
    values: Any,
    edges: Any,
    edge_offsets: Any,
    tables: Any,
    table_offsets: Any,
    lows: Any,
    scales: Any,
    steps: Any,
    ordered: Any,
    columns: Any,
    out: Any,
) -> None:
    """Write the cells of ``values[:, j]`` to ``out[columns[j]]``. The parameters are fields of a `Layout`."""
    for j in range(columns.size):
        f = columns[j]
        index_values(
            values[:, j],
            edges[edge_offsets[f] : edge_offsets[f + 1]],
            tables[table_offsets[f] : table_offsets[f + 1]],
            lows[f],
            scales[f],
            steps[f],
            ordered[f],
            out[f, :],
        )

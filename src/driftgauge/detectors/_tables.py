"""Where all of a model's streams lie in a few flat arrays, so that one compiled call serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftgauge.calibration import VirtualFeature
from driftgauge.cells import Floats
from driftgauge.detectors._bank import SPIKE, Bank
from driftgauge.detectors._scores import SCORES

__all__ = ["EvidenceTables", "VirtualTables", "offsets_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VirtualTables:
    """Virtual features laid end to end, as the kernels read them.

    Virtual feature ``v`` owns ``offsets[v]:offsets[v + 1]`` of `features` and `weights`, and
    ``edge_offsets[v]:edge_offsets[v + 1]`` of `edges`.

    Parameters
    ----------
    offsets : int64[V + 1]
    features : int32[...]
    weights : float64[...]
    squared : bool[V]
    edge_offsets : int64[V + 1]
    edges : float64[...]
    """

    offsets: NDArray[np.int64]
    features: NDArray[np.int32]
    weights: Floats
    squared: NDArray[np.bool_]
    edge_offsets: NDArray[np.int64]
    edges: Floats

    @classmethod
    def of(cls, virtual: Sequence[VirtualFeature]) -> VirtualTables:
        """Tables of *virtual*, in its order. Edges may still be missing when only values are wanted."""
        return cls(
            offsets=offsets_of([one.features.size for one in virtual]),
            features=np.concatenate([np.empty(0, np.int32), *(one.features for one in virtual)]),
            weights=np.concatenate([np.empty(0), *(one.weights for one in virtual)]),
            squared=np.array([one.squared for one in virtual], dtype=np.bool_),
            edge_offsets=offsets_of([one.edges.size for one in virtual]),
            edges=np.concatenate([np.empty(0), *(one.edges for one in virtual)]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return _nbytes(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceTables:
    """The banks of all streams, as the kernels read them. Streams that are alike share a table.

    A component is affine in one number: with ``x`` the sum of its score function over the block's rows, or
    the rows in its e-cell, a block adds ``slopes x + sum over buckets of rows * drifts`` to the logarithm of
    its evidence. The exponent for dependent rows is multiplied in.

    Parameters
    ----------
    ecell_offsets : int64[S + 1]
        Slices of counts by e-cell.
    tables : int32[S]
        Table of each stream.
    state_offsets : int64[S + 1]
        Slices of evidence by component.
    component_offsets : int64[T + 1]
        Slices of `sources`, `slopes` and `weights` by table.
    function_offsets : int64[T + 1]
        Slices of `functions`: four score functions by e-cell, [K, 4].
    sources : uint16[...]
        Which number a component is affine in: 0 to 3 a score function's sum, ``4 + c`` the rows in e-cell c.
    drift_offsets : int64[T + 1]
        Slices of `drifts`: what a row adds by its time bucket alone, [H, C]; H is 1 without seasons.
    """

    ecell_offsets: NDArray[np.int64]
    tables: NDArray[np.int32]
    state_offsets: NDArray[np.int64]
    component_offsets: NDArray[np.int64]
    function_offsets: NDArray[np.int64]
    functions: Floats
    sources: NDArray[np.uint16]
    slopes: Floats
    weights: Floats
    drift_offsets: NDArray[np.int64]
    drifts: NDArray[np.float32]

    @classmethod
    def of(cls, banks: Sequence[Bank], tables: Sequence[int], ecells: Sequence[int]) -> EvidenceTables:
        """Tables of streams.

        Parameters
        ----------
        banks : sequence of Bank
            One a table.
        tables : sequence of int
            Which bank each stream has.
        ecells : sequence of int
            Number of e-cells of each stream.
        """
        sources = [
            np.where(bank.families < SPIKE, bank.families, SCORES + bank.cells).astype(np.uint16)
            for bank in banks
        ]
        drifts = [(bank.exponents * (bank.intercepts - bank.log_bounds)).ravel() for bank in banks]
        return cls(
            ecell_offsets=offsets_of(ecells),
            tables=np.array(tables, dtype=np.int32),
            state_offsets=offsets_of([banks[table].size for table in tables]),
            component_offsets=offsets_of([bank.size for bank in banks]),
            function_offsets=offsets_of([bank.functions.size for bank in banks]),
            functions=np.concatenate([bank.functions.T.ravel() for bank in banks]),
            sources=np.concatenate(sources),
            slopes=np.concatenate([bank.exponents * bank.slopes for bank in banks]),
            weights=np.concatenate([bank.weights for bank in banks]),
            drift_offsets=offsets_of([part.size for part in drifts]),
            drifts=np.concatenate(drifts).astype(np.float32),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return _nbytes(self)


def offsets_of(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Where each part starts, and at the end the total, int64[len(sizes) + 1]."""
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64)


def _nbytes(tables: VirtualTables | EvidenceTables) -> int:
    return sum(getattr(tables, name).nbytes for name in tables.__slots__)

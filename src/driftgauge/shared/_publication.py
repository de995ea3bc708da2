"""What one process says of all the rows that it has counted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._evaluate import Counters
from driftgauge._window_state import WindowState
from driftgauge.cells import Floats
from driftgauge.shared._packing import Arrays, pack, unpack
from driftgauge.shared._parts import counters_of, counters_parts, exact, state_of, state_parts

__all__ = ["Publication", "Sizes", "Totals", "add_totals"]

KIND: Final = "process"
Totals = NDArray[np.int64]


def add_totals(parts: list[Totals]) -> Totals:
    """The sum of those that are not empty."""
    held = [part for part in parts if part.size]
    total = np.zeros(held[0].size if held else 0, np.int64)
    for part in held:
        if part.size == total.size:
            total += part
    return total


@dataclass(frozen=True, slots=True)
class Sizes:
    """Lengths of the arrays of one reference, which every publication must have."""

    reference_id: str
    cells: int
    bins: int
    ecells: int | None = None
    """None in a process without a drift score, which passes on what others have counted."""
    buckets: int | None = None

    def totals(self, arrays: Arrays) -> tuple[Totals, Totals]:
        """Rows by e-cell and by time bucket; both empty where a process has no drift score."""
        found = arrays["ecell_rows"], arrays["bucket_rows"]
        for array, size in zip(found, (self.ecells, self.buckets), strict=True):
            if (array.size and size is not None) or array.ndim != 1:
                exact(array, np.int64, size or 0)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Publication:
    """All that a process has counted since it started.

    Parameters
    ----------
    epoch : int
        How often the directory had been reset when this process began to count.
    newest_seconds : float
        When its newest row arrived; minus infinity while there is none.
    windows : tuple of WindowState
        Row windows without their rings.
    counters : Counters
    bin_rows : int64[bins]
    ecell_rows : int64[E]
        Rows by e-cell; empty in a process without a drift score, and so is `bucket_rows`.
    bucket_rows : int64[H]
        The same rows by time bucket.
    arrivals : float64[k, 2]
        The rows that had been counted by e-cell before each of the last publications, and when the first
        row after that arrived.
    """

    epoch: int
    newest_seconds: float
    windows: tuple[WindowState, ...]
    counters: Counters
    bin_rows: Totals
    ecell_rows: Totals
    bucket_rows: Totals
    arrivals: Floats = field(default_factory=lambda: np.empty((0, 2)))

    @property
    def evidence_rows(self) -> int:
        """Rows that were counted by e-cell."""
        return int(self.bucket_rows.sum())

    def first_seconds(self, seen_rows: int) -> float:
        """When the first row after the first *seen_rows* arrived; infinity when there is none.

        Where its publication is no longer remembered, the time of the oldest that is.
        """
        if seen_rows >= self.evidence_rows or not len(self.arrivals):
            return math.inf
        place = int(np.searchsorted(self.arrivals[:, 0], seen_rows, side="right")) - 1
        return float(self.arrivals[max(place, 0), 1])

    def to_bytes(self) -> bytes:
        """For the file of a process."""
        states = [state_parts(f"w{place}_", state) for place, state in enumerate(self.windows)]
        header = {
            "epoch": self.epoch,
            "newest_seconds": self.newest_seconds if math.isfinite(self.newest_seconds) else None,
            "reference_id": self.windows[0].reference_id,
            "windows": [own for own, _ in states],
            **counters_parts(self.counters),
        }
        arrays = {
            "bin_rows": self.bin_rows,
            "ecell_rows": self.ecell_rows,
            "bucket_rows": self.bucket_rows,
            "arrivals": self.arrivals,
        }
        for _, own in states:
            arrays.update(own)
        return pack(KIND, header, arrays)

    @classmethod
    def of_bytes(cls, data: bytes, sizes: Sizes) -> Publication:
        """What `to_bytes` gave; ValueError when it is none of this reference."""
        try:
            header, arrays = unpack(KIND, data)
            if header["reference_id"] != sizes.reference_id:
                message = "it counts rows on the cells of another reference"
                raise ValueError(message)
            newest = header["newest_seconds"]
            ecell_rows, bucket_rows = sizes.totals(arrays)
            return cls(
                epoch=int(header["epoch"]),
                newest_seconds=-math.inf if newest is None else float(newest),
                windows=tuple(
                    state_of(f"w{place}_", sizes.reference_id, sizes.cells, own, arrays)
                    for place, own in enumerate(header["windows"])
                ),
                counters=counters_of(header),
                bin_rows=exact(arrays["bin_rows"], np.int64, sizes.bins),
                ecell_rows=ecell_rows,
                bucket_rows=bucket_rows,
                arrivals=arrays["arrivals"].reshape(-1, 2),
            )
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            message = f"a part is missing or of another kind: {type(error).__name__}"
            raise ValueError(message) from error

"""A monitor at one moment, for an evaluation that no lock covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftgauge import windows
from driftgauge._evaluate import Counters
from driftgauge.cells import Counts, Floats
from driftgauge.snapshot import DriftSnapshot

__all__ = ["Frozen", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """A window at one moment."""

    name: str
    reference_id: str
    counts: Counts
    rows: int
    reach_seconds: float

    def seconds(self, now_seconds: float) -> float:  # noqa: ARG002 - the moment is this view's own
        """How far back the window reached."""
        return self.reach_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """All that an evaluation needs."""

    now_seconds: float
    views: Sequence[windows.View]
    bin_rows: NDArray[np.int64]
    counters: Counters
    drift: DriftSnapshot | None
    shares: Floats | None

"""Windows over the cells of a reference: the last N rows, exact row by row, or the last T seconds, in panes.

A window keeps counts by cell. Rows that arrive add one, rows that leave take one away, so that every
statistic of the window is a function of `counts` and costs the same however long the window is.

Time is an argument everywhere. A window is not locked: whoever owns it calls it from one thread at a time.

    window = rows(10_000).open(reference.layout, reference.id)
    window.push(reference.index(frame), now_seconds=time.time())
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from driftgauge._duration_window import DurationWindow
from driftgauge._row_window import RowWindow
from driftgauge._window_specs import Duration, Rows, WindowSpec, duration, rows
from driftgauge._window_state import WindowState
from driftgauge.cells import Counts

__all__ = [
    "Duration",
    "DurationWindow",
    "RowWindow",
    "Rows",
    "View",
    "Window",
    "WindowSpec",
    "WindowState",
    "duration",
    "rows",
]


class View(Protocol):
    """What an evaluation reads of a window: an open window or a `WindowState`, merged or not."""

    @property
    def name(self) -> str: ...
    @property
    def reference_id(self) -> str: ...
    @property
    def counts(self) -> Counts: ...
    @property
    def rows(self) -> int: ...
    def seconds(self, now_seconds: float) -> float: ...


class Window(View, Protocol):
    """What a row window and a duration window have in common."""

    @property
    def spec(self) -> WindowSpec: ...
    @property
    def nbytes(self) -> int: ...
    def push(self, indices: NDArray[np.uint16], now_seconds: float) -> None: ...
    def advance(self, now_seconds: float) -> None: ...
    def state(self) -> WindowState: ...
    def counted(self) -> WindowState: ...
    def restore(self, state: WindowState) -> None: ...
    def clear(self) -> None: ...

"""What a window refuses: a block of another shape, the state of another window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge._window_specs import WindowSpec
from driftgauge._window_state import WindowState
from driftgauge.errors import DataError, StateError

__all__ = ["check_block", "check_state"]


def check_block(indices: NDArray[np.uint16], cell_offsets: NDArray[np.int64]) -> None:
    features = cell_offsets.size - 1
    if indices.ndim != 2 or indices.shape[0] != features or indices.dtype != np.uint16:
        message = (
            f"a block must be uint16[{features}, n], one row of cell numbers a feature, "
            f"got {indices.dtype}{list(indices.shape)}; make it with Reference.index"
        )
        raise DataError(message)


def check_state(
    state: WindowState, spec: WindowSpec, reference_id: str, cell_offsets: NDArray[np.int64]
) -> None:
    if state.reference_id != reference_id:
        message = (
            f"a state of reference {state.reference_id!r} cannot go on in a window of reference "
            f"{reference_id!r}; open the window with the reference that the state was made with"
        )
        raise StateError(message)
    if state.spec != spec:
        message = f"a state of {state.spec!r} cannot go on in {spec!r}; open the window that the state is of"
        raise StateError(message)
    if state.counts.size != int(cell_offsets[-1]):
        message = (
            f"a state of reference {reference_id!r} must have {int(cell_offsets[-1]):,} cells, "
            f"got {state.counts.size:,}; it is damaged"
        )
        raise StateError(message)

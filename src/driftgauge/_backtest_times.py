"""When each row of a batch came."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftgauge.cells import Floats
from driftgauge.errors import DataError

__all__ = ["row_seconds"]


def row_seconds(batch: Any, column: str) -> Floats:
    """Seconds since the epoch of each row, provisional."""
    import narwhals

    values: Any
    try:
        values = narwhals.from_native(batch, eager_only=True)[column].to_numpy()
    except TypeError:
        values = np.asarray(batch[column])
    except (KeyError, narwhals.exceptions.ColumnNotFoundError) as error:
        message = f"no column {column!r}"
        raise DataError(message) from error
    if values.dtype.kind in "OUT":
        values = values.astype(str).astype("datetime64[us]")
    if values.dtype.kind == "M":
        return np.asarray(values.astype("datetime64[us]").astype(np.int64) / 1e6)
    if values.dtype.kind in "iuf":
        return np.asarray(values, np.float64)
    message = f"column {column!r} holds no times"
    raise DataError(message)

"""The reference of one feature: where its cells are, and how many reference rows fell into each.

One value maps to one cell. The order of cells is fixed here and nowhere else.

Numeric, with ``k`` points (sorted, finite, distinct float64):

====================  =========================================
cell                  what falls into it
====================  =========================================
0                     minus infinity
1                     below: finite and under ``points[0]``
2 * i + 2             exactly ``points[i]``
2 * i + 3             between ``points[i]`` and ``points[i + 1]``
2 * k + 1             above: finite and over ``points[k - 1]``
2 * k + 2             plus infinity
2 * k + 3             not a number
2 * k + 4             missing
====================  =========================================

Boolean and categorical, with ``c`` named categories (a boolean's are ``false`` and ``true``):

====================  =========================================
cell                  what falls into it
====================  =========================================
0 … c - 1             the category
c                     unseen: any other value
c + 1                 missing
====================  =========================================

Bins are runs of consecutive cells, so a bin is a pair of cell indices and no table by cell is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "Counts", "FeatureReference", "Floats", "is_missing", "round_to_single"]

Floats = NDArray[np.float64]
Counts = NDArray[np.uint32]
Kind = Literal["input", "output"]
DType = Literal["numeric", "boolean", "categorical"]

# A float64 buffer cannot hold None. A quiet NaN with a payload of our own can: it survives copies and
# slices, every comparison treats it as NaN, and one look at its bits tells it from a NaN that was computed.
MISSING_BITS: Final = 0x7FF8_0000_0000_07A2
MISSING: Final = float(np.uint64(MISSING_BITS).view(np.float64))

MAX_EXACT_POINTS: Final = 32_000  # 2 * 32,000 + 5 cells still fit an unsigned 16-bit index


def is_missing(values: Floats) -> NDArray[np.bool_]:
    """True where a float64 holds our missing marker; False for any other NaN. Same shape as *values*."""
    found: NDArray[np.bool_] = values.view(np.uint64) == MISSING_BITS
    return found


def round_to_single(values: Floats) -> Floats:
    """*values* rounded to float32, as a float64 array of the same shape.

    What float32 cannot hold stays what it is: NaN with its payload, infinity, and numbers beyond its range.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32).astype(np.float64)
    np.copyto(rounded, values, where=~np.isfinite(rounded))
    return rounded


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureReference:
    """What normal looks like for one feature: frozen cells, counts and bins. It holds no raw row.

    Parameters
    ----------
    name : str
    kind : 'input' or 'output'
    dtype : 'numeric', 'boolean' or 'categorical'
    points : float64[k]
        Numeric only, else empty. All distinct reference values when `exact`, quantile points otherwise.
    categories : tuple of str
        Named categories by falling reference count; ``('false', 'true')`` for booleans; empty for numeric.
    counts : uint32[cells]
        Reference rows by cell, in the order of the table above.
    bin_starts : int32[bins + 1]
        Bin ``b`` is the cells from ``bin_starts[b]`` up to but not including ``bin_starts[b + 1]``.
        The first is 0, the last the number of cells. The last bin is *missing*: for numeric features
        the cells NaN and missing together, because pandas writes one for the other.
    bin_labels : tuple of str
        For people: ``'(10, 12]'``, ``'red'``, ``'other'``, ``'unseen'``, ``'missing'``.
    exact : bool
        True when every distinct reference value is a point, so that KS has no discretisation error.
    ks_error_bound : float
        At most how far KS on these cells can be from KS on the raw rows; 0 when `exact`.
    single : bool
        Numeric: every reference value came as float32, so live values are rounded to it before they are
        looked up. A float32 0.1 is not the float64 0.1, which would lie in the next cell.
    """

    name: str
    kind: Kind
    dtype: DType
    points: Floats
    categories: tuple[str, ...]
    counts: Counts
    bin_starts: NDArray[np.int32]
    bin_labels: tuple[str, ...]
    exact: bool
    ks_error_bound: float
    single: bool = False

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.counts.size)

    @property
    def rows(self) -> int:
        """Number of reference rows."""
        return int(self.counts.sum(dtype=np.int64))

    @property
    def missing_cell(self) -> int:
        """Index of the cell that missing values fall into; always the last."""
        return self.cells - 1

    @property
    def number_cells(self) -> int:
        """Numeric: how many leading cells are ordered numbers (all but NaN and missing). Else 0."""
        return self.cells - 2 if self.dtype == "numeric" else 0

    @property
    def unseen_cell(self) -> int:
        """Boolean and categorical: index of the unseen cell. Numeric: -1."""
        return -1 if self.dtype == "numeric" else self.cells - 2

    @property
    def reference_bins(self) -> NDArray[np.int64]:
        """Reference rows by bin, int64[bins]."""
        return np.add.reduceat(self.counts, self.bin_starts[:-1], dtype=np.int64)

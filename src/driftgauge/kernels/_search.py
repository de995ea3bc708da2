"""How a value finds its cell: a small table indexed by a monotone map of the value, then a few comparisons.

Plain NumPy, run once per numeric feature. The loops that use it are in ``binning.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Search", "build_search"]

Floats = NDArray[np.float64]

MIN_BUCKETS: Final = 256
MAX_BUCKETS: Final = 65_536
BUCKETS_PER_POINT: Final = 4  # 4,096 buckets of 2 bytes at 1,023 points: 8 KiB, as much as the points


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Everything that the binning loop reads for one feature.

    Parameters
    ----------
    edges : float64[k + 2 + 2**steps]
        Minus infinity, the ``k`` points, plus infinity, then NaN, which no comparison enters.
    table : uint16[buckets]
        Largest index into `edges` that is no greater than any value of the bucket, whatever the value.
    low, scale : float
        A value's bucket is ``(y - low) * scale``, cut to ``[0, buckets - 1]`` and truncated.
    steps : int
        Halving steps after the table, the same for every value: no bucket holds over ``2**steps - 1`` edges.
    ordered : bool
        False: ``y`` is the value. True: ``y`` is the value's bits as an integer that sorts as the value does,
        which is close to its logarithm and suits heavy tails.
    """

    edges: Floats
    table: NDArray[np.uint16]
    low: float
    scale: float
    steps: int
    ordered: bool

    @property
    def points(self) -> Floats:
        """The points, a view into `edges`, float64[k]."""
        return self.edges[1 : self.edges.size - 1 - (1 << self.steps)]


def ordered_bits(values: Floats) -> Floats:
    """The bits of each float64 as a number that sorts as the value does; -0.0 and 0.0 give the same."""
    # Adding 0.0 turns -0.0 into 0.0; without it -0.0 would fall one bucket below a point at 0.0 and miss it.
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFF_FFFF_FFFF_FFFF), bits).astype(np.float64)


def buckets_of(mapped: Floats, low: float, scale: float, buckets: int) -> NDArray[np.int64]:
    """The bucket of each mapped value. Each operation is monotone also when it rounds, so the whole is."""
    with np.errstate(over="ignore"):
        return np.clip((mapped - low) * scale, 0.0, buckets - 1.0).astype(np.int64)


def build_search(points: Floats, buckets: int | None = None) -> Search:
    """Search over *points* with the fewest steps that one table of *buckets* entries allows.

    Tried are both maps, over the whole range and with 1, 3, 7 … points cut off at each end, so that one
    point at 1e300 does not take the grid for itself. In the worst case (points that crowd where neither map
    can tell them apart) the steps are those of a plain binary search.

    Parameters
    ----------
    points : float64[k]
        Sorted, distinct, finite; at most 32,000.
    buckets : int, optional
        Table size. Default: four per point, rounded up to a power of two, from 256 to 65,536.

    Returns
    -------
    Search

    Examples
    --------
    >>> import numpy as np
    >>> search = build_search(np.array([0.0, 1.0, 2.0]))
    >>> search.steps, search.table.nbytes
    (1, 512)
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    if buckets is None:
        wanted = 1 << max(0, BUCKETS_PER_POINT * points.size - 1).bit_length()
        buckets = min(max(wanted, MIN_BUCKETS), MAX_BUCKETS)
    inner = np.concatenate(([-np.inf], points, [np.inf]))
    reached = inner[1:]  # minus infinity is where every search starts
    best: tuple[int, NDArray[np.int64], float, float, bool] | None = None
    for ordered in (False, True):
        mapped = ordered_bits(reached) if ordered else reached
        for low, scale in _grids(mapped[:-1], buckets):
            fullest, below = _fill(mapped, low, scale, buckets)
            steps = fullest.bit_length()
            # Strictly better only: the plain value is the cheaper map and the wider range the more forgiving.
            if best is None or steps < best[0]:
                best = (steps, below, low, scale, ordered)
    if best is None:  # no map has a usable grid (no points, or one): all edges in one bucket
        best = ((points.size + 1).bit_length(), np.zeros(buckets, dtype=np.int64), 0.0, 0.0, True)
    steps, below, low, scale, ordered = best
    edges = np.concatenate((inner, np.full(1 << steps, np.nan)))
    return Search(edges, below.astype(np.uint16), low, scale, steps, ordered)


def _grids(mapped: Floats, buckets: int) -> list[tuple[float, float]]:
    """Pairs (low, scale) to try: the whole range, then with more and more points beyond its ends."""
    grids = []
    cut = 0
    while 2 * cut + 1 < mapped.size:
        low, high = float(mapped[cut]), float(mapped[-1 - cut])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            # The last point goes one bucket before the last: plus infinity is an edge too.
            # float64 division on purpose: Python's raises where NumPy's gives infinity.
            scale = float(np.float64(buckets - 2) / (np.float64(high) - np.float64(low)))
        if np.isfinite(scale) and scale > 0.0:
            grids.append((low, scale))
        cut = 2 * cut + 1
    return grids


def _fill(mapped: Floats, low: float, scale: float, buckets: int) -> tuple[int, NDArray[np.int64]]:
    """Most edges in one bucket, and per bucket the number of edges in lower buckets, int64[buckets].

    Minus infinity, which is not counted, stands first, so the edges in lower buckets are as many as the index
    of the last edge that every value of this bucket has reached.
    """
    held = np.bincount(buckets_of(mapped, low, scale, buckets), minlength=buckets)
    return int(held.max()), np.concatenate(([0], np.cumsum(held)[:-1]))

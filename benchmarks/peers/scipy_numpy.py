"""The baseline of every ratio: what a careful person writes with SciPy and NumPy, and a faster one by hand.

Runs in every environment, so that each peer's ratio to it comes from one process.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

Floats = NDArray[np.float64]
Values = dict[str, list[float]]

BINS = 10


def psi(reference_counts: NDArray[np.int64], live_counts: NDArray[np.int64]) -> float:
    """Population stability index with Jeffreys' half row in every bin that either side occupies."""
    used = (reference_counts + live_counts) > 0
    reference_share = (reference_counts[used] + 0.5) / (reference_counts.sum() + 0.5 * used.sum())
    live_share = (live_counts[used] + 0.5) / (live_counts.sum() + 0.5 * used.sum())
    return float(np.sum((live_share - reference_share) * np.log(live_share / reference_share)))


def quantile_edges(values: Floats) -> Floats:
    """Inner edges of ten quantile bins (lo, hi] of *values*, cut as driftgauge cuts where values are tied.

    A value that several levels fall on has its own bin, and so has what lies beyond a tail of one value.
    """
    points, counts = np.unique(values, return_counts=True)
    last = points.size - 1
    ranks = np.ceil(np.arange(1, BINS) / BINS * values.size - 1e-9)
    found, times = np.unique(np.searchsorted(np.cumsum(counts), ranks), return_counts=True)
    cuts = np.union1d(found, found[times > 1] - 1)
    if found[-1] == last:
        cuts = np.union1d(cuts, [last - 1])
    cuts = cuts[(cuts >= 0) & (cuts < last)]
    below = [np.nextafter(points[0], -np.inf)] if cuts[0] == 0 else []
    above = [points[last]] if cuts[-1] == last - 1 else []
    return np.concatenate([below, points[cuts], above])


class ScipyNumpy:
    """`scipy.stats.ks_2samp` without its exact p-value, and PSI by `np.histogram` with edges made beforehand.

    ``method='asymp'`` because nobody here asks for the p-value; at 10,000 rows 'auto' has it exactly.
    """

    def __init__(self, reference: Floats, names: list[str]) -> None:  # noqa: ARG002
        self.reference = [np.ascontiguousarray(column) for column in reference.T]
        # The bins are (lo, hi], np.histogram's [lo, hi): the next float above an edge makes one of the other.
        self.edges = [
            np.concatenate([[-np.inf], np.nextafter(quantile_edges(column), np.inf), [np.inf]])
            for column in self.reference
        ]
        self.counts = [
            np.histogram(column, edges)[0] for column, edges in zip(self.reference, self.edges, strict=True)
        ]
        self.window: list[Floats] = []

    def hold(self, live: Floats) -> None:
        """Store a full window as this contender likes it best: one contiguous array a feature. Not timed."""
        self.window = [np.ascontiguousarray(column) for column in live.T]

    def _both(self, columns: list[Floats]) -> Values:
        ks = [
            float(ks_2samp(reference, column, method="asymp").statistic)
            for reference, column in zip(self.reference, columns, strict=True)
        ]
        return {"ks": ks, **self._psis(columns)}

    def _psis(self, columns: list[Floats]) -> Values:
        psis = [
            psi(counts, np.histogram(column, edges)[0])
            for counts, column, edges in zip(self.counts, columns, self.edges, strict=True)
        ]
        return {"psi": psis}

    def rows(self, live: Floats) -> Values:
        """KS and PSI of each feature of float64[rows, features] in C order."""
        return self._both(list(live.T))

    def tick(self) -> Values:
        """KS and PSI of each feature of the window held."""
        return self._both(self.window)


class ScipyDefault(ScipyNumpy):
    """The same as it is most often written: `ks_2samp` with its defaults, the p-value included."""

    def _both(self, columns: list[Floats]) -> Values:
        tests = [
            ks_2samp(reference, column) for reference, column in zip(self.reference, columns, strict=True)
        ]
        return {
            **self._psis(columns),
            "ks": [float(test.statistic) for test in tests],
            "ks_p_value": [float(test.pvalue) for test in tests],
        }


class ByHand(ScipyNumpy):
    """NumPy as a specialist writes it: the reference sorted before, one sort of live rows for KS and PSI."""

    def __init__(self, reference: Floats, names: list[str]) -> None:
        super().__init__(reference, names)
        self.ordered = [np.sort(column) for column in self.reference]
        self.inner = [quantile_edges(column) for column in self.reference]
        self.inner_counts = [
            self._bins(column, edges) for column, edges in zip(self.ordered, self.inner, strict=True)
        ]

    @staticmethod
    def _bins(ordered: Floats, edges: Floats) -> NDArray[np.int64]:
        return np.diff(np.concatenate([[0], np.searchsorted(ordered, edges, side="right"), [ordered.size]]))

    @staticmethod
    def _ks(reference: Floats, live: Floats) -> float:
        # The supremum is at a live value or just before one: in between only the reference's steps move.
        after = np.searchsorted(reference, live, side="right") / reference.size
        before = np.searchsorted(reference, live, side="left") / reference.size
        live_after = np.searchsorted(live, live, side="right") / live.size
        live_before = np.searchsorted(live, live, side="left") / live.size
        return float(max(np.abs(after - live_after).max(), np.abs(before - live_before).max()))

    def _both(self, columns: list[Floats]) -> Values:
        ks, psis = [], []
        for reference, edges, counts, column in zip(
            self.ordered, self.inner, self.inner_counts, columns, strict=True
        ):
            live = np.sort(column)
            ks.append(self._ks(reference, live))
            psis.append(psi(counts, self._bins(live, edges)))
        return {"ks": ks, "psi": psis}


CONTENDERS: dict[str, Callable[[Floats, list[str]], ScipyNumpy]] = {
    "scipy + NumPy": ScipyNumpy,
    "scipy + NumPy, ks_2samp defaults": ScipyDefault,
    "NumPy by hand": ByHand,
}

"""E-cells: the few unions of a feature's cells on which evidence of drift is gathered.

A reference may have 64,000 cells; evidence needs some 24 places to look at. An e-cell is a set of cells,
and a table of one byte a cell tells which. The order of e-cells is fixed here and nowhere else:

===========  ==================================================================
numeric      number e-cells from low to high, below, above, between, missing
boolean      false, true, unseen, missing
categorical  named categories by falling count, other, unseen, missing
===========  ==================================================================

*between* are numbers between two reference values of a feature whose values repeat: 1.5 children. It is there
only for those. *other* are named categories beyond the most frequent 250, there only where there are more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import FeatureReference, Floats

__all__ = ["MAX_ECELLS", "ECells", "ecells_of", "level_ends"]

MAX_ECELLS: Final = 255  # an e-cell number fits a byte
MAX_CATEGORIES: Final = 250

# Shares of the reference at which number e-cells end: 5 % steps, finer in the tails, where drift shows.
LEVELS: Final = (0.001, 0.01, *(i / 20 for i in range(1, 20)), 0.99, 0.999)

# Fewer reference rows than this in a number e-cell, and its bounds are too wide to tell anything.
MIN_ROWS: Final = 5

# Values repeat when so small a share of the rows has a value seen once. Then a value never seen is news.
MAX_SINGLES_RATIO: Final = 0.01

# And when there are so many rows for each distinct value: a balance that is sent twenty times in a session is
# seen twenty times and still new in the next session: every one of 60 streams of such bursts raised an alarm.
MIN_REPEATS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ECells:
    """The e-cells of one feature.

    Parameters
    ----------
    labels : tuple of str
        For people, one an e-cell: ``'(10, 12]'``, ``'red'``, ``'below'``, ``'unseen'``, ``'missing'``.
    counts : float64[K]
        Reference rows by e-cell. *unseen* and *between* have Good & Turing's count: what a next sample as
        large as the reference would bring of values that are new in it.
    ordered : int
        The leading e-cells that are numbers in rising order, or false and true; 0 for categories.
    cell_map : uint8[cells]
        E-cell of each cell of the feature. Empty for a virtual feature, which has no cells.
    inflation : float64[K]
        Variance of each count against that of rows that were counted, at least 1. Good & Turing's count is
        less certain: ``1 + m (m + 1) N[m + 1] / count``, where it sums over values seen up to m times.
    """

    labels: tuple[str, ...]
    counts: Floats
    ordered: int
    cell_map: NDArray[np.uint8]
    inflation: Floats

    @property
    def size(self) -> int:
        """Number of e-cells, K."""
        return len(self.labels)


def ecells_of(
    feature: FeatureReference, unnamed: Sequence[Sequence[int]] = (), design_effect: float = 1.0
) -> ECells:
    """The e-cells of *feature*.

    Parameters
    ----------
    feature : FeatureReference
    unnamed : pairs (count, categories)
        `Reference.unnamed_counts` of a categorical feature.
    design_effect : float
        How many rows in a row are usually alike, at least 1: the median of the design effects of the stream's
        e-cells. 1 where the order of rows is not known.

    Notes
    -----
    Good & Turing, I. J. Good, *The population frequencies of species*, Biometrika 40 (1953): the values seen
    ``r`` times have together the expected share ``(r + 1) N[r + 1] / n``, with ``N[s]`` values seen ``s``
    times. What is not named was seen up to ``m - 1`` times, so its share is the sum of ``s N[s] / n`` over
    ``s`` from 1 to ``m``. Taking the observed count instead lets three of four models with a feature of 200
    categories raise a false alarm (measured: 0.73 of streams within a tenth of the budget, against 0.08).

    Where rows come in sessions of one category, a new category brings a session and not a row: one is new
    whose rows are those of one session, and the estimate is as certain as its sessions, not its rows. Without
    that a category of 8 rows, which a session of 8 is, counts as one that comes back (DESIGN.md D36).
    """
    if feature.dtype == "numeric":
        return _numeric(feature)
    named = feature.counts[: len(feature.categories)].astype(np.int64)
    own = _most_frequent(named)
    others = named[own:]
    more = ("other",) if others.size else ()
    unseen = own + len(more)
    cell_map = np.minimum(np.arange(feature.cells), own)
    cell_map[feature.unseen_cell] = unseen
    cell_map[feature.missing_cell] = unseen + 1
    counts = np.bincount(cell_map, weights=feature.counts, minlength=unseen + 2).astype(np.float64)
    inflation = np.ones(unseen + 2)
    if others.size:
        # who is in there was chosen by counts from the least named up to this one
        first, last = int(others.min()) + 1, int(others.max()) + 1
        counts[own], inflation[own] = _good_turing(named, first, last, design_effect)
    if feature.dtype == "categorical" and unnamed:
        seen = np.repeat([int(count) for count, _ in unnamed], [int(number) for _, number in unnamed])
        least, rarest = int(named.min()), int(seen.max()) + 1
        # The least count that is named is m, unless no category has just m rows; then N[m] is 0.
        last = least if least <= max(MIN_ROWS, rarest) else rarest
        known = np.concatenate((seen, named))
        counts[unseen], inflation[unseen] = _good_turing(known, 1, last, design_effect)
    return ECells(
        labels=(*feature.categories[:own], *more, "unseen", "missing"),
        counts=counts,
        ordered=2 if feature.dtype == "boolean" else 0,
        cell_map=cell_map.astype(np.uint8),
        inflation=inflation,
    )


def _most_frequent(named: NDArray[np.int64]) -> int:
    """How many categories have an e-cell of their own: at most `MAX_CATEGORIES`, equal counts alike.

    Cut inside a tie, which of them are the others would hang on their names, and their count would be biased.
    """
    if named.size <= MAX_CATEGORIES:
        return int(named.size)
    return int((named > named[MAX_CATEGORIES]).sum())


def _good_turing(
    seen: NDArray[np.int64], first: int, last: int, design_effect: float = 1.0
) -> tuple[float, float]:
    """Count of the values seen ``first - 1`` to ``last - 1`` times, and its inflation; *seen* is by value.

    The variance of the estimate about what it estimates is ``sum s N[s] + m (m + 1) N[m + 1]`` in the mean,
    by Robbins' identity for Poisson counts; for m = 1 the known ``N[1] + 2 N[2]``. Rows that come d at a time
    move ``last`` up by the other ``d - 1`` rows of a session, and the variance is d times as large.
    """
    last += max(round(design_effect), 1) - 1
    rows = float(seen[(seen >= first) & (seen <= last)].sum())
    beyond = last * (last + 1) * int((seen == last + 1).sum())
    return rows, (1.0 + beyond / max(rows, 1.0)) * max(design_effect, 1.0)


def _numeric(feature: FeatureReference) -> ECells:
    points = feature.points.size
    inside = feature.counts[2 : 2 * points + 1].astype(np.int64)
    singles = int((inside[::2] == 1).sum())
    rows = int(inside.sum())
    repeats = feature.exact and singles <= MAX_SINGLES_RATIO * rows and points * MIN_REPEATS <= rows
    ends = level_ends(inside[::2] if repeats else inside)
    text = _texts(feature.points[ends] if repeats else _upper_points(feature.points, ends))
    ordered = ends.size
    place = np.searchsorted(ends, np.arange(points if repeats else 2 * points - 1))
    cell_map = np.empty(feature.cells, np.int64)
    below, above, between = ordered, ordered + 1, ordered + 2
    missing = between + 1 if repeats else between
    cell_map[:2] = below
    if repeats:
        cell_map[2 : 2 * points + 1 : 2] = place
        cell_map[3 : 2 * points : 2] = between
    else:
        cell_map[2 : 2 * points + 1] = place
    cell_map[2 * points + 1 : 2 * points + 3] = above
    cell_map[2 * points + 3 :] = missing
    counts = np.bincount(cell_map, weights=feature.counts, minlength=missing + 1).astype(np.float64)
    inflation = np.ones(missing + 1)
    if repeats:
        counts[between], inflation[between] = _good_turing(inside[::2], 1, 1)
    lone = _alone(ends, inside[::2] if repeats else inside)
    labels = [
        high if one else f"({low}, {high}]"
        for low, high, one in zip(["-inf", *text], text, lone, strict=False)
    ]
    if not lone[-1]:
        labels[-1] = f"({text[-2]}, inf)" if ordered > 1 else "(-inf, inf)"
    return ECells(
        labels=(*labels, "below", "above", *(("between",) if repeats else ()), "missing"),
        counts=counts,
        ordered=ordered,
        cell_map=cell_map.astype(np.uint8),
        inflation=inflation,
    )


def level_ends(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Last place of each e-cell, rising; the last is the last place. Each holds `MIN_ROWS` if there are any.

    A place that two or more levels fall on is alone, so that its many rows do not hide few beside it.
    """
    up_to = np.cumsum(counts)
    total = int(up_to[-1])
    levels = [level for level in LEVELS if min(level, 1 - level) * total >= MIN_ROWS]
    found, times = np.unique(
        np.searchsorted(up_to, np.ceil(np.array(levels) * total - 1e-9)), return_counts=True
    )
    wanted = np.union1d(found, found[times > 1] - 1)
    kept: list[int] = []
    before = 0
    for end in wanted[wanted >= 0].tolist():
        if up_to[end] - before >= MIN_ROWS and total - up_to[end] >= MIN_ROWS:
            kept.append(end)
            before = int(up_to[end])
    return np.array([*kept, counts.size - 1], np.int64)


def _alone(ends: NDArray[np.int64], counts: NDArray[np.int64]) -> list[bool]:
    """Whether each e-cell has rows at one place only."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    occupied = np.add.reduceat((counts > 0).astype(np.int64), starts)
    return [bool(one) for one in occupied == 1]


def _upper_points(points: Floats, ends: NDArray[np.int64]) -> Floats:
    """The point at or over each end; ends count points and the gaps between them."""
    return points[(ends + 1) // 2]


def _texts(values: Floats) -> list[str]:
    """Each number as short as keeps them apart, six digits at least."""
    text: list[str] = []
    for digits in range(6, 18):
        text = [f"{value:.{digits}g}" for value in values]
        if len(set(text)) == np.unique(values).size:
            break
    return text

"""From what was counted of a column to its cells, bins and reference counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from driftgauge._tally import CategoryTally, NumberTally
from driftgauge.cells import MAX_EXACT_POINTS, FeatureReference, Floats, Kind
from driftgauge.errors import ConfigError, DataError

__all__ = [
    "FitOptions",
    "FitSettings",
    "boolean_feature",
    "categorical_feature",
    "numeric_feature",
    "unnamed_counts",
]

Weights = NDArray[np.int64]
MAX_ROWS: Final = 2**32 - 1  # counts by cell are uint32


class FitOptions(TypedDict, total=False):
    """What `Reference.fit` and `PartialReference` take by name; described at `Reference.fit`."""

    model: str
    version: str
    outputs: str | Sequence[str]
    names: Sequence[str] | None
    exclude: str | Collection[str]
    categorical: str | Collection[str]
    resolution: int
    bins: int
    category_bins: int
    min_category_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How finely a reference is cut.

    Parameters
    ----------
    resolution : int
        Quantile points of a numeric feature with more than 32,000 distinct values; from twice `bins` to
        32,000.
    bins : int
        At most so many quantile bins of a numeric feature; at least 2.
    category_bins : int
        The most frequent categories that have a bin of their own; at least 1.
    min_category_count : int
        A category seen less often in the reference is not named in it; at least 1.
    """

    resolution: int = 1023
    bins: int = 10
    category_bins: int = 20
    min_category_count: int = 5

    def __post_init__(self) -> None:
        for name, least, most in (
            ("bins", 2, 1_000),
            ("resolution", 2 * self.bins, MAX_EXACT_POINTS),
            ("category_bins", 1, 1_000),
            ("min_category_count", 1, MAX_ROWS),
        ):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | np.integer)
                or not least <= value <= most
            ):
                message = f"{name} must be a whole number from {least:,} to {most:,}, got {value!r}"
                raise ConfigError(message)


def _check_rows(name: str, rows: int) -> None:
    if rows > MAX_ROWS:
        message = f"column {name!r} has {rows:,} rows, a reference counts at most {MAX_ROWS:,}; take a sample"
        raise DataError(message)


def _counts(cells: list[int] | NDArray[np.int64]) -> NDArray[np.uint32]:
    return np.asarray(cells, np.int64).astype(np.uint32)


def numeric_feature(name: str, kind: Kind, tally: NumberTally, settings: FitSettings) -> FeatureReference:
    """Cells at every distinct value, or at quantiles where there are more than 32,000 of them."""
    _check_rows(name, tally.rows)
    values, weights, rank_error = tally.distinct()
    if values.size == 0:
        what = "no value at all" if tally.rows == tally.missing + tally.not_a_number else "no finite number"
        message = f"column {name!r} has {what} in {tally.rows:,} rows; name it in exclude=, or give more rows"
        raise DataError(message)
    exact = tally.summary is None and values.size <= MAX_EXACT_POINTS
    cumulative = np.cumsum(weights)
    if exact:
        points = values
    else:
        chosen = _quantile_ranks(int(cumulative[-1]), settings)
        points = values[np.searchsorted(cumulative, chosen)]
        # a summary keeps no value by name: without these the least and greatest rows would count as out of
        # range
        points = np.unique(np.concatenate([points, [tally.least, tally.greatest]]))
    up_to = _shares(values, cumulative, points, side="right")
    below = _shares(values, cumulative, points, side="left")
    gaps = below[1:] - up_to[:-1]
    counts = np.zeros(2 * points.size + 5, np.int64)
    counts[0] = tally.minus_infinity
    counts[2 : 2 * points.size + 1 : 2] = up_to - below
    counts[3 : 2 * points.size : 2] = gaps
    counts[-3:] = tally.plus_infinity, tally.not_a_number, tally.missing
    bin_starts, bin_labels = _numeric_bins(points, up_to, settings.bins)
    numbers = int(cumulative[-1]) + tally.minus_infinity + tally.plus_infinity
    return FeatureReference(
        name=name,
        kind=kind,
        dtype="numeric",
        points=points,
        categories=(),
        counts=_counts(counts),
        bin_starts=bin_starts,
        bin_labels=bin_labels,
        exact=exact,
        ks_error_bound=0.0 if exact else float(gaps.max(initial=0)) / numbers + rank_error,
    )


def _quantile_ranks(rows: int, settings: FitSettings) -> NDArray[np.int64]:
    """Ranks from 1 to *rows* of the points: the bins' levels, and an even grid from least to greatest."""
    grid = np.linspace(0.0, 1.0, settings.resolution - settings.bins + 1)
    levels = np.union1d(grid, np.arange(1, settings.bins) / settings.bins)
    # the inverted distribution function: the least value with at least this share of the rows up to it
    return np.maximum(np.ceil(levels * rows - 1e-9).astype(np.int64), 1)


def _shares(values: Floats, cumulative: Weights, points: Floats, *, side: str) -> Weights:
    """Rows up to each point (side right), or below it (side left)."""
    ranks = np.searchsorted(values, points, side="right" if side == "right" else "left")
    return np.concatenate([[0], cumulative])[ranks]


def _numeric_bins(points: Floats, up_to: Weights, bins: int) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Quantile bins ``(low, high]`` between points, tails open, and the bin of what is missing.

    A value that two or more levels fall on is cut off on both sides, so that its frequent rows do not hide
    the few below it. A tail bin of one reference value is split at it: otherwise whatever lies beyond would
    be taken for that value, and a constant that changes would go unseen. A bin that is empty on both sides
    costs PSI nothing.
    """
    last = points.size - 1
    ranks = np.ceil(np.arange(1, bins) / bins * up_to[-1] - 1e-9)
    found, times = np.unique(np.searchsorted(up_to, ranks), return_counts=True)
    edges = np.union1d(found, found[times > 1] - 1)  # indices of points
    edges = np.union1d(edges, [last - 1]) if found[-1] == last else edges
    edges = edges[(edges >= 0) & (edges < last)]
    text = _distinct_texts(points[[0, *edges, -1]])
    inner = text[1:-1]
    starts = [0, *(2 * edges + 3)]
    labels = [f"({low}, {high}]" for low, high in zip(["-inf", *inner], [*inner, "inf"], strict=True)]
    labels[-1] = labels[-1].replace("inf]", "inf)")
    if last == 0 or edges[0] == 0:
        starts.insert(1, 2)
        labels[0:1] = [f"(-inf, {text[0]})", text[0]]
    if last == 0 or edges[-1] == last - 1:
        starts.append(2 * points.size + 1)
        labels[-1:] = [f"({inner[-1]}, {text[-1]}]" if inner else text[-1], f"({text[-1]}, inf)"]
    starts += [2 * points.size + 3, 2 * points.size + 5]
    return np.array(starts, np.int32), (*labels, "missing")


def _distinct_texts(values: Floats) -> list[str]:
    """Each number as short as keeps them apart, six digits at least."""
    for digits in range(6, 18):
        text = [f"{value:.{digits}g}" for value in values]
        if len(set(text)) == np.unique(values).size:
            break
    return text


def boolean_feature(name: str, kind: Kind, tally: CategoryTally) -> FeatureReference:
    """Cells false, true, unseen and missing, each a bin."""
    _check_rows(name, tally.rows)
    _check_any(name, tally)
    counts = [tally.counts.get("false", 0), tally.counts.get("true", 0), 0, tally.missing]
    return FeatureReference(
        name=name,
        kind=kind,
        dtype="boolean",
        points=np.empty(0),
        categories=("false", "true"),
        counts=_counts(counts),
        bin_starts=np.arange(5, dtype=np.int32),
        bin_labels=("false", "true", "unseen", "missing"),
        exact=True,
        ks_error_bound=0.0,
    )


def categorical_feature(
    name: str, kind: Kind, tally: CategoryTally, settings: FitSettings
) -> FeatureReference:
    """Cells of the named categories, by falling count and then by name, of the unseen and of the missing."""
    _check_rows(name, tally.rows)
    _check_any(name, tally)
    named = _named(tally, settings)
    if not named:
        message = (
            f"column {name!r} has {len(tally.counts):,} different values in {tally.rows:,} rows and none "
            f"{settings.min_category_count} times or more; if it names rows, give it in exclude=, "
            "else lower min_category_count="
        )
        raise DataError(message)
    kept = sum(tally.counts[text] for text in named)
    counts = [tally.counts[text] for text in named] + [tally.rows - tally.missing - kept, tally.missing]
    alone = min(settings.category_bins, len(named))
    others = [alone] if alone < len(named) else []
    return FeatureReference(
        name=name,
        kind=kind,
        dtype="categorical",
        points=np.empty(0),
        categories=tuple(named),
        counts=_counts(counts),
        bin_starts=np.array([*range(alone), *others, *(len(named) + step for step in range(3))], np.int32),
        bin_labels=(*named[:alone], *(["other"] if others else []), "unseen", "missing"),
        exact=tally.error == 0,
        ks_error_bound=0.0,
    )


def _check_any(name: str, tally: CategoryTally) -> None:
    if tally.rows == tally.missing:
        message = f"column {name!r} has no value at all in {tally.rows:,} rows; name it in exclude="
        raise DataError(message)


def _named(tally: CategoryTally, settings: FitSettings) -> list[str]:
    often = [text for text, count in tally.counts.items() if count >= settings.min_category_count]
    return sorted(often, key=lambda text: (-tally.counts[text], text))[:MAX_EXACT_POINTS]


def unnamed_counts(tally: CategoryTally, settings: FitSettings) -> list[list[int]]:
    """Pairs (count, how many categories were seen so often), of those too rare to be named; counts rising.

    Good & Turing: the share of rows that a next sample brings of values never seen is about the categories
    seen once by the rows. Exact while the column has at most 100,000 labels, else empty.
    """
    if tally.error:
        return []
    rare = [count for count in tally.counts.values() if count < settings.min_category_count]
    seen, times = np.unique(np.asarray(rare, np.int64), return_counts=True)
    return [[int(count), int(number)] for count, number in zip(seen, times, strict=True)]

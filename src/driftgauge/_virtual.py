"""Virtual features: numbers made of the normal scores of several features, and where their e-cells end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.calibration import VirtualFeature
from driftgauge.cells import Floats
from driftgauge.ecells import ECells, level_ends

__all__ = ["choose_virtual", "virtual_ecells"]

ALL_PAIRS_UP_TO: Final = 12  # features: 132 sums and differences
PAIRS: Final = 64
PROJECTIONS: Final = 8

# Two values nearer than this are one. Scores are up to 4 and rounding is 1e-16 of them; real gaps are 1e-4.
_SAME: Final = 1e-7

_CORRELATION_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Recipe:
    name: str
    features: tuple[int, ...]
    weights: tuple[float, ...]
    squared: bool = False


def choose_virtual(
    names: Sequence[str], ecells: Sequence[ECells], scores: Sequence[Floats], rows: NDArray[np.uint8]
) -> tuple[VirtualFeature, ...]:
    """The virtual features of a model, with e-cells cut by the rows of a sample.

    Parameters
    ----------
    names : sequence of str
        Of the features.
    ecells : sequence of ECells
    scores : sequence of float64[K]
        Normal score of each e-cell of each feature.
    rows : uint8[features, rows]
        E-cells of the sample.

    Returns
    -------
    tuple of VirtualFeature
        None where fewer than two features have an order. Those that have one value only are left out.
    """
    ordered = [number for number, score in enumerate(scores) if ecells[number].ordered and score.any()]
    if len(ordered) < 2:
        return ()
    values = np.zeros((len(names), rows.shape[1]))
    for number in ordered:
        values[number] = scores[number][rows[number]]
    taken = set(names)
    chosen = []
    for recipe in _recipes(names, ordered, values):
        edges = _edges(_values(recipe, values))
        if edges.size:
            name = recipe.name
            while name in taken:
                name += " (virtual)"
            taken.add(name)
            chosen.append(
                VirtualFeature(
                    name=name,
                    features=np.array(recipe.features, np.int32),
                    weights=np.array(recipe.weights, np.float32),
                    squared=recipe.squared,
                    edges=edges,
                )
            )
    return tuple(chosen)


def virtual_ecells(
    virtual: Sequence[VirtualFeature],
    scores: Sequence[Floats],
    rows: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """Write the e-cell of each virtual feature in each row to ``out``, uint8[virtual, rows]."""
    used = sorted({int(number) for feature in virtual for number in feature.features})
    values = {number: scores[number][rows[number]] for number in used}
    over = np.empty(rows.shape[1], np.bool_)
    for place, feature in enumerate(virtual):
        total = np.zeros(rows.shape[1])
        for number, weight in zip(feature.features.tolist(), feature.weights.tolist(), strict=True):
            total += weight * (values[number] ** 2 if feature.squared else values[number])
        # 24 comparisons of a whole chunk take a tenth of what a binary search for each row does.
        out[place] = 0
        for edge in feature.edges:
            np.greater(total, edge, out=over)
            out[place] += over


def _values(recipe: _Recipe, values: Floats) -> Floats:
    total = np.zeros(values.shape[1])
    for number, weight in zip(recipe.features, recipe.weights, strict=True):
        total += weight * (values[number] ** 2 if recipe.squared else values[number])
    return total


def _recipes(names: Sequence[str], ordered: Sequence[int], values: Floats) -> Iterator[_Recipe]:
    """Sums and differences of pairs, then what is made of all; none of them twice."""
    few = len(ordered) <= ALL_PAIRS_UP_TO
    if few:
        pairs = [(*pair, sign) for pair in combinations(ordered, 2) for sign in (1.0, -1.0)]
    else:
        pairs = list(_some_pairs(names, ordered, values))
    for one, other, sign in pairs:
        name = f"{names[one]} {'+' if sign > 0 else '-'} {names[other]}"
        yield _Recipe(name, (one, other), (1.0, sign))
    every = tuple(ordered)
    same = (1.0,) * len(every)
    yield _Recipe("sum of squares", every, same, squared=True)
    if len(every) == 2:
        return  # the pair's sum and difference are all there is
    yield _Recipe("sum", every, same)
    seen = {same}
    for weights in _signs([names[number] for number in every]):
        if weights not in seen:
            seen.add(weights)
            yield _Recipe(f"projection {len(seen) - 1}", every, weights)
        if len(seen) > PROJECTIONS or len(seen) == 2 ** (len(every) - 1):
            return


def _bits(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def _signs(names: Sequence[str]) -> Iterator[tuple[float, ...]]:
    """Weights of +1 and -1 that look random and follow from the names, the first always +1.

    The names and not the counts are the seed: the next reference of a model has the same projections.
    """
    number = 0
    while True:
        number += 1
        signs = [1.0 if _bits(f"{number}\0{name}") & 1 else -1.0 for name in names]
        yield tuple(sign * signs[0] for sign in signs)


def _some_pairs(
    names: Sequence[str], ordered: Sequence[int], values: Floats
) -> Iterator[tuple[int, int, float]]:
    """`PAIRS` pairs: half of them the most correlated in the reference, the others as if at random.

    Of a pair that is correlated, the difference is nearly constant, and the sum of one that is correlated
    negatively: that is where a change of the correlation shows most.
    """
    some = values[list(ordered), :: max(1, values.shape[1] // _CORRELATION_ROWS)]
    some = some - some.mean(axis=1, keepdims=True)
    some /= np.maximum(np.sqrt((some**2).mean(axis=1, keepdims=True)), 1e-12)
    related = np.round(some @ some.T / some.shape[1], 6)
    pairs = np.transpose(np.triu_indices(len(ordered), 1))
    strength = np.abs(related[pairs[:, 0], pairs[:, 1]])
    strongest = pairs[np.argsort(-strength, kind="stable")[: PAIRS // 2]]
    kept = {(int(one), int(other)) for one, other in strongest}
    number = 0
    while len(kept) < PAIRS:
        bits = _bits(f"pair {number}\0{names[ordered[0]]}\0{names[ordered[-1]]}")
        number += 1
        one, other = bits % len(ordered), (bits >> 128) % len(ordered)
        if one != other:
            kept.add((min(one, other), max(one, other)))
    for one, other in sorted(kept):
        yield ordered[one], ordered[other], -1.0 if related[one, other] >= 0 else 1.0


def _edges(values: Floats) -> Floats:
    """Edges between e-cells, in the middle of the gap between two values so that no rounding crosses one."""
    values = np.sort(values)
    ends = np.append(np.flatnonzero(np.diff(values) > _SAME), values.size - 1)
    counts = np.diff(np.concatenate(([-1], ends)))
    last = ends[level_ends(counts)][:-1]
    edges: Floats = (values[last] + values[last + 1]) / 2
    return edges

"""Usual drifts of one feature, as laws on its e-cells or on its bins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftgauge.cells import FeatureReference, Floats
from driftgauge.detectors._streams import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Drift", "Places", "scenarios"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where rows may fall: e-cells or bins.

    Parameters
    ----------
    shares : float64[K]
        Of the reference, of sum 1.
    ordered : int
        Leading places that are numbers, rising; for categories all that are named.
    below, above, unseen, missing : int
        Which place these values fall into; below and above an end of the ordered ones where there is none of
        their own.
    tail : float
        Share of the reference's law that is thought to lie beyond each of its ends.
    """

    shares: Floats
    ordered: int
    below: int
    above: int
    unseen: int
    missing: int
    tail: float

    @classmethod
    def of_stream(cls, stream: Stream) -> Places:
        """E-cells."""
        named = sum(role == "cell" for role in stream.roles)

        def place(role: str, otherwise: int) -> int:
            return stream.roles.index(role) if role in stream.roles else otherwise

        total = max(float(stream.counts.sum()), 1.0)
        # of repeated values the ends are values too, and what is moved beyond them stays there
        tail = 0.0 if "between" in stream.roles or "unseen" in stream.roles else 1 / (stream.rows + 1)
        return cls(
            shares=stream.counts / total,
            ordered=named,
            below=place("below", 0),
            above=place("above", named - 1),
            unseen=place("unseen", place("above", named - 1)),
            missing=place("missing", len(stream.roles) - 1),
            tail=tail,
        )

    @classmethod
    def of_bins(cls, feature: FeatureReference) -> Places:
        """Bins."""
        counts = feature.reference_bins.astype(np.float64)
        last = counts.size - 1
        named = last if feature.dtype == "numeric" else last - 1
        return cls(
            shares=counts / max(float(counts.sum()), 1.0),
            ordered=named,
            below=0,
            above=named - 1,
            unseen=named - 1 if feature.dtype == "numeric" else last - 1,
            missing=last,
            tail=0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drift:
    """One kind of drift.

    Parameters
    ----------
    words : str
    of : callable
        The law after the drift on some places, float64[K].
    is_suggested : bool
        Whether settings are suggested for it.
    """

    words: str
    of: Callable[[Places], Floats]
    is_suggested: bool = False


_MEANS = (0.1, 0.25, 0.5, 1.0)


def scenarios(stream: Stream, shift: float) -> Iterator[Drift]:
    """The drifts of a feature, those of numbers with the suggested *shift* of the mean among them."""
    if stream.ordered >= 3:
        for moved in sorted({*_MEANS, shift}):
            yield Drift(
                words=f"mean +{moved:g} sd",
                of=lambda places, moved=moved: _normal(places, moved, 1.0),  # type: ignore[misc]
                is_suggested=moved == shift,
            )
        for scale in (0.8, 1.25):
            yield Drift(
                words=f"sd x {scale:g}",
                of=lambda places, scale=scale: _normal(places, 0.0, scale),  # type: ignore[misc]
            )
        for part in (0.02, 0.1):
            yield Drift(
                words=f"{part:.0%} of rows around +4 sd",
                of=lambda places, part=part: (  # type: ignore[misc]
                    (1 - part) * places.shares + part * _normal(places, 4.0, 0.3)
                ),
            )
        yield Drift(words="5% of rows at the median", of=lambda places: _more(places, _median(places), 0.05))
    elif stream.ordered == 2:
        yield Drift(words=f"{stream.labels[1]} +5%", of=lambda places: _more(places, 1, 0.05))
    else:
        yield Drift(words=f"{stream.labels[0]} -20% of itself", of=_fewer_of_the_first)
        if sum(role == "cell" for role in stream.roles) > 1:
            yield Drift(words=f"{stream.labels[1]} +5%", of=lambda places: _more(places, 1, 0.05))
    what = "outside the reference's range" if "above" in stream.roles else "unseen"
    for part in (0.01, 0.05):
        yield Drift(
            words=f"{what} +{part:.0%}",
            of=lambda places, part=part: _more(places, places.unseen, part),  # type: ignore[misc]
        )
    for part in (0.01, 0.05):
        yield Drift(
            words=f"missing +{part:.0%}",
            of=lambda places, part=part: _more(places, places.missing, part),  # type: ignore[misc]
        )


def _more(places: Places, place: int, part: float) -> Floats:
    law = (1 - part) * places.shares
    law[place] += part
    return law


def _fewer_of_the_first(places: Places) -> Floats:
    law = places.shares.copy()
    gone = 0.2 * law[0]
    rest = max(1 - law[0], 1e-12)
    law *= 1 + gone / rest
    law[0] = places.shares[0] - gone
    law /= law.sum()
    return law


def _median(places: Places) -> int:
    ordered = np.cumsum(places.shares[: places.ordered])
    return int(np.searchsorted(ordered, ordered[-1] / 2))


def _normal(places: Places, mean: float, scale: float) -> Floats:
    """The law when the normal scores of the numbers, ``z``, become ``mean + scale * z``."""
    from scipy.special import ndtr, ndtri

    held = places.shares[: places.ordered]
    numbers = held.sum() + sum(places.shares[i] for i in _ends(places))
    if not held.sum() > 0:
        return places.shares.copy()
    edges = np.cumsum(held)[:-1] / held.sum()
    limits = np.concatenate(([places.tail], edges, [1 - places.tail]))
    moved = ndtr((ndtri(limits) - mean) / scale)
    law = places.shares.copy()
    law[: places.ordered] = numbers * np.diff(moved)
    for place in _ends(places):
        law[place] = 0.0
    law[places.below] += numbers * moved[0]
    law[places.above] += numbers * (1 - moved[-1])
    return law


def _ends(places: Places) -> Sequence[int]:
    """Places of their own below and above the ordered ones."""
    return [place for place in (places.below, places.above) if place >= places.ordered]

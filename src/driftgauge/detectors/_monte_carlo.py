"""What has no closed form: how often noise makes the Wasserstein distance of a window large.

At one look, simulated: the true law is drawn from what the reference leaves open (Dirichlet), the window
from the true law. One look is enough, for how the rate of alarms depends on looks and budget has a closed
form; what is simulated is its constant factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.cells import FeatureReference, Floats

__all__ = ["WassersteinNoise"]

# 160 of 8,000 looks are above the level, so the factor is known to 8 %.
_LOOKS: Final = 8_000
_LEVEL: Final = 0.98

_GROUPS: Final = 64
_TILTS: Final = np.geomspace(1e-3, 100, 96)


@dataclass(frozen=True, slots=True, eq=False)
class WassersteinNoise:
    """The law of the Wasserstein distance of undrifted windows of one feature.

    Its leading mode is the mean: all values are larger, or all smaller. A mean of skewed values is not normal
    where a budget of years looks, so distances are put in standard deviations by the exponent of its large
    deviations, twice of which is the square of a standard deviation.

    Parameters
    ----------
    exponents, distances : float64[t]
        Rising. The least exponent a row at which the mean moves so far, in reference standard deviations.
    factor : float
        How much more often the distance is large than the leading mode alone.
    """

    exponents: Floats
    distances: Floats
    factor: float

    @classmethod
    def of(
        cls, feature: FeatureReference, live_rows: int, rng: np.random.Generator
    ) -> WassersteinNoise | None:
        """Noise of windows of *live_rows* rows, or None of a feature that does not vary.

        Notes
        -----
        Cramér's theorem for the exponents: Dembo & Zeitouni, *Large Deviations Techniques and Applications*,
        2nd ed., section 2.2. It takes some 50 ms.
        """
        places, held = _places(feature)
        rows = held.sum()
        if places.size < 2:
            return None
        places = places - places @ held / rows
        places = places / np.sqrt(places**2 @ held / rows)
        exponents, distances = _large_deviations(places, held / rows)
        noise = cls(exponents, distances, 1.0)
        reached = float(np.quantile(_simulated(places, held, live_rows, rng), _LEVEL))
        from scipy.special import ndtr

        alone = 2 * ndtr(-noise.deviations(reached, rows, live_rows))
        return cls(exponents, distances, float(max((1 - _LEVEL) / max(alone, 1e-12), 1.0)))

    def distance(self, deviations: float, reference_rows: float, live_rows: float) -> float:
        """The distance that is so many standard deviations of the leading mode."""
        exponent = deviations**2 / 2 * (1 / live_rows + 1 / reference_rows)
        return float(np.interp(exponent, self.exponents, self.distances))

    def deviations(self, distance: float, reference_rows: float, live_rows: float) -> float:
        """Standard deviations of the leading mode that are so large a distance."""
        exponent = np.interp(distance, self.distances, self.exponents)
        return float(np.sqrt(2 * exponent / (1 / live_rows + 1 / reference_rows)))


def _places(feature: FeatureReference) -> tuple[Floats, Floats]:
    """Where the reference's values are thought to lie, and how many rows lie there."""
    points = feature.points
    inside = feature.counts[2 : 2 * points.size + 1].astype(np.float64)
    places = np.repeat(points, 2)[:-1]
    places[1::2] = points[1:] / 2 + points[:-1] / 2
    return places[inside > 0], inside[inside > 0]


def _large_deviations(places: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Exponents and distances, rising, of the side on which the mean moves more easily."""
    sides = []
    for side in (-1.0, 1.0):
        means, exponents = np.zeros(_TILTS.size + 1), np.zeros(_TILTS.size + 1)
        for number, tilt in enumerate(_TILTS):
            raised = side * tilt * places
            top = raised.max()
            weights = shares * np.exp(raised - top)
            total = weights.sum()
            means[number + 1] = side * (weights @ places) / total
            exponents[number + 1] = tilt * means[number + 1] - (np.log(total) + top)
        sides.append((np.maximum.accumulate(exponents), np.maximum.accumulate(means)))
    all_exponents = np.union1d(sides[0][0], sides[1][0])
    distances = np.maximum(*(np.interp(all_exponents, *side) for side in sides))
    return all_exponents, distances


def _simulated(places: Floats, held: Floats, live_rows: int, rng: np.random.Generator) -> Floats:
    """Distance of each of `_LOOKS` undrifted windows, each with a true law of its own."""
    # Groups of equal shares, halved towards both ends, where a few far values may decide.
    inner = np.arange(1, _GROUPS) / _GROUPS
    tails = 0.5 ** np.arange(1, 8) / _GROUPS
    levels = np.sort(np.concatenate((inner, tails, 1 - tails)))
    up_to = np.cumsum(held)
    starts = np.union1d([0], np.searchsorted(up_to, levels * up_to[-1]))
    counts = np.add.reduceat(held, starts)
    centres = np.add.reduceat(held * places, starts) / counts
    reference = np.cumsum(counts)[:-1] / up_to[-1]
    truth = rng.gamma(counts, size=(_LOOKS, counts.size))
    truth /= truth.sum(axis=1, keepdims=True)
    live = np.cumsum(rng.multinomial(live_rows, truth), axis=1)[:, :-1] / live_rows
    found: Floats = np.abs(live - reference) @ np.diff(centres)
    return found

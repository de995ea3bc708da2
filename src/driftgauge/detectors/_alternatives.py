"""Which alternatives to the reference evidence is gathered for, and how much each is believed beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats
from driftgauge.detectors._scores import SCORES

__all__ = ["DROP", "ECELLS_WEIGHT", "SCORE_WEIGHTS", "SPIKE", "Alternatives", "alternatives"]

SPIKE: Final = SCORES
DROP: Final = SCORES + 1
"""Families: 0 to 3 are tilts along the score function of that number."""

_TILTS: Final[Sequence[tuple[float, ...]]] = (
    (0.1, 0.2, 0.4, 0.8, 1.6),
    (0.1, 0.2, 0.4, 0.8),
    (0.15, 0.5),
    (0.15, 0.5),
)

# Small moves of location take longest to see and pay most for a small weight, so theirs is largest: with
# equal weights a mean moved by 0.1 sd took 2,784 rows instead of 2,546 and nothing else was seen 3 % sooner.
_TILT_WEIGHTS: Final[Sequence[tuple[float, ...]]] = (
    (0.12, 0.12, 0.08, 0.048, 0.032),
    (0.05, 0.05, 0.05, 0.05),
    (0.015, 0.015),
    (0.015, 0.015),
)
_SPIKES: Final = (0.003, 0.01, 0.05, 0.25)
_SPIKE_WEIGHT: Final = 0.24
# 12 % shows moderate losses of frequent values: half the rows less a fifth takes 4,830 rows at the default
# min_effect, with 30 % as the least 8,616.
_DROPS: Final = (0.12, 0.35, 0.9)
_DROP_WEIGHT: Final = 0.10

SCORE_WEIGHTS: Final = tuple(map(sum, _TILT_WEIGHTS))
"""Of all tilts along each score function."""

ECELLS_WEIGHT: Final = _SPIKE_WEIGHT + _DROP_WEIGHT
"""Of all spikes and drops, which have it in equal parts by e-cell."""


class Alternatives(NamedTuple):
    """Arrays by component, as the fields of the same names of `driftgauge.detectors._bank.Bank`."""

    families: NDArray[np.uint8]
    cells: NDArray[np.int16]
    sizes: Floats
    weights: Floats


def alternatives(functions: Floats) -> Alternatives:
    """All components of a stream with these score functions, float64[4, K]; weights are of any sum.

    A score function that is 0 everywhere has no tilts.
    """
    ecells = functions.shape[1]
    families: list[int] = []
    sizes: list[float] = []
    weights: list[float] = []
    for row, (tilts, shares) in enumerate(zip(_TILTS, _TILT_WEIGHTS, strict=True)):
        if functions[row].any():
            sizes += [sign * tilt for tilt in tilts for sign in (-1, 1)]
            weights += [share / 2 for share in shares for _ in (-1, 1)]
            families += [row] * (2 * len(tilts))
    every = np.arange(ecells, dtype=np.int16)
    spikes, drops = len(_SPIKES), len(_DROPS)
    return Alternatives(
        families=np.array(families + [SPIKE] * (ecells * spikes) + [DROP] * (ecells * drops), dtype=np.uint8),
        cells=np.concatenate(
            (np.full(len(sizes), -1, np.int16), np.repeat(every, spikes), np.repeat(every, drops))
        ),
        sizes=np.array(sizes + list(_SPIKES) * ecells + list(_DROPS) * ecells),
        weights=np.array(
            weights
            + [_SPIKE_WEIGHT / ecells / spikes] * (ecells * spikes)
            + [_DROP_WEIGHT / ecells / drops] * (ecells * drops)
        ),
    )

"""What the evidence says, in words and as one of a few causes that a label of a metric can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.cells import Floats
from driftgauge.detectors._bank import SPIKE, Bank
from driftgauge.detectors._scores import reference_shares
from driftgauge.detectors._streams import Stream

__all__ = ["CAUSES", "NOTHING", "Explanation", "explain"]

_TILTS: Final = (
    ("location_down", "location_up"),
    ("scale_down", "scale_up"),
    ("shape", "shape"),
    ("shape", "shape"),
)
_MORE: Final = {
    "cell": "more_in_cell",
    "below": "more_below",
    "above": "more_above",
    "between": "more_between",
    "unseen": "more_unseen",
    "missing": "more_missing",
}
_FEWER: Final = {"missing": "fewer_missing"}

CAUSES: Final = (
    "none",
    "location_up",
    "location_down",
    "scale_up",
    "scale_down",
    "shape",
    "more_in_cell",
    "fewer_in_cell",
    "more_below",
    "more_above",
    "more_between",
    "more_unseen",
    "more_missing",
    "fewer_missing",
    "joint",
)
"""Everything that `driftgauge.snapshot.FeatureDrift.cause` can be. *joint* is drift of a virtual feature."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Cause, e-cell and words of a `driftgauge.snapshot.FeatureDrift`."""

    cause: str
    cell: str
    words: str


# A component with this part of the most evidence, or more, may be the one that is named.
_NEAR: Final = 0.01

NOTHING: Final = Explanation("none", "", "")


def explain(stream: Stream, bank: Bank, evidence: Floats, live: Floats) -> Explanation:
    """What carries most of the evidence of one stream, and how large it is.

    Parameters
    ----------
    stream : Stream
    bank : Bank
        Of the stream, with at least one component.
    evidence : float64[C]
        By component.
    live : float64[K]
        Share of each e-cell in the rows since the change began.
    """
    # All that drift has brought to the cap has the same evidence; of these, what the rows speak for most.
    growth = bank.log_ratios() @ live - bank.log_bounds.mean(axis=0)
    strongest = int(np.argmax(np.where(evidence >= _NEAR * evidence.max(), growth, -np.inf)))
    family, size, place = (
        int(bank.families[strongest]),
        float(bank.sizes[strongest]),
        int(bank.cells[strongest]),
    )
    if family == 0 and stream.ordered == 2:  # of two values, one became more frequent
        family, place = SPIKE, int(size > 0)
    if family < SPIKE:
        cause, cell, words = _TILTS[family][size > 0], "", _tilt(bank, family, size, live)
    else:
        cell, role = stream.labels[place], stream.roles[place]
        share = float(reference_shares(stream.counts)[place])
        expected = abs(size) * (1 - share) if family == SPIKE else -size * share
        cause = _MORE[role] if family == SPIKE else _FEWER.get(role, "fewer_in_cell")
        words = f"{cell} {_signed(100 * _agreeing(float(live[place]) - share, expected))} %"
    return Explanation("joint" if stream.kind == "virtual" else cause, cell, words)


def _tilt(bank: Bank, family: int, size: float, live: Floats) -> str:
    moved = _agreeing(float(live @ bank.functions[family]), size)
    if family == 0:
        return f"location {_signed(moved)} sd"
    if family == 1:
        # The score is (z**2 - 1) / sqrt(2) for a Gaussian: the variance is 1 + sqrt(2) times it.
        wider = math.sqrt(max(1 + math.sqrt(2) * moved, 0.01))
        return f"spread {_signed(100 * (wider - 1))} %"
    return "shape"


def _agreeing(measured: float, expected: float) -> float:
    """What was measured, unless it points the other way: then what the evidence alone expects."""
    return measured if measured * expected > 0 else expected


def _signed(value: float) -> str:
    """With sign, and at least one digit that is not 0."""
    digits = 1 if abs(value) >= 0.095 else 2 if abs(value) >= 0.0095 else 3
    return f"{value:+.{digits}f}"

"""Evidence of all streams of a model, and how a block of rows changes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.budget import Budget
from driftgauge.cells import Counts, Floats
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._streams import Stream, banks_of
from driftgauge.detectors._tables import EvidenceTables

__all__ = ["Recursion"]

# Evidence beyond the budget by more than e^3 is not kept: after a drift has ended the score must come down,
# and each e-fold too many would take as many rows as it took to come.
_OVER_BUDGET: Final = math.exp(3.0)

# Rows of the last blocks are kept with weights that fade over so many of them, for telling people what has
# changed and by how much. The longest is read whose mean age is at most a third of the time since the change
# began, so that 5 % of its weight is from before.
FADING_BLOCKS: Final = (1, 4, 16, 64, 256, 1_024)
_AGE: Final = 1 / 3

_AVERAGED: Final = ("evidence", "moments", "totals", "total_moments")
_ADDED: Final = ("recent", "recent_rows", "recent_seconds")
_STATE: Final = (*_AVERAGED, *_ADDED)


class Recursion:
    """The state of an e-detector: of every component, evidence summed over the times a change may have begun.

    Parameters
    ----------
    streams : sequence of Stream
    shares : float64[S]
        Of the budget, of sum 1; 0 for a stream that is not watched.
    budget : Budget
    min_effect : float
        As in `DriftScore`.

    Notes
    -----
    The sum of ``shares`` times evidence, less the number of steps taken, has a mean that does not grow while
    nothing drifts, whatever depends on what among the streams. So within t steps it passes A with a
    probability of at most ``t / A``: Shin, Ramdas & Rinaldo, *New England J. Statist. Data Sci.* 2 (2024),
    theorem 2.4.
    """

    def __init__(self, streams: Sequence[Stream], shares: Floats, budget: Budget, min_effect: float) -> None:
        self.streams = tuple(streams)
        self.shares = shares
        self.budget = budget
        self.banks, tables = banks_of(streams, shares, min_effect)
        self.tables = EvidenceTables.of(self.banks, tables, [stream.size for stream in streams])
        watched = shares > 0
        self.caps = np.full(len(streams), 1.0)
        self.caps[watched] = _OVER_BUDGET * budget.evaluations / shares[watched]
        components = int(self.tables.state_offsets[-1])
        self.evidence = np.zeros(components)
        self.moments = np.zeros(components)
        self.totals = np.zeros(len(streams))
        self.total_moments = np.zeros(len(streams))
        self.recent = np.zeros((len(FADING_BLOCKS), self.ecells), np.float32)
        self.recent_rows = np.zeros(len(FADING_BLOCKS))
        self.recent_seconds = np.zeros(len(FADING_BLOCKS))
        self.evaluations = 0

    @property
    def ecells(self) -> int:
        """E-cells of all streams together, E."""
        return int(self.tables.ecell_offsets[-1])

    def step(self, counts: Counts, bucket_rows: NDArray[np.int64], start_seconds: float) -> None:
        """Weigh a block of rows.

        Parameters
        ----------
        counts : uint32[E]
        bucket_rows : int64[H]
            At least one row in all.
        start_seconds : float
            When the first of them arrived.
        """
        kernels.advance(
            counts,
            bucket_rows,
            start_seconds,
            self.tables,
            self.caps,
            self.evidence,
            self.moments,
            self.totals,
            self.total_moments,
        )
        rows = float(bucket_rows.sum())
        fading = 1 - 1 / np.array(FADING_BLOCKS)
        self.recent *= fading.astype(np.float32)[:, np.newaxis]
        self.recent += counts.astype(np.float32)
        self.recent_rows *= fading
        self.recent_rows += rows
        self.recent_seconds *= fading
        self.recent_seconds += rows * start_seconds
        self.evaluations += 1

    def clear(self) -> None:
        """Have no evidence."""
        for name in _STATE:
            getattr(self, name)[...] = 0
        self.evaluations = 0

    def bank(self, stream: int) -> Bank:
        """The alternatives of a stream."""
        return self.banks[int(self.tables.tables[stream])]

    def evidence_of(self, stream: int) -> Floats:
        """Evidence of each alternative of a stream, times its weight: a view, float64[C]."""
        first, last = self.tables.state_offsets[stream : stream + 2]
        return self.evidence[first:last]

    def state(self) -> dict[str, NDArray[Any]]:
        """All that changes, copied."""
        held = {name: getattr(self, name).copy() for name in _STATE}
        return {**held, "evaluations": np.array([self.evaluations])}

    def go_on(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` gave."""
        for name in _STATE:
            getattr(self, name)[...] = state[name]
        self.evaluations = int(state["evaluations"][0])
        # It may come from a detector whose features had larger shares or a larger budget, and so higher caps.
        caps = np.repeat(self.caps, np.diff(self.tables.state_offsets))
        if (self.evidence > caps).any():
            self.moments *= np.minimum(1.0, caps / np.maximum(self.evidence, caps))
            np.minimum(self.evidence, caps, out=self.evidence)
            for stream in range(self.totals.size):
                first, last = self.tables.state_offsets[stream : stream + 2]
                self.totals[stream] = self.evidence[first:last].sum()
                self.total_moments[stream] = self.moments[first:last].sum()

    @staticmethod
    def merge_states(states: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """Evidence averaged; what tells of recent rows, added up."""
        merged: dict[str, NDArray[Any]] = {}
        for name in _STATE:
            together = np.mean if name in _AVERAGED else np.sum
            held = together([state[name] for state in states], axis=0)
            merged[name] = held.astype(states[0][name].dtype)
        merged["evaluations"] = np.max([state["evaluations"] for state in states], axis=0)
        return merged

    def log_evidence(self) -> Floats:
        """Logarithm of the evidence of each stream, float64[S]; minus infinity where there is none."""
        with np.errstate(divide="ignore"):
            return np.log(self.totals)

    def log_model_evidence(self) -> float:
        """Logarithm of the evidence of the model."""
        total = float(self.shares @ self.totals)
        return math.log(total) if total > 0 else -math.inf

    def scores(self) -> Floats:
        """Score of each stream, float64[S], at least 0."""
        scores = np.zeros(self.shares.size)
        watched = (self.shares > 0) & (self.totals > 1)
        line = self.budget.log_evaluations - np.log(self.shares[watched])
        scores[watched] = np.log(self.totals[watched]) / line
        return scores

    def model_score(self) -> float:
        """Score of the model, at least 0."""
        return max(0.0, self.log_model_evidence() / self.budget.log_evaluations)

    def onset_seconds(self, stream: int) -> float:
        """Mean time at which the change of a stream began, weighed by the evidence; NaN where none is."""
        if not self.totals[stream] > 0:
            return math.nan
        return float(self.total_moments[stream] / self.totals[stream])

    def recent_shares(self, stream: int, onset_seconds: float) -> Floats:
        """Share of each e-cell of a stream in the rows since *onset_seconds*, float64[K], as far as known."""
        began = self.recent_seconds / np.maximum(self.recent_rows, 1e-30)
        ages = began[0] - began  # the first is the last block itself
        level = int(np.flatnonzero(ages <= _AGE * max(began[0] - onset_seconds, 0.0))[-1])
        first, last = self.tables.ecell_offsets[stream : stream + 2]
        held = self.recent[level, first:last].astype(np.float64)
        shares: Floats = held / max(held.sum(), 1e-30)
        return shares

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        own = (self.caps, self.evidence, self.moments, self.totals, self.total_moments, self.recent)
        return self.tables.nbytes + sum(array.nbytes for array in own)

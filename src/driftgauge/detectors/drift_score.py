"""The drift score: evidence of drift in all features of a model, against a budget of false alerts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.budget import Budget
from driftgauge.calibration import Calibration, TimeBuckets
from driftgauge.cells import Counts, Floats
from driftgauge.detectors._allowance import MIN_EFFECT
from driftgauge.detectors._recursion import MIN_ROWS, Recursion
from driftgauge.detectors._scores import SCORES, normal_scores
from driftgauge.detectors._settings import budget_of, check_reference, is_number, shown
from driftgauge.detectors._streams import Stream, shares_of, streams_of
from driftgauge.detectors._tables import VirtualTables
from driftgauge.detectors._telling import drift_snapshot
from driftgauge.ecells import ecells_of
from driftgauge.errors import ConfigError, StateError
from driftgauge.snapshot import DriftSnapshot

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["DriftScore"]

State = dict[str, NDArray[Any]]

_CHUNK_ROWS: Final = 8_192  # whose e-cells are held at once, one byte a value


class DriftScore:
    """Evidence that live rows do not follow the reference: 1 is what the budget allows by chance.

    Each evaluation weighs the rows since the last one against some 200 alternatives for each feature: moved,
    wider, of another shape, more or fewer rows in one place. What the reference does not know for want of
    rows, and differences too small to matter, count as no drift. The mean time to a false alert of the model
    is at least the budget's, and within a tenth of it a false alert has a chance of at most a tenth, across
    all features, all looks and any dependence between features.

    Parameters
    ----------
    reference : Reference
        With times in its calibration, dependence of neighbouring rows and seasons are allowed for; without,
        rows are taken as independent, and bursts of like rows can raise false alerts.
    budget : Budget
        Default: one false alert in 90 days, an evaluation a minute.
    min_effect : float
        Differences of at most this PSI are no drift, 0 to 1. Default 0.01: a mean moved by a tenth of a
        standard deviation.
    weights : mapping of names to numbers, optional
        How important features are, 1 where not named; 0 is not watched, nor is then a virtual feature that
        is made of it. Names of virtual features too, which hold before that.

    Raises
    ------
    ConfigError
        Something else than what is described, *min_effect* out of its range, a weight that is negative or of
        no feature, or none above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.reference import Reference
    >>> rng = np.random.default_rng(7)
    >>> reference = Reference.fit({"age": rng.normal(40, 10, 10_000)})
    >>> detector = DriftScore(reference)
    >>> for minute in range(1, 61):
    ...     moved = 5 if minute > 30 else 0  # half a standard deviation
    ...     rows = reference.index({"age": rng.normal(40 + moved, 10, 50)})
    ...     detector.add(rows, 60.0 * minute)
    ...     _ = detector.evaluate(60.0 * minute)
    ...     if detector.model_score() > 1:
    ...         break
    >>> minute, detector.snapshot().features[0].words
    (37, 'location +0.5 sd')

    Notes
    -----
    An e-detector of Shiryaev & Roberts' form; each part says where it is from. Cost of an evaluation: some
    200 exponentials a feature; `benchmarks/bench_evidence.py`.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        budget: Budget | None = None,
        min_effect: float = MIN_EFFECT,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        check_reference(reference)
        chosen = budget_of(budget)
        if not (is_number(min_effect) and 0 <= min_effect <= 1):
            message = f"min_effect must be a PSI from 0 to 1, got {shown(min_effect)}; 0.01 is the default"
            raise ConfigError(message)
        self.min_effect = float(min_effect)
        calibration = reference.calibration
        features = reference.features
        ecells = [
            ecells_of(feature, reference.unnamed_counts.get(feature.name, ()), effect)
            for feature, effect in zip(features, _design_effects(calibration, len(features)), strict=True)
        ]
        streams = streams_of(features, ecells, calibration)
        shares = shares_of(streams, weights)
        self._recursion = Recursion(streams, shares, chosen, self.min_effect)
        self._features = len(features)
        self._cell_offsets = reference.layout.cell_offsets
        self._cell_map = np.concatenate([own.cell_map for own in ecells])
        self._ecell_offsets = self._recursion.tables.ecell_offsets
        self._scores = np.concatenate([normal_scores(own.counts, own.ordered) for own in ecells])
        self._virtual = VirtualTables.of(() if calibration is None else calibration.virtual)
        self._buckets = TimeBuckets() if calibration is None else calibration.buckets
        self._measured = calibration is not None and calibration.in_time_order
        self._fingerprint = _fingerprint(reference.id, self.min_effect, self._recursion)
        self._begin()

    def _begin(self) -> None:
        """Have arrays of its own for the rows that wait."""
        self._pending = np.zeros(self._recursion.ecells, np.uint32)
        self._bucket_rows = np.zeros(self._buckets.size, np.int64)
        self._first_seconds = math.inf

    @property
    def budget(self) -> Budget:
        """How many false alerts are accepted."""
        return self._recursion.budget

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What evidence is gathered of: features in the reference's order, then virtual features."""
        return self._recursion.streams

    @property
    def shares(self) -> Floats:
        """Share of the budget of each stream, float64[S], of sum 1; 0 where it is not watched."""
        return self._recursion.shares

    @property
    def evaluations(self) -> int:
        """Evaluations that took a step since the start or the last reset."""
        return self._recursion.evaluations

    @property
    def pending_rows(self) -> int:
        """Rows that wait for the next evaluation."""
        return int(self._bucket_rows.sum())

    @property
    def nbytes(self) -> int:
        """Bytes of tables and state."""
        own = (self._cell_map, self._scores, self._pending, self._bucket_rows)
        return self._recursion.nbytes + self._virtual.nbytes + sum(array.nbytes for array in own)

    def add(self, indices: NDArray[np.uint16], now_seconds: float | Floats) -> None:
        """Take in rows.

        Parameters
        ----------
        indices : uint16[F, n]
            Cells, from `Reference.index`.
        now_seconds : float or float64[n]
            When all of them, or each, arrived, in seconds since 1970.
        """
        rows = indices.shape[1]
        if rows == 0:
            return
        for start in range(0, rows, _CHUNK_ROWS):
            self._count(indices[:, start : start + _CHUNK_ROWS])
        if isinstance(now_seconds, np.ndarray):
            size = self._bucket_rows.size
            self._bucket_rows += np.bincount(self._buckets.of(now_seconds), minlength=size)
            first = float(now_seconds.min())
        else:
            self._bucket_rows[self._buckets.at(now_seconds)] += rows
            first = float(now_seconds)
        self._first_seconds = min(self._first_seconds, first)

    def _count(self, indices: NDArray[np.uint16]) -> None:
        ecells = np.empty(indices.shape, np.uint8)
        kernels.count_ecells(
            indices, self._cell_offsets, self._cell_map, self._ecell_offsets, self._pending, ecells
        )
        if self._virtual.squared.size:
            kernels.count_virtual(ecells, self._scores, self._ecell_offsets, self._virtual, self._pending)

    def absorb(self, counts: Counts, bucket_rows: NDArray[np.int64], first_seconds: float) -> None:
        """Take in rows that were counted elsewhere: of a replica, or of a file.

        Parameters
        ----------
        counts : uint32[E]
            Rows by e-cell, all streams end to end.
        bucket_rows : int64[H]
            The same rows by time bucket.
        first_seconds : float
            When the first of them arrived.
        """
        if int(bucket_rows.sum()) == 0:
            return
        self._pending += counts
        self._bucket_rows += bucket_rows
        self._first_seconds = min(self._first_seconds, first_seconds)

    def take(self) -> tuple[Counts, NDArray[np.int64], float]:
        """The rows that wait, as `absorb` has them, for another detector: here they wait no longer."""
        taken = self._pending.copy(), self._bucket_rows.copy(), self._first_seconds
        self._forget_rows()
        return taken

    def evaluate(self, now_seconds: float) -> bool:
        """Weigh the rows that have come. False when they are under 20: they wait, and no step is taken."""
        if self.pending_rows < MIN_ROWS:
            return False
        start = self._first_seconds if math.isfinite(self._first_seconds) else now_seconds
        self._recursion.step(self._pending, self._bucket_rows, start)
        self._forget_rows()
        return True

    def _forget_rows(self) -> None:
        self._pending[:] = 0
        self._bucket_rows[:] = 0
        self._first_seconds = math.inf

    def scores(self) -> Floats:
        """Score of each feature, float64[F], at least 0. At 1 its share of the budget is reached."""
        return self._recursion.scores()[: self._features]

    def model_score(self) -> float:
        """Score of the model, at least 0, above 1 when the evidence exceeds the budget."""
        return self._recursion.model_score()

    def log_evidence(self) -> Floats:
        """Logarithm of the evidence of each stream, float64[S]; minus infinity where there is none."""
        return self._recursion.log_evidence()

    def reset(self) -> None:
        """Forget all evidence and the rows that wait."""
        self._recursion.clear()
        self._forget_rows()

    def snapshot(self) -> DriftSnapshot:
        """The evidence at this moment, with words, causes, onsets and which streams have drifted."""
        return drift_snapshot(
            self._recursion,
            features=self._features,
            min_effect=self.min_effect,
            pending_rows=self.pending_rows,
            dependence="measured" if self._measured else "assumed",
        )

    def state(self) -> State:
        """All that it would need to go on, as arrays that a file can hold."""
        return {
            **self._recursion.state(),
            "pending": self._pending.copy(),
            "bucket_rows": self._bucket_rows.copy(),
            "first_seconds": np.array([self._first_seconds]),
            "fingerprint": self._fingerprint.copy(),
        }

    def restored(self, state: State) -> DriftScore:
        """A detector with the settings of this one that goes on from *state*.

        Raises
        ------
        StateError
            When it is of another reference, another *min_effect* or other watched features, or of a budget or
            weights with which other alternatives are worth having; or damaged.
        """
        other = copy(self)
        other._recursion = self._recursion.fresh()
        other._begin()
        own = other.state()
        if not np.array_equal(state.get("fingerprint", ()), own["fingerprint"]):
            message = (
                "evidence can only go on with the reference, min_effect and watched features that it was "
                "gathered with, and with about the same budget and weights; begin without it"
            )
            raise StateError(message)
        for name, array in own.items():
            if name not in state or state[name].shape != array.shape or state[name].dtype != array.dtype:
                message = f"the saved evidence is damaged: {name} does not fit; begin without it"
                raise StateError(message)
        for name in ("evidence", "moments", "recent", "recent_rows", "recent_seconds"):
            # NaN would compare as no evidence for ever
            if not np.isfinite(state[name]).all() or (name == "evidence" and (state[name] < 0).any()):
                message = f"the saved evidence is damaged: {name} holds what no evidence is; begin without it"
                raise StateError(message)
        other._recursion.go_on(state)
        other._pending[:] = state["pending"]
        other._bucket_rows[:] = state["bucket_rows"]
        other._first_seconds = float(state["first_seconds"][0])
        return other

    @staticmethod
    def merge_states(states: Sequence[State]) -> State:
        """The state of one detector for what several have seen: replicas, or processes on one host.

        Rows that wait are added up. Evidence is averaged, which keeps its guarantee whatever the detectors
        have in common; the sum would not.

        Raises
        ------
        StateError
            When they are of different references or settings, or there is none.
        """
        if not states:
            message = "at least one state is needed for a merge, got none"
            raise StateError(message)
        for other in states[1:]:
            if not np.array_equal(states[0].get("fingerprint", ()), other.get("fingerprint", ())):
                message = "the evidence of detectors with different references or settings cannot be merged"
                raise StateError(message)
        merged = Recursion.merge_states(states)
        for name in ("pending", "bucket_rows"):
            merged[name] = np.sum([state[name] for state in states], axis=0, dtype=states[0][name].dtype)
        merged["first_seconds"] = np.min([state["first_seconds"] for state in states], axis=0)
        merged["fingerprint"] = states[0]["fingerprint"]
        return merged


def _design_effects(calibration: Calibration | None, features: int) -> list[float]:
    """How many rows in a row are usually alike, by feature; 1 where that is not known."""
    if calibration is None or not calibration.in_time_order:
        return [1.0] * features
    return [float(np.median(own.design_effects[SCORES:])) for own in calibration.streams[:features]]


def _fingerprint(reference_id: str, min_effect: float, recursion: Recursion) -> NDArray[np.uint8]:
    """Equal for two detectors whose evidence is about the same components."""
    digest = hashlib.sha256(f"{reference_id} {min_effect!r}".encode())
    for bank in recursion.banks:
        for array in (bank.families, bank.cells, bank.sizes):
            digest.update(array.tobytes())
    digest.update(recursion.tables.state_offsets.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)

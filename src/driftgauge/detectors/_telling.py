"""From evidence to what people are told: `driftgauge.snapshot.DriftSnapshot`."""

from __future__ import annotations

from typing import Final

from driftgauge.detectors._ebh import drifted_streams
from driftgauge.detectors._recursion import Recursion
from driftgauge.detectors._words import NOTHING, explain
from driftgauge.snapshot import DriftSnapshot, FeatureDrift

__all__ = ["drift_snapshot"]

# From here on people are told a cause: below, the strongest component is whichever had luck.
_WORTH_WORDS: Final = 0.5


def drift_snapshot(
    recursion: Recursion, *, features: int, min_effect: float, pending_rows: int, dependence: str
) -> DriftSnapshot:
    """The evidence at this moment, with words, causes, onsets and which streams have drifted.

    Parameters
    ----------
    recursion : Recursion
    features : int
        Leading streams that are features; the others are virtual.
    min_effect, pending_rows, dependence
        As in `DriftSnapshot`.
    """
    budget = recursion.budget
    named = drifted_streams(recursion.shares * recursion.totals, budget.evaluations).tolist()
    drifted = set(named)
    scores, logs = recursion.scores().tolist(), recursion.log_evidence().tolist()
    told = tuple(
        _told(recursion, number, score, log, number in drifted)
        for number, (score, log) in enumerate(zip(scores, logs, strict=True))
    )
    return DriftSnapshot(
        score=recursion.model_score(),
        log_evidence=recursion.log_model_evidence(),
        budget_evaluations=budget.evaluations,
        budget_seconds=budget.per_seconds,
        evaluate_seconds=budget.evaluate_seconds,
        min_effect=min_effect,
        evaluations=recursion.evaluations,
        pending_rows=pending_rows,
        dependence=dependence,
        drifted_features=tuple(recursion.streams[number].name for number in named),
        features=told[:features],
        virtual=told[features:],
    )


def _told(recursion: Recursion, number: int, score: float, log: float, drifted: bool) -> FeatureDrift:
    stream = recursion.streams[number]
    onset, why = None, NOTHING
    if score >= _WORTH_WORDS:
        onset = recursion.onset_seconds(number)
        why = explain(
            stream,
            recursion.bank(number),
            recursion.evidence_of(number),
            recursion.recent_shares(number, onset),
        )
    return FeatureDrift(
        name=stream.name,
        kind=stream.kind,
        score=score,
        log_evidence=log,
        drifted=drifted,
        cause=why.cause,
        cell=why.cell,
        words=why.words,
        onset_timestamp_seconds=onset,
    )

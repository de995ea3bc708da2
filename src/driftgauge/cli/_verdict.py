"""From a snapshot to a verdict: which features drifted, by which number, and in words why.

Standard library only. A feature drifts when an effect size is over its threshold *and* over what sampling
noise alone explains at this reference and window size: the threshold says what matters to you, the critical
value what can be known from this many rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

from driftgauge.snapshot import DriftSnapshot, FeatureDrift, FeatureSnapshot, FeatureStatistics, Snapshot

__all__ = [
    "FeatureVerdict",
    "Reason",
    "Result",
    "Thresholds",
    "Verdict",
    "judge",
    "ratio_critical",
    "unknown",
]

Result = Literal["no drift", "drift", "could not tell"]

EXIT_STATUS: Final[dict[Result, int]] = {"no drift": 0, "drift": 1, "could not tell": 2}

# The level of the snapshot's critical values (detectors.noise), so that ratios are held to the same.
LEVEL: Final = 0.999

RATIOS: Final = {"missing_ratio": "missing", "unseen_ratio": "unseen", "out_of_range_ratio": "out of range"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The smallest effect that matters; ``None`` turns a statistic off.

    Parameters
    ----------
    psi : float, default 0.2
        The field's usual mark for a large shift (Siddiqi, *Credit Risk Scorecards*, 2006, ch. 10, uses 0.25;
        0.2 is the more common default today).
    ks : float, default None
        Off: PSI covers the same change and is defined for every type. 0.1 is a sensible start.
    missing, unseen, out_of_range : float, default 0.05
        Rise of the ratio over the reference's own, as a share of rows. Our choice.
    score : float, default None
        Off: evidence says that something changed, however little. With enough rows 0.02 of PSI has it.
        1 is the budget.
    """

    psi: float | None = 0.2
    ks: float | None = None
    missing: float | None = 0.05
    unseen: float | None = 0.05
    out_of_range: float | None = 0.05
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a feature drifts: one statistic, what it had to exceed, and the sentence for people."""

    statistic: str
    value: float
    threshold: float
    critical: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureVerdict:
    """One feature. `statistics` is ``None`` when the feature could not be compared."""

    name: str
    kind: str
    dtype: str
    result: Result
    reasons: tuple[Reason, ...]
    explanation: str
    """One line for people, never empty."""
    statistics: FeatureStatistics | None
    reference: FeatureSnapshot | None
    drift: FeatureDrift | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A whole comparison. *Could not tell* wins over *drift*: a broken file is not a drifted one."""

    result: Result
    explanation: str
    rows: int
    features: tuple[FeatureVerdict, ...]
    drift: DriftSnapshot | None = None

    @property
    def exit_status(self) -> int:
        """0 no drift, 1 drift, 2 could not tell."""
        return EXIT_STATUS[self.result]

    @property
    def drifted(self) -> tuple[FeatureVerdict, ...]:
        """The features that drifted, in the reference's order."""
        return tuple(feature for feature in self.features if feature.result == "drift")


def ratio_critical(reference_ratio: float, live_ratio: float, reference_rows: int, live_rows: int) -> float:
    """How far sampling noise alone raises a ratio over the reference's, one look, one side, level 0.999.

    Returns
    -------
    float
        In [0, 1]; 0 when both ratios are 0 or both are 1, and 1 when a side has no rows.

    Notes
    -----
    The pooled two-proportion z statistic: Fleiss, Levin & Paik, *Statistical Methods for Rates and
    Proportions*, 3rd ed., section 3.1, without continuity correction.

    Examples
    --------
    >>> round(ratio_critical(0.10, 0.22, 10_000, 1_000), 4)
    0.0322
    """
    if reference_rows < 1 or live_rows < 1:
        return 1.0
    pooled = (reference_ratio * reference_rows + live_ratio * live_rows) / (reference_rows + live_rows)
    variance = max(pooled * (1.0 - pooled), 0.0) * (1.0 / reference_rows + 1.0 / live_rows)
    return min(NormalDist().inv_cdf(LEVEL) * math.sqrt(variance), 1.0)


def judge(
    snapshot: Snapshot,
    thresholds: Thresholds,
    *,
    window: int = 0,
    only: Collection[str] | None = None,
    absent: Collection[str] = (),
    min_rows: int = 100,
) -> Verdict:
    """The verdict on one window of *snapshot*.

    Parameters
    ----------
    snapshot : Snapshot
    thresholds : Thresholds
    window : int
        Position in ``snapshot.windows``.
    only : names, optional
        Judge these features alone.
    absent : names
        Features that the live data did not have; they could not be compared.
    min_rows : int
        Named in the explanation when the window holds fewer rows than this.
    """
    live = snapshot.windows[window]
    statistics = {feature.name: feature for feature in live.features}
    chosen = [feature for feature in snapshot.features if only is None or feature.name in only]
    if live.rows < min_rows or not statistics:
        return unknown(f"{live.rows:,} rows are fewer than the {min_rows:,} needed", rows=live.rows)
    drift = snapshot.drift
    if thresholds.score is not None and drift is None:
        return unknown(
            f"{live.rows:,} rows are too few for a drift score, which was asked for", rows=live.rows
        )
    evidence = {} if drift is None else {each.name: each for each in drift.features}
    verdicts = tuple(
        _absent(feature)
        if feature.name in absent
        else _feature(
            feature,
            statistics[feature.name],
            thresholds,
            snapshot.reference.rows,
            live.rows,
            evidence.get(feature.name),
        )
        for feature in chosen
    )
    together = None if drift is None else _together(drift, thresholds.score)
    result, explanation = _overall(verdicts, together)
    return Verdict(result=result, explanation=explanation, rows=live.rows, features=verdicts, drift=drift)


def _together(drift: DriftSnapshot, limit: float | None) -> FeatureDrift | None:
    """What is strongest of all that is watched, when the model's score is over its limit."""
    if limit is None or drift.score <= limit:
        return None
    return max((*drift.features, *drift.virtual), key=lambda each: each.score, default=None)


def unknown(explanation: str, *, rows: int = 0) -> Verdict:
    """The verdict when nothing could be compared."""
    return Verdict(result="could not tell", explanation=explanation, rows=rows, features=())


def _overall(verdicts: tuple[FeatureVerdict, ...], together: FeatureDrift | None) -> tuple[Result, str]:
    missing = [verdict.name for verdict in verdicts if verdict.result == "could not tell"]
    drifted = sum(verdict.result == "drift" for verdict in verdicts)
    count = f"{drifted} of {len(verdicts)} features drifted"
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        return "could not tell", f"{len(missing)} {noun} of the reference not in the file; {count}"
    if together is not None and not drifted:
        return "drift", f"no feature drifted by itself, together they did, most of all {together.name}"
    return ("drift" if drifted else "no drift"), count


def _absent(feature: FeatureSnapshot) -> FeatureVerdict:
    return FeatureVerdict(
        name=feature.name,
        kind=feature.kind,
        dtype=feature.dtype,
        result="could not tell",
        reasons=(),
        explanation="not in the file",
        statistics=None,
        reference=feature,
    )


def _feature(
    feature: FeatureSnapshot,
    live: FeatureStatistics,
    thresholds: Thresholds,
    reference_rows: int,
    live_rows: int,
    drift: FeatureDrift | None,
) -> FeatureVerdict:
    ratios = []
    limits = (thresholds.missing, thresholds.unseen, thresholds.out_of_range)
    for name, limit in zip(RATIOS, limits, strict=True):
        before, now = getattr(feature, f"reference_{name}"), getattr(live, name)
        ratios += _ratio(name, before, now, limit, reference_rows, live_rows)
    label, move = _largest_move(feature, live)
    if label in {RATIOS[reason.statistic] for reason in ratios}:
        move = ""  # the ratio's own sentence says it
    reasons = [
        *_effect("PSI", "psi", live.psi, live.psi_critical, thresholds.psi, move),
        *_effect("KS", "ks", live.ks, live.ks_critical, thresholds.ks),
        *ratios,
        *_evidence(drift, thresholds.score),
    ]
    return FeatureVerdict(
        name=feature.name,
        kind=feature.kind,
        dtype=feature.dtype,
        result="drift" if reasons else "no drift",
        reasons=tuple(reasons),
        explanation="; ".join(reason.text for reason in reasons) or "within thresholds and noise",
        statistics=live,
        reference=feature,
        drift=drift,
    )


def _evidence(drift: FeatureDrift | None, threshold: float | None) -> list[Reason]:
    if drift is None or threshold is None or drift.score <= threshold:
        return []
    text = f"drift score {drift.score:.2f} is over {threshold:g}" + (
        f": {drift.words}" if drift.words else ""
    )
    return [Reason(statistic="drift_score", value=drift.score, threshold=threshold, critical=None, text=text)]


def _effect(
    title: str,
    name: str,
    value: float | None,
    critical: float | None,
    threshold: float | None,
    more: str = "",
) -> list[Reason]:
    if threshold is None or value is None or math.isnan(value):
        return []
    noise = critical if critical is not None and math.isfinite(critical) else 0.0
    if value <= threshold or value <= noise:
        return []
    text = f"{title} {value:.3f} is over {threshold:g} and over the {noise:.3f} that noise explains{more}"
    return [Reason(statistic=name, value=value, threshold=threshold, critical=critical, text=text)]


def _largest_move(feature: FeatureSnapshot, live: FeatureStatistics) -> tuple[str, str]:
    """The bin that adds most to PSI: its label, and the move in words."""
    # Half a row on each side stands in for an empty bin, as in PSI itself.
    reference_rows, live_rows = sum(feature.reference_bin_rows) or 1, sum(live.bin_rows) or 1
    moves = [
        ((w + 0.5) / live_rows - (r + 0.5) / reference_rows)
        * math.log((w + 0.5) * reference_rows / ((r + 0.5) * live_rows))
        for r, w in zip(feature.reference_bin_rows, live.bin_rows, strict=True)
    ]
    b = max(range(len(moves)), key=moves.__getitem__)
    before, now = feature.reference_bin_rows[b] / reference_rows, live.bin_rows[b] / live_rows
    label = feature.bin_labels[b]
    return label, f"; {label} went from {before:.1%} to {now:.1%} of rows"


def _ratio(
    name: str,
    before: float | None,
    now: float | None,
    limit: float | None,
    reference_rows: int,
    live_rows: int,
) -> list[Reason]:
    if limit is None or now is None:
        return []
    before = before or 0.0
    critical = ratio_critical(before, now, reference_rows, live_rows)
    if now - before <= limit or now - before <= critical:
        return []
    text = f"{RATIOS[name]} rose from {before:.1%} to {now:.1%} of rows, more than {limit:.1%}"
    return [Reason(statistic=name, value=now - before, threshold=limit, critical=critical, text=text)]

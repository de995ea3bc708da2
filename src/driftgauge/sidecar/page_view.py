"""What the status page shows, from snapshots: texts and numbers, in the order in which they are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from driftgauge.sidecar.page_text import ago, grouped, instant, number, percent, shown, span
from driftgauge.sidecar.svg import Drawing, Gauge, draw, gauge
from driftgauge.snapshot import (
    FeatureDrift,
    FeatureSnapshot,
    FeatureStatistics,
    PayloadCounts,
    Snapshot,
    WindowSnapshot,
)

__all__ = ["CARDS", "LINES", "ModelLine", "ModelView", "model_lines", "model_view"]

CARDS: Final = 8
"""Features that are drawn, the worst ones."""
LINES: Final = 200
"""Features that have a line of the table after them; of the rest the page says how many they are."""
JOINT: Final = 5
EARLY: Final = 0.5  # half the budget's evidence; the boards turn at the same score


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """One model in the overview."""

    name: str
    version: str
    link: str
    state: str
    """``'drift'``, ``'early'``, ``'quiet'`` or ``'waiting'``: what the style of the verdict goes by."""
    verdict: str
    score: str
    gauge: Gauge | None
    drifted: str
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureView:
    """One feature in the chosen window."""

    name: str
    kind: str
    state: str
    verdict: str
    words: str
    since: str
    score: str
    gauge: Gauge | None
    facts: tuple[tuple[str, str, str], ...]
    """Triples (what, its value, what to compare it with)."""
    drawing: Drawing | None
    """Of cards only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """Everything about one model."""

    line: ModelLine
    facts: tuple[tuple[str, str], ...]
    counts: tuple[tuple[str, str], ...]
    payloads: tuple[tuple[str, ...], ...]
    """Way, protocol, how many, decoded, without outputs, undecodable, dropped, forwarded."""
    troubles: tuple[tuple[str, str], ...]
    windows: tuple[tuple[str, str, str, str, bool], ...]
    """Name, rows, how far back, link, whether it is the chosen one."""
    window: str
    too_few: str
    """Why there are no statistics; empty where there are."""
    cards: tuple[FeatureView, ...]
    lines: tuple[FeatureView, ...]
    more: int
    joint: tuple[tuple[str, str, str, str], ...]
    """Virtual features that have drifted, the `JOINT` worst: name, score, words, since when."""
    more_joint: int


def model_lines(snapshots: Sequence[Snapshot]) -> list[ModelLine]:
    """The overview: models with the most evidence first, else in the order that they came in."""
    ordered = sorted(snapshots, key=lambda each: -_score(each.drift.score if each.drift else None))
    return [_line(each) for each in ordered]


def model_view(snapshot: Snapshot, window: str | None = None) -> ModelView:
    """One model through one of its windows; the first where *window* names none."""
    chosen = next((each for each in snapshot.windows if each.name == window), None)
    if chosen is None:
        chosen = next(iter(snapshot.windows), None)
    features = _features(snapshot, chosen)
    virtual = snapshot.drift.virtual if snapshot.drift else ()
    joint = sorted((each for each in virtual if each.drifted), key=lambda each: -_score(each.score))
    return ModelView(
        line=_line(snapshot),
        facts=tuple(_facts(snapshot)),
        counts=tuple(_counts(snapshot)),
        payloads=tuple(_payloads(each) for each in snapshot.payloads),
        troubles=tuple((shown(kind), grouped(count)) for kind, count in _not_zero(snapshot.internal_errors)),
        windows=tuple(
            (
                shown(each.name),
                grouped(each.rows),
                span(each.seconds) if each.rows else "–",
                _link(snapshot, window=each.name),
                each is chosen,
            )
            for each in snapshot.windows
        ),
        window=shown(chosen.name) if chosen else "",
        too_few=_too_few(chosen),
        cards=tuple(features[:CARDS]),
        lines=tuple(features[CARDS : CARDS + LINES]),
        more=max(0, len(snapshot.features) - CARDS - LINES),
        joint=tuple(
            (
                shown(each.name),
                number(each.score),
                shown(each.words),
                ago(each.onset_timestamp_seconds, snapshot.timestamp_seconds),
            )
            for each in joint[:JOINT]
        ),
        more_joint=max(0, len(joint) - JOINT),
    )


def _line(snapshot: Snapshot) -> ModelLine:
    drift = snapshot.drift
    state, verdict = _model_state(snapshot)
    return ModelLine(
        name=shown(snapshot.model),
        version=shown(snapshot.model_version, 40),
        link=_link(snapshot),
        state=state,
        verdict=verdict,
        score=number(drift.score if drift else None),
        gauge=gauge(drift.score) if drift else None,
        drifted=grouped(len(drift.drifted_features)) if drift else "–",
        rows=grouped(snapshot.rows_sampled),
    )


def _link(snapshot: Snapshot, **more: str) -> str:
    """Query that leads to a model: two versions of one model may be watched side by side."""
    return "?" + urlencode(
        {"model": snapshot.model, "version": snapshot.model_version, **more}, errors="replace"
    )


def _model_state(snapshot: Snapshot) -> tuple[str, str]:
    drift = snapshot.drift
    if drift is None:
        return ("waiting", "no budget") if snapshot.rows_sampled else ("waiting", "no rows yet")
    if drift.score > 1 or drift.drifted_features:
        return "drift", "drift"
    if not snapshot.rows_sampled and not drift.evaluations:
        return "waiting", "no rows yet"
    return ("early", "worth a look") if drift.score >= EARLY else ("quiet", "no drift")


def _facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    reference, drift = snapshot.reference, snapshot.drift
    made = [
        ("reference", reference.reference_id[:12]),
        ("made", instant(reference.created_timestamp_seconds)),
        ("its rows", grouped(reference.rows)),
        ("features", grouped(len(snapshot.features))),
    ]
    if drift is not None:
        made += [
            ("budget", f"one false alert in {span(drift.budget_seconds)}"),
            ("smallest change that counts", f"PSI {drift.min_effect:g}"),
            ("evidence weighed", f"every {span(drift.evaluate_seconds)}, {grouped(drift.evaluations)} times"),
            ("rows that wait for it", grouped(drift.pending_rows)),
            ("dependence of rows", shown(drift.dependence)),
        ]
    return made


def _counts(snapshot: Snapshot) -> list[tuple[str, str]]:
    made = [
        ("rows offered", grouped(snapshot.rows)),
        ("taken", grouped(snapshot.rows_sampled)),
        ("sampled out", grouped(snapshot.rows_sampled_out)),
    ]
    made += [(f"dropped: {shown(reason)}", grouped(n)) for reason, n in _not_zero(snapshot.rows_dropped)]
    return made


def _payloads(counts: PayloadCounts) -> tuple[str, ...]:
    """A line of the table: what came, what was decoded, and by reason what was not."""
    reasons = (counts.without_outputs, counts.undecodable, counts.dropped, counts.forwarded)
    return (
        shown(counts.way),
        shown(counts.protocol),
        grouped(counts.payloads),
        grouped(counts.decoded),
        *(", ".join(f"{shown(reason)} {grouped(n)}" for reason, n in _not_zero(each)) for each in reasons),
    )


def _not_zero(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted((name, count) for name, count in counts.items() if count)


def _too_few(window: WindowSnapshot | None) -> str:
    if window is None:
        return "This model has no windows."
    if window.features:
        return ""
    return f"The window holds {grouped(window.rows)} rows, too few for statistics."


def _features(snapshot: Snapshot, window: WindowSnapshot | None) -> list[FeatureView]:
    """Features with a card or a line, worst first: by evidence, where that is equal by effect over noise."""
    statistics = {each.name: each for each in (window.features if window else ())}
    evidence = {each.name: each for each in (snapshot.drift.features if snapshot.drift else ())}
    ordered = sorted(
        snapshot.features,
        key=lambda each: _badness(evidence.get(each.name), statistics.get(each.name)),
        reverse=True,
    )
    return [
        _feature(each, statistics.get(each.name), evidence.get(each.name), snapshot, drawn=place < CARDS)
        for place, each in enumerate(ordered[: CARDS + LINES])
    ]


def _badness(drift: FeatureDrift | None, now: FeatureStatistics | None) -> tuple[bool, float, float]:
    effect = _score(now.psi / now.psi_critical if now and now.psi_critical else None)
    return bool(drift and drift.drifted), round(_score(drift.score if drift else None), 2), effect


def _score(value: float | None) -> float:
    """*value* for sorting: what is no number comes last."""
    return 0.0 if value is None or math.isnan(value) else value


def _feature(
    feature: FeatureSnapshot,
    now: FeatureStatistics | None,
    drift: FeatureDrift | None,
    snapshot: Snapshot,
    *,
    drawn: bool,
) -> FeatureView:
    state, verdict = _feature_state(now, drift)
    return FeatureView(
        name=shown(feature.name),
        kind=f"{shown(feature.kind)}, {shown(feature.dtype)}",
        state=state,
        verdict=verdict,
        words=shown(drift.words) if drift and drift.words else "",
        since=ago(drift.onset_timestamp_seconds, snapshot.timestamp_seconds)
        if drift and drift.onset_timestamp_seconds is not None
        else "",
        score=number(drift.score if drift else None),
        gauge=gauge(drift.score) if drift else None,
        facts=tuple(_feature_facts(feature, now)) if now else (),
        drawing=draw(feature.bin_labels, feature.reference_bin_rows, now.bin_rows if now else ())
        if drawn
        else None,
    )


def _feature_state(now: FeatureStatistics | None, drift: FeatureDrift | None) -> tuple[str, str]:
    if drift is not None:
        if drift.drifted or drift.score > 1:
            return "drift", "drift"
        if drift.score >= EARLY:
            return "early", "worth a look"
    if now is None:
        return "waiting", "too few rows"
    if now.psi > now.psi_critical:
        return "early", "beyond noise"
    return "quiet", "no drift"


def _feature_facts(feature: FeatureSnapshot, now: FeatureStatistics) -> list[tuple[str, str, str]]:
    made = [("PSI", number(now.psi, 3), f"noise {number(now.psi_critical, 3)}")]
    if now.ks is not None:
        made.append(("KS", number(now.ks, 3), f"noise {number(now.ks_critical, 3)}"))
    if now.shift is not None:
        made.append(("location", f"{_signed(now.shift)} sd", ""))
    if now.mean is not None and feature.reference_mean is not None:
        made.append(("mean", f"{now.mean:.4g}", f"was {feature.reference_mean:.4g}"))
    pairs = (
        ("missing", now.missing_ratio, feature.reference_missing_ratio),
        ("unseen", now.unseen_ratio, feature.reference_unseen_ratio),
        ("out of range", now.out_of_range_ratio, feature.reference_out_of_range_ratio),
    )
    made += [
        (what, percent(is_now), f"was {percent(was)}")
        for what, is_now, was in pairs
        if is_now is not None and (is_now or was)
    ]
    return made


def _signed(value: float) -> str:
    return number(value) if math.isnan(value) else f"{value:+.2f}"

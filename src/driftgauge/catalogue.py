"""The one list of every metric: name, unit, instrument, labels, help, and where in a snapshot it is.

Exporters loop over `samples` and add nothing of their own, so a family that is added here is exported
everywhere, stands in the README's table and is covered by the tests. Pure and standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from driftgauge._family import Family, Labels, Level, Sample, label_text
from driftgauge._family import family as _family
from driftgauge.snapshot import Snapshot

__all__ = ["CATALOGUE", "Family", "Labels", "Sample", "samples"]

CATALOGUE: Final[tuple[Family, ...]] = (
    _family(
        "drift",
        "model_drift_score",
        "Evidence that anything drifted: above 1 when it exceeds the false-alarm budget, and only then",
        attribute="score",
    ),
    _family(
        "drift",
        "drifted_features",
        "How many features have drifted, virtual ones not counted",
        attribute="features",
        shape="drifted",
    ),
    _family(
        "feature_drift",
        "drift_score",
        "Evidence that the feature drifted; at 1 its share of the false-alarm budget is reached",
        attribute="score",
    ),
    _family(
        "feature_drift",
        "drift_info",
        "Always 1; cause and cell say what most of the evidence is about",
        attribute="",
        shape="info",
        labels=("cause", "cell"),
    ),
    _family(
        "feature_drift",
        "drift_onset_timestamp",
        "Unix time at which the drift began, by the evidence; absent without drift",
        attribute="onset_timestamp_seconds",
        unit="s",
    ),
    _family(
        "virtual_drift",
        "drift_score",
        "Evidence that features drifted together: a sum or difference of them, made by the reference",
        attribute="score",
    ),
    _family("statistics", "psi", "Population stability index over the reference's bins, natural logarithm"),
    _family(
        "statistics", "psi_debiased", "PSI less its mean without drift: about 0 if nothing changed, or below"
    ),
    _family(
        "statistics",
        "psi_critical",
        "PSI that noise alone exceeds as rarely as the budget says; without a budget, in one look of 1,000",
    ),
    _family("statistics", "ks", "Kolmogorov-Smirnov distance of window and reference, 0 to 1"),
    _family(
        "statistics",
        "ks_critical",
        "KS that noise alone exceeds as rarely as the budget says; without a budget, in one look of 1,000",
    ),
    _family(
        "feature", "ks_error_bound", "At most how far KS is from KS on the raw rows; 0 means it is exact"
    ),
    _family("statistics", "js", "Jensen-Shannon distance over the reference's bins, base 2, 0 to 1"),
    _family("statistics", "hellinger", "Hellinger distance over the reference's bins, 0 to 1"),
    _family("statistics", "wasserstein", "Wasserstein-1 distance in reference standard deviations"),
    _family("statistics", "shift", "Change of location by ranks, in reference standard deviations, signed"),
    _family(
        "statistics", "scale_shift", "Change of spread by ranks, in reference standard deviations, signed"
    ),
    _family("statistics", "missing_ratio", "Share of rows without a value"),
    _family("statistics", "unseen_ratio", "Share of rows with a category that the reference does not name"),
    _family("statistics", "out_of_range_ratio", "Share of rows below or above all finite reference values"),
    _family("statistics", "mean", "Mean of the window; values out of range count as the nearest in range"),
    _family(
        "statistics", "standard_deviation", "Standard deviation of the window; out of range as for the mean"
    ),
    _family(
        "statistics",
        "quantile",
        "Quantile of the window at the level in the label",
        attribute="quantiles",
        shape="by_level",
    ),
    _family("feature", "reference_missing_ratio", "Share of reference rows without a value"),
    _family(
        "feature", "reference_unseen_ratio", "Share of reference rows with a category too rare to be named"
    ),
    _family("feature", "reference_out_of_range_ratio", "Share of reference rows that are infinite"),
    _family("feature", "reference_mean", "Mean of the reference"),
    _family("feature", "reference_standard_deviation", "Standard deviation of the reference"),
    _family(
        "feature",
        "reference_quantile",
        "Quantile of the reference at the level in the label",
        attribute="reference_quantiles",
        shape="by_level",
    ),
    _family(
        "feature",
        "bin_rows",
        "Rows since the start in this bin and all before it; the last, with no next_bin, has all rows",
        unit="{row}",
        instrument="counter",
        shape="bin_rows",
    ),
    _family(
        "feature",
        "reference_bin_ratio",
        "Share of reference rows in this bin and all before it",
        attribute="reference_bin_rows",
        shape="bin_ratio",
    ),
    _family(
        "feature",
        "bin_info",
        "Always 1; range says what the bin holds",
        attribute="bin_labels",
        shape="bin_range",
    ),
    _family("window", "rows", "Rows in the window; from min_rows on it has statistics", unit="{row}"),
    _family("window", "", "How far back the window reaches", attribute="seconds", unit="s"),
    _family(
        "snapshot", "rows", "Rows offered: sampled out, taken or dropped", unit="{row}", instrument="counter"
    ),
    _family("snapshot", "rows_sampled", "Rows taken into the windows", unit="{row}", instrument="counter"),
    _family(
        "snapshot",
        "rows_dropped",
        "Rows that could not be taken",
        unit="{row}",
        instrument="counter",
        shape="by_key",
        labels=("reason",),
    ),
    _family(
        "payloads",
        "payloads",
        "Requests, with their answers, that came as bytes: decoded, undecodable or dropped",
        unit="{payload}",
        instrument="counter",
    ),
    _family(
        "payloads",
        "payloads_undecodable",
        "Payloads that could not be decoded",
        attribute="undecodable",
        unit="{payload}",
        instrument="counter",
        shape="by_key",
        labels=("reason",),
    ),
    _family(
        "payloads",
        "payloads_dropped",
        "Payloads that were not looked into",
        attribute="dropped",
        unit="{payload}",
        instrument="counter",
        shape="by_key",
        labels=("reason",),
    ),
    _family(
        "payloads",
        "payloads_without_outputs",
        "Decoded payloads whose answer could not be read: their outputs count as missing",
        attribute="without_outputs",
        unit="{payload}",
        instrument="counter",
        shape="by_key",
        labels=("reason",),
    ),
    _family(
        "payloads",
        "payloads_forwarded",
        "Payloads that were passed on, by outcome",
        attribute="forwarded",
        unit="{payload}",
        instrument="counter",
        shape="by_key",
        labels=("outcome",),
    ),
    _family(
        "snapshot",
        "internal_errors",
        "What went wrong inside without touching the host",
        unit="{error}",
        instrument="counter",
        shape="by_key",
        labels=("stage",),
    ),
    _family(
        "snapshot",
        "last_evaluation_timestamp",
        "Unix time of the last evaluation",
        attribute="timestamp_seconds",
        unit="s",
    ),
    _family(
        "snapshot", "evaluation", "Time the last evaluation took", attribute="evaluation_seconds", unit="s"
    ),
    _family(
        "drift",
        "drift_evaluations",
        "Times that evidence was weighed since the start or the last reset",
        attribute="evaluations",
        unit="{evaluation}",
        instrument="counter",
    ),
    _family(
        "drift",
        "drift_pending_rows",
        "Rows that wait for the next time evidence is weighed",
        attribute="pending_rows",
        unit="{row}",
    ),
    _family(
        "drift",
        "drift_budget_evaluations",
        "The budget: evaluations between two false alerts, in the mean",
        attribute="budget_evaluations",
        unit="{evaluation}",
    ),
    _family(
        "drift",
        "drift_dependence_info",
        "Always 1; dependence between rows is measured from the reference's times, or assumed to be none",
        attribute="",
        shape="info",
        labels=("dependence",),
    ),
    _family(
        "reference",
        "reference_info",
        "Always 1; reference_id says which reference is in force",
        attribute="",
        shape="info",
        labels=("reference_id",),
    ),
    _family(
        "reference",
        "reference_created_timestamp",
        "Unix time at which the reference was made",
        attribute="created_timestamp_seconds",
        unit="s",
    ),
    _family(
        "reference", "reference_rows", "Rows the reference was made from", attribute="rows", unit="{row}"
    ),
)
"""Every family, in the order in which exporters write them."""


def samples(snapshot: Snapshot) -> Iterator[tuple[Family, list[Sample]]]:
    """Every family of the catalogue with its samples, in the order of the catalogue.

    A value that is ``None`` or not a number has no sample: a statistic without meaning for a feature, or a
    window under ``min_rows``, gives no series rather than a zero. A family without samples is left out.
    Families share their label mappings, so callers must not change them.

    Parameters
    ----------
    snapshot : Snapshot

    Yields
    ------
    family : Family
    samples : list of (mapping of label to value, float)
    """
    # One mapping a feature and window, shared by every family that needs no label of its own.
    model = {"model": label_text(snapshot.model), "model_version": label_text(snapshot.model_version)}
    features = {
        each.name: ({**model, "feature": label_text(each.name), "kind": each.kind}, each)
        for each in snapshot.features
    }
    windows = [({**model, "window": label_text(each.name)}, each) for each in snapshot.windows]
    statistics = [
        ({**features[each.name][0], "window": labels["window"]}, each)
        for labels, window in windows
        for each in window.features
    ]
    drift = snapshot.drift
    things: dict[Level, list[tuple[dict[str, str], object]]] = {
        "snapshot": [(model, snapshot)],
        "reference": [(model, snapshot.reference)],
        "window": [*windows],
        "feature": [*features.values()],
        "statistics": [*statistics],
        "drift": [],
        "feature_drift": [],
        "virtual_drift": [],
        "payloads": [
            ({**model, "way": each.way, "protocol": label_text(each.protocol)}, each)
            for each in snapshot.payloads
        ],
    }
    if drift is not None:
        things["drift"] = [(model, drift)]
        things["feature_drift"] = [
            ({**model, "feature": label_text(each.name), "kind": each.kind}, each) for each in drift.features
        ]
        things["virtual_drift"] = [
            ({**model, "virtual": label_text(each.name)}, each) for each in drift.virtual
        ]
    for family in CATALOGUE:
        found: list[Sample] = []
        for labels, thing in things[family.level]:
            family.read(labels, thing, found)
        if found:
            yield family, found

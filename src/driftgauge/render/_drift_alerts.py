"""Alerts on drift and on the data: what is true of the rows that a model sees and answers.

Expressions compare what is recorded for the fleet, so one replica that restarts or is odd raises nothing by
itself. Statistics are held while there are too few rows for new ones (`queries.held`), so that no alert
resolves only because traffic stopped.
"""

from __future__ import annotations

from typing import Final

from driftgauge.render import queries
from driftgauge.render._alert_texts import PERCENT, VALUE, Alert, feature, labelled, looked_up, model
from driftgauge.render.queries import by, held
from driftgauge.render.settings import RenderSettings

__all__ = [
    "feature_drift",
    "fleet_psi_high",
    "missing_jump",
    "model_drift",
    "out_of_range",
    "output_drift",
    "unseen_categories",
]

_NAMED: Final = 10  # features that a description names at most


def feature_drift(settings: RenderSettings) -> Alert:
    return Alert(
        settings.labels.one_feature,
        _drift_of_kind(settings, "input"),
        "An input of a model no longer looks like what the model was trained on.",
        f"Input {feature(settings)} has drifted: its drift score is {VALUE}, and at "
        f"{settings.thresholds.drift_score:g} its share of the false-alarm budget is used up."
        f"{_cause(settings)}{_how_far(settings)}",
        "feature",
    )


def output_drift(settings: RenderSettings) -> Alert:
    return Alert(
        settings.labels.one_feature,
        _drift_of_kind(settings, "output"),
        "A model answers differently from how it answered on its reference data.",
        f"Output {feature(settings)} has drifted: its drift score is {VALUE}, and at "
        f"{settings.thresholds.drift_score:g} its share of the false-alarm budget is used up."
        f"{_cause(settings)}{_how_far(settings)}",
        "feature",
    )


def model_drift(settings: RenderSettings) -> Alert:
    """Evidence of the model that is not due to a single feature: several drifted, or how they go together.

    With those of features and outputs it makes up ``model score > 1``: whenever that is true, one of the
    three is. Where both of those are left out, this one is about any drift.
    """
    labels, thresholds = settings.labels, settings.thresholds
    version = by(labels.one_version)
    score = f"max by {version} ({held(settings, queries.fleet_model_score(settings))})"
    features = f"max by {by(labels.one_feature)} ({held(settings, queries.fleet_score(settings))})"
    others = (settings.alerts[name] for name in ("DriftgaugeFeatureDrift", "DriftgaugeOutputDrift"))
    told_elsewhere = (
        f"\nunless on {version}\n"
        f"count by {version} ({features} > {thresholds.drift_score:g}) < {thresholds.drifted_features}"
    )
    which = labelled(
        queries.fleet_score(settings),
        labels.one_version,
        (labels.feature,),
        f"{{{{ .Labels.{labels.feature} }}}}",
        made=f"topk({_NAMED}, max by ({labels.feature}) (%s) > {thresholds.drift_score:g})",
        none=" No feature by itself: several changed a little, or how they go together did.",
    )
    return Alert(
        labels.one_version,
        f"{score} > {thresholds.drift_score:g}{told_elsewhere if any(e.enabled for e in others) else ''}",
        "A model has drifted in several features, or in how they go together.",
        f"{model(settings)} has drifted as a whole: its drift score is {VALUE}, and at "
        f"{thresholds.drift_score:g} the false-alarm budget is used up."
        f"{which('Drifted by themselves: ', '.')}",
        "model",
    )


def fleet_psi_high(settings: RenderSettings) -> Alert:
    labels, ranges, psi = settings.labels, settings.ranges, f"{settings.thresholds.psi:g}"
    long = held(settings, queries.fleet_statistic(settings, "psi", ranges.long))
    short = held(settings, queries.fleet_statistic(settings, "psi", ranges.short))
    long_noise = held(settings, queries.fleet_statistic(settings, "psi_critical", ranges.long))
    short_noise = held(settings, queries.fleet_statistic(settings, "psi_critical", ranges.short))
    now = looked_up(queries.fleet_statistic(settings, "psi", ranges.short), labels.one_feature)
    noise = looked_up(queries.fleet_statistic(settings, "psi_critical", ranges.long), labels.one_feature)
    return Alert(
        settings.labels.one_feature,
        f"max by {by(labels.one_feature)} (\n"
        f"  (\n"
        f"    {long} > {psi}\n"
        f"    and\n"
        f"    {long} > {long_noise}\n"
        f"  )\n"
        f"  unless\n"
        f"  (\n"
        f"    {short} <= {psi}\n"
        f"    or\n"
        f"    {short} <= {short_noise}\n"
        f"  )\n"
        f")",
        "A feature is far from its reference over all replicas, and stays there.",
        f"PSI of {feature(settings)} over all replicas is {VALUE} in the last {ranges.long}"
        f"{now('and ', f' in the last {ranges.short}')}; {psi} is allowed."
        f"{noise('Sampling noise alone explains up to ', '.')}",
        "fleet",
    )


def missing_jump(settings: RenderSettings) -> Alert:
    return _rise(
        settings,
        "missing_ratio",
        "A feature is missing more often than in the reference.",
        "without a value",
    )


def unseen_categories(settings: RenderSettings) -> Alert:
    return _rise(
        settings,
        "unseen_ratio",
        "A feature has categories that its reference does not name.",
        "with a category that the reference does not name",
    )


def out_of_range(settings: RenderSettings) -> Alert:
    return _rise(
        settings,
        "out_of_range_ratio",
        "A feature has values below or above everything in its reference.",
        "outside the reference's range",
    )


def _rise(settings: RenderSettings, ratio: str, summary: str, what: str) -> Alert:
    """A share of rows above the reference's, in every window and beyond noise."""
    labels, least = settings.labels, settings.thresholds.ratio_rise
    at, window = by(labels.one_feature), by(labels.one_feature, labels.window)
    rise = held(settings, queries.fleet_ratio_rise(settings, ratio))
    noise = held(settings, queries.fleet_ratio_rise_noise(settings, ratio))
    share = looked_up(queries.fleet_ratio(settings, ratio), labels.one_feature, "humanizePercentage")
    known = looked_up(
        queries.fleet_reference_ratio(settings, ratio), labels.one_feature, "humanizePercentage"
    )
    critical = looked_up(
        queries.fleet_ratio_rise_noise(settings, ratio), labels.one_feature, "humanizePercentage"
    )
    windows = labelled(
        queries.fleet_ratio(settings, ratio),
        labels.one_feature,
        (labels.window,),
        f"{{{{ .Labels.{labels.window} }}}}",
    )
    return Alert(
        settings.labels.one_feature,
        f"min by {at} (\n"
        f"  max by {window} ({rise})\n"
        f") > {least:g}\n"
        f"and on {at}\n"
        f"min by {at} (\n"
        f"  max by {window} ({rise} - {noise})\n"
        f") > 0",
        summary,
        f"The share of rows {what} in {feature(settings)} is above the reference's by {PERCENT} of all rows."
        f"{share('It is ', '')}{known(', in the reference ', '.', space='')}"
        f"{critical('Noise alone explains a rise of ', '.')}{windows('Windows: ', '.')}",
        "feature",
    )


def _drift_of_kind(settings: RenderSettings, kind: str) -> str:
    labels = settings.labels
    score = queries.fleet_score(settings, f'{labels.kind}="{kind}"')
    return f"max by {by(labels.one_feature)} ({held(settings, score)}) > {settings.thresholds.drift_score:g}"


def _cause(settings: RenderSettings) -> str:
    info = settings.series("driftgauge_feature_drift_info", 'cause!="none"')
    text = "{{ .Labels.cause }}{{ with .Labels.cell }} ({{ . }}){{ end }}"
    return labelled(info, settings.labels.one_feature, ("cause", "cell"), text)("Most of the evidence: ", ".")


def _how_far(settings: RenderSettings) -> str:
    """How large the change is, over the long range: evidence alone does not say."""
    labels, range = settings.labels, settings.ranges.long
    psi = looked_up(queries.fleet_statistic(settings, "psi", range), labels.one_feature)
    noise = looked_up(queries.fleet_statistic(settings, "psi_critical", range), labels.one_feature)
    return psi(f"PSI over all replicas in the last {range} is ", "") + noise(
        ", where noise alone explains ", ".", space=""
    )

"""Alerts on the service: whether the monitors live, lose nothing and compare with what they should."""

from __future__ import annotations

from typing import Final

from driftgauge.render import queries
from driftgauge.render._alert_texts import PERCENT, WHOLE, Alert, label, labelled, looked_up, model
from driftgauge.render._toml_values import duration_text
from driftgauge.render.queries import INFO, REFERENCE, by
from driftgauge.render.settings import RenderSettings

__all__ = [
    "evaluation_stalled",
    "internal_errors",
    "monitor_absent",
    "no_traffic",
    "reference_too_old",
    "rows_dropped",
    "two_references",
    "window_not_full",
]

_SECONDS_A_DAY: Final = 86_400
_ENOUGH_ROWS: Final = 100  # no detector of ours waits for more before it weighs
_COUNT: Final = 'printf "%.0f"'


def no_traffic(settings: RenderSettings) -> Alert:
    version, ranges = by(settings.labels.one_version), settings.ranges
    rows, quiet = settings.series("driftgauge_rows_total"), settings.alerts["DriftgaugeNoTraffic"].for_
    return Alert(
        settings.labels.one_version,
        f"sum by {version} (rate({rows}[{ranges.rate}])) == 0\n"
        f"and on {version}\n"
        f"sum by {version} (increase({rows}[{ranges.seen}])) > 0",
        "A model that had traffic is no longer asked anything.",
        f"{model(settings)} has had no row for more than {quiet}, but had some within {ranges.seen}. "
        "Its statistics stand still.",
        "models",
    )


def window_not_full(settings: RenderSettings) -> Alert:
    labels = settings.labels
    at = by(labels.one_version, labels.window)
    return Alert(
        settings.labels.one_version,
        f"max by {at} ({settings.series('driftgauge_window_rows')})\n"
        f"unless on {at}\n"
        f"{settings.series('driftgauge_feature_missing_ratio')}",
        "A window holds too few rows for statistics.",
        f"Window {label(labels.window)} of {model(settings)} holds {WHOLE} rows in its fullest replica, "
        "fewer than the monitor's min_rows, so it has no statistics and no alert on them can fire.",
        "model",
    )


def reference_too_old(settings: RenderSettings) -> Alert:
    days = f"{settings.thresholds.reference_days:g}"
    created = settings.series("driftgauge_reference_created_timestamp_seconds")
    return Alert(
        settings.labels.one_version,
        f"(time() - max by {by(settings.labels.one_version)} ({created})) / {_SECONDS_A_DAY} > {days}",
        "The reference of a model is old.",
        f"The newest reference of {model(settings)} was made {WHOLE} days ago; {days} are allowed.",
        "models",
    )


def two_references(settings: RenderSettings) -> Alert:
    labels = settings.labels
    seen = labelled(
        queries.references(settings),
        labels.one_version,
        (REFERENCE,),
        '{{ printf "%.12s" .Labels.reference_id }} on {{ .Value }}',
    )
    return Alert(
        settings.labels.one_version,
        f"count by {by(labels.one_version)} ({queries.references(settings)}) > 1",
        "Replicas of one version of a model compare with different references.",
        f"Replicas of {model(settings)} have {WHOLE} references in force at once. Their statistics are "
        f"kept apart, and each speaks for a part of the traffic.{seen('Replicas by reference: ', '.')}",
        "fleet",
    )


def rows_dropped(settings: RenderSettings) -> Alert:
    labels, least = settings.labels, settings.thresholds.dropped_ratio
    share = queries.dropped_ratio(settings)
    return Alert(
        settings.labels.one_version,
        f"last_over_time({share}[{settings.ranges.hold}]) > {least:g}\n"
        f"and on {by(labels.one_version)} {settings.series(INFO)}",
        "Rows that a model was asked are missing from its statistics.",
        f"{PERCENT} of the rows of {model(settings)} are dropped for the reason {label('reason')}; "
        f"{100 * least:g}% are allowed. What is left may not look like all of them.",
        "itself",
    )


def evaluation_stalled(settings: RenderSettings) -> Alert:
    """What is exported is old, or the detector is stuck: evaluations do not go on although rows wait.

    A scrape evaluates the windows, so their time alone says nothing about evidence.
    """
    labels = settings.labels
    at = by(labels.one_version, labels.job, labels.instance)
    last = settings.series("driftgauge_last_evaluation_timestamp_seconds")
    weighed = settings.series("driftgauge_drift_evaluations_total")
    waiting = settings.series("driftgauge_drift_pending_rows")
    most = f"{settings.thresholds.stalled_seconds:g}"
    range = duration_text(max(settings.thresholds.stalled_seconds, 1))
    rows = looked_up(waiting, (*labels.one_version, labels.job, labels.instance), _COUNT)
    return Alert(
        (*settings.labels.one_version, settings.labels.instance),
        f"time() - max by {at} ({last}) > {most}\n"
        f"or\n"
        f"{most} * max by {at} (\n"
        f"  {weighed} - {weighed} offset {range} == bool 0\n"
        f"  and\n"
        f"  min_over_time({waiting}[{range}]) >= {_ENOUGH_ROWS}\n"
        f") > 0",
        "A monitor answers scrapes, but no longer evaluates or weighs evidence.",
        f"The monitor of {model(settings)} on {label(labels.instance)} has not evaluated, or not weighed the "
        "evidence of drift, for {{ $value | humanizeDuration }} or longer. Its drift score stands still."
        f"{rows('Rows that wait to be weighed: ', '.')}",
        "itself",
    )


def monitor_absent(settings: RenderSettings) -> Alert:
    labels, seen = settings.labels, settings.ranges.seen
    info, one_model = settings.series(INFO), by(labels.one_model)
    return Alert(
        settings.labels.one_model,
        f"(\n"
        f"  count by {one_model} (last_over_time({info}[{seen}]))\n"
        f"  unless on {one_model}\n"
        f"  {info}\n"
        f") > 0\n"
        f"or\n"
        f"absent_over_time({info}[{seen}]) > 0",
        "Nothing reports on a model any more.",
        f"{{{{ with $labels.{labels.model} }}}}No replica of {{{{ . }}}} exports driftgauge metrics, "
        f"but one did within {seen}.{{{{ else }}}}No driftgauge metrics of any model were scraped "
        f"within {seen}.{{{{ end }}}} Nobody would notice drift.",
        "models",
    )


def internal_errors(settings: RenderSettings) -> Alert:
    labels = settings.labels
    errors = settings.series("driftgauge_internal_errors_total")
    return Alert(
        settings.labels.one_version,
        f"sum by {by(labels.one_version, 'stage')} (increase({errors}[{settings.ranges.short}])) > 0",
        "Something went wrong inside driftgauge, without touching the model.",
        f"{model(settings)} had {WHOLE} errors of driftgauge at stage {label('stage')} "
        f"in the last {settings.ranges.short}. The first of them is in the log of the process.",
        "itself",
    )

"""PromQL of the boards, as functions of the settings; ``$job``, ``$model`` and so on are their variables.

A board asks for the worst of the replicas and versions that are chosen on it, never for their mean: the mean
of a ratio over replicas of unequal traffic is the ratio of nothing. What adds up (rows) is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from driftgauge.render.queries import REFERENCE, by, fleet_statistic
from driftgauge.render.settings import RenderSettings

__all__ = [
    "alerts_firing",
    "board_series",
    "cause",
    "distance_from_median",
    "drifting_seconds",
    "dropped_by_reason",
    "dropped_ratio",
    "errors_by_stage",
    "errors_lately",
    "evaluation_age",
    "farthest_replica",
    "feature_series",
    "fewest",
    "firing",
    "fleet_by_reference",
    "how_many",
    "known",
    "mean_of",
    "new_series",
    "of_payloads",
    "on_target",
    "over_noise",
    "per_replica",
    "rate",
    "references_in_force",
    "replicas",
    "rise",
    "sampled_ratio",
    "together",
    "told_apart",
    "top",
    "windows_ready",
    "worst",
]

_RATE: Final = "$__rate_interval"
_DRIFT: Final = ("feature_drift_score", "feature_drift_onset_timestamp_seconds")


def board_series(settings: RenderSettings, name: str, *matchers: str) -> str:
    """Series of the metric ``driftgauge_<name>`` that the variables at the top of a board choose.

    Examples
    --------
    >>> board_series(RenderSettings(), "rows_total", 'model="churn"')
    'driftgauge_rows_total{job=~"$job",instance=~"$instance",model="churn"}'
    """
    labels = settings.labels
    target = (f'{labels.job}=~"$job"', f'{labels.instance}=~"$instance"')
    return settings.series(f"driftgauge_{name}", *target, *matchers)


def known(settings: RenderSettings, *, feature: bool = False, window: bool = False) -> tuple[str, ...]:
    """Matchers of the model that is chosen and, when asked for, of its feature and window."""
    labels = settings.labels
    return (
        f'{labels.model}=~"$model"',
        f'{labels.model_version}=~"$version"',
        *([f'{labels.feature}=~"$feature"'] if feature else []),
        *([f'{labels.window}=~"$window"'] if window else []),
    )


def feature_series(settings: RenderSettings, name: str) -> str:
    """Series of the feature that is chosen, in the windows that are, where the family has windows."""
    without = ("feature_reference_", "feature_drift_", "feature_ks_error", "feature_bin_")
    return board_series(settings, name, *known(settings, feature=True, window=not name.startswith(without)))


def worst(expression: str, *labels: str) -> str:
    """Largest value for each of *labels*; of all, without any."""
    return f"max by {by(labels)} ({expression})" if labels else f"max({expression})"


def fewest(expression: str, *labels: str) -> str:
    """Smallest value for each of *labels*; of all, without any."""
    return f"min by {by(labels)} ({expression})" if labels else f"min({expression})"


def how_many(expression: str, line: float) -> str:
    """How many series are above *line*."""
    return f"sum({expression} > bool {line:g})"


def rate(series: str, *labels: str) -> str:
    """Rate per second of a counter, added up for each of *labels*."""
    total = f"rate({series}[{_RATE}])"
    return f"sum by {by(labels)} ({total})" if labels else f"sum({total})"


def per_replica(settings: RenderSettings, name: str, *matchers: str) -> str:
    """Largest value on each replica."""
    return worst(board_series(settings, name, *matchers), settings.labels.instance)


def top(expression: str, course: str, label: str, step: str = "") -> str:
    """*expression* for the ``$top`` values of *label* whose *course* reached highest in the time range.

    They are chosen once, at the end of the range, so that lines do not come and go with every step. A course
    that is not a plain series needs a *step*.
    """
    values = f"({course})[$__range:{step}]" if step else f"{course}[$__range]"
    highest = f"max by ({label}) (max_over_time({values} @ end()))"
    return f"{expression} and on ({label}) topk($top, {highest})"


def drifting_seconds(settings: RenderSettings, labels: tuple[str, ...], *matchers: str) -> str:
    """How long the first drifted feature among each of *labels* has been so; 0 where none is."""
    score, onset = (board_series(settings, name, *matchers) for name in _DRIFT)
    drifted = f"{onset} and {score} > {settings.thresholds.drift_score:g}"
    return f"time() - min by {by(labels)} ({drifted}) or 0 * max by {by(labels)} ({score})"


def cause(settings: RenderSettings, each: Sequence[str], shown: Sequence[str], *matchers: str) -> str:
    """Highest drift score for *each*, with the labels *shown*: `cause`, `cell` and those of the feature."""
    labels = settings.labels
    score, info = (
        board_series(settings, name, *matchers) for name in ("feature_drift_score", "feature_drift_info")
    )
    same = by(labels.job, labels.instance, labels.one_feature)
    # One of them, should there be two: without a marker of staleness the last cause stays for five minutes.
    told = f"{score} * on {same} group_left (cause, cell) topk by {same} (1, {info})"
    return f"max by {by(each, shown)} (topk by {by(each)} (1, {told}))" if each else f"topk(1, {told})"


def over_noise(settings: RenderSettings, statistic: str, *matchers: str) -> str:
    """A statistic as a multiple of what noise alone explains."""
    return (
        f"{board_series(settings, f'feature_{statistic}', *matchers)} / "
        f"({board_series(settings, f'feature_{statistic}_critical', *matchers)} > 0)"
    )


def rise(settings: RenderSettings, ratio: str) -> str:
    """Share of rows that are missing, unseen or out of range, less the reference's share."""
    labels = settings.labels
    live = board_series(settings, f"feature_{ratio}_ratio", *known(settings, window=True))
    normal = board_series(settings, f"feature_reference_{ratio}_ratio", *known(settings))
    return f"{live} - ignoring ({labels.window}) group_left () {normal}"


def firing(matcher: str) -> str:
    """Alerts of driftgauge that fire."""
    return f'ALERTS{{alertname=~"Driftgauge.+",alertstate="firing",{matcher}}}'


def alerts_firing(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """How many of driftgauge's alerts fire for each of *labels*; 0 where none does."""
    there = board_series(settings, "last_evaluation_timestamp_seconds", matcher)
    if not labels:
        return f"count({firing(matcher)}) or 0 * count({there})"
    return f"count by {by(labels)} ({firing(matcher)}) or 0 * count by {by(labels)} ({there})"


def evaluation_age(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """Seconds since the last evaluation of the replica that is most behind."""
    oldest = board_series(settings, "last_evaluation_timestamp_seconds", matcher)
    return f"time() - min by {by(labels)} ({oldest})" if labels else f"time() - min({oldest})"


def windows_ready(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """Share of the windows of all replicas that hold enough rows to have statistics."""
    one = by(
        settings.labels.job, settings.labels.instance, settings.labels.one_version, settings.labels.window
    )
    ready = f"count by {one} ({board_series(settings, 'feature_psi', matcher)})"
    windows = board_series(settings, "window_rows", matcher)
    alike = f"count by {by(labels)} ({windows})"
    return f"(count by {by(labels)} ({ready}) or 0 * {alike}) / {alike}"


def dropped_ratio(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """Share of the rows offered that were lost; 0 without traffic."""
    lost = rate(board_series(settings, "rows_dropped_total", matcher), *labels)
    offered = rate(board_series(settings, "rows_total", matcher), *labels)
    return f"{lost} / ({offered} > 0) or 0 * {offered}"


def sampled_ratio(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """Share of the rows offered that were taken into the windows; 0 without traffic."""
    taken = rate(board_series(settings, "rows_sampled_total", matcher), *labels)
    offered = rate(board_series(settings, "rows_total", matcher), *labels)
    return f"{taken} / ({offered} > 0) or 0 * {offered}"


def dropped_by_reason(settings: RenderSettings, matcher: str) -> str:
    """Rows a second lost, by reason."""
    return rate(board_series(settings, "rows_dropped_total", matcher), "reason")


def errors_by_stage(settings: RenderSettings, matcher: str) -> str:
    """Errors of driftgauge's own in the last ten minutes, by stage."""
    errors = board_series(settings, "internal_errors_total", matcher)
    return f"sum by (stage) (increase({errors}[10m]))"


def of_payloads(settings: RenderSettings, name: str, label: str, *matchers: str) -> str:
    """Payloads a second of one of the counters of payloads, for each value of *label*, over all that came.

    But ``dropped`` itself, all are shares of those that were looked into: sampling is no loss.
    """
    part = rate(board_series(settings, f"payloads_{name}_total", *matchers), label)
    whole = rate(board_series(settings, "payloads_total", *matchers))
    if name != "dropped":
        whole = f"{whole} - {rate(board_series(settings, 'payloads_dropped_total', *matchers))}"
    return f"{part} / on () group_left () ({whole} > 0)"


def on_target(settings: RenderSettings, name: str) -> str:
    """A number that Prometheus itself keeps for each target, for targets that export driftgauge."""
    labels = settings.labels
    where = f'{labels.job}=~"$job",{labels.instance}=~"$instance"'
    ours = worst(board_series(settings, "last_evaluation_timestamp_seconds"), labels.job, labels.instance)
    target = worst(settings.series(name, where), labels.job, labels.instance)
    return f"{target} and on {by(labels.job, labels.instance)} {ours}"


def replicas(settings: RenderSettings, matcher: str, *labels: str) -> str:
    """How many replicas report."""
    alive = board_series(settings, "last_evaluation_timestamp_seconds", matcher)
    return f"count by {by(labels)} ({alive})" if labels else f"count({alive})"


def references_in_force(settings: RenderSettings, *labels: str) -> str:
    """How many replicas use each reference; without *labels*, how many references are in use."""
    info = board_series(settings, "reference_info", *known(settings))
    if labels:
        return f"count by {by(labels)} ({info})"
    return f"count(count by (reference_id) ({info}))"


def distance_from_median(settings: RenderSettings, statistic: str) -> str:
    """How far each replica is from the median of all, in the feature in which it is farthest."""
    labels = settings.labels
    each = board_series(settings, f"feature_{statistic}", *known(settings, window=True))
    same = by(labels.one_feature, labels.window)
    return (
        f"max by ({labels.instance}) (abs({each} - on {same} group_left () quantile by {same} (0.5, {each})))"
    )


def new_series(settings: RenderSettings, name: str, label: str) -> str:
    """1 in the five minutes after a model showed a new value of *label*: a deploy, or a new reference."""
    labels = settings.labels
    each = by(labels.model, label)
    now = board_series(settings, name, f'{labels.model}=~"$model"')
    return f"count by {each} ({now}) unless count by {each} ({now} offset 5m)"


def together(settings: RenderSettings, *matchers: str) -> str:
    """Highest drift score of a combination of features, as if it were a feature."""
    series = worst(board_series(settings, "virtual_drift_score", *matchers))
    return f'label_replace({series}, "{settings.labels.feature}", "~ features together", "", "")'


def told_apart(expression: str) -> str:
    """*expression* with the label `reference`: the first eight digits of the id, enough for a legend."""
    return f'label_replace({expression}, "reference", "$1", "{REFERENCE}", "(.{{8}}).*")'


def mean_of(expression: str, *labels: str) -> str:
    """Mean over the replicas: for places and spreads, which keep their sign and unit; never for ratios."""
    return f"avg by {by(labels)} ({expression})" if labels else f"avg({expression})"


def errors_lately(settings: RenderSettings, matcher: str) -> str:
    """Errors of driftgauge's own in the last ten minutes."""
    return f"sum(increase({board_series(settings, 'internal_errors_total', matcher)}[10m]))"


def farthest_replica(settings: RenderSettings, statistic: str) -> str:
    """The replica that is farthest from the median of all, and how far."""
    return f"topk(1, {distance_from_median(settings, statistic)})"


def fleet_by_reference(settings: RenderSettings, statistic: str, *matchers: str) -> str:
    """PSI or KS of the fleet in the range ``$range``, one series for each reference in force."""
    return told_apart(worst(fleet_statistic(settings, statistic, "${range}", *matchers), REFERENCE))

"""What the recording rules compute of the replicas' gauges: evidence and shares of the fleet, and losses.

Shares are weighed by each replica's rows, evidence is averaged as evidence may be. As in
`driftgauge.render.fleet`, replicas with two references are never put together.
"""

from __future__ import annotations

from driftgauge.render import queries
from driftgauge.render.queries import INFO, NORMAL, REFERENCE, by, with_reference
from driftgauge.render.settings import RenderSettings

__all__ = [
    "dropped_share",
    "feature_score",
    "model_score",
    "ratio",
    "ratio_rise",
    "ratio_rise_noise",
    "reference_ratio",
    "reference_rows",
    "replicas",
    "rows_in_windows",
    "single_reference",
]


def single_reference(settings: RenderSettings) -> str:
    """Reference of each replica that has a single one.

    A replica that seems to have two would make every join fail, for all models. Where samples do not say that
    they have ended, such as after a push, the old reference is seen for five minutes beside the new one.
    """
    info = settings.series(INFO)
    return f"{info}\nand ignoring ({REFERENCE})\n(count without ({REFERENCE}) ({info}) == 1)"


def replicas(settings: RenderSettings) -> str:
    """How many replicas have each reference."""
    return f"count by {by(settings.labels.one_version, REFERENCE)} ({settings.series(INFO)})"


def reference_rows(settings: RenderSettings) -> str:
    """Rows of each reference."""
    rows = with_reference(settings, settings.series("driftgauge_reference_rows"))
    return f"max by {by(settings.labels.one_version, REFERENCE)} (\n  {rows}\n)"


def rows_in_windows(settings: RenderSettings) -> str:
    """Rows of all replicas in windows that have statistics."""
    labels = settings.labels
    window = (*labels.one_version, labels.window)
    rows = settings.series("driftgauge_window_rows")
    with_statistics = settings.series("driftgauge_feature_missing_ratio")
    ignored = by(labels.window, REFERENCE)
    return (
        f"sum by {by(window, REFERENCE)} (\n"
        f"  ({rows} and ignoring {by(labels.feature, labels.kind)} {with_statistics})\n"
        f"  * ignoring {ignored} group_left ({REFERENCE}) {queries.replica_reference(settings)}\n"
        f")"
    )


def ratio(settings: RenderSettings, name: str) -> str:
    """Share over the rows in all replicas' windows: each replica counts by its rows."""
    labels = settings.labels
    ratio = settings.series(f"driftgauge_feature_{name}")
    ignored = by(labels.feature, labels.kind, labels.window, REFERENCE)
    return (
        f"sum by {by(labels.one_feature, labels.window, REFERENCE)} (\n"
        f"  (\n"
        f"    {ratio}\n"
        f"    * ignoring {by(labels.feature, labels.kind)} group_left ()\n"
        f"    {settings.series('driftgauge_window_rows')}\n"
        f"  )\n"
        f"  * ignoring {ignored} group_left ({REFERENCE}) {queries.replica_reference(settings)}\n"
        f")\n"
        f"/ on {by(labels.one_version, labels.window, REFERENCE)} group_left ()\n"
        f"({queries.fleet_window_rows(settings)} >= {settings.thresholds.min_rows})"
    )


def reference_ratio(settings: RenderSettings, name: str) -> str:
    """Share of each reference's rows."""
    labels = settings.labels
    return (
        f"max by {by(labels.one_feature, REFERENCE)} (\n"
        f"  {settings.series(f'driftgauge_feature_reference_{name}')}\n"
        f"  * ignoring {by(labels.feature, labels.kind, REFERENCE)} group_left ({REFERENCE})"
        f" {queries.replica_reference(settings)}\n"
        f")"
    )


def ratio_rise(settings: RenderSettings, name: str) -> str:
    """How far the share is above the reference's."""
    at = by(settings.labels.one_feature, REFERENCE)
    return (
        f"{queries.fleet_ratio(settings, name)}\n"
        f"- on {at} group_left ()\n"
        f"{queries.fleet_reference_ratio(settings, name)}"
    )


def ratio_rise_noise(settings: RenderSettings, name: str) -> str:
    """Rise that noise alone exceeds in one look of 1,000, by the normal law of a share."""
    labels = settings.labels
    share = queries.fleet_ratio(settings, name)
    return (
        f"{NORMAL} * sqrt(\n"
        f"  {share} * (1 - {share})\n"
        f"  * on {by(labels.one_version, labels.window, REFERENCE)} group_left ()\n"
        f"  (\n"
        f"    1 / {queries.fleet_window_rows(settings)}\n"
        f"    + on {by(labels.one_version, REFERENCE)} group_left ()\n"
        f"    1 / {queries.fleet_reference_rows(settings)}\n"
        f"  )\n"
        f")"
    )


def feature_score(settings: RenderSettings) -> str:
    """Drift score of each feature by the evidence of all replicas.

    Evidence is ``budget ^ score``. The mean of the replicas' evidence keeps the false-alarm rate of one, also
    when their traffic is alike; the largest score would not. One replica of ten alone needs a score of 1.2.
    A feature's own budget is larger than the model's, which is exported: the mean errs to the low side.
    """
    labels = settings.labels
    return _mean_evidence(
        settings, "driftgauge_feature_drift_score", (labels.feature, labels.kind), "group_left ()"
    )


def model_score(settings: RenderSettings) -> str:
    """Drift score of the model by the evidence of all replicas, as `feature_score`."""
    return _mean_evidence(settings, "driftgauge_model_drift_score", (), "")


def dropped_share(settings: RenderSettings) -> str:
    """Share of offered rows that could not be taken, by reason; nothing while no row is offered."""
    labels, range = settings.labels, settings.ranges.rate
    dropped = settings.series("driftgauge_rows_dropped_total")
    offered = settings.series("driftgauge_rows_total")
    return (
        f"sum by {by(labels.one_version, 'reason')} (rate({dropped}[{range}]))\n"
        f"/ on {by(labels.one_version)} group_left ()\n"
        f"(sum by {by(labels.one_version)} (rate({offered}[{range}])) > 0)"
    )


def payloads_dropped_share(settings: RenderSettings) -> str:
    """Share of payloads that found the queue full, of those that nothing else kept from being looked into."""
    dropped = "driftgauge_payloads_dropped_total"
    full, others = (settings.series(dropped, f'reason{sign}"queue_full"') for sign in ("=", "!="))
    return _share_of_payloads(settings, full, others)


def payloads_undecodable_share(settings: RenderSettings) -> str:
    """Share of the payloads looked into that could not be decoded, by reason."""
    undecodable = settings.series("driftgauge_payloads_undecodable_total")
    return _share_of_payloads(settings, undecodable, settings.series("driftgauge_payloads_dropped_total"))


def _share_of_payloads(settings: RenderSettings, part: str, left_out: str) -> str:
    """*part* by reason over all payloads but those *left_out*; nothing while no payload comes."""
    at, range = (*settings.labels.one_version, "way", "protocol"), settings.ranges.rate
    offered = settings.series("driftgauge_payloads_total")
    return (
        f"sum by {by(at, 'reason')} (rate({part}[{range}]))\n"
        f"/ on {by(at)} group_left ()\n"
        f"(\n"
        f"  sum by {by(at)} (rate({offered}[{range}]))\n"
        f"  - on {by(at)}\n"
        f"  sum by {by(at)} (rate({left_out}[{range}]))\n"
        f"  > 0\n"
        f")"
    )


def _mean_evidence(settings: RenderSettings, metric: str, own: tuple[str, ...], grouping: str) -> str:
    labels = settings.labels
    version = (*labels.one_version, REFERENCE)
    budget = settings.series("driftgauge_drift_budget_evaluations")
    own_reference = f"group_left ({REFERENCE}) {queries.replica_reference(settings)}"
    matching = f"ignoring {by(own)} {grouping} " if own else ""
    return (
        f"ln(\n"
        f"  avg by {by(labels.one_version, own, REFERENCE)} (\n"
        f"    exp({settings.series(metric)} * {matching}ln({budget}))\n"
        f"    * ignoring {by(own, REFERENCE)} {own_reference}\n"
        f"  )\n"
        f")\n"
        f"/ on {by(version)} group_left ()\n"
        f"ln(\n"
        f"  avg by {by(version)} (\n"
        f"    {with_reference(settings, budget)}\n"
        f"  )\n"
        f")"
    )

"""What the recording rules compute: statistics of all replicas together, from what each one exports.

Counts of replicas add up, statistics do not: with unequal traffic the mean of two replicas' PSI was 15 times
the PSI of their rows together. So rows per bin are added first, and PSI and KS taken of the sums.

Every series is first given the `reference_id` of its replica. Replicas with one reference have the same bins;
replicas with two are never added up.
"""

from __future__ import annotations

from typing import Final

from driftgauge.render import queries
from driftgauge.render.queries import REFERENCE, by
from driftgauge.render.settings import RenderSettings

__all__ = [
    "bin_increase",
    "bins_used",
    "dropped_share",
    "feature_score",
    "ks",
    "ks_critical",
    "model_score",
    "psi",
    "psi_critical",
    "ratio",
    "reference_bins",
    "reference_ratio",
    "reference_rows",
    "replicas",
    "rows_in_windows",
    "single_bins",
]

_LOOKBACK: Final = "5m"  # how far back Prometheus looks for an instant value, unless told otherwise
_INFO: Final = "driftgauge_reference_info"
_BIN: Final = ("bin", "next_bin")
# Normal and Kolmogorov quantiles of one look in 1,000, the level of the one-look line of the noise module.
_NORMAL: Final = "3.0902"
_KOLMOGOROV: Final = "1.9495"


def replicas(settings: RenderSettings) -> str:
    """How many replicas have each reference."""
    return f"count by {by(settings.labels.one_version, REFERENCE)} ({settings.series(_INFO)})"


def reference_rows(settings: RenderSettings) -> str:
    """Rows of each reference."""
    rows = _with_reference(settings, settings.series("driftgauge_reference_rows"))
    return f"max by {by(settings.labels.one_version, REFERENCE)} (\n  {rows}\n)"


def bin_increase(settings: RenderSettings, range: str) -> str:
    """Rows of all replicas in *range*, cumulative over bins.

    A replica that was there all the time contributes the exact difference of its counters; `increase` would
    extrapolate to the ends of the range, by another factor for each replica. One that came, went or restarted
    within the range has no such difference, and there `increase` is the best there is. A target that changed
    its reference within the range is left out, since its rows cannot be told apart.
    """
    name = "driftgauge_feature_bin_rows_total"
    rows, last = settings.series(name), settings.series(name, 'next_bin=""')
    info = settings.series(_INFO)
    labels = settings.labels
    return (
        f"sum by {by(labels.one_feature, REFERENCE, _BIN)} (\n"
        f"  (\n"
        f"    (\n"
        f"      ({rows} - {rows} offset {range})\n"
        f"      unless ignoring {by(_BIN)} (resets({last}[{range}{_LOOKBACK}]) > 0)\n"
        f"    )\n"
        f"    or\n"
        f"    increase({rows}[{range}])\n"
        f"  )\n"
        f"  * ignoring {by(labels.feature, labels.kind, _BIN, REFERENCE)} group_left ({REFERENCE})\n"
        f"  (\n"
        f"    last_over_time({info}[{range}])\n"
        f"    and ignoring ({REFERENCE})\n"
        f"    (count without ({REFERENCE}) (last_over_time({info}[{range}])) == 1)\n"
        f"  )\n"
        f")"
    )


def reference_bins(settings: RenderSettings) -> str:
    """Rows of each reference, cumulative over bins: the whole numbers that the ratios were made from."""
    labels = settings.labels
    rows = _with_reference(settings, settings.series("driftgauge_reference_rows"))
    return (
        f"round(\n"
        f"  max by {by(labels.one_feature, REFERENCE, _BIN)} (\n"
        f"    {settings.series('driftgauge_feature_reference_bin_ratio')}\n"
        f"    * ignoring {by(labels.feature, labels.kind, _BIN, REFERENCE)} group_left ({REFERENCE})\n"
        f"    ({rows})\n"
        f"  )\n"
        f")"
    )


def single_bins(cumulative: str) -> str:
    """Rows in each bin by itself, from the recorded series of rows in it and all before it."""
    inside = cumulative.removesuffix("}").partition("{")
    assert not inside[1], "the whole series, without matchers"
    before = f'label_replace({cumulative}{{next_bin!=""}}, "bin", "$1", "next_bin", "(.+)")'
    return (
        f"clamp_min(\n"
        f"  sum without (next_bin) ({cumulative})\n"
        f"  - (\n"
        f"    sum without (next_bin) ({before})\n"
        f"    or\n"
        f"    sum without (next_bin) ({cumulative}) * 0\n"
        f"  ),\n"
        f"  0\n"
        f")"
    )


def bins_used(settings: RenderSettings, range: str) -> str:
    """How many bins are not empty on both sides; the others do not count."""
    return f"count without (bin) ({_used(settings, range)})"


def psi(settings: RenderSettings, range: str) -> str:
    """PSI of all replicas' rows in *range*; half a row is added to every bin in use, on both sides."""
    bins = queries.fleet_bins_used(settings, range)
    live = queries.fleet_bin_rows(settings, range)
    known = queries.fleet_reference_bin_rows(settings)
    used = _used(settings, range)

    def smoothed(rows: str) -> str:
        return (
            f"((({rows} + 0.5) and ({used})) / ignoring (bin) group_left () "
            f"(sum without (bin) ({rows}) + 0.5 * {bins}))"
        )

    p, q = smoothed(live), smoothed(known)
    return (
        f"sum without (bin) (\n"
        f"  (\n"
        f"    {p}\n"
        f"    - {q}\n"
        f"  )\n"
        f"  * ln(\n"
        f"    {p}\n"
        f"    / {q}\n"
        f"  )\n"
        f")\n"
        f"and ({queries.fleet_rows(settings, range)} >= {settings.thresholds.min_rows})"
    )


def psi_critical(settings: RenderSettings, range: str) -> str:
    """PSI that noise alone exceeds in one look of 1,000: ``(1/n + 1/m)`` times a quantile of chi-square.

    The quantile by Wilson and Hilferty (1931), at most 3 % too high for two bins and 1 % for ten.
    """
    freedom = f"({queries.fleet_bins_used(settings, range)} - 1 > 0)"
    return (
        f"{_noise(settings, range)}\n"
        f"* {freedom}\n"
        f"* (1 - 2 / (9 * {freedom}) + {_NORMAL} * sqrt(2 / (9 * {freedom}))) ^ 3\n"
        f"and {queries.fleet_statistic(settings, 'psi', range)}"
    )


def ks(settings: RenderSettings, range: str) -> str:
    """Largest difference of two distribution functions at the bins' borders, of numbers that are not missing.

    The last bin is always that of what is missing. Between borders the difference can be larger, so this is
    at most the KS of the rows.
    """
    live = queries.fleet_bins_up_to(settings, range, 'next_bin!=""')
    known = queries.fleet_reference_bins_up_to(settings, 'next_bin!=""')
    least = settings.thresholds.min_rows
    numeric = settings.series("driftgauge_feature_ks_error_bound")
    return (
        f"max without {by(_BIN)} (\n"
        f"  abs(\n"
        f"    {live} / ignoring {by(_BIN)} group_left ()\n"
        f"    (max without {by(_BIN)} ({live}) >= {least})\n"
        f"    - {known} / ignoring {by(_BIN)} group_left ()\n"
        f"    (max without {by(_BIN)} ({known}) > 0)\n"
        f"  )\n"
        f")\n"
        f"and on {by(settings.labels.one_feature)} {numeric}"
    )


def ks_critical(settings: RenderSettings, range: str) -> str:
    """KS that noise alone exceeds in one look of 1,000, by Kolmogorov's law."""
    return (
        f"{_KOLMOGOROV} * sqrt({_noise(settings, range)})\n"
        f"and {queries.fleet_statistic(settings, 'ks', range)}"
    )


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
        f"  * ignoring {ignored} group_left ({REFERENCE}) {settings.series(_INFO)}\n"
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
        f"  * ignoring {ignored} group_left ({REFERENCE}) {settings.series(_INFO)}\n"
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
        f" {settings.series(_INFO)}\n"
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


def _mean_evidence(settings: RenderSettings, metric: str, own: tuple[str, ...], grouping: str) -> str:
    labels = settings.labels
    version = (*labels.one_version, REFERENCE)
    budget = settings.series("driftgauge_drift_budget_evaluations")
    matching = f"ignoring {by(own)} {grouping} " if own else ""
    return (
        f"ln(\n"
        f"  avg by {by(labels.one_version, own, REFERENCE)} (\n"
        f"    exp({settings.series(metric)} * {matching}ln({budget}))\n"
        f"    * ignoring {by(own, REFERENCE)} group_left ({REFERENCE}) {settings.series(_INFO)}\n"
        f"  )\n"
        f")\n"
        f"/ on {by(version)} group_left ()\n"
        f"ln(\n"
        f"  avg by {by(version)} (\n"
        f"    {_with_reference(settings, budget)}\n"
        f"  )\n"
        f")"
    )


def _with_reference(settings: RenderSettings, series: str) -> str:
    """A series of each replica's model, with the `reference_id` that the replica has."""
    return f"{settings.series(_INFO)} * ignoring ({REFERENCE}) group_left () {series}"


def _used(settings: RenderSettings, range: str) -> str:
    live = queries.fleet_bin_rows(settings, range)
    return f"{live} + {queries.fleet_reference_bin_rows(settings)} > 0"


def _noise(settings: RenderSettings, range: str) -> str:
    """``1/n + 1/m`` of the rows in *range* and the reference's."""
    at = by(settings.labels.one_version, REFERENCE)
    return (
        f"(1 / {queries.fleet_rows(settings, range)}"
        f" + on {at} group_left () 1 / {queries.fleet_reference_rows(settings)})"
    )

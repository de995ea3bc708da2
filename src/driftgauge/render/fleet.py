"""What the recording rules compute of bin counters: PSI and KS of all replicas' rows together.

Counts of replicas add up, statistics do not: with unequal traffic the mean of two replicas' PSI was 15 times
the PSI of their rows together. So rows per bin are added first, and PSI and KS taken of the sums.

Every series is first given the `reference_id` of its replica. Replicas with one reference have the same bins;
replicas with two are never added up.
"""

from __future__ import annotations

from typing import Final

from driftgauge.render import queries
from driftgauge.render._toml_values import check_duration, duration_text
from driftgauge.render.queries import INFO, NORMAL, REFERENCE, by, with_reference
from driftgauge.render.settings import RenderSettings

__all__ = [
    "bin_increase",
    "bins_used",
    "ks",
    "ks_critical",
    "psi",
    "psi_critical",
    "reference_bins",
    "rows",
    "single_bins",
]

_LOOKBACK_SECONDS: Final = 300  # how far back Prometheus looks for an instant value, unless told otherwise
_BIN: Final = ("bin", "next_bin")
_KOLMOGOROV: Final = "1.9495"  # of one look in 1,000, as `NORMAL`


def bin_increase(settings: RenderSettings, range: str) -> str:
    """Rows of all replicas in *range*, cumulative over bins.

    A replica that was there all the time contributes the exact difference of its counters; `increase` would
    extrapolate to the ends of the range, by another factor for each replica. One that came, went or restarted
    within the range has no such difference, and there `increase` is the best there is. A target that changed
    its reference within the range is left out, since its rows cannot be told apart.
    """
    name = "driftgauge_feature_bin_rows_total"
    rows, last = settings.series(name), settings.series(name, 'next_bin=""')
    info = settings.series(INFO)
    labels = settings.labels
    longer = duration_text(check_duration("range", range) + _LOOKBACK_SECONDS)
    return (
        f"sum by {by(labels.one_feature, REFERENCE, _BIN)} (\n"
        f"  (\n"
        f"    (\n"
        f"      ({rows} - {rows} offset {range})\n"
        f"      unless ignoring {by(_BIN)} (resets({last}[{longer}]) > 0)\n"
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
    rows = with_reference(settings, settings.series("driftgauge_reference_rows"))
    return (
        f"round(\n"
        f"  max by {by(labels.one_feature, REFERENCE, _BIN)} (\n"
        f"    {settings.series('driftgauge_feature_reference_bin_ratio')}\n"
        f"    * ignoring {by(labels.feature, labels.kind, _BIN, REFERENCE)} group_left ({REFERENCE})\n"
        f"    ({rows})\n"
        f"  )\n"
        f")"
    )


def single_bins(settings: RenderSettings, cumulative: str) -> str:
    """Rows in each bin by itself, from the recorded series of rows in it and all before it."""
    total = f"sum by {by(settings.labels.one_feature, REFERENCE, 'bin')}"
    before = f'label_replace({cumulative}{{next_bin!=""}}, "bin", "$1", "next_bin", "(.+)")'
    return (
        f"clamp_min(\n"
        f"  {total} ({cumulative})\n"
        f"  - (\n"
        f"    {total} ({before})\n"
        f"    or\n"
        f"    {total} ({cumulative}) * 0\n"
        f"  ),\n"
        f"  0\n"
        f")"
    )


def rows(settings: RenderSettings, range: str) -> str:
    """Rows of all replicas in *range*."""
    feature = by(settings.labels.one_feature, REFERENCE)
    return f"sum by {feature} ({queries.fleet_bin_rows(settings, range)})"


def bins_used(settings: RenderSettings, range: str) -> str:
    """How many bins are not empty on both sides; the others do not count."""
    feature = by(settings.labels.one_feature, REFERENCE)
    live, known = queries.fleet_bin_rows(settings, range), queries.fleet_reference_bin_rows(settings)
    return f"count by {feature} (\n  {live}\n  + {known} > 0\n)"


def psi(settings: RenderSettings, range: str) -> str:
    """PSI of all replicas' rows in *range*; half a row is added to every bin in use, on both sides."""
    feature = by(settings.labels.one_feature, REFERENCE)
    bins = queries.fleet_bins_used(settings, range)
    live, known = queries.fleet_bin_rows(settings, range), queries.fleet_reference_bin_rows(settings)

    at = by(settings.labels.one_version, REFERENCE)
    all_live = f"({queries.fleet_rows(settings, range)} + 0.5 * {bins})"
    all_known = f"(0.5 * {bins} + on {at} group_left () {queries.fleet_reference_rows(settings)})"
    p = f"({live} + 0.5)\n    / ignoring (bin) group_left ()\n    {all_live}"
    q = f"({known} + 0.5)\n    / ignoring (bin) group_left ()\n    {all_known}"
    return (
        f"sum by {feature} (\n"
        f"  (\n"
        f"    {p}\n"
        f"    -\n"
        f"    {q}\n"
        f"  )\n"
        f"  * ln(\n"
        f"    {p}\n"
        f"    / (\n"
        f"    {q}\n"
        f"    )\n"
        f"  )\n"
        f"  and\n"
        f"  ({live} + {known} > 0)\n"
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
        f"* (1 - 2 / (9 * {freedom}) + {NORMAL} * sqrt(2 / (9 * {freedom}))) ^ 3\n"
        f"and {queries.fleet_statistic(settings, 'psi', range)}"
    )


def ks(settings: RenderSettings, range: str) -> str:
    """Largest difference of two distribution functions at the bins' borders, of numbers that are not missing.

    The last bin is always that of what is missing. Between borders the difference can be larger, so this is
    at most the KS of the rows.
    """
    feature = by(settings.labels.one_feature, REFERENCE)
    live = queries.fleet_bins_up_to(settings, range, 'next_bin!=""')
    known = queries.fleet_reference_bins_up_to(settings, 'next_bin!=""')
    least = settings.thresholds.min_rows
    numeric = settings.series("driftgauge_feature_ks_error_bound")
    return (
        f"max by {feature} (\n"
        f"  abs(\n"
        f"    {live}\n"
        f"    / ignoring {by(_BIN)} group_left ()\n"
        f"    (max by {feature} ({live}) >= {least})\n"
        f"    -\n"
        f"    {known}\n"
        f"    / ignoring {by(_BIN)} group_left ()\n"
        f"    (max by {feature} ({known}) > 0)\n"
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


def _noise(settings: RenderSettings, range: str) -> str:
    """``1/n + 1/m`` of the rows in *range* and the reference's."""
    at = by(settings.labels.one_version, REFERENCE)
    return (
        f"(1 / {queries.fleet_rows(settings, range)}"
        f" + on {at} group_left () 1 / {queries.fleet_reference_rows(settings)})"
    )

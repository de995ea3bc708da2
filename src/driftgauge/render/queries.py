"""PromQL of the fleet, as functions of the settings. Rules record it, boards and alerts read it.

Whatever is recorded for the fleet keeps the labels of the model, its version and `reference_id`, and drops
those of the replica. Two references in force at once are two series: they are shown, never averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from driftgauge.render.settings import RenderSettings

__all__ = [
    "FLEET_RATIOS",
    "FLEET_STATISTICS",
    "INFO",
    "NORMAL",
    "REFERENCE",
    "by",
    "dropped_ratio",
    "fleet_bin_rows",
    "fleet_bin_share",
    "fleet_bins_up_to",
    "fleet_bins_used",
    "fleet_model_score",
    "fleet_ratio",
    "fleet_ratio_rise",
    "fleet_ratio_rise_noise",
    "fleet_reference_bin_rows",
    "fleet_reference_bin_share",
    "fleet_reference_bins_up_to",
    "fleet_reference_ratio",
    "fleet_reference_rows",
    "fleet_rows",
    "fleet_score",
    "fleet_statistic",
    "fleet_window_rows",
    "held",
    "payloads_dropped_ratio",
    "payloads_undecodable_ratio",
    "references",
    "replica_reference",
    "with_reference",
]

INFO: Final = "driftgauge_reference_info"
REFERENCE: Final = "reference_id"
# Normal quantile of one look in 1,000, the level at which noise has its line when no budget sets one.
NORMAL: Final = "3.0902"
FLEET_STATISTICS: Final = ("psi", "psi_critical", "ks", "ks_critical")
FLEET_RATIOS: Final = ("missing_ratio", "unseen_ratio", "out_of_range_ratio")


def by(*labels: str | Iterable[str]) -> str:
    """Labels for a ``by``, ``on`` or ``ignoring``: ``'(model, feature)'``.

    Examples
    --------
    >>> by(("model", "feature"), "bin")
    '(model, feature, bin)'
    """
    names = [name for each in labels for name in ([each] if isinstance(each, str) else each)]
    return f"({', '.join(names)})"


def fleet_statistic(settings: RenderSettings, statistic: str, range: str, *matchers: str) -> str:
    """Recorded PSI or KS over all replicas, one of `FLEET_STATISTICS`.

    *range* is ``settings.ranges.short`` or ``.long``. Labels: those of the feature and `reference_id`.
    """
    del settings
    return _recorded(f"model_reference_feature:driftgauge_feature_{statistic}:fleet{range}", matchers)


def fleet_rows(settings: RenderSettings, range: str, *matchers: str) -> str:
    """Recorded rows of all replicas in *range*, of each feature and reference."""
    del settings
    return _recorded(f"model_reference_feature:driftgauge_feature_rows:increase{range}", matchers)


def fleet_bin_rows(settings: RenderSettings, range: str, *matchers: str) -> str:
    """Recorded rows of all replicas in *range* in each bin by itself; labels end in `bin`."""
    del settings
    return _recorded(f"model_reference_feature_bin:driftgauge_feature_bin_rows:alone{range}", matchers)


def fleet_bin_share(settings: RenderSettings, range: str, *matchers: str) -> str:
    """Share of all replicas' rows in *range* that fell into each bin, 0 to 1."""
    rows, feature = fleet_bin_rows(settings, range, *matchers), by(settings.labels.one_feature, REFERENCE)
    return f"{rows} / ignoring (bin) group_left () (sum by {feature} ({rows}) > 0)"


def fleet_bins_up_to(settings: RenderSettings, range: str, *matchers: str) -> str:
    """Recorded rows of all replicas in *range* in each bin and all before it; labels `bin` and `next_bin`."""
    del settings
    return _recorded(f"model_reference_feature_bin:driftgauge_feature_bin_rows:increase{range}", matchers)


def fleet_bins_used(settings: RenderSettings, range: str, *matchers: str) -> str:
    """Recorded number of bins that hold rows of the reference or, in *range*, of any replica."""
    del settings
    return _recorded(f"model_reference_feature:driftgauge_feature_bins:used{range}", matchers)


def fleet_reference_bin_rows(settings: RenderSettings, *matchers: str) -> str:
    """Recorded rows of the reference in each bin by itself; labels as `fleet_bin_rows`."""
    del settings
    return _recorded("model_reference_feature_bin:driftgauge_feature_reference_bin_rows:alone", matchers)


def fleet_reference_bins_up_to(settings: RenderSettings, *matchers: str) -> str:
    """Recorded rows of the reference in each bin and all before it; labels as `fleet_bins_up_to`."""
    del settings
    return _recorded("model_reference_feature_bin:driftgauge_feature_reference_bin_rows:max", matchers)


def fleet_reference_bin_share(settings: RenderSettings, *matchers: str) -> str:
    """Share of the reference's rows in each bin, 0 to 1; labels as `fleet_bin_share`."""
    rows, feature = fleet_reference_bin_rows(settings, *matchers), by(settings.labels.one_feature, REFERENCE)
    return f"{rows} / ignoring (bin) group_left () (sum by {feature} ({rows}) > 0)"


def fleet_ratio(settings: RenderSettings, ratio: str, *matchers: str) -> str:
    """Recorded share of the rows in all replicas' windows, one of `FLEET_RATIOS`; also by window."""
    del settings
    return _recorded(f"model_reference_feature_window:driftgauge_feature_{ratio}:fleet", matchers)


def fleet_ratio_rise(settings: RenderSettings, ratio: str, *matchers: str) -> str:
    """Recorded rise of a share over the reference's; labels as `fleet_ratio`."""
    del settings
    return _recorded(f"model_reference_feature_window:driftgauge_feature_{ratio}:rise", matchers)


def fleet_ratio_rise_noise(settings: RenderSettings, ratio: str, *matchers: str) -> str:
    """Recorded rise that noise alone explains; labels as `fleet_ratio`."""
    del settings
    return _recorded(f"model_reference_feature_window:driftgauge_feature_{ratio}:rise_noise", matchers)


def fleet_reference_ratio(settings: RenderSettings, ratio: str, *matchers: str) -> str:
    """Recorded share of the reference's rows, one of `FLEET_RATIOS`."""
    del settings
    return _recorded(f"model_reference_feature:driftgauge_feature_reference_{ratio}:max", matchers)


def fleet_window_rows(settings: RenderSettings, *matchers: str) -> str:
    """Recorded rows in all replicas' windows that have statistics."""
    del settings
    return _recorded("model_reference_window:driftgauge_window_rows:sum", matchers)


def fleet_reference_rows(settings: RenderSettings, *matchers: str) -> str:
    """Recorded rows that each reference in force was made from."""
    del settings
    return _recorded("model_reference:driftgauge_reference_rows:max", matchers)


def replica_reference(settings: RenderSettings) -> str:
    """Recorded reference of each replica, with the labels of the replica; always 1."""
    del settings
    return _recorded("replica_reference:driftgauge_reference_info:single", ())


def references(settings: RenderSettings, *matchers: str) -> str:
    """Recorded number of replicas with each reference; two series of a version are two at once."""
    del settings
    return _recorded("model_reference:driftgauge_replicas:count", matchers)


def fleet_score(settings: RenderSettings, *matchers: str) -> str:
    """Recorded drift score of each feature from the evidence of all replicas with one reference."""
    del settings
    return _recorded("model_reference_feature:driftgauge_feature_drift_score:fleet", matchers)


def fleet_model_score(settings: RenderSettings, *matchers: str) -> str:
    """Recorded drift score of the model from the evidence of all replicas with one reference."""
    del settings
    return _recorded("model_reference:driftgauge_model_drift_score:fleet", matchers)


def dropped_ratio(settings: RenderSettings, *matchers: str) -> str:
    """Recorded share of the rows offered that could not be taken, by `reason`."""
    return _recorded(f"model_reason:driftgauge_rows_dropped:ratio_rate{settings.ranges.rate}", matchers)


def payloads_dropped_ratio(settings: RenderSettings, *matchers: str) -> str:
    """Recorded share of the payloads to be looked into that found the queue full; by way and protocol."""
    return _recorded(
        f"model_way_protocol_reason:driftgauge_payloads_dropped:ratio_rate{settings.ranges.rate}", matchers
    )


def payloads_undecodable_ratio(settings: RenderSettings, *matchers: str) -> str:
    """Recorded share of the payloads looked into that could not be decoded; by way, protocol and reason."""
    return _recorded(
        f"model_way_protocol_reason:driftgauge_payloads_undecodable:ratio_rate{settings.ranges.rate}",
        matchers,
    )


def held(settings: RenderSettings, recorded: str) -> str:
    """The last value of a *recorded* series within ``ranges.hold``, of references that are still in force.

    Too few rows give no statistic, so when traffic stops a plain comparison would end and an alert resolve
    although nobody knows better. The last value stands instead, until a new one comes.
    """
    at = by(settings.labels.one_version, REFERENCE)
    return f"(last_over_time({recorded}[{settings.ranges.hold}]) and on {at} {references(settings)})"


def with_reference(settings: RenderSettings, series: str) -> str:
    """A series of each replica's model, with the `reference_id` that the replica has."""
    return f"{replica_reference(settings)} * ignoring ({REFERENCE}) group_left () {series}"


def _recorded(name: str, matchers: Iterable[str]) -> str:
    """Selector of a recorded series, without the site's matchers: their labels may be gone by now."""
    inside = ",".join(matchers)
    return f"{name}{{{inside}}}" if inside else name

"""The groups of recording rules, each rule after those that it reads."""

from __future__ import annotations

from typing import Any

from driftgauge.render import fleet, fleet_gauges, queries
from driftgauge.render.settings import RenderSettings

__all__ = ["recording_groups"]


def recording_groups(settings: RenderSettings) -> list[dict[str, Any]]:
    """Groups of rules as plain values: ``name``, ``interval`` and ``rules`` of ``record`` and ``expr``.

    Rules of one group are evaluated in order at one time, so a statistic sees the counts of its own moment.
    """
    return [
        _group(settings, "driftgauge-replicas", _of_replicas(settings)),
        *(
            _group(settings, f"driftgauge-fleet-{range}", _of_range(settings, range))
            for range in (settings.ranges.short, settings.ranges.long)
        ),
    ]


def _of_replicas(settings: RenderSettings) -> dict[str, str]:
    rules = {
        queries.replica_reference(settings): fleet_gauges.single_reference(settings),
        queries.references(settings): fleet_gauges.replicas(settings),
        queries.fleet_reference_rows(settings): fleet_gauges.reference_rows(settings),
        queries.fleet_score(settings): fleet_gauges.feature_score(settings),
        queries.fleet_model_score(settings): fleet_gauges.model_score(settings),
        queries.fleet_window_rows(settings): fleet_gauges.rows_in_windows(settings),
    }
    for name in queries.FLEET_RATIOS:
        rules[queries.fleet_ratio(settings, name)] = fleet_gauges.ratio(settings, name)
        rules[queries.fleet_reference_ratio(settings, name)] = fleet_gauges.reference_ratio(settings, name)
        rules[queries.fleet_ratio_rise(settings, name)] = fleet_gauges.ratio_rise(settings, name)
        rules[queries.fleet_ratio_rise_noise(settings, name)] = fleet_gauges.ratio_rise_noise(settings, name)
    cumulative = queries.fleet_reference_bins_up_to(settings)
    rules[cumulative] = fleet.reference_bins(settings)
    rules[queries.fleet_reference_bin_rows(settings)] = fleet.single_bins(settings, cumulative)
    rules[queries.dropped_ratio(settings)] = fleet_gauges.dropped_share(settings)
    rules[queries.payloads_dropped_ratio(settings)] = fleet_gauges.payloads_dropped_share(settings)
    rules[queries.payloads_undecodable_ratio(settings)] = fleet_gauges.payloads_undecodable_share(settings)
    return rules


def _of_range(settings: RenderSettings, range: str) -> dict[str, str]:
    cumulative = queries.fleet_bins_up_to(settings, range)
    return {
        cumulative: fleet.bin_increase(settings, range),
        queries.fleet_bin_rows(settings, range): fleet.single_bins(settings, cumulative),
        queries.fleet_rows(settings, range): fleet.rows(settings, range),
        queries.fleet_bins_used(settings, range): fleet.bins_used(settings, range),
        queries.fleet_statistic(settings, "psi", range): fleet.psi(settings, range),
        queries.fleet_statistic(settings, "psi_critical", range): fleet.psi_critical(settings, range),
        queries.fleet_statistic(settings, "ks", range): fleet.ks(settings, range),
        queries.fleet_statistic(settings, "ks_critical", range): fleet.ks_critical(settings, range),
    }


def _group(settings: RenderSettings, name: str, rules: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": settings.ranges.interval,
        "rules": [{"record": record, "expr": expression} for record, expression in rules.items()],
    }

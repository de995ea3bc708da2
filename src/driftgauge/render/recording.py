"""The groups of recording rules, each rule after those that it reads."""

from __future__ import annotations

from typing import Any

from driftgauge.render import fleet, queries
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
        queries.references(settings): fleet.replicas(settings),
        queries.fleet_reference_rows(settings): fleet.reference_rows(settings),
        queries.fleet_score(settings): fleet.feature_score(settings),
        queries.fleet_model_score(settings): fleet.model_score(settings),
        queries.fleet_window_rows(settings): fleet.rows_in_windows(settings),
    }
    for name in queries.FLEET_RATIOS:
        rules[queries.fleet_ratio(settings, name)] = fleet.ratio(settings, name)
        rules[queries.fleet_reference_ratio(settings, name)] = fleet.reference_ratio(settings, name)
    cumulative = queries.fleet_reference_bins_up_to(settings)
    rules[cumulative] = fleet.reference_bins(settings)
    rules[queries.fleet_reference_bin_rows(settings)] = fleet.single_bins(cumulative)
    rules[queries.dropped_ratio(settings)] = fleet.dropped_share(settings)
    return rules


def _of_range(settings: RenderSettings, range: str) -> dict[str, str]:
    cumulative = queries.fleet_bins_up_to(settings, range)
    return {
        cumulative: fleet.bin_increase(settings, range),
        queries.fleet_bin_rows(settings, range): fleet.single_bins(cumulative),
        queries.fleet_rows(settings, range): f"sum without (bin) ({queries.fleet_bin_rows(settings, range)})",
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

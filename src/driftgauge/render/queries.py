"""PromQL of the fleet, as functions of the settings. Rules record it, boards and alerts read it.

Whatever is recorded for the fleet keeps the labels of the model, its version and `reference_id`, and drops
those of the replica. Two references in force at once are two series: they are shown, never averaged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from driftgauge.render.settings import RenderSettings

__all__ = [
    "FLEET_STATISTICS",
    "by",
    "fleet_bin_rows",
    "fleet_bin_share",
    "fleet_model_score",
    "fleet_reference_bin_share",
    "fleet_rows",
    "fleet_score",
    "fleet_statistic",
]

REFERENCE: Final = "reference_id"
FLEET_STATISTICS: Final = ("psi", "psi_critical", "ks", "ks_critical")


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
    rows = fleet_bin_rows(settings, range, *matchers)
    return f"{rows} / ignoring (bin) group_left () (sum without (bin) ({rows}) > 0)"


def fleet_reference_bin_share(settings: RenderSettings, *matchers: str) -> str:
    """Share of the reference's rows in each bin, 0 to 1; labels as `fleet_bin_share`."""
    del settings
    rows = _recorded("model_reference_feature_bin:driftgauge_feature_reference_bin_rows:alone", matchers)
    return f"{rows} / ignoring (bin) group_left () (sum without (bin) ({rows}) > 0)"


def fleet_score(settings: RenderSettings, *matchers: str) -> str:
    """Recorded drift score of each feature from the evidence of all replicas with one reference."""
    del settings
    return _recorded("model_reference_feature:driftgauge_feature_drift_score:fleet", matchers)


def fleet_model_score(settings: RenderSettings, *matchers: str) -> str:
    """Recorded drift score of the model from the evidence of all replicas with one reference."""
    del settings
    return _recorded("model_reference:driftgauge_model_drift_score:fleet", matchers)


def _recorded(name: str, matchers: Iterable[str]) -> str:
    """Selector of a recorded series, without the site's matchers: their labels may be gone by now."""
    inside = ",".join(matchers)
    return f"{name}{{{inside}}}" if inside else name

"""PromQL of the bridge's own metrics, for its alerts and its row on a board."""

from __future__ import annotations

from dataclasses import replace

from driftgauge.render.queries import by
from driftgauge.render.settings import RenderSettings

__all__ = ["board_bridge", "bridge_series", "failed_runs", "in_an_hour", "one_bridge"]


def bridge_series(settings: RenderSettings, name: str, *matchers: str) -> str:
    """Series of the metric ``driftgauge_bridge_<name>``.

    Examples
    --------
    >>> bridge_series(RenderSettings(selector='namespace="scoring"'), "dead_letters")
    'driftgauge_bridge_dead_letters{namespace="scoring"}'
    """
    site = replace(settings, selector=settings.bridge.selector or settings.selector)
    return site.series(f"driftgauge_bridge_{name}", *matchers)


def board_bridge(settings: RenderSettings, name: str) -> str:
    """Series of the bridges that a board's variable ``$bridge`` chooses."""
    return bridge_series(settings, name, f'{settings.labels.instance}=~"$bridge"')


def one_bridge(settings: RenderSettings) -> tuple[str, ...]:
    """Labels of one bridge, wherever it runs at the moment."""
    return *settings.labels.extra, settings.labels.job


def in_an_hour(settings: RenderSettings, name: str, *labels: str) -> str:
    """What a counter counted in an hour, for each of *labels*: runs are too rare for rates."""
    return f"sum by {by(labels)} (increase({board_bridge(settings, name)}[1h]))"


def failed_runs(settings: RenderSettings) -> str:
    """Failed runs of each target in the long range; the bridge tells 0 of a target before the first."""
    failed = bridge_series(settings, "runs_total", 'outcome="failed"')
    return f"sum by {by(one_bridge(settings), 'target')} (increase({failed}[{settings.ranges.long}]))"

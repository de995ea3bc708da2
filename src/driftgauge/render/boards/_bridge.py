"""Panels of the bridge: which alerts came, which runs they started, and what held them back."""

from __future__ import annotations

from typing import Final

from driftgauge.render.boards._frame import COUNT, braces, limits
from driftgauge.render.panels import Json, Query, lines, stat
from driftgauge.render.queries_boards import fewest, worst
from driftgauge.render.queries_bridge import board_bridge, in_an_hour
from driftgauge.render.settings import RenderSettings

__all__ = ["bridge"]

_NONE: Final = "No bridge, or nothing yet"
_STEPPED: Final = {"fillOpacity": 30, "lineWidth": 1, "stacking": {"mode": "normal", "group": "A"}}


def bridge(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    """How many runs wait, how old they are, and what became of alerts and runs."""
    return [
        *((6, 4, panel) for panel in _numbers(settings)),
        *((8, 8, panel) for panel in _courses(settings)),
    ]


def _numbers(settings: RenderSettings) -> list[Json]:
    allowed = settings.bridge.pending_seconds
    waiting = board_bridge(settings, "pending_runs")
    oldest = fewest(board_bridge(settings, "oldest_pending_timestamp_seconds"))
    return [
        stat(
            "Runs pending",
            "Runs that wait to be started or approved. `driftgauge bridge list --state proposed` shows those "
            "that a person must approve; others wait for a target that does not answer.",
            Query(f"sum({waiting})", "runs"),
            unit="short",
            decimals=0,
            noValue=_NONE,
        ),
        stat(
            "Oldest pending run",
            "How long the oldest of them has waited; 0 where none does. Meanwhile no other run of its model "
            "starts: approve it, deny it, or see why its target does not answer.",
            Query(f"time() - {oldest} or 0 * sum({waiting})", "age"),
            unit="s",
            noValue=_NONE,
            thresholds=limits(allowed / 2, allowed),
        ),
        stat(
            "Dead letters",
            "Runs that could not be started. Any: `driftgauge bridge list --state dead` says why; repair "
            "that, then `driftgauge bridge replay` starts them.",
            Query(f"sum({board_bridge(settings, 'dead_letters')})", "runs"),
            noValue=_NONE,
            **COUNT,
        ),
        stat(
            "Last success",
            "How long ago a run last succeeded. Older than the drift that you see above: look at what "
            "suppressed runs, and at those that failed.",
            Query(f"time() - {worst(board_bridge(settings, 'last_success_timestamp_seconds'))}", "age"),
            unit="s",
            noValue="No run has succeeded",
        ),
    ]


def _courses(settings: RenderSettings) -> list[Json]:
    return [
        lines(
            "Runs, by target and outcome",
            "What became of runs in an hour; a run has several outcomes in turn. failed: see the run at its "
            "target. retry: the target does not answer. dead: it was given up; see its reason.",
            [Query(in_an_hour(settings, "runs_total", "target", "outcome"), braces("target", "outcome"))],
            axis="runs in an hour",
            unit="short",
            noValue=_NONE,
        ),
        lines(
            "Runs suppressed, by brake",
            "Decisions against a run in an hour, by the brake that held. As configured, mostly; where drift "
            "lasts and nothing is trained, `driftgauge bridge log` has each with its reason.",
            [Query(in_an_hour(settings, "suppressed_total", "brake"), "{{brake}}")],
            axis="decisions in an hour",
            unit="short",
            noValue=_NONE,
            custom=_STEPPED,
        ),
        lines(
            "Alerts received, by outcome",
            "Alerts posted to the bridge in an hour. new may start runs, duplicate is Alertmanager's "
            "repetition. no_model: a route sends what is not about a model. not_stored: see its disk.",
            [Query(in_an_hour(settings, "alerts_received_total", "outcome"), "{{outcome}}")],
            axis="alerts in an hour",
            unit="short",
            noValue=_NONE,
            custom=_STEPPED,
        ),
    ]

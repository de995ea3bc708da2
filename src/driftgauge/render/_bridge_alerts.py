"""Alerts on the bridge from alerts to training. None of them may train: the bridge would feed itself."""

from __future__ import annotations

from typing import Final

from driftgauge.render._alert_texts import WHOLE, Alert, label
from driftgauge.render._toml_values import duration_text
from driftgauge.render.queries import by
from driftgauge.render.queries_bridge import bridge_series, failed_runs, one_bridge
from driftgauge.render.settings import RenderSettings

__all__ = ["bridge_down", "dead_letters", "not_storing", "run_pending", "runs_failing"]

_FOR: Final = "{{ $value | humanizeDuration }}"


def bridge_down(settings: RenderSettings) -> Alert:
    one, seen = by(one_bridge(settings)), settings.ranges.seen
    there = bridge_series(settings, "pending_runs")
    return Alert(
        (),
        f"(\n  count by {one} (last_over_time({there}[{seen}]))\n  unless on {one}\n  {there}\n) > 0",
        "The bridge from alerts to training does not answer.",
        f"No bridge of the job {label(settings.labels.job)} exports metrics, but one did within {seen}. No "
        "alert starts a run until it is back. Alertmanager sends them again then.",
        "itself",
    )


def not_storing(settings: RenderSettings) -> Alert:
    refused = bridge_series(settings, "alerts_received_total", 'outcome=~"not_stored|queue_full"')
    return Alert(
        (),
        f"sum by {by(one_bridge(settings))} (rate({refused}[{settings.ranges.rate}])) > 0",
        "The bridge cannot store the alerts that it is sent.",
        f"The bridge of the job {label(settings.labels.job)} answers alerts with 503, because it cannot "
        "write them to its file, or not fast enough. Alertmanager sends them again until it can.",
        "itself",
    )


def dead_letters(settings: RenderSettings) -> Alert:
    return Alert(
        (),
        f"sum by {by(one_bridge(settings))} ({bridge_series(settings, 'dead_letters')}) > 0",
        "A training run could not be started.",
        f"The bridge of the job {label(settings.labels.job)} gave up on runs: {WHOLE}. Each waits for "
        "`driftgauge bridge replay`, and until then for its model nothing is trained.",
        "itself",
    )


def run_pending(settings: RenderSettings) -> Alert:
    oldest = bridge_series(settings, "oldest_pending_timestamp_seconds")
    allowed = settings.bridge.pending_seconds
    return Alert(
        (),
        f"time() - min by {by(one_bridge(settings))} ({oldest}) > {allowed:g}",
        "A training run waits to be started or approved.",
        f"The oldest run of the bridge of the job {label(settings.labels.job)} has waited for {_FOR}; "
        f"{duration_text(max(allowed, 1))} are allowed. No other run of its model starts meanwhile.",
        "itself",
    )


def runs_failing(settings: RenderSettings) -> Alert:
    return Alert(
        (),
        f"{failed_runs(settings)} >= {settings.bridge.failed_runs}",
        "Training runs that drift alerts started have failed.",
        f"Runs of the target {label('target')} that failed within {settings.ranges.long}: {WHOLE}. Their "
        f"models are those that drifted. Bridge: job {label(settings.labels.job)}.",
        "itself",
    )

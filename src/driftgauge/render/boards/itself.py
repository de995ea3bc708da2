"""The board of driftgauge itself: what it costs, what it loses, and whether its numbers are fresh."""

from __future__ import annotations

from driftgauge.render.boards._frame import (
    COUNT,
    board,
    braces,
    cell,
    dashed,
    limits,
    model_variables,
    painted,
)
from driftgauge.render.boards._payloads import payloads
from driftgauge.render.palette import DRIFT, EARLY, LIVE, QUIET
from driftgauge.render.panels import Json, Query, lines, stat, steps, table
from driftgauge.render.queries_boards import (
    board_series,
    dropped_by_reason,
    dropped_ratio,
    errors_by_stage,
    errors_lately,
    evaluation_age,
    fewest,
    on_target,
    per_replica,
    rate,
    replicas,
    sampled_ratio,
    windows_ready,
    worst,
)
from driftgauge.render.settings import RenderSettings

__all__ = ["itself_board"]


def itself_board(settings: RenderSettings) -> Json:
    """Board of the monitors: cost, loss, windows and budgets."""
    return board(
        settings,
        "itself",
        "driftgauge itself: what it costs, what it loses, and whether its numbers are fresh.",
        model_variables(settings, many=True),
        [
            ("", _numbers(settings)),
            ("What it costs", _cost(settings)),
            ("What it loses", _loss(settings)),
            ("Payloads", payloads(settings, _model(settings))),
            ("Windows, evidence and budget", _windows(settings)),
        ],
    )


def _model(settings: RenderSettings) -> str:
    return f'{settings.labels.model}=~"$model"'


def _numbers(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    model, thresholds = _model(settings), settings.thresholds
    panels = [
        stat(
            "Slowest evaluation",
            "Time of the last comparison on the slowest replica. It runs beside the predict path, not in "
            "it; near the scrape interval, scrape less often or watch fewer features.",
            Query(worst(board_series(settings, "evaluation_seconds", model)), "seconds"),
            graph=True,
            unit="s",
            thresholds=limits(1, 5),
        ),
        stat(
            "Oldest evaluation",
            "How long ago the windows of the replica that is most behind were compared; a scrape does it. "
            "Beyond a few scrapes, what it exports is old: look at its log and at the errors below.",
            Query(evaluation_age(settings, model), "age"),
            unit="s",
            thresholds=limits(thresholds.stalled_seconds / 3, thresholds.stalled_seconds),
        ),
        stat(
            "Rows lost",
            "Share of the rows offered that were not counted, over all replicas. Above the line: see the "
            "reasons below; a full buffer wants sampling or more CPU.",
            Query(dropped_ratio(settings, model), "lost"),
            unit="percentunit",
            decimals=2,
            thresholds=limits(thresholds.dropped_ratio / 2, thresholds.dropped_ratio),
        ),
        stat(
            "Errors in ten minutes",
            "What went wrong inside without touching the host. Any is a bug or a payload that nobody "
            "expected: the first of each kind is in the log of the replica.",
            Query(errors_lately(settings, model), "errors"),
            **COUNT,
        ),
        stat(
            "Windows ready",
            "Share of the windows of all replicas that hold enough rows for statistics. Less than all for "
            "long: too little traffic for the window; make it shorter or lower `min_rows`.",
            Query(windows_ready(settings, model), "ready"),
            unit="percentunit",
            decimals=0,
            thresholds=steps((None, EARLY), (1, QUIET)),
        ),
        stat(
            "Replicas reporting",
            "Replicas that answer scrapes. Fewer than are deployed: see the targets page of Prometheus for "
            "the error of the missing ones.",
            Query(replicas(settings, model), "replicas"),
            unit="short",
            decimals=0,
        ),
    ]
    return [(4, 4, panel) for panel in panels]


def _cost(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    model, instance = _model(settings), braces(settings.labels.instance)
    panels = [
        lines(
            "Evaluation time",
            "Time that one comparison of all windows takes, by replica. It grows with features, not with "
            "rows; one replica above the others is short of CPU.",
            [Query(per_replica(settings, "evaluation_seconds", model), instance)],
            axis="time",
            unit="s",
        ),
        lines(
            "Scrape size",
            "Samples in each scrape, by replica. About 60 for each feature and window. Above what your "
            "Prometheus allows a target (`sample_limit`), all of them are refused.",
            [Query(on_target(settings, "scrape_samples_scraped"), instance)],
            axis="samples",
            unit="short",
        ),
        lines(
            "Scrape time",
            "How long Prometheus waits for each replica; it includes the comparison. Near the scrape "
            "timeout, raise the timeout or watch fewer features, or gaps appear in every other panel.",
            [Query(on_target(settings, "scrape_duration_seconds"), instance)],
            axis="time",
            unit="s",
        ),
    ]
    return [(8, 8, panel) for panel in panels]


def _loss(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    model = _model(settings)
    stacked = {"fillOpacity": 30, "lineWidth": 1, "stacking": {"mode": "normal", "group": "A"}}
    panels = [
        lines(
            "Rows offered, taken and lost",
            "Rows a second: offered by the host, taken into the windows, lost. Offered less taken less lost "
            "was sampled out on purpose. A gap that nobody asked for: see the reasons.",
            [
                Query(rate(board_series(settings, "rows_total", model)), "offered"),
                Query(rate(board_series(settings, "rows_sampled_total", model)), "taken"),
                Query(rate(board_series(settings, "rows_dropped_total", model)), "lost"),
            ],
            axis="rows per second",
            unit="cps",
            overrides=[dashed("offered"), painted("taken", LIVE), painted("lost", DRIFT)],
        ),
        lines(
            "Rows lost, by reason",
            "Rows a second that were not counted. buffer_full: more rows than the thread behind can take, "
            "so sample; shape_mismatch or unsupported_type: a caller sends what the reference does not know.",
            [Query(dropped_by_reason(settings, model), "{{reason}}")],
            axis="rows per second",
            unit="cps",
            custom=stacked,
        ),
        lines(
            "Errors, by stage",
            "Errors inside driftgauge in ten minutes; none of them reached the host. Any: the log of the "
            "replica has the first of its kind. Please report it.",
            [Query(errors_by_stage(settings, model), "{{stage}}")],
            axis="errors in ten minutes",
            unit="short",
            custom={**stacked, "axisSoftMax": 1},
        ),
    ]
    return [(8, 8, panel) for panel in panels]


def _windows(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    model, labels = _model(settings), settings.labels
    each = (labels.model, labels.window)
    name = braces(labels.model, labels.window)
    panels = [
        lines(
            "Rows in the window",
            "Rows on the replica that has fewest, by model and window. A window of rows stays full; one of "
            "time follows the traffic. At 0 nothing is compared.",
            [Query(fewest(board_series(settings, "window_rows", model), *each), name)],
            axis="rows",
            unit="short",
        ),
        lines(
            "Reach of the window",
            "How far back each window looks, on the replica that looks farthest. Days, where you meant an "
            "hour: a window of rows at low traffic; give it a duration instead.",
            [Query(worst(board_series(settings, "window_seconds", model), *each), name)],
            axis="time",
            unit="s",
        ),
        lines(
            "Buffer: rows that wait",
            "Rows taken that no evidence has been weighed for yet, by replica. A saw-tooth is healthy; one "
            "that only rises means that the detector is stuck: see the log of the replica, and restart it.",
            [Query(per_replica(settings, "drift_pending_rows", model), braces(labels.instance))],
            axis="rows",
            unit="short",
        ),
    ]
    version = labels.one_version
    budget = table(
        "Evidence and budget",
        "A row a version: how often evidence was weighed (an hour), the evaluations between two false "
        "alerts that its budget promises, and how much of the traffic it sees. Dependence 'assumed': give "
        "the reference times.",
        [
            Query(worst(board_series(settings, "drift_dependence_info", model), *version, "dependence"), ""),
            Query(
                f"3600 * {rate(board_series(settings, 'drift_evaluations_total', model), *version)}",
                "Weighed/h",
            ),
            Query(worst(board_series(settings, "drift_budget_evaluations", model), *version), "Budget"),
            Query(sampled_ratio(settings, model, *version), "Taken"),
            Query(windows_ready(settings, model, *version), "Windows ready"),
            Query(evaluation_age(settings, model, *version), "Evaluated"),
        ],
        columns={labels.model: "Model", labels.model_version: "Version", "dependence": "Dependence"},
        order=[("Model", False)],
        unit="short",
        overrides=[
            cell("Weighed/h", decimals=1),
            cell("Taken", unit="percentunit", decimals=0),
            cell("Windows ready", unit="percentunit", decimals=0),
            cell("Evaluated", unit="s", decimals=0),
        ],
    )
    return [*((8, 8, panel) for panel in panels), (24, 7, budget)]

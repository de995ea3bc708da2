"""The board of all models: which of them drifted, since when, and in what."""

from __future__ import annotations

from driftgauge.render.boards._frame import (
    COUNT,
    NO_DRIFT,
    board,
    braces,
    cell,
    limits,
    link,
    model_variables,
    score,
)
from driftgauge.render.palette import EARLY, QUIET
from driftgauge.render.panels import Json, Query, cells, lines, stat, steps, table
from driftgauge.render.queries_boards import (
    alerts_firing,
    board_series,
    cause,
    drifting_seconds,
    dropped_ratio,
    evaluation_age,
    fewest,
    how_many,
    rate,
    replicas,
    windows_ready,
    worst,
)
from driftgauge.render.settings import RenderSettings

__all__ = ["models_board"]


def models_board(settings: RenderSettings) -> Json:
    """Board of the fleet of models: numbers of the whole, a row a model, and their course."""
    labels, thresholds = settings.labels, settings.thresholds
    version = labels.one_version
    model = f'{labels.model}=~"$model"'
    name = braces(labels.model, labels.model_version)

    def of(family: str, *matchers: str) -> str:
        return board_series(settings, family, model, *matchers)

    line = thresholds.drift_score
    age = limits(thresholds.stalled_seconds / 3, thresholds.stalled_seconds)
    lost = limits(thresholds.dropped_ratio / 2, thresholds.dropped_ratio)
    ready = steps((None, EARLY), (1, QUIET))
    whole = [
        stat(
            "Models drifting",
            "Versions of models whose evidence exceeds the false-alarm budget on a replica. Above 0: the "
            "table below names them; open the one with the highest output drift first.",
            Query(how_many(worst(of("model_drift_score"), *version), line), "models"),
            **COUNT,
        ),
        stat(
            "Drifted features",
            "Features that have drifted, over all models; each model counts as on its worst replica. Many "
            "at once in one model is a broken join or an upstream release more often than the world.",
            Query(f"sum({worst(of('drifted_features'), *version)})", "features"),
            **COUNT,
        ),
        stat(
            "Alerts firing",
            "Alerts of driftgauge that fire for these models; needs the rules under alerts/. Above 0: each "
            "alert links to its chapter in the runbook.",
            Query(alerts_firing(settings, model), "alerts"),
            **COUNT,
        ),
        stat(
            "Oldest evaluation",
            "How long ago the replica that is most behind last compared its window. Old numbers still look "
            "fine: restart that replica, and see the board of driftgauge itself for its errors.",
            Query(evaluation_age(settings, model), "age"),
            unit="s",
            thresholds=age,
        ),
    ]
    to_model = link("model", "Open the model", model="${__data.fields.Model}")
    to_feature = link(
        "feature",
        "Open the feature",
        model="${__data.fields.Model}",
        feature="${__data.fields.Strongest}",
    )
    rows = table(
        "Models",
        "A row a version of a model, its worst replica counting. Drift score above 1 is drift within the "
        "false-alarm budget; output drift above 1 means that what the model says has changed, so it "
        "matters. Strongest is the feature with most evidence and Cause what it is about. Open the model to "
        "see more.",
        [
            Query(cause(settings, version, (labels.feature, "cause"), model), "Its score"),
            Query(worst(of("model_drift_score"), *version), "Drift score"),
            Query(worst(of("feature_drift_score", f'{labels.kind}="output"'), *version), "Output drift"),
            Query(worst(of("drifted_features"), *version), "Drifted"),
            Query(drifting_seconds(settings, version, model), "Drifting for"),
            Query(alerts_firing(settings, model, *version), "Alerts"),
            Query(windows_ready(settings, model, *version), "Windows ready"),
            Query(fewest(of("window_rows"), *version), "Fewest rows"),
            Query(rate(of("rows_total"), *version), "Rows/s"),
            Query(dropped_ratio(settings, model, *version), "Lost"),
            Query(evaluation_age(settings, model, *version), "Evaluated"),
            Query(replicas(settings, model, *version), "Replicas"),
        ],
        columns={
            labels.model: "Model",
            labels.model_version: "Version",
            labels.feature: "Strongest",
            "cause": "Cause",
        },
        order=[("Drift score", True)],
        unit="short",
        overrides=[
            cell("Model", links=[to_model]),
            cell("Strongest", links=[to_feature]),
            cell("Drift score", paint=True, **score(settings)),
            cell("Output drift", paint=True, **score(settings)),
            cell("Its score", **score(settings)),
            cell("Drifting for", unit="s", decimals=1, mappings=NO_DRIFT),
            cell("Drifted", paint=True, **COUNT),
            cell("Alerts", paint=True, **COUNT),
            cell("Windows ready", paint=True, unit="percentunit", decimals=0, thresholds=ready),
            cell("Rows/s", unit="cps", decimals=1),
            cell("Lost", paint=True, unit="percentunit", decimals=1, thresholds=lost),
            cell("Evaluated", paint=True, unit="s", decimals=0, thresholds=age),
        ],
    )
    course = cells(
        "Drift score of each model",
        "When each model's evidence passed half of its budget (yellow) and all of it (red-orange). A bar "
        "that turns at the mark of a deploy points at the release; one that turns by itself, at the data.",
        Query(worst(of("model_drift_score"), *version), name),
        merged=True,
        links=[link("model", "Open the model", model=f"${{__field.labels.{labels.model}}}")],
        **score(settings),
    )
    traffic = lines(
        "Rows per second",
        "Rows that models were asked about. A fall to nothing empties the windows, and no drift is found in "
        "an empty window: ask who stopped calling.",
        [Query(rate(of("rows_total"), *version), name)],
        axis="rows per second",
        unit="cps",
    )
    loss = lines(
        "Rows lost",
        "Share of the rows offered that were not counted, over any reason. Above the line, numbers are "
        "about a part of the traffic: see the board of driftgauge itself for the reason.",
        [Query(dropped_ratio(settings, model, *version), name)],
        axis="share of rows",
        unit="percentunit",
        custom={"axisSoftMax": 2 * thresholds.dropped_ratio},
        thresholds=limits(thresholds.dropped_ratio / 2, thresholds.dropped_ratio),
    )
    return board(
        settings,
        "models",
        "All models at a glance: which drifted, since when, in what, and whether it matters.",
        model_variables(settings, many=True),
        [
            ("", [(6, 4, each) for each in whole]),
            ("", [(24, 8, rows), (24, 7, course)]),
            ("Traffic", [(12, 7, traffic), (12, 7, loss)]),
        ],
    )

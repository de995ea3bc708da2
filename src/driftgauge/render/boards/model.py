"""The board of one model: what moved, since when, how far, and whether the outputs moved with it."""

from __future__ import annotations

from driftgauge.render.boards._frame import (
    COUNT,
    NO_DRIFT,
    board,
    braces,
    cell,
    choice,
    dashed,
    limits,
    link,
    model_variables,
    score,
    variable,
)
from driftgauge.render.palette import DRIFT, QUIET
from driftgauge.render.panels import Json, Query, cells, lines, stat, steps, table
from driftgauge.render.queries_boards import (
    board_series,
    cause,
    drifting_seconds,
    fewest,
    known,
    over_noise,
    rate,
    rise,
    together,
    top,
    worst,
)
from driftgauge.render.settings import RenderSettings

__all__ = ["model_board"]


def model_board(settings: RenderSettings) -> Json:
    """Board of one model: evidence by feature and time, top movers, data quality, traffic."""
    labels = settings.labels
    windows = board_series(settings, "window_rows", *known(settings))
    variables = [
        *model_variables(settings),
        variable(
            "window", "Window", windows, labels.window, many=True, hint="Of the statistics; scores have none"
        ),
        choice("top", "Top", ("10", "25", "50", "100"), "25", "How many features the busy panels show"),
    ]
    return board(
        settings,
        "model",
        "One model: what moved, since when, how far, and whether what it says moved too.",
        variables,
        [
            ("", _numbers(settings)),
            ("Since when, and in what", _maps(settings)),
            ("How far", _effects(settings)),
            ("Data quality", _quality(settings)),
            ("Traffic", _traffic(settings)),
        ],
    )


def _numbers(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    labels, here = settings.labels, known(settings)
    scores = board_series(settings, "feature_drift_score", *here)
    outputs = board_series(settings, "feature_drift_score", *here, f'{labels.kind}="output"')
    all_scores = worst(board_series(settings, "model_drift_score", *here))
    return [
        (
            4,
            4,
            stat(
                "Drift score",
                "Evidence of drift of the model as a whole, on its worst replica. Above 1 its false-alarm "
                "budget is exceeded: this is drift, not chance. Look right for what it is in.",
                Query(all_scores, "score"),
                graph=True,
                **score(settings),
            ),
        ),
        (
            4,
            4,
            stat(
                "Output drift",
                "Evidence that what the model says has changed. Above 1 the drift matters: consider a new "
                "model. Inputs may drift without it. Shows -1 if the reference names no outputs.",
                Query(f"{worst(outputs)} or 0 * {worst(scores)} - 1", "score"),
                graph=True,
                **score(settings),
                mappings=[{"type": "value", "options": {"-1": {"text": "no outputs", "index": 0}}}],
            ),
        ),
        (
            4,
            4,
            stat(
                "Drifted features",
                "Features that have drifted, false discoveries among them being within the budget. One: "
                "look at its source. Many at once: look for a join or a release.",
                Query(worst(board_series(settings, "drifted_features", *here)), "features"),
                **COUNT,
            ),
        ),
        (
            4,
            4,
            stat(
                "Drifting for",
                "Time since the first of the drifted features began to, by the evidence. Compare it with "
                "the marks of deploys below.",
                Query(drifting_seconds(settings, (), *here), "time"),
                unit="s",
                decimals=1,
                mappings=NO_DRIFT,
                thresholds=steps((None, QUIET), (1, DRIFT)),
            ),
        ),
        (
            8,
            4,
            stat(
                "Strongest evidence",
                "The feature with most evidence, what it is about and where. While the score is low it "
                "names noise: read it together with its colour.",
                Query(
                    cause(settings, (), (), *here),
                    f"{{{{{labels.feature}}}}}: {{{{cause}}}} {{{{cell}}}}",
                    now=True,
                ),
                name=True,
                **score(settings),
            ),
        ),
    ]


def _maps(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    labels, here = settings.labels, known(settings)
    to_feature = link(
        "feature", "Open the feature", model="${model}", feature=f"${{__field.labels.{labels.feature}}}"
    )

    def scores(kind: str) -> str:
        series = board_series(settings, "feature_drift_score", *here, f'{labels.kind}="{kind}"')
        return top(worst(series, labels.feature), series, labels.feature)

    outputs = cells(
        "Outputs by time",
        "Drift score of each output. Colour here means that what the model says is no longer what it said "
        "in training: it matters to whoever uses it, whatever the inputs below do.",
        Query(scores("output"), braces(labels.feature)),
        links=[to_feature],
        noValue="The reference names no outputs",
        **score(settings),
    )
    inputs = cells(
        "Inputs by time",
        "Drift score of the inputs with most evidence; the last row is the strongest combination of "
        "features. A column that turns at once in many rows is one cause upstream; a single row is one "
        "source. Click for the feature.",
        Query(f"{scores('input')} or {together(settings, *here)}", braces(labels.feature)),
        links=[to_feature],
        **score(settings),
    )
    each = (labels.feature, labels.kind)
    in_window = known(settings, window=True)
    movers = table(
        "What moved",
        "A row a feature, outputs first, worst replica and window. Evidence says that it is no chance, PSI "
        "over noise and shift how large it is. Evidence with a small effect: wait. Missing up: fix the data "
        "first.",
        [
            Query(cause(settings, each, ("cause", "cell"), *here), "Score"),
            Query(drifting_seconds(settings, each, *here), "Drifting for"),
            Query(worst(board_series(settings, "feature_psi", *in_window), *each), "PSI"),
            Query(worst(over_noise(settings, "psi", *in_window), *each), "PSI over noise"),
            Query(worst(board_series(settings, "feature_shift", *in_window), *each), "Shift"),
            Query(worst(rise(settings, "missing"), *each), "Missing up"),
        ],
        columns={labels.feature: "Feature", labels.kind: "Kind", "cause": "Cause", "cell": "Where"},
        order=[("Kind", True), ("Score", True)],
        unit="short",
        decimals=2,
        overrides=[
            cell(
                "Feature",
                links=[link("feature", "Open", model="${model}", feature="${__data.fields.Feature}")],
            ),
            cell("Score", paint=True, **score(settings)),
            cell("Drifting for", unit="s", decimals=1, mappings=NO_DRIFT),
            cell("PSI", paint=True, thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi)),
            cell("PSI over noise", unit="short", decimals=1),
            cell("Missing up", unit="percentunit", decimals=1),
        ],
    )
    return [(24, 4, outputs), (24, 10, inputs), (24, 9, movers)]


def _effects(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    label, in_window = settings.labels.feature, known(settings, window=True)

    def course(statistic: str) -> Query:
        series = board_series(settings, f"feature_{statistic}", *in_window)
        return Query(top(worst(series, label), series, label), braces(label))

    def noise(statistic: str) -> Query:
        return Query(worst(board_series(settings, f"feature_{statistic}_critical", *in_window)), "noise")

    psi = lines(
        "PSI of the top movers",
        "Population stability index of the features that reached highest, and what noise alone explains "
        "(dashed, largest over features). Above both the dashes and the line it is a large change. Blue is "
        "low, red high.",
        [course("psi"), noise("psi")],
        axis="PSI",
        unit="short",
        decimals=2,
        thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
        overrides=[dashed("noise")],
    )
    ks = lines(
        "KS of the top movers",
        "Kolmogorov-Smirnov distance of numeric features, with what noise alone explains (dashed). Unlike "
        "PSI it sees where rows went within a bin. Below the dashes: do nothing.",
        [course("ks"), noise("ks")],
        axis="KS",
        thresholds=limits(0.1, 0.2),
        unit="short",
        decimals=2,
        noValue="No numeric features",
        overrides=[dashed("noise")],
    )
    js = lines(
        "JS of the top movers",
        "Jensen-Shannon distance, 0 to 1, comparable between features with many and with few bins. Use it "
        "to order what to look at, not to decide whether to.",
        [course("js")],
        axis="JS",
        thresholds=limits(0.1, 0.2),
        unit="short",
        decimals=2,
    )
    return [(8, 9, psi), (8, 9, ks), (8, 9, js)]


def _quality(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    label = settings.labels.feature
    line = limits(settings.thresholds.ratio_rise / 2, settings.thresholds.ratio_rise)

    def risen(ratio: str, name: str) -> Query:
        return Query(f"topk($top, {worst(rise(settings, ratio), label)})", f"{name}{{{{{label}}}}}")

    missing = lines(
        "Missing, above the reference",
        "Share of rows without a value, less the reference's share. Above the line: a source broke or a "
        "join lost its key. Fix the data; a model trained on gaps learns the gaps.",
        [risen("missing", "")],
        axis="share of rows, above the reference",
        unit="percentunit",
        custom={"axisSoftMax": 2 * settings.thresholds.ratio_rise},
        thresholds=line,
    )
    strange = lines(
        "Not in the reference",
        "Share of rows with categories that the reference does not name, or values beyond its range, less "
        "the reference's share. Above the line: a new category or unit; if it is right, train on it.",
        [risen("unseen", "unseen "), risen("out_of_range", "out of range ")],
        axis="share of rows, above the reference",
        unit="percentunit",
        custom={"axisSoftMax": 2 * settings.thresholds.ratio_rise},
        thresholds=line,
    )
    return [(12, 8, missing), (12, 8, strange)]


def _traffic(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    labels, here = settings.labels, known(settings)
    rows = lines(
        "Rows per second by version",
        "Rows that each version was asked about. Drift that begins when this changes is another mix of "
        "callers: find out who came or went before you retrain.",
        [
            Query(
                rate(board_series(settings, "rows_total", *here), labels.model_version),
                braces(labels.model_version),
            )
        ],
        axis="rows per second",
        unit="cps",
    )
    filled = lines(
        "Rows in the emptiest window",
        "Rows that the statistics rest on, on the replica that has fewest. At 0 nothing is compared; below "
        "the monitor's `min_rows` a window has no statistics, and noise explains more the fewer rows there "
        "are.",
        [Query(fewest(board_series(settings, "window_rows", *here), labels.window), braces(labels.window))],
        axis="rows",
        unit="short",
    )
    return [(12, 7, rows), (12, 7, filled)]

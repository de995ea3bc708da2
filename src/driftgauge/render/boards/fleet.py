"""The board of one model's replicas together: the truth of the fleet, and whether one replica is odd."""

from __future__ import annotations

from driftgauge.render.boards._frame import (
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
from driftgauge.render.palette import EARLY, LIVE, QUIET
from driftgauge.render.panels import Json, Query, cells, lines, named, stat, steps, table
from driftgauge.render.queries import (
    REFERENCE,
    by,
    fleet_model_score,
    fleet_rows,
    fleet_score,
    fleet_statistic,
)
from driftgauge.render.queries_boards import (
    board_series,
    distance_from_median,
    farthest_replica,
    fewest,
    fleet_by_reference,
    known,
    per_replica,
    rate,
    references_in_force,
    replicas,
    told_apart,
    top,
    worst,
)
from driftgauge.render.settings import RenderSettings

__all__ = ["fleet_board"]

_RANGE = "${range}"
_RULES = "Recorded by alerts/driftgauge.rules.yaml; load it, or wait for the first rows"


def fleet_board(settings: RenderSettings) -> Json:
    """Board of the fleet: statistics over the union of all rows, beside those of each replica."""
    labels, ranges = settings.labels, settings.ranges
    here = known(settings)
    names = board_series(settings, "feature_reference_missing_ratio", *here)
    windows = board_series(settings, "window_rows", *here)
    variables = [
        *model_variables(settings),
        variable("feature", "Feature", names, labels.feature, hint="Of the panels that compare replicas"),
        variable("window", "Window", windows, labels.window, hint="Of the replicas; the fleet has ranges"),
        choice(
            "range", "Fleet range", (ranges.short, ranges.long), ranges.short, "Rows that the fleet counts"
        ),
        choice("top", "Top", ("10", "25", "50", "100"), "10", "How many features the busy panels show"),
    ]
    return board(
        settings,
        "fleet",
        "All replicas of one model as if they were one, beside each of them. Needs the recording rules.",
        variables,
        [
            ("", _numbers(settings)),
            ("All rows of all replicas", _whole(settings)),
            ("One odd replica", _replicas(settings)),
            ("References in force", _references(settings)),
        ],
    )


def _numbers(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    here = known(settings)
    one_or_two = steps((None, QUIET), (2, EARLY))
    panels = [
        stat(
            "References in force",
            "References that replicas use at this moment. Two during a roll-out are shown side by side "
            "everywhere on this board, never averaged. Two for long: a replica missed the roll-out.",
            Query(references_in_force(settings), "references"),
            unit="short",
            decimals=0,
            thresholds=one_or_two,
        ),
        stat(
            "Replicas",
            "Replicas of this model that answer scrapes. Fewer than are deployed: see the targets page of "
            "Prometheus.",
            Query(replicas(settings, ",".join(here)), "replicas"),
            unit="short",
            decimals=0,
        ),
        stat(
            "Fleet drift score",
            "Evidence of all replicas with one reference taken together. Above 1 it is drift even if no "
            "replica alone has seen enough rows to say so.",
            Query(worst(fleet_model_score(settings, *here)), "score"),
            graph=True,
            noValue=_RULES,
            **score(settings),
        ),
        stat(
            "Rows of the fleet",
            "Rows of all replicas in the fleet range, in the feature that has fewest. Fewer than "
            f"{settings.thresholds.min_rows} have no PSI and no KS: choose the longer range.",
            Query(fewest(fleet_rows(settings, _RANGE, *here)), "rows"),
            unit="short",
            decimals=0,
            noValue=_RULES,
            thresholds=steps((None, EARLY), (settings.thresholds.min_rows, QUIET)),
        ),
        stat(
            "Farthest replica",
            "The replica whose PSI is farthest from the median of all, with the number's colour saying how "
            "far. If one stands out: its route, its version or its feature cache differ. Compare it below.",
            Query(farthest_replica(settings, "psi"), braces(settings.labels.instance), now=True),
            name=True,
            unit="short",
            decimals=2,
            thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
        ),
    ]
    return [(width, 4, panel) for width, panel in zip((4, 4, 4, 4, 8), panels, strict=True)]


def _whole(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    label, here = settings.labels.feature, known(settings)

    def course(statistic: str) -> list[Query]:
        value, noise = (
            fleet_statistic(settings, name, _RANGE, *here) for name in (statistic, f"{statistic}_critical")
        )
        shown = told_apart(top(worst(value, label, REFERENCE), value, label))
        return [Query(shown, braces(label, "reference")), Query(worst(noise), "noise")]

    psi = lines(
        "Fleet PSI",
        "PSI over the rows of all replicas, from their counters: the number that one process with all the "
        "traffic would show. Dashed is what noise explains. Above the line and the dashes: act.",
        course("psi"),
        axis="PSI",
        unit="short",
        decimals=3,
        noValue=_RULES,
        thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
        overrides=[dashed("noise")],
    )
    ks = lines(
        "Fleet KS",
        "Kolmogorov-Smirnov distance at the edges of the bins, over the rows of all replicas, with what "
        "noise explains (dashed). Below the dashes: do nothing.",
        course("ks"),
        axis="KS",
        unit="short",
        decimals=3,
        noValue=_RULES,
        overrides=[dashed("noise")],
    )
    each = (settings.labels.feature, settings.labels.kind)
    psi_of_replicas = board_series(settings, "feature_psi", *known(settings, window=True))
    summary = table(
        "Fleet beside its replicas",
        "A row a feature: evidence and PSI of the fleet, and the least and largest PSI of a replica. Fleet "
        "low and one replica high: that replica. Fleet high and replicas low: too short windows on each.",
        [
            Query(worst(fleet_score(settings, *here), *each), "Fleet score"),
            Query(worst(fleet_statistic(settings, "psi", _RANGE, *here), *each), "Fleet PSI"),
            Query(worst(fleet_statistic(settings, "psi_critical", _RANGE, *here), *each), "Fleet noise"),
            Query(fewest(psi_of_replicas, *each), "Least PSI"),
            Query(worst(psi_of_replicas, *each), "Largest PSI"),
        ],
        columns={settings.labels.feature: "Feature", settings.labels.kind: "Kind"},
        order=[("Fleet PSI", True)],
        unit="short",
        decimals=3,
        noValue=_RULES,
        overrides=[
            cell(
                "Feature",
                links=[
                    link("feature", "Open the feature", model="${model}", feature="${__data.fields.Feature}")
                ],
            ),
            cell("Fleet score", paint=True, **score(settings)),
            cell(
                "Fleet PSI",
                paint=True,
                thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
            ),
        ],
    )
    return [(12, 9, psi), (12, 9, ks), (24, 9, summary)]


def _replicas(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    instance, here = settings.labels.instance, known(settings, feature=True)
    name = braces(instance)
    in_window = known(settings, feature=True, window=True)
    distances = cells(
        "Distance of each replica from the median",
        "How far each replica's PSI is from the median of all, in the feature in which it is farthest. A "
        "row that stands out alone is one odd replica; all rows at once are traffic that is dealt out "
        "unevenly.",
        Query(distance_from_median(settings, "psi"), name),
        unit="short",
        decimals=2,
        thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
    )
    compared = [
        lines(
            f"{statistic.upper()} of the feature: fleet and replicas",
            f"{statistic.upper()} of the feature chosen above: the fleet (thick) over its range, each "
            "replica over its window. The longer of the two follows later. A replica that leaves the "
            "others has other callers, or other code.",
            [
                Query(fleet_by_reference(settings, statistic, *here), "fleet {{reference}}"),
                Query(per_replica(settings, f"feature_{statistic}", *in_window), name),
            ],
            axis=statistic.upper(),
            unit="short",
            decimals=3,
            noValue="A categorical feature has none",
            overrides=[
                named(
                    "/^fleet /",
                    pattern=True,
                    custom__lineWidth=4,
                    color={"mode": "fixed", "fixedColor": LIVE},
                )
            ],
        )
        for statistic in ("psi", "ks")
    ]
    traffic = lines(
        "Rows per second by replica",
        "Traffic of each replica. The fleet's numbers weigh replicas by their rows, so one with little "
        "traffic says little there and may be loud above. Uneven: see the load balancer.",
        [Query(rate(board_series(settings, "rows_total", *known(settings)), instance), name)],
        axis="rows per second",
        unit="cps",
    )
    return [(24, 7, distances), *((8, 8, panel) for panel in (*compared, traffic))]


def _references(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    labels, here = settings.labels, known(settings)
    info = board_series(settings, "reference_info", *here)
    same = by(labels.job, labels.instance, labels.one_version)

    def of_reference(name: str) -> str:
        told_with_id = f"{info} * on {same} group_left () {board_series(settings, name, *here)}"
        return worst(told_with_id, labels.model_version, REFERENCE)

    course = lines(
        "Replicas by reference",
        "How many replicas use each reference. A roll-out crosses from one line to the other; lines that "
        "stay side by side are a roll-out that stopped half way.",
        [Query(told_apart(references_in_force(settings, REFERENCE)), "{{reference}}")],
        axis="replicas",
        unit="short",
        decimals=0,
        custom={"lineInterpolation": "stepAfter"},
    )
    listed = table(
        "References",
        "References in force: on how many replicas, made when and from how many rows. Old: profile newer "
        "data. Few rows: noise explains more, and small drifts are missed.",
        [
            Query(references_in_force(settings, labels.model_version, REFERENCE), "Replicas"),
            Query(of_reference("reference_rows"), "Rows"),
            Query(f"1000 * {of_reference('reference_created_timestamp_seconds')}", "Made"),
            Query(f"time() - {of_reference('reference_created_timestamp_seconds')}", "Age"),
        ],
        columns={labels.model_version: "Version", REFERENCE: "Reference"},
        order=[("Replicas", True)],
        unit="short",
        overrides=[
            cell("Made", unit="dateTimeAsIso"),
            cell(
                "Age",
                paint=True,
                unit="s",
                decimals=0,
                thresholds=limits(
                    settings.thresholds.reference_days * 43_200, settings.thresholds.reference_days * 86_400
                ),
            ),
        ],
    )
    return [(12, 7, course), (12, 7, listed)]

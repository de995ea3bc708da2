"""What all boards have in common: variables, links, marks of deploys, places of panels, colours of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from driftgauge.render.palette import DRIFT, EARLY, GREY, QUIET, SECOND
from driftgauge.render.panels import Json, named, steps
from driftgauge.render.queries_boards import board_series, firing, new_series
from driftgauge.render.settings import BOARD_UIDS, RenderSettings

__all__ = [
    "CATEGORICAL",
    "COUNT",
    "NO_DRIFT",
    "Row",
    "board",
    "braces",
    "cell",
    "choice",
    "dashed",
    "limits",
    "link",
    "model_variables",
    "painted",
    "score",
    "variable",
]

Row = tuple[str, Sequence[tuple[int, int, Json]]]
_WIDTH: Final = 24
_SCHEMA: Final = 38  # Grafana 10.0's; every later version migrates it when it loads the board
_KEPT: Final = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"
_TITLES: Final = {
    "models": "driftgauge / Models",
    "model": "driftgauge / Model",
    "feature": "driftgauge / Feature",
    "fleet": "driftgauge / Fleet truth",
    "itself": "driftgauge / driftgauge itself",
}

COUNT: Final[Json] = {"unit": "short", "decimals": 0, "thresholds": steps((None, QUIET), (1, DRIFT))}
"""Field of a number that is bad from 1 on."""
CATEGORICAL: Final = "A categorical feature has none"
"""What a panel of a number that only numeric features have says of the others."""
NO_DRIFT: Final = [{"type": "value", "options": {"0": {"text": "no drift", "index": 0}}}]
"""Mapping of a duration that is 0 while nothing drifts."""


def board(
    settings: RenderSettings, short: str, description: str, variables: Sequence[Json], rows: Sequence[Row]
) -> Json:
    """A board: *rows* of panels under *variables*, with the marks and links that all boards have."""
    ending = "Written by `driftgauge render dashboards`, do not edit: change its settings."
    return {
        "uid": BOARD_UIDS[short],
        "title": _TITLES[short],
        "description": f"{description} {ending}",
        "tags": list(settings.boards.tags),
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": settings.boards.timezone,
        "refresh": settings.boards.refresh,
        "time": {"from": f"now-{settings.boards.since}", "to": "now"},
        "timepicker": {},
        "weekStart": "",
        "fiscalYearStartMonth": 0,
        "links": [_board_link(each) for each in BOARD_UIDS if each != short],
        "annotations": {"list": _annotations(settings)},
        "templating": {"list": [_datasource(settings), *variables]},
        "panels": _placed(rows),
    }


def model_variables(settings: RenderSettings, *, many: bool = False) -> list[Json]:
    """Variables for the targets and the model, of which there may be *many*; then for its version."""
    labels = settings.labels
    alive = settings.series("driftgauge_rows_total")
    here = settings.series("driftgauge_rows_total", f'{labels.job}=~"$job"')
    variables = [
        variable("job", "Job", alive, labels.job, many=True),
        variable("instance", "Instance", here, labels.instance, many=True),
        variable("model", "Model", board_series(settings, "rows_total"), labels.model, many=many),
    ]
    if many:
        return variables
    versions = board_series(settings, "rows_total", f'{labels.model}=~"$model"')
    return [*variables, variable("version", "Version", versions, labels.model_version, many=True, all=".*")]


def variable(
    name: str, label: str, series: str, values: str, *, many: bool = False, all: str = ".+", hint: str = ""
) -> Json:
    """Variable of the values that the label *values* has in *series*; *many* lets choose several, or all."""
    query = f"label_values({series}, {values})"
    return {
        "name": name,
        "label": label,
        "description": hint,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "multi": many,
        "includeAll": many,
        "options": [],
        **(
            {"allValue": all, "current": {"text": "All", "value": "$__all", "selected": True}} if many else {}
        ),
    }


def choice(name: str, label: str, values: Sequence[str], chosen: str, hint: str) -> Json:
    """Variable with fixed values."""
    options = [{"text": value, "value": value, "selected": value == chosen} for value in values]
    return {
        "name": name,
        "label": label,
        "description": hint,
        "type": "custom",
        "query": ",".join(values),
        "current": {"text": chosen, "value": chosen, "selected": True},
        "options": options,
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }


def link(short: str, title: str, **variables: str) -> Json:
    """Link of a value to another board, which keeps targets and time and sets *variables*."""
    given = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return {"title": title, "url": f"/d/{BOARD_UIDS[short]}?{_KEPT}{given}", "targetBlank": False}


def score(settings: RenderSettings) -> Json:
    """Field of a drift score: calm, half of the budget used, drift."""
    line = settings.thresholds.drift_score
    return {
        "unit": "short",
        "decimals": 2,
        "thresholds": steps((None, QUIET), (line / 2, EARLY), (line, DRIFT)),
    }


def limits(early: float, bad: float) -> Json:
    """Thresholds of a number that deserves a look from *early* on and is bad from *bad* on."""
    return steps((None, QUIET), (early, EARLY), (bad, DRIFT))


def cell(name: str, *, paint: bool = False, **properties: Any) -> Json:
    """Override of a table's column; *paint* fills the cell with the colour of its threshold."""
    style: Json = {"custom__cellOptions": {"type": "color-background", "mode": "basic"}} if paint else {}
    return named(name, **style, **properties)


def painted(name: str, color: str, **properties: Any) -> Json:
    """Override of a line, or of those that match a name in slashes, with a colour of their own."""
    return named(name, pattern=name.startswith("/"), color=_fixed(color), **properties)


def braces(*labels: str) -> str:
    """Legend made of labels: ``'{{model}} {{window}}'``."""
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def dashed(name: str, color: str = GREY, **properties: Any) -> Json:
    """Override of a line that is not live: what noise explains, or the reference."""
    style: Json = {"custom__lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom__lineWidth": 1}
    return named(name, color=_fixed(color), **style, **properties)


def _fixed(color: str) -> Json:
    return {"mode": "fixed", "fixedColor": color}


def _placed(rows: Sequence[Row]) -> list[Json]:
    """Panels with ids and places: under the title of each row, (width, height, panel) fill lines."""
    placed: list[Json] = []
    y = 0
    for title, panels in rows:
        if title:
            grid = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
            placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": grid})
            y += 1
        x = tallest = 0
        for width, height, panel in panels:
            if x + width > _WIDTH:
                x, y, tallest = 0, y + tallest, 0
            placed.append({**panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return [{"id": number, **panel} for number, panel in enumerate(placed, 1)]


def _datasource(settings: RenderSettings) -> Json:
    name = settings.boards.datasource
    return {
        "name": "datasource",
        "label": "Data source",
        "description": "A Prometheus that scrapes driftgauge",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": name, "value": name, "selected": True},
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "options": [],
    }


def _board_link(short: str) -> Json:
    return {
        "type": "link",
        "title": _TITLES[short].removeprefix("driftgauge / "),
        "url": f"/d/{BOARD_UIDS[short]}",
        "icon": "dashboard",
        "tooltip": f"{_TITLES[short]}, same time and targets",
        "tags": [],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }


def _annotations(settings: RenderSettings) -> list[Json]:
    labels = settings.labels
    model = braces(labels.model)
    prometheus = {"type": "prometheus", "uid": "${datasource}"}
    common = {"datasource": prometheus, "hide": False, "step": "60s", "useValueForTime": False}
    return [
        {
            "name": "Annotations & Alerts",
            "builtIn": 1,
            "type": "dashboard",
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "enable": True,
            "hide": True,
            "iconColor": SECOND,
        },
        {
            **common,
            "name": "Deploys",
            "enable": True,
            "iconColor": SECOND,
            "expr": new_series(settings, "rows_total", labels.model_version),
            "titleFormat": f"{model} version {braces(labels.model_version)}",
            "textFormat": "a version of the model began to serve",
            "tagKeys": f"{labels.model},{labels.model_version}",
        },
        {
            **common,
            "name": "References",
            "enable": True,
            "iconColor": EARLY,
            "expr": new_series(settings, "reference_info", "reference_id"),
            "titleFormat": f"{model} reference {{{{reference_id}}}}",
            "textFormat": "a reference came into force; numbers before it are about another one",
            "tagKeys": f"{labels.model},reference_id",
        },
        {
            **common,
            "name": "Alerts",
            "enable": False,
            "iconColor": DRIFT,
            "expr": firing(f'{labels.model}=~"$model"'),
            "titleFormat": "{{alertname}}",
            "textFormat": braces(labels.model, labels.feature),
            "tagKeys": "alertname",
        },
    ]

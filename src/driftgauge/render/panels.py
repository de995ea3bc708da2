"""Panels of a Grafana board as plain dictionaries: Classic JSON, which Grafana 10 to 13 read alike.

A builder for each kind of panel that the boards draw, and no more. Whatever a builder sets is checked against
Grafana's own types by the tests, so that nothing here needs to know all of Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = [
    "DRIFT",
    "EARLY",
    "FEWER",
    "GREY",
    "LIVE",
    "MORE",
    "PALE_FEWER",
    "PALE_MORE",
    "QUIET",
    "SECOND",
    "THIRD",
    "Json",
    "Query",
    "bars",
    "flow",
    "history",
    "lines",
    "named",
    "stat",
    "steps",
    "table",
    "timeline",
]

Json = dict[str, Any]

# Blue, yellow and vermilion keep apart for readers with any of the three colour deficiencies, in either of
# Grafana's themes (tests/render/test_boards.py measures it); no meaning is carried by red against green.
QUIET: Final = "#4477AA"
EARLY: Final = "#F0C93B"
DRIFT: Final = "#C4371C"
GREY: Final = "#8E8E8E"
LIVE: Final = "#E08214"
SECOND: Final = "#4DA6D9"
THIRD: Final = "#AA4499"
FEWER: Final = "#2C5F9E"
PALE_FEWER: Final = "#8FB4DB"
PALE_MORE: Final = "#F3B562"
MORE: Final = "#B5471B"

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_REFERENCES: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WIDTH: Final = 24


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with the legend of its series; for tables and bars the legend is the name of its column.

    ``now`` asks for one value at the end of the time range instead of a course.
    """

    expression: str
    legend: str = ""
    now: bool = False


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Thresholds: each colour holds from its value on; the first value is `None`, which is minus infinity."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in pairs]}


def named(name: str, **properties: Any) -> Json:
    """Override for the field *name*; double underscores in a property stand for dots."""
    pairs = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": pairs}


def flow(rows: Sequence[tuple[str, Sequence[tuple[int, int, Json]]]]) -> list[Json]:
    """Panels with ids and places: a titled row for each group, whose panels (width, height) fill lines."""
    placed: list[Json] = []
    y = 0
    for title, panels in rows:
        if title:
            grid = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
            placed.append({"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": grid})
            y += 1
        x = line = 0
        for width, height, panel in panels:
            if x + width > _WIDTH:
                x, y, line = 0, y + line, 0
            placed.append({**panel, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
            x, line = x + width, max(line, height)
        y += line
    return [{"id": number, **panel} for number, panel in enumerate(placed, 1)]


def stat(
    title: str, description: str, query: Query, *, graph: bool = False, name: bool = False, **field: Any
) -> Json:
    """One number, or with *name* the legend itself, large enough to read across a room."""
    options = {
        "colorMode": "background" if "thresholds" in field else "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "name" if name else "value",
        "wideLayout": True,
    }
    return _panel("stat", title, description, [query], options, {}, field)


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    axis: str,
    legend: Literal["list", "table"] = "list",
    hottest: bool = False,
    lowest: float | None = 0,
    highest: float | None = None,
    custom: Mapping[str, Any] = {},
    **field: Any,
) -> Json:
    """Courses over time; *hottest* colours each by its last value from blue to red, for top-k panels."""
    options = {
        "legend": {
            "showLegend": True,
            "displayMode": legend,
            "placement": "right" if legend == "table" else "bottom",
            "calcs": ["lastNotNull"] if legend == "table" else [],
            **({"sortBy": "Last *", "sortDesc": True} if legend == "table" else {}),
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    style: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 2,
        "fillOpacity": 0,
        "showPoints": "never",
        "spanNulls": False,
        "axisLabel": axis,
        "axisPlacement": "auto",
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in field else "off"},
    }
    soft = {"axisSoftMin": lowest, "axisSoftMax": highest}
    style |= {key: value for key, value in soft.items() if value is not None} | dict(custom)
    color = {"mode": "continuous-BlYlRd", "seriesBy": "last"} if hottest else {"mode": "palette-classic"}
    return _panel("timeseries", title, description, queries, options, style, {"color": color, **field})


def history(title: str, description: str, query: Query, *, values: bool = False, **field: Any) -> Json:
    """Heat map of names by time: a cell for each name and moment, coloured by the thresholds."""
    options = {
        "showValue": "auto" if values else "never",
        "rowHeight": 0.9,
        "colWidth": 0.95,
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    panel = _panel("status-history", title, description, [query], options, _CELLS, field)
    return {**panel, "maxDataPoints": 60}  # more cells than pixels make Grafana draw none


def timeline(title: str, description: str, query: Query, **field: Any) -> Json:
    """A bar for each name that changes colour when its state does: it shows since when."""
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.85,
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", title, description, [query], options, _CELLS, field)


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    columns: Mapping[str, str],
    order: Sequence[tuple[str, bool]],
    **field: Any,
) -> Json:
    """Rows joined over their labels; *columns* names the labels shown; *order* is (column, falling)."""
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "frameIndex": 0,
        "sortBy": [{"displayName": name, "desc": falling} for name, falling in order],
    }
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}
    panel = _panel("table", title, description, queries, options, custom, field, rows=True)
    return {**panel, "transformations": _joined(queries, columns)}


def bars(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    over: str,
    columns: Mapping[str, str],
    **field: Any,
) -> Json:
    """Bars side by side over the label that *columns* calls *over*."""
    options = {
        "orientation": "auto",
        "xField": over,
        "xTickLabelRotation": 0,
        "xTickLabelMaxLength": 24,
        "showValue": "never",
        "stacking": "none",
        "groupWidth": 0.8,
        "barWidth": 0.95,
        "barRadius": 0,
        "fullHighlight": False,
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    custom = {"axisLabel": "", "axisPlacement": "auto", "fillOpacity": 80, "lineWidth": 0, "axisSoftMin": 0}
    panel = _panel("barchart", title, description, queries, options, custom, field, rows=True)
    return {**panel, "transformations": _joined(queries, columns)}


_CELLS: Final = {"fillOpacity": 90, "lineWidth": 0}


def _joined(queries: Sequence[Query], columns: Mapping[str, str]) -> list[Json]:
    """Transformations that make one table of the queries: join, hide what has no name, order and rename."""
    values = {f"Value #{letter}": query.legend for letter, query in zip(_REFERENCES, queries, strict=False)}
    if len(queries) == 1:
        values = {"Value": queries[0].legend, **values}  # Grafana adds the letter where there are several
    shown = {**columns, **values}
    options = {
        "excludeByName": {"Time": True},
        "includeByName": {},
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": shown,
    }
    return [{"id": "merge", "options": {}}, {"id": "organize", "options": options}]


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Query],
    options: Json,
    custom: Mapping[str, Any],
    field: Mapping[str, Any],
    *,
    rows: bool = False,
) -> Json:
    defaults = {name: value for name, value in field.items() if name != "overrides"}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": _DATASOURCE,
        "targets": [
            {
                "datasource": _DATASOURCE,
                "refId": letter,
                "expr": query.expression,
                "legendFormat": query.legend or "__auto",
                "editorMode": "code",
                "format": "table" if rows else "time_series",
                "instant": rows or query.now,
                "range": not (rows or query.now),
            }
            for letter, query in zip(_REFERENCES, queries, strict=False)
        ],
        "fieldConfig": {
            "defaults": {"color": {"mode": "thresholds"}, "custom": dict(custom), **defaults},
            "overrides": list(field.get("overrides", ())),
        },
        "options": options,
        "transparent": False,
    }

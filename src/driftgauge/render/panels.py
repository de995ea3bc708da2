"""Panels of a Grafana board as plain dictionaries: Classic JSON, which Grafana 10 to 13 read alike.

A builder for each kind of panel that the boards draw, and no more. What a builder sets is checked against
Grafana's own types by the tests, so nothing here needs to know all of Grafana.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from driftgauge.render.palette import QUIET

__all__ = [
    "Json",
    "Query",
    "bars",
    "cells",
    "lines",
    "named",
    "stat",
    "steps",
    "table",
]

Json = dict[str, Any]

_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LEGEND: Final = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL with the legend of its series; in tables and bars the legend is the name of its column.

    ``now`` asks for one value at the end of the time range instead of a course. A column without a name is
    not shown: its query only brings labels.
    """

    expression: str
    legend: str
    now: bool = False


def steps(*pairs: tuple[float | None, str]) -> Json:
    """Thresholds: each colour holds from its value on; the first value is None, minus infinity."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in pairs]}


def named(name: str, *, pattern: bool = False, **properties: Any) -> Json:
    """Override of the field *name*, or of names that match it; ``__`` in a property stands for a dot."""
    values = [{"id": key.replace("__", "."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byRegexp" if pattern else "byName", "options": name}, "properties": values}


def stat(
    title: str, description: str, query: Query, *, graph: bool = False, name: bool = False, **field: Any
) -> Json:
    """One number, or with *name* the legend of its series, to read across a room."""
    options = {
        "colorMode": "background",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "name" if name else "value",
        "wideLayout": True,
    }
    return _panel(
        "stat", title, description, [query], options, {}, {"thresholds": steps((None, QUIET)), **field}
    )


def lines(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    axis: str,
    lowest: float | None = 0,
    custom: Mapping[str, Any] = {},
    **field: Any,
) -> Json:
    """Courses over time: coloured by the threshold that each reached last, or in shades of one colour."""
    options = {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
    style = {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": 0,
        "showPoints": "never",
        "spanNulls": False,
        "axisLabel": axis,
        "axisPlacement": "auto",
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in field else "off"},
        **({} if lowest is None else {"axisSoftMin": lowest}),
        **custom,
    }
    shades: Json = {"mode": "shades", "fixedColor": QUIET}
    color = {"mode": "thresholds", "seriesBy": "last"} if "thresholds" in field else shades
    return _panel("timeseries", title, description, queries, options, style, {"color": color, **field})


def cells(title: str, description: str, query: Query, *, merged: bool = False, **field: Any) -> Json:
    """Heat map of names by time, coloured by the thresholds; *merged* makes one bar of equal neighbours."""
    common = {"legend": _LEGEND, "tooltip": {"mode": "single", "sort": "none"}, "rowHeight": 0.9}
    style = {"fillOpacity": 90, "lineWidth": 0}
    if merged:
        options = {**common, "showValue": "auto", "mergeValues": True, "alignValue": "left"}
        return _panel("state-timeline", title, description, [query], options, style, field)
    options = {**common, "showValue": "never", "colWidth": 0.95}
    panel = _panel("status-history", title, description, [query], options, style, field)
    return {**panel, "maxDataPoints": 60}  # with more cells than pixels Grafana draws none


def table(
    title: str,
    description: str,
    queries: Sequence[Query],
    *,
    columns: Mapping[str, str],
    order: Sequence[tuple[str, bool]],
    **field: Any,
) -> Json:
    """Rows of the queries joined over their labels; *columns* names labels, *order* is (column, falling)."""
    sort = [{"displayName": name, "desc": falling} for name, falling in order]
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0, "sortBy": sort}
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}
    panel = _panel("table", title, description, queries, options, custom, field, rows=True)
    return {**panel, "transformations": _joined(queries, columns)}


def bars(
    title: str, description: str, queries: Sequence[Query], *, columns: Mapping[str, str], **field: Any
) -> Json:
    """Bars side by side over the last label of *columns*; the labels before it only give the order."""
    *order, over = columns
    options = {
        "orientation": "auto",
        "xField": columns[over],
        "xTickLabelRotation": 0,
        "xTickLabelMaxLength": 24,
        "showValue": "never",
        "stacking": "none",
        "groupWidth": 0.8,
        "barWidth": 0.95,
        "fullHighlight": False,
        "legend": _LEGEND,
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    custom = {"axisPlacement": "auto", "fillOpacity": 80, "lineWidth": 0, "axisSoftMin": 0}
    panel = _panel("barchart", title, description, queries, options, custom, field, rows=True)
    sort = [{"id": "sortBy", "options": {"sort": [{"field": name}]}} for name in order]
    return {**panel, "transformations": _joined(queries, columns, sort, hidden=order)}


def _joined(
    queries: Sequence[Query],
    columns: Mapping[str, str],
    sort: Sequence[Json] = (),
    hidden: Sequence[str] = (),
) -> list[Json]:
    """Transformations that make one table of the queries: join, sort, then hide, order and rename columns."""
    letters = [f"Value #{letter}" for letter in _LETTERS] if len(queries) > 1 else ["Value"]
    values = {letter: query.legend for letter, query in zip(letters, queries, strict=False)}
    shown = {name: title for name, title in {**columns, **values}.items() if title}
    options = {
        "excludeByName": dict.fromkeys(
            ("Time", *hidden, *(name for name in values if not values[name])), True
        ),
        "indexByName": {name: place for place, name in enumerate(shown)},
        "renameByName": shown,
    }
    return [{"id": "merge", "options": {}}, *sort, {"id": "organize", "options": options}]


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
    targets = [
        {
            "refId": letter,
            "datasource": _DATASOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "editorMode": "code",
            "format": "table" if rows else "time_series",
            "instant": rows or query.now,
            "range": not (rows or query.now),
        }
        for letter, query in zip(_LETTERS, queries, strict=False)
    ]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": _DATASOURCE,
        "targets": targets,
        "fieldConfig": {
            "defaults": {"color": {"mode": "thresholds"}, "custom": dict(custom), **defaults},
            "overrides": list(field.get("overrides", ())),
        },
        "options": options,
    }

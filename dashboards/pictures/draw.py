"""Draws the boards with matplotlib, from their committed JSON and the data of a real Prometheus.

    python dashboards/pictures/draw.py

Places, queries, thresholds and colours are those of the boards; the drawing is not Grafana's, and each
picture says so. It takes the four minutes of the story, and matplotlib, which driftgauge does not need.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from story import Told, told

HERE = Path(__file__).parent
WIDE, HIGH, DPI = 0.58, 0.36, 80  # inches of one step of Grafana's grid
NOTE = (
    "Drawn by dashboards/pictures/draw.py with matplotlib from a real Prometheus: not a picture of Grafana."
)
CHOICES = {"driftgauge / Models": {"model": ".+"}, "driftgauge / driftgauge itself": {"model": ".+"}}
INK, FAINT = "#24292E", "#D0D5DA"


def text_of(value: float, field: dict[str, Any]) -> str:
    """A number with its unit, as short as Grafana writes it."""
    for mapping in field.get("mappings", []):
        if (key := f"{value:g}") in mapping["options"]:
            return str(mapping["options"][key]["text"])
    unit, decimals = field.get("unit", "short"), field.get("decimals")
    if unit == "percentunit":
        return f"{100 * value:.{1 if decimals is None else decimals}f} %"
    if unit == "s":
        for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return f"{1e6 * value:.3g} µs"
    if unit == "dateTimeAsIso":
        return np.datetime64(int(value), "ms").astype("datetime64[s]").item().strftime("%Y-%m-%d %H:%M")
    number = f"{value:.{decimals}f}" if decimals is not None else f"{value:.4g}"
    return f"{number} rows/s" if unit == "cps" else number


def colour_of(value: float, field: dict[str, Any]) -> str:
    """Colour of the threshold that *value* has reached."""
    colour = "#FFFFFF"
    for step in field.get("thresholds", {"steps": []})["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    return colour


def legend_of(series: dict[str, Any], target: dict[str, Any]) -> str:
    text = target["legendFormat"]
    for name, value in series["metric"].items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return "".join(part.split("}}")[-1] for part in text.split("{{"))


def overrides_of(panel: dict[str, Any], name: str) -> dict[str, Any]:
    """Field of *name*: the panel's defaults with what its overrides say."""
    field = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        wanted = matcher["options"].strip("/").lstrip("^")
        if name == wanted or (matcher["id"] == "byRegexp" and name.startswith(wanted)):
            field |= {each["id"]: each["value"] for each in override["properties"]}
    return field


def courses(panel: dict[str, Any], story: Told) -> list[tuple[str, np.ndarray, np.ndarray]]:
    found = []
    for target in panel["targets"]:
        for series in story.ask(target, **CHOICES.get(panel["board"], {})):
            times, values = np.array([(time, float(value)) for time, value in series["values"]]).T
            found.append((legend_of(series, target), (times - story.end) / 60, values))
    return found


def draw_stat(axes: Any, panel: dict[str, Any], story: Told) -> None:
    field, target = panel["fieldConfig"]["defaults"], panel["targets"][0]
    found = story.ask(target, **CHOICES.get(panel["board"], {}))
    if not found:
        return
    series = max(found, key=lambda each: float((each.get("values") or [each["value"]])[-1][1]))
    values = np.array([float(value) for _, value in series.get("values") or [series["value"]]])
    painted = "thresholds" in field
    axes.set_facecolor(colour_of(values[-1], field) if painted else "#FFFFFF")
    name = panel["options"]["textMode"] == "name"
    text = legend_of(series, target) if name else text_of(values[-1], field)
    colour = "#FFFFFF" if painted and colour_of(values[-1], field) not in ("#F0C93B",) else INK
    size = min(21, 300 / max(len(text), 1)) if name else 21
    axes.text(0.5, 0.5, text, color=colour, fontsize=size, ha="center", va="center", transform=axes.transAxes)
    if panel["options"]["graphMode"] == "area" and len(values) > 1:
        over = axes.inset_axes((0, 0, 1, 0.35))
        over.fill_between(range(len(values)), values, color="#FFFFFF", alpha=0.3)
        over.set_axis_off()
    axes.set_xticks([])
    axes.set_yticks([])


def draw_lines(axes: Any, panel: dict[str, Any], story: Told) -> None:
    field = panel["fieldConfig"]["defaults"]
    found = courses(panel, story)
    shades = mpl.colors.LinearSegmentedColormap.from_list("shades", ["#1F3F63", "#8FB7DE"])
    for place, (name, times, values) in enumerate(found):
        own = overrides_of(panel, name)
        if own["color"]["mode"] == "fixed":
            colour: Any = own["color"]["fixedColor"]
        elif own["color"]["mode"] == "shades":
            colour = shades(place / max(len(found) - 1, 1))
        else:
            colour = colour_of(values[-1], own)
        style = "--" if "custom.lineStyle" in own else "-"
        axes.plot(
            times,
            values,
            color=colour,
            linewidth=own.get("custom.lineWidth", 2) * 0.8,
            linestyle=style,
            label=name,
        )
    for step in field.get("thresholds", {"steps": []})["steps"]:
        if step["value"] is not None and field["custom"]["thresholdsStyle"]["mode"] == "dashed":
            axes.axhline(step["value"], color=step["color"], linestyle=":", linewidth=1.2)
    values = [value for _, _, course in found for value in course if not math.isnan(value)] or [0.0]
    if "axisSoftMin" in field["custom"]:
        highest = max(*values, field["custom"].get("axisSoftMax", 0), 1e-9)
        axes.set_ylim(min(*values, field["custom"]["axisSoftMin"]) - 0.02 * highest, 1.06 * highest)
    axes.set_ylabel(field["custom"]["axisLabel"], fontsize=7)
    if field["unit"] == "percentunit":
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=None))
    if len(found) <= 12:
        axes.legend(fontsize=6, loc="upper left", framealpha=0.6, ncols=3 if len(found) > 4 else 1)
    axes.grid(color=FAINT, linewidth=0.5)
    in_minutes(axes)


def in_minutes(axes: Any) -> None:
    axes.xaxis.set_major_formatter(lambda minutes, _: "now" if abs(minutes) < 0.01 else f"{minutes:g} min")
    axes.tick_params(labelsize=7)


def draw_cells(axes: Any, panel: dict[str, Any], story: Told) -> None:
    field = panel["fieldConfig"]["defaults"]
    found = courses(panel, story)
    for row, (_, times, values) in enumerate(found):
        width = float(np.min(np.diff(times))) if len(times) > 1 else 0.1
        for time, value in zip(times, values, strict=True):
            if not math.isnan(value):
                full = 0.92 if panel["type"] == "status-history" else 1.02
                axes.barh(row, width * full, left=time - width, height=0.86, color=colour_of(value, field))
    axes.set_yticks(range(len(found)), [name for name, _, _ in found], fontsize=7)
    axes.invert_yaxis()
    in_minutes(axes)
    axes.margins(0.005, 0.01)


def joined(panel: dict[str, Any], story: Told) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns and rows of a table: the queries joined over the labels that all of them have."""
    organize = panel["transformations"][-1]["options"]
    renamed, hidden = organize["renameByName"], organize["excludeByName"]
    answers = [story.ask(target, **CHOICES.get(panel["board"], {})) for target in panel["targets"]]
    common = set.intersection(*(set(series["metric"]) for answer in answers for series in answer))
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for place, answer in enumerate(answers):
        letter = f"Value #{'ABCDEFGHIJKLMNOP'[place]}"
        for series in answer:
            row = rows.setdefault(tuple(series["metric"][name] for name in sorted(common)), {})
            row |= {renamed[name]: value for name, value in series["metric"].items() if name in renamed}
            row |= {"sort": series["metric"].get("bin", "")}
            if letter in renamed and not hidden.get(letter):
                row[renamed[letter]] = float(series["value"][1])
    columns = [title for name, title in renamed.items() if not hidden.get(name)]
    return columns, list(rows.values())


def draw_table(axes: Any, panel: dict[str, Any], story: Told) -> None:
    columns, rows = joined(panel, story)
    for by in reversed(panel["options"]["sortBy"]):
        rows.sort(key=lambda row, name=by["displayName"]: row.get(name, 0) or 0, reverse=by["desc"])
    grid = [[_cell(row.get(column), overrides_of(panel, column)) for column in columns] for row in rows]
    axes.set_axis_off()
    drawn = axes.table(
        [[text for text, _ in row] for row in grid],
        cellColours=[[colour for _, colour in row] for row in grid],
        colLabels=columns,
        loc="upper center",
        cellLoc="left",
        edges="closed",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(7.5)
    drawn.scale(1, 1.15)
    for (row, column), cell in drawn.get_celld().items():
        cell.set_edgecolor(FAINT)
        if row and grid[row - 1][column][1] in ("#4477AA", "#C4371C"):
            cell.get_text().set_color("#FFFFFF")


def _cell(value: Any, field: dict[str, Any]) -> tuple[str, str]:
    if not isinstance(value, float):
        return str(value or ""), "#FFFFFF"
    paint = "custom.cellOptions" in field
    return text_of(value, field), colour_of(value, field) if paint else "#FFFFFF"


def draw_bars(axes: Any, panel: dict[str, Any], story: Told) -> None:
    columns, rows = joined(panel, story)
    over, *sides = columns
    rows.sort(key=lambda row: row["sort"])
    for place, side in enumerate(sides):
        colour = overrides_of(panel, side)["color"]["fixedColor"]
        at = np.arange(len(rows)) + (place - 0.5) * 0.4
        axes.bar(at, [row.get(side, 0) for row in rows], 0.38, color=colour, label=side)
    axes.set_xticks(range(len(rows)), [row[over] for row in rows], fontsize=6.5, rotation=20)
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
    axes.legend(fontsize=7)
    axes.tick_params(axis="y", labelsize=7)


DRAW = {
    "stat": draw_stat,
    "timeseries": draw_lines,
    "status-history": draw_cells,
    "state-timeline": draw_cells,
    "table": draw_table,
    "barchart": draw_bars,
}


def picture(board: dict[str, Any], story: Told, path: Path) -> None:
    """Writes one board as a PNG of few colours."""
    depth = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) + 2
    figure = plt.figure(figsize=(24 * WIDE, depth * HIGH), dpi=DPI, facecolor="#F4F5F5")
    figure.text(0.01, 1 - 0.8 / depth, board["title"], fontsize=14, color=INK, weight="bold")
    figure.text(0.99, 0.35 / depth, NOTE, fontsize=8, color=INK, ha="right", style="italic")
    for panel in board["panels"]:
        grid = panel["gridPos"]
        x, top = grid["x"] / 24, 1 - (grid["y"] + 1.2) / depth
        figure.text(x + 0.008, top - 0.7 / depth, panel["title"], fontsize=9, color=INK, weight="bold")
        if panel["type"] == "row":
            continue
        left = {"timeseries": 0.042, "status-history": 0.085, "state-timeline": 0.06, "barchart": 0.035}
        indent = left.get(panel["type"], 0.008)
        below = (
            0.9 if panel["type"] in ("timeseries", "status-history", "state-timeline", "barchart") else 0.25
        )
        box = (
            x + indent,
            top - (grid["h"] - below) / depth,
            grid["w"] / 24 - indent - 0.008,
            (grid["h"] - below - 1.1) / depth,
        )
        axes = figure.add_axes(box)
        for side in axes.spines.values():
            side.set_color(FAINT)
        DRAW[panel["type"]](axes, {**panel, "board": board["title"]}, story)
    figure.savefig(path)
    plt.close(figure)
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(160, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, told(Path(folder)) as story:
        for path in sorted(HERE.parent.glob("driftgauge-*.json")):
            picture(json.loads(path.read_text(encoding="utf-8")), story, HERE / f"{path.stem}.png")


if __name__ == "__main__":
    main()

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftgauge.render import RenderSettings, palette
from driftgauge.render.boards import boards as render_boards
from driftgauge.render.files import differences, rendered
from driftgauge.render.settings import BOARD_UIDS, Boards, Bridge, Labels, Thresholds

ROOT = Path(__file__).resolve().parents[2]
GRAFANA_VARIABLES = {
    "__all",
    "__rate_interval",
    "__range",
    "__interval",
    "__url_time_range",
    "__data",
    "__field",
}
# Machado, Oliveira and Fernandes (2009), severity 1: linear RGB as a reader without one kind of cone sees it.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
JUST_NOTICEABLE = 2.3  # ΔE of CIELAB, Mahy, Van Eycken and Oosterlinck (1994)
APART = 8 * JUST_NOTICEABLE
THEMES = {"dark": "#181B1F", "light": "#FFFFFF"}


def shown(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels of a board without the titles of rows."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(strings(each) for each in value.values())
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(strings(each) for each in value)


def test_the_committed_boards_are_what_is_rendered() -> None:
    assert differences(ROOT / "dashboards", rendered("dashboards", RenderSettings())) == ""


def test_rendering_twice_gives_the_same_text() -> None:
    assert rendered("dashboards", RenderSettings()) == rendered("dashboards", RenderSettings())


def test_boards_are_the_five_that_links_and_alerts_know(boards: dict[str, Any]) -> None:
    assert {board["uid"] for board in boards.values()} == set(BOARD_UIDS.values()) == set(boards)
    assert len({board["title"] for board in boards.values()}) == 5


def test_a_panel_says_what_it_shows_and_what_to_do(boards: dict[str, Any]) -> None:
    for board in boards.values():
        titles = [panel["title"] for panel in shown(board)]
        assert len(titles) == len(set(titles)), "the linter's exclusions name panels by title"
        for panel in shown(board):
            words = panel["description"].split()
            assert 15 <= len(words) <= 60, panel["title"]
            assert panel["description"].count(". ") + panel["description"].count(": ") >= 1, panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_lines_have_an_axis_with_a_name_and_states_have_thresholds(boards: dict[str, Any]) -> None:
    for panel in itertools.chain.from_iterable(map(shown, boards.values())):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "timeseries":
            assert defaults["custom"]["axisLabel"], panel["title"]
        if panel["type"] in ("status-history", "state-timeline"):
            assert len(defaults["thresholds"]["steps"]) >= 3, panel["title"]


def test_panels_fill_the_width_and_do_not_overlap(boards: dict[str, Any]) -> None:
    for board in boards.values():
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        taken: dict[tuple[int, int], str] = {}
        for panel in board["panels"]:
            grid = panel["gridPos"]
            assert 0 <= grid["x"] < grid["x"] + grid["w"] <= 24
            for place in itertools.product(
                range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
            ):
                assert place not in taken, f"{panel['title']} covers {taken[place]}"
                taken[place] = panel["title"]
        depth = 1 + max(y for _, y in taken)
        assert len(taken) == 24 * depth, f"{board['title']} has holes"


def test_what_an_operator_must_see_first_is_in_the_first_screen(boards: dict[str, Any]) -> None:
    first = {
        "driftgauge-models": {"Models drifting", "Drifted features", "Alerts firing", "Models"},
        "driftgauge-model": {
            "Drift score",
            "Output drift",
            "Drifting for",
            "Strongest evidence",
            "Inputs by time",
        },
        "driftgauge-feature": {
            "Feature drift score",
            "PSI over noise",
            "Cause",
            "Now",
            "Where rows came and went",
        },
    }
    for name, titles in first.items():
        above = {panel["title"] for panel in shown(boards[name]) if panel["gridPos"]["y"] < 15}
        assert titles <= above


def test_every_variable_is_used_and_every_used_one_is_there(boards: dict[str, Any]) -> None:
    for board in boards.values():
        there = {variable["name"] for variable in board["templating"]["list"]}
        outside = {key: value for key, value in board.items() if key != "templating"}
        used = set(itertools.chain.from_iterable(map(variables_in, strings(outside))))
        chained = set(itertools.chain.from_iterable(map(variables_in, strings(board["templating"]))))
        assert used | chained <= there | GRAFANA_VARIABLES, board["title"]
        assert there <= used | chained, board["title"]


def variables_in(text: str) -> set[str]:
    return set(re.findall(r"\$\{?([a-z_]\w*)", text))


def test_links_lead_to_boards_and_set_variables_that_they_have(boards: dict[str, Any]) -> None:
    reached = set()
    for board in boards.values():
        for text in strings(board):
            if found := re.match(r"/d/([\w-]+)", text):
                reached.add(found[1])
                given = set(re.findall(r"var-(\w+)=", text))
                assert given <= {each["name"] for each in boards[found[1]]["templating"]["list"]}
    assert reached == set(boards)


def test_one_selector_of_the_site_is_in_every_selector_of_a_metric() -> None:
    plain, sited = RenderSettings(), replace(RenderSettings(), selector='cluster="eu"')
    for before, after in zip(render_boards(plain).values(), render_boards(sited).values(), strict=True):
        for old, new in zip(strings(before), strings(after), strict=True):
            metrics = re.findall(r"\b(?:driftgauge_\w+|scrape_\w+)\{", old)
            assert new.count('{cluster="eu",') == len(metrics), old


def test_labels_can_be_called_otherwise() -> None:
    settings = replace(RenderSettings(), labels=Labels(instance="pod", model="service", feature="column"))
    for board in render_boards(settings).values():
        for panel in shown(board):
            for target in panel["targets"]:
                assert "instance=~" not in target["expr"]
                assert not re.search(r"\b(model|feature)=~|\((model|feature)[,)]", target["expr"]), target[
                    "expr"
                ]


def test_thresholds_of_the_alerts_are_those_of_the_boards() -> None:
    settings = replace(RenderSettings(), thresholds=Thresholds(psi=0.125, drift_score=2.5))
    text = json.dumps(render_boards(settings))
    assert '"value": 0.125' in text
    assert '"value": 2.5' in text
    assert "> bool 2.5" in text


def test_settings_of_boards_are_followed() -> None:
    settings = replace(
        RenderSettings(),
        boards=Boards(datasource="Thanos", refresh="5m", since="7d", timezone="utc", tags=("ml",)),
    )
    for board in render_boards(settings).values():
        assert (board["refresh"], board["timezone"], board["tags"]) == ("5m", "utc", ["ml"])
        assert board["time"]["from"] == "now-7d"
        assert board["templating"]["list"][0]["current"]["text"] == "Thanos"


def test_the_row_of_the_bridge_can_be_left_out() -> None:
    settings = replace(RenderSettings(), bridge=Bridge(enabled=False))
    assert "bridge" in json.dumps(render_boards(RenderSettings()))
    assert "bridge" not in json.dumps(render_boards(settings))


def colours_of(panel: dict[str, Any]) -> set[str]:
    return {text for text in strings(panel["fieldConfig"]) if re.fullmatch(r"#[0-9A-Fa-f]{6}", text)}


def test_all_colours_are_from_the_palette_or_shades_of_one_of_its_colours(boards: dict[str, Any]) -> None:
    known = {getattr(palette, name) for name in palette.__all__}
    for panel in itertools.chain.from_iterable(map(shown, boards.values())):
        assert colours_of(panel) <= known
        assert panel["fieldConfig"]["defaults"]["color"]["mode"] in ("thresholds", "shades")


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_of_one_panel_keep_apart_for_every_reader(boards: dict[str, Any], deficiency: str) -> None:
    for panel in itertools.chain.from_iterable(map(shown, boards.values())):
        for one, other in itertools.combinations(sorted(colours_of(panel)), 2):
            difference = math.dist(seen(one, deficiency), seen(other, deficiency))
            assert difference > APART, f"{panel['title']}: {one} and {other} differ by {difference:.1f}"


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("theme", THEMES)
def test_colours_keep_apart_from_the_background_of_both_themes(deficiency: str, theme: str) -> None:
    for name in palette.__all__:
        difference = math.dist(seen(getattr(palette, name), deficiency), seen(THEMES[theme], deficiency))
        assert difference > APART, f"{name} on {theme}: {difference:.1f}"


def seen(colour: str, deficiency: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """CIELAB (D65) of an sRGB colour as a reader with a colour deficiency sees it."""
    encoded = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(DEFICIENCIES[deficiency] @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

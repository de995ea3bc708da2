"""The rules of Grafana's dashboard-linter, and the linter itself where it is installed.

Its rules are few and public; they are stated here again because ``go install`` of the linter is refused by
some module proxies. Both read the same ``dashboards/.lint``, which says why a rule is not followed.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINT = ROOT / "dashboards" / ".lint"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Of Grafana's list of units (packages/grafana-data/src/valueFormats/categories.ts) those that the boards use.
UNITS = {"short", "s", "cps", "percentunit", "dateTimeAsIso"}
SELECTOR = re.compile(r"([a-zA-Z_:$][\w:]*(?:\$\{\w+\})?)\{([^{}]*)\}(\[[^\]]*\])?")


def variables(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in board["templating"]["list"]}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def test_template_datasource_rule(boards: dict[str, Any]) -> None:
    for board in boards.values():
        (source,) = (each for each in variables(board).values() if each["type"] == "datasource")
        assert (source["name"], source["label"], source["query"]) == (
            "datasource",
            "Data source",
            "prometheus",
        )


@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(boards: dict[str, Any], name: str) -> None:
    for board in boards.values():
        variable = variables(board)[name]
        assert variable["type"] == "query"
        assert variable["datasource"] == DATASOURCE
        assert (variable["label"], variable["multi"], variable["allValue"]) == (name.title(), True, ".+")


def test_template_label_promql_and_time_change_rules(boards: dict[str, Any]) -> None:
    for variable in itertools.chain.from_iterable(variables(board).values() for board in boards.values()):
        if variable["type"] == "query":
            assert re.fullmatch(r"label_values\(\w+(\{.+\})?, \w+\)", variable["query"]["query"])
            assert variable["refresh"] == 2, "variables reload when the time range changes"


def test_panel_datasource_title_description_units_and_targets_rules(boards: dict[str, Any]) -> None:
    for panel in itertools.chain.from_iterable(map(panels, boards.values())):
        assert panel["datasource"] == DATASOURCE
        assert all(target["datasource"] == DATASOURCE for target in panel["targets"])
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        overrides = [
            each for override in panel["fieldConfig"]["overrides"] for each in override["properties"]
        ]
        units = {each["value"] for each in overrides if each["id"] == "unit"}
        assert units | {panel["fieldConfig"]["defaults"]["unit"]} <= UNITS, panel["title"]


def test_target_rate_interval_and_counter_rules(queries: list[Any]) -> None:
    for query in queries:
        expression = query.target["expr"]
        for used in re.findall(r"\b(?:rate|irate)\([^\[]*\[([^\]]+)\]", expression):
            assert used == "$__rate_interval", query.place
        for found in SELECTOR.finditer(expression):
            if found[1].endswith("_total"):
                before = expression[: found.start()]
                assert found[3], f"{query.place}: a counter that only grows"
                assert re.search(r"\b(rate|increase)\($", before), query.place


def test_uneditable_rule(boards: dict[str, Any]) -> None:
    assert not any(board["editable"] for board in boards.values())


@pytest.mark.parametrize("name", ["job", "instance"])
def test_target_job_and_instance_rules_but_for_what_is_excluded(queries: list[Any], name: str) -> None:
    """Each panel that breaks the rule is excluded by name and with a reason, and no other is."""
    broken = {
        (query.board, query.panel["title"])
        for query in queries
        for found in SELECTOR.finditer(query.target["expr"])
        if f'{name}=~"${name}"' not in found[2]
    }
    rule = yaml.safe_load(LINT.read_text("utf-8"))["exclusions"][f"target-{name}-rule"]
    assert len(rule["reason"]) > 40
    titles = {entry["dashboard"]: f"driftgauge-{uid}" for entry in rule["entries"] for uid in [short(entry)]}
    assert {(titles[entry["dashboard"]], entry["panel"]) for entry in rule["entries"]} == broken


def short(entry: dict[str, str]) -> str:
    names = {"Models": "models", "Fleet truth": "fleet", "driftgauge itself": "itself"}
    return names[entry["dashboard"].removeprefix("driftgauge / ")]


def test_nothing_else_is_excluded() -> None:
    lint = yaml.safe_load(LINT.read_text("utf-8"))
    assert set(lint) == {"exclusions"}
    assert set(lint["exclusions"]) == {"target-job-rule", "target-instance-rule"}


def test_the_linter_itself_finds_nothing(boards: dict[str, Any]) -> None:
    linter = shutil.which("dashboard-linter")
    if linter is None:
        pytest.skip("dashboard-linter is not installed; its rules are tested above")
    for name in boards:
        path = ROOT / "dashboards" / f"{name}.json"
        done = subprocess.run(
            [linter, "lint", "--strict", str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from services import unavailable

from driftgauge.bridge import families as bridge
from driftgauge.catalogue import CATALOGUE
from driftgauge.render import RenderSettings
from driftgauge.render.boards import boards as render_boards
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import Labels, Ranges

FAMILIES = {family.prometheus_name for family in (*CATALOGUE, *bridge.FAMILIES)}
RECORDED = {rule["record"] for group in recording_groups(RenderSettings()) for rule in group["rules"]}
# What Prometheus itself keeps: alerts, and two numbers of each scrape.
OF_PROMETHEUS = {"ALERTS", "scrape_samples_scraped", "scrape_duration_seconds"}
FEATURES = ("age", "plan")  # one numeric, one categorical


def names_in(expression: str) -> set[str]:
    """Metrics that a query selects, as the parser understands it."""
    found = set()

    def walk(node: Any) -> None:
        selector = getattr(node, "vector_selector", node)
        if name := getattr(selector, "name", None):
            found.add(name)
        for part in ("expr", "lhs", "rhs", "param"):
            if (below := getattr(node, part, None)) is not None and not isinstance(below, str):
                walk(below)
        for each in getattr(node, "args", None) or ():
            walk(each)

    walk(promql_parser.parse(expression))
    return found


def test_every_query_is_promql_of_metrics_that_exist(queries: Sequence[Any]) -> None:
    for query in queries:
        for span in ("1h", "6h"):
            names = names_in(query.text(range=span))
            assert names, query.place
            assert names <= FAMILIES | RECORDED | OF_PROMETHEUS, query.place


def test_queries_stay_promql_whatever_the_settings_call_things(fill: Any) -> None:
    settings = RenderSettings(
        selector='cluster=~"eu|us",namespace!=""',
        labels=Labels(job="service", instance="pod", model="name", feature="column", extra=("cluster",)),
        ranges=Ranges(short="30m", long="12h"),
    )
    for board in render_boards(settings).values():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                names_in(fill(target["expr"], range="30m"))


def test_every_family_of_the_catalogue_and_of_the_bridge_is_on_some_panel(queries: Sequence[Any]) -> None:
    shown = set().union(*(names_in(query.text()) for query in queries))
    assert sorted(FAMILIES - shown) == []


def test_two_references_or_causes_of_one_replica_break_no_panel(
    queries: Sequence[Any], tmp_path: Path
) -> None:
    """Two of what should be one are joined to nothing twice: Prometheus would refuse the whole query."""
    promtool = shutil.which("promtool")
    if promtool is None:
        unavailable("promtool is not installed: apt-get install prometheus")
    model = 'job="j",instance="i",model="churn",model_version="3"'
    feature = f'{model},feature="age",kind="input"'
    series = {
        f"driftgauge_feature_drift_score{{{feature}}}": "2",
        **{
            f'driftgauge_feature_drift_info{{{feature},cause="{each}",cell=""}}': "1"
            for each in ("up", "down")
        },
        **{f'driftgauge_reference_info{{{model},reference_id="{each}"}}': "1" for each in ("aa", "bb")},
        **{f'driftgauge_feature_bin_info{{{feature},bin="00",range="{each}"}}': "1" for each in ("low", "x")},
        f'driftgauge_feature_reference_bin_ratio{{{feature},bin="00",next_bin=""}}': "1",
        f"driftgauge_reference_rows{{{model}}}": "5",
    }
    asked = [query for query in queries if re.search("_info|reference_bin", query.target["expr"])]
    assert len(asked) > 8
    stories = [{"expr": f"count({query.text()}) > bool 9", "eval_time": "0s"} for query in asked]
    given = [{"series": name, "values": value} for name, value in series.items()]
    path = tmp_path / "tests.yaml"
    path.write_text(json.dumps({"tests": [{"input_series": given, "promql_expr_test": stories}]}))
    done = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "found duplicate series" not in said, said
    assert "many-to-many" not in said, said


@pytest.mark.prometheus
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["quiet_at", "drifted_at"])
def test_every_query_of_every_panel_has_data_on_a_real_prometheus(
    queries: Sequence[Any], two_replicas: Any, moment: str
) -> None:
    empty, partly = [], []
    for query in queries:
        found = [ask(two_replicas, query, moment, feature) for feature in FEATURES]
        if not any(found):
            empty.append(query.place)
        elif not all(found):
            partly.append(query)
    assert empty == []
    for query in partly:
        others = [other for other in queries if other.panel is query.panel]
        shows_something = all(
            any(ask(two_replicas, other, moment, feature) for other in others) for feature in FEATURES
        )
        says_why = "categorical" in query.panel["fieldConfig"]["defaults"].get("noValue", "")
        assert shows_something or says_why, query.place


@pytest.mark.prometheus
@pytest.mark.slow
def test_variables_and_marks_have_values_on_a_real_prometheus(
    boards: dict[str, Any], two_replicas: Any, fill: Any
) -> None:
    prometheus = two_replicas.prometheus
    for name, board in boards.items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
                assert found, variable["name"]
                series, label = found.groups()
                found_values = prometheus.get("query", query=f"count by ({label}) ({fill(series)})")["result"]
                assert all(label in each["metric"] for each in found_values), variable["name"]
                assert found_values, f"{name}: {variable['name']}"
        for mark in board["annotations"]["list"]:
            if mark["name"] in ("Deploys", "References"):
                assert prometheus.query(fill(mark["expr"])), f"{name}: {mark['name']}"


@pytest.mark.prometheus
@pytest.mark.slow
def test_the_boards_tell_the_story_of_the_drift(queries: Sequence[Any], two_replicas: Any) -> None:
    def shown(board: str, title: str, column: str, moment: str) -> dict[str, float]:
        """Values of a column of a table, or of a stat, by feature where there is one."""
        (query,) = (
            query
            for query in queries
            if (query.board, query.panel["title"]) == (f"driftgauge-{board}", title)
            and query.target["legendFormat"] == column
        )
        found = ask(two_replicas, query, moment, "age")
        return {each["metric"].get("feature", ""): float(last(each)) for each in found}

    for moment, drifted in (("quiet_at", False), ("drifted_at", True)):
        assert (shown("models", "Models drifting", "models", moment)[""] == 1) == drifted
        assert (shown("model", "Drifting for", "time", moment)[""] > 0) == drifted
        scores = shown("model", "What moved", "Score", moment)
        assert set(scores) == {"age", "income", "plan", "score"}
        assert (scores["age"] > 1, scores["score"] > 1) == (drifted, drifted)
        assert scores["income"] < 1, "it never drifts"
    moved = shown("feature", "All statistics, by window", "Shift", "drifted_at")
    assert max(moved.values()) > 0.3


def last(series: dict[str, Any]) -> str:
    return str(series["value"][1] if "value" in series else series["values"][-1][1])


def ask(replicas: Any, query: Any, moment: str, feature: str) -> list[Any]:
    """Series with a number, at that moment or up to it, as the panel asks."""
    text, then = query.text(feature=feature), getattr(replicas, moment)
    if query.target["instant"]:
        found = replicas.prometheus.get("query", query=text, time=str(then))["result"]
        return [series for series in found if series["value"][1] != "NaN"]
    span = {"start": str(then - 30), "end": str(then), "step": "2"}
    found = replicas.prometheus.get("query_range", query=text, **span)["result"]
    return [series for series in found if any(value != "NaN" for _, value in series["values"])]

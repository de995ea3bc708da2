"""The stories under ``alerts/tests``, told to promtool; every alert has one of each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftgauge.catalogue import CATALOGUE
from driftgauge.render import RenderSettings
from driftgauge.render.alerts import ALERTS, alert_groups
from driftgauge.render.recording import recording_groups

ALERT_FILES = Path(__file__).resolve().parents[2] / "alerts"
FILES = sorted((ALERT_FILES / "tests").glob("*.yaml"))
STORIES: list[dict[str, Any]] = [
    story for path in FILES for story in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
]
GROUPS = [group["name"] for group in (*recording_groups(RenderSettings()), *alert_groups(RenderSettings()))]
TOLD = "fires, outlasts a gap, resolves"
_SECONDS = {"h": 3_600, "m": 60, "s": 1}


def seconds(text: str) -> int:
    return sum(int(count) * _SECONDS[unit] for count, unit in re.findall(r"(\d+)([hms])", text))


def stories(name: str) -> list[dict[str, Any]]:
    found = [story for story in STORIES if story["name"] == name]
    assert found, f"no story is called {name!r}"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_promtool_believes_the_story(path: Path, promtool: Callable[..., str]) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(path), text="")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_story_has_its_rules_evaluated_in_order(path: Path) -> None:
    """promtool takes groups in a random order otherwise, and numbers differ by a minute's rows."""
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["group_eval_order"] == GROUPS


@pytest.mark.parametrize("name", ALERTS)
def test_a_story_tells_when_an_alert_fires_and_when_it_resolves(name: str) -> None:
    (story,) = stories(f"{name}: {TOLD}")
    looks = sorted(
        (seconds(each["eval_time"]), bool(each["exp_samples"]))
        for each in story["promql_expr_test"]
        if f'"{name}",alertstate="firing"' in each["expr"]
    )
    assert [fires for _, fires in looks] == [False, True, True, True, False]
    assert any(each["alertname"] == name for each in story["alert_rule_test"]), "with its texts"


@pytest.mark.parametrize("name", ALERTS)
def test_a_story_tells_when_an_alert_stays_quiet(name: str) -> None:
    (story,) = stories(f"{name}: quiet")
    looks = [each for each in story["promql_expr_test"] if f'"{name}"' in each["expr"]]
    assert looks
    assert all(each["expr"].startswith("max_over_time(ALERTS") for each in looks)
    assert all(not each["exp_samples"] for each in looks)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_a_story_is_about_series_of_the_catalogue(story: dict[str, Any]) -> None:
    families = {family.prometheus_name: family for family in CATALOGUE}
    for each in story["input_series"]:
        name, _, labels = each["series"].partition("{")
        given = set(re.findall(r"(\w+)=", labels)) - {"instance", "job"}
        assert given == set(families[name].labels), each["series"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("was", "becomes", "name"),
    [
        ("for: 2m", "for: 45m", f"DriftgaugeFeatureDrift: {TOLD}"),
        ("keep_firing_for: 1h", "keep_firing_for: 1m", f"DriftgaugeFeatureDrift: {TOLD}"),
        (
            "avg by (model, model_version, feature",
            "max by (model, model_version, feature",
            "DriftgaugeFeatureDrift: quiet",
        ),
        ("> 0.2", "> 2", f"DriftgaugeFleetPsiHigh: {TOLD}"),
        (">= 500", ">= 50", "DriftgaugeFleetPsiHigh: quiet"),
        ("[12h]", "[10m]", f"DriftgaugeRowsDropped: {TOLD}"),
        ('reason!="queue_full"', 'reason="none"', f"DriftgaugePayloadsDropped: {TOLD}"),
        ("> 0.05", "> 0.03", "DriftgaugeMissingJump: quiet"),
        (
            "min by (model, model_version, feature",
            "max by (model, model_version, feature",
            "DriftgaugeMissingJump: quiet",
        ),
        ("[1d]", "[20m]", f"DriftgaugeMonitorAbsent: {TOLD}"),
        ("== bool 0", "== bool -1", f"DriftgaugeEvaluationStalled: {TOLD}, with a detector that is stuck"),
        (">= 100", ">= 20", "DriftgaugeEvaluationStalled: quiet"),
    ],
)
def test_other_rules_are_not_believed(
    was: str, becomes: str, name: str, promtool: Callable[..., str], tmp_path: Path
) -> None:
    rules = (ALERT_FILES / "driftgauge.rules.yaml").read_text(encoding="utf-8")
    assert was in rules
    (tmp_path / "rules.yaml").write_text(rules.replace(was, becomes), encoding="utf-8")
    alone = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "group_eval_order": GROUPS,
        "tests": stories(name),
    }
    (tmp_path / "story.yaml").write_text(yaml.safe_dump(alone), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", str(tmp_path / "story.yaml"), text="")

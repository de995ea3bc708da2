from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from driftgauge.catalogue import CATALOGUE
from driftgauge.render import RenderSettings
from driftgauge.render.alerts import ALERTS, alert_groups
from driftgauge.render.files import differences, rendered
from driftgauge.render.queries import fleet_model_score, held
from driftgauge.render.recording import recording_groups
from driftgauge.render.settings import DEFAULT_ALERTS, Labels, Ranges, Thresholds

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "alerts" / "runbook.md").read_text(encoding="utf-8")
OTHERWISE = RenderSettings(
    selector='namespace="scoring"',
    labels=Labels(
        job="service",
        instance="pod",
        model="ml_model",
        model_version="ml_version",
        feature="ml_feature",
        kind="ml_kind",
        window="ml_window",
        extra=("cluster",),
    ),
    ranges=Ranges(short="30m", long="1d", rate="3m", hold="1d", seen="2d", interval="30s"),
    thresholds=Thresholds(psi=0.3, min_rows=77),
)


def groups(settings: RenderSettings) -> list[dict[str, Any]]:
    return [*recording_groups(settings), *alert_groups(settings)]


def rules(settings: RenderSettings) -> Iterator[dict[str, Any]]:
    for group in groups(settings):
        yield from group["rules"]


def texts(rule: dict[str, Any]) -> str:
    """The expression, and the queries in annotations."""
    notes = rule.get("annotations", {"description": ""})
    return f"{rule['expr']}\n{notes['description']}"


def alert_expressions(settings: RenderSettings) -> dict[str, str]:
    return {rule["alert"]: rule["expr"] for rule in rules(settings) if "alert" in rule}


def recorded(expression: str) -> set[str]:
    return set(re.findall(r"\b\w+:\w+:\w+", expression))


DEFAULTS = list(rules(RenderSettings()))
ALERT_RULES = {rule["alert"]: rule for rule in DEFAULTS if "alert" in rule}


def test_the_committed_files_are_what_the_defaults_render() -> None:
    assert differences(ROOT / "alerts", rendered("alerts", RenderSettings())) == ""


@pytest.mark.parametrize("settings", [RenderSettings(), OTHERWISE], ids=["defaults", "otherwise"])
def test_promtool_finds_nothing_to_say(
    settings: RenderSettings, promtool: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"groups": groups(settings)}))
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", str(path), text="")


@pytest.mark.parametrize("rule", DEFAULTS, ids=lambda rule: rule.get("record") or rule["alert"])
def test_rules_name_metrics_of_the_catalogue_only(rule: dict[str, Any]) -> None:
    known = {family.prometheus_name for family in CATALOGUE}
    text = re.sub(r"\b\w+:\w+:\w+", "", texts(rule))
    assert set(re.findall(r"\bdriftgauge_\w+", text)) <= known


def test_what_a_rule_reads_of_its_group_was_recorded_before_it() -> None:
    for group in groups(RenderSettings()):
        names = [rule.get("record") for rule in group["rules"]]
        for place, rule in enumerate(group["rules"]):
            assert not recorded(rule["expr"]) & set(names[place:])


def test_everything_that_is_read_is_recorded_once() -> None:
    names = [rule["record"] for rule in DEFAULTS if "record" in rule]
    assert len(set(names)) == len(names)
    assert set().union(*(recorded(texts(rule)) for rule in DEFAULTS)) <= set(names)


def test_recorded_names_say_their_level_and_lose_total() -> None:
    for name in (rule["record"] for rule in DEFAULTS if "record" in rule):
        level, metric, operations = name.split(":")
        assert set(level.split("_")) <= {
            "replica",
            "model",
            "reference",
            "feature",
            "bin",
            "window",
            "reason",
            "way",
            "protocol",
        }
        assert metric.startswith("driftgauge_")
        assert "_total" not in name
        assert operations


def test_every_alert_has_settings_and_the_other_way_round() -> None:
    assert list(ALERTS) == list(DEFAULT_ALERTS) == list(ALERT_RULES)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_about_and_where_to_look(name: str) -> None:
    rule = ALERT_RULES[name]
    assert re.fullmatch(r"Driftgauge([A-Z][a-z]+)+", name)
    assert rule["labels"].keys() == {"severity", "driftgauge_action"}
    assert rule["labels"]["severity"] in {"info", "warning"}, "drift is a ticket, nobody is woken"
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in notes["summary"]
    assert "$labels.model" in notes["description"]
    assert rule["for"]
    assert rule["keep_firing_for"]


@pytest.mark.parametrize("name", [name for name in ALERTS if "Drift" in name[10:] or "Psi" in name])
def test_drift_alerts_give_the_number_and_the_size(name: str) -> None:
    description = ALERT_RULES[name]["annotations"]["description"]
    assert "$value" in description
    assert "feature" not in ALERT_RULES[name]["expr"].split("(")[1] or "psi_critical" in description


def test_the_runbook_has_a_heading_for_every_alert_in_their_order() -> None:
    assert re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_says_what_to_do(name: str) -> None:
    section = RUNBOOK.split(f"## {name}\n")[1].split("\n## ")[0]
    assert "**Means.**" in section
    assert "**Look first at**" in section
    assert re.search(r"\*\*(Retrain|Fix|Do nothing)", section)
    assert ALERT_RULES[name]["annotations"]["runbook_url"].endswith(f"#{name.lower()}")


def test_links_of_the_runbook_lead_to_headings() -> None:
    headings = {name.lower() for name in ALERTS}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) <= headings


def test_every_selector_has_the_matchers_of_the_site() -> None:
    for rule in rules(OTHERWISE):
        raw = re.findall(r"(?<![\w:])(driftgauge_[a-z_]+)(\S*)", re.sub(r"\w+:\w+:\w+", "", rule["expr"]))
        assert raw or recorded(rule["expr"])
        for name, rest in raw:
            assert rest.startswith('{namespace="scoring"'), (name, rule)


def test_labels_are_called_as_the_settings_say() -> None:
    own = {"model", "model_version", "feature", "kind", "window", "job", "instance"}
    for rule in rules(OTHERWISE):
        for names in re.findall(r"\b(?:by|on|ignoring|without|group_left) \(([^)]*)\)", texts(rule)):
            assert not set(names.split(", ")) & own, rule
        assert not set(re.findall(r"\$labels\.(\w+)", texts(rule))) & own


def test_extra_labels_are_kept_wherever_the_model_is() -> None:
    for rule in rules(OTHERWISE):
        for names in re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"]):
            assert ("cluster" in names) == ("ml_model" in names), rule


def test_an_alert_can_be_left_out() -> None:
    settings = RenderSettings().with_alert("DriftgaugeNoTraffic", enabled=False)
    names = {rule.get("alert") for rule in rules(settings)}
    assert set(ALERTS) - names == {"DriftgaugeNoTraffic"}


def test_the_model_stands_in_for_its_features_where_their_alerts_are_left_out() -> None:
    settings = RenderSettings()
    name = "DriftgaugeModelDrift"
    for other in ("DriftgaugeFeatureDrift", "DriftgaugeOutputDrift"):
        assert "unless" in alert_expressions(settings)[name]
        settings = settings.with_alert(other, enabled=False)
    expected = f"max by (model, model_version) ({held(settings, fleet_model_score(settings))}) > 1"
    assert alert_expressions(settings)[name] == expected


def test_only_drift_of_a_model_may_train_by_itself() -> None:
    trains = {name for name, rule in ALERT_RULES.items() if rule["labels"]["driftgauge_action"] == "retrain"}
    assert trains == {"DriftgaugeModelDrift"}


def test_an_alert_without_waiting_has_no_for() -> None:
    settings = RenderSettings().with_alert("DriftgaugeNoTraffic", for_="0s", keep="0m", severity="page")
    (rule,) = (rule for rule in rules(settings) if rule.get("alert") == "DriftgaugeNoTraffic")
    assert "for" not in rule
    assert "keep_firing_for" not in rule
    assert rule["labels"]["severity"] == "page"


def test_links_are_built_from_the_settings() -> None:
    settings = RenderSettings(runbook_base="https://wiki/x", dashboard_base="https://g")
    for rule in rules(settings):
        if "alert" in rule:
            notes = rule["annotations"]
            assert notes["runbook_url"] == f"https://wiki/x#{rule['alert'].lower()}"
            assert notes["dashboard_url"].startswith("https://g/d/driftgauge-")


def test_nothing_newer_than_prometheus_2_42_is_in_the_rules() -> None:
    fields = {"record", "expr", "labels", "alert", "for", "keep_firing_for", "annotations"}
    for group in groups(RenderSettings()):
        assert group.keys() == {"name", "interval", "rules"}
        assert all(rule.keys() <= fields for rule in group["rules"])

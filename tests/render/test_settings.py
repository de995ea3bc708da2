from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from driftgauge.errors import ConfigError
from driftgauge.render import RenderSettings, load_settings
from driftgauge.render.settings import AlertSettings, Bridge, Ranges


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def from_text(text: str) -> RenderSettings:
        path = tmp_path / "render.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path)

    return from_text


def knobs(settings: object, prefix: str = "") -> dict[str, Any]:
    """Every setting by its name in a file, alerts left out."""
    found: dict[str, Any] = {}
    assert is_dataclass(settings)
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            found |= knobs(value, f"{prefix}{each.name}.")
        elif each.name != "alerts":
            found[f"{prefix}{each.name}"] = value
    return found


KNOBS = knobs(RenderSettings())
OTHER: dict[type, tuple[str, Any]] = {
    bool: ("false", False),
    float: ("0.5", 0.5),
    int: ("7", 7),
    tuple: ('["one"]', ("one",)),
    dict: ('{one = "two"}', {"one": "two"}),
}
TEXTS = {
    "selector": 'a="b"',
    "bridge.selector": 'a="b"',
    "runbook_base": "https://wiki.example.com/x",
    "dashboard_base": "http://grafana:3000",
    "ranges.long": "2d",
    "ranges.hold": "18h",
    "ranges.seen": "2d",
    "ranges.interval": "2m",
    "kubernetes.path": "/other",
}


def other(knob: str) -> tuple[str, Any]:
    """A value that differs from the default, as TOML and as Python."""
    default = KNOBS[knob]
    if not isinstance(default, str):
        return OTHER[type(default)]
    text = TEXTS.get(knob, "17m" if knob.startswith(("ranges.", "boards.", "kubernetes.i")) else "another")
    return f"'{text}'", text


def test_an_empty_file_gives_the_defaults(load: Any) -> None:
    assert load("") == RenderSettings()


@pytest.mark.parametrize("knob", KNOBS)
def test_a_file_names_only_what_differs(knob: str, load: Any) -> None:
    table, _, name = knob.rpartition(".")
    text, value = other(knob)
    changed = knobs(load(f"[{table}]\n{name} = {text}" if table else f"{name} = {text}"))
    assert changed == KNOBS | {knob: value}


@pytest.mark.parametrize("knob", KNOBS)
def test_a_value_of_another_type_is_refused_by_name(knob: str, load: Any) -> None:
    table, _, name = knob.rpartition(".")
    text, value = ("3", "3") if isinstance(KNOBS[knob], bool) else ("true", "True")
    with pytest.raises(ConfigError, match=rf"{knob} must be .*, got {value}"):
        load(f"[{table}]\n{name} = {text}" if table else f"{name} = {text}")


def test_an_alert_is_changed_by_name(load: Any) -> None:
    settings = load(
        "[alerts.DriftgaugeFeatureDrift]\n"
        "for = '2h'\nkeep_firing_for = '3h'\nseverity = 'page'\naction = 'retrain'\nenabled = false"
    )
    expected = AlertSettings(for_="2h", keep="3h", severity="page", action="retrain", enabled=False)
    assert settings == RenderSettings(alerts={**RenderSettings().alerts, "DriftgaugeFeatureDrift": expected})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 'red'", r"unknown settings \['colour'\]; there are \['alerts', 'boards'"),
        ("[thresholds]\npsy = 1", r"unknown settings \['thresholds.psy'\]"),
        ("[alerts.FeatureDrift]", r"unknown settings \['alerts.FeatureDrift'\]; there are \['Driftgauge"),
        ("[alerts.DriftgaugeNoTraffic]\nfor_ = '1h'", r"'alerts.DriftgaugeNoTraffic.for_'.*'for'"),
        ("thresholds = 3", r"thresholds must be a table, got 3; write it as \[thresholds\]"),
        ("[thresholds]\npsi = '0.2'", "thresholds.psi must be a number, got '0.2'"),
        ("[thresholds]\nmin_rows = 1.5", "thresholds.min_rows must be a whole number, got 1.5"),
        ("[thresholds]\npsi = nan", "thresholds.psi must be a finite number from 0 to inf, got nan"),
        ("[thresholds]\ndropped_ratio = 2", "thresholds.dropped_ratio must be .* from 0 to 1, got 2.0"),
        ("[ranges]\nrate = '5 minutes'", "ranges.rate must be a duration as in PromQL.*got '5 minutes'"),
        ("[ranges]\nrate = '0m'", "ranges.rate must be a duration"),
        ("[ranges]\nshort = '6h'", "ranges.short must be shorter than ranges.long"),
        ("[ranges]\nhold = '5m'", "ranges.hold must be at least ranges.short"),
        ("[ranges]\ninterval = '5m'", "ranges.interval must be at most '4m', got '5m'"),
        ("[ranges]\nseen = '20m'", "alerts.DriftgaugeNoTraffic.for must be shorter than ranges.seen.*'30m'"),
        ("[labels]\nmodel = 'bin'", "labels.model is 'bin', which driftgauge or the rules use.*'next_bin'"),
        ("[labels]\nmodel = 'my-model'", "labels.model must be a label's name.*'my-model'"),
        ("[labels]\nmodel = 'feature'", "labels must all be called differently"),
        ("[labels]\nextra = ['a b']", r"labels.extra\[0\] must be a label's name"),
        ("selector = '{a=\"b\"}'", "selector must be label matchers without braces"),
        ("selector = 'a=\"b\"} or vector(1'", "selector must be label matchers"),
        ("runbook_base = 'wiki'", "runbook_base must be an http or https address"),
        ("dashboard_base = 'http://g/'", "dashboard_base must be an http or https address"),
        ("[alerts.DriftgaugeNoTraffic]\naction = 'page'", "action must be 'look' or 'retrain', got 'page'"),
        ("[alerts.DriftgaugeNoTraffic]\nseverity = ''", "severity must be a word"),
        ("[alerts.DriftgaugeNoTraffic]\nfor = 'soon'", "alerts.DriftgaugeNoTraffic.for must be a duration"),
        ("[boards]\ntags = []", "boards.tags must be one word or more"),
        ("[kubernetes]\nname = 'My rules'", "kubernetes.name must be of lower-case letters.*'My rules'"),
        ("[kubernetes]\nport = ''", "kubernetes.port must be of lower-case letters"),
        ("[kubernetes]\npath = 'metrics'", "kubernetes.path must begin with a slash"),
        ("[kubernetes.pods]\na = 1", "kubernetes.pods must be a table of texts"),
        ("[kubernetes]\npods = {}", "kubernetes.pods must name at least one label"),
        ("[bridge]\nselector = '{job=\"b\"}'", "bridge.selector must be label matchers without braces"),
        ("[bridge]\npending_seconds = -1", "bridge.pending_seconds must be a finite number from 0, got -1.0"),
        ("[bridge]\nfailed_runs = 0", "bridge.failed_runs must be a finite number from 1, got 0"),
        ("selector = ", "cannot read settings from .*render.toml"),
    ],
)
def test_what_means_nothing_is_refused_with_the_way_out(text: str, says: str, load: Any) -> None:
    with pytest.raises(ConfigError, match=says):
        load(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read settings from .*nowhere\.toml.*No such file"):
        load_settings(tmp_path / "nowhere.toml")


def test_settings_print_as_code_that_makes_them_again() -> None:
    settings = RenderSettings(selector='a="b"', ranges=Ranges(short="30m"))
    names = {"RenderSettings": RenderSettings} | {
        type(value).__name__: type(value)
        for value in (settings.labels, settings.ranges, settings.thresholds, settings.boards)
    }
    names |= {"Kubernetes": type(settings.kubernetes), "AlertSettings": AlertSettings, "Bridge": Bridge}
    assert eval(repr(settings), {}, names) == settings

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from services import unavailable

from driftgauge.render import RenderSettings
from driftgauge.render.alerts import alert_groups
from driftgauge.render.recording import recording_groups

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mixin() -> dict[str, Any]:
    """The mixin with its hidden fields, as jsonnet sees it; a site's own rules are added to it."""
    binary = shutil.which("jsonnet")
    if binary is None:
        unavailable("jsonnet is not installed: apt-get install jsonnet")
    program = (
        "local m = (import 'mixin.libsonnet') + {prometheusRules+:: {groups+: [{name: 'mine', rules: []}]}};"
        "{dashboards: m.grafanaDashboards, alerts: m.prometheusAlerts, rules: m.prometheusRules}"
    )
    done = subprocess.run(
        [binary, "-J", str(ROOT), "-e", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    evaluated: dict[str, Any] = json.loads(done.stdout)
    return evaluated


def test_the_mixin_holds_every_dashboard(mixin: dict[str, Any]) -> None:
    files = {path.name: json.loads(path.read_text("utf-8")) for path in (ROOT / "dashboards").glob("*.json")}
    assert mixin["dashboards"] == files


def test_the_mixin_keeps_alerts_and_recording_rules_apart(mixin: dict[str, Any]) -> None:
    assert mixin["alerts"] == {"groups": alert_groups(RenderSettings())}
    assert mixin["rules"]["groups"][:-1] == recording_groups(RenderSettings())


def test_a_site_can_add_to_the_mixin(mixin: dict[str, Any]) -> None:
    assert mixin["rules"]["groups"][-1] == {"name": "mine", "rules": []}

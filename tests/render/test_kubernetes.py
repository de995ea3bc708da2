from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from services import unavailable

from driftgauge.render import RenderSettings
from driftgauge.render.files import rendered
from driftgauge.render.settings import Kubernetes

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ("prometheusrule.yaml", "podmonitor.yaml")
# Where `pip install --target` put the operator's models and kubernetes-validate, apart from everything else:
# the models bring a pytest plugin that would be loaded by every run.
TOOLS = Path(os.environ.get("DRIFTGAUGE_KUBERNETES", ROOT / ".venv" / "kubernetes"))
# The models ignore fields that they do not know; what they know must come back as it went in.
ROUND_TRIP = """
import sys, yaml
from cloudcoil.models.prometheus_operator import v1
for document in yaml.safe_load_all(sys.stdin):
    model = getattr(v1, document["kind"]).model_validate(document)
    back = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if back != document:
        sys.exit("does not come back as it went in")
"""


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "alerts" / name).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def tool() -> Callable[..., subprocess.CompletedProcess[str]]:
    if not (TOOLS / "kubernetes_validate").is_dir() or not (TOOLS / "cloudcoil").is_dir():
        unavailable(
            f"kubernetes-validate and the operator's models are not in {TOOLS}: `make test` brings them"
        )

    def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            input=text,
            env=os.environ | {"PYTHONPATH": str(TOOLS)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_the_operators_models_accept_the_manifests(tool: Callable[..., Any]) -> None:
    text = yaml.safe_dump_all(map(document, MANIFESTS))
    done = tool("-c", ROUND_TRIP, text=text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("prometheusrule.yaml", ["spec", "groups", 0, "rules", 0, "expression"], "up"),
        ("prometheusrule.yaml", ["spec", "groups", 0, "interval"], {"minutes": 1}),
        ("podmonitor.yaml", ["spec", "podMetricsEndpoint"], []),
        ("podmonitor.yaml", ["spec", "podMetricsEndpoints", 0, "intervall"], "30s"),
    ],
)
def test_the_operators_models_refuse_what_is_wrong(
    name: str, path: list[Any], value: Any, tool: Callable[..., Any]
) -> None:
    changed = document(name)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert tool("-c", ROUND_TRIP, text=yaml.safe_dump(changed)).returncode != 0


def test_kubernetes_validate_accepts_the_manifests(tool: Callable[..., Any]) -> None:
    files = [str(ROOT / "alerts" / name) for name in MANIFESTS]
    done = tool("-m", "kubernetes_validate", "--strict", "--no-warn", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_prometheus_rule_holds_the_rules() -> None:
    assert document("prometheusrule.yaml")["spec"] == document("driftgauge.rules.yaml")


def test_the_pod_monitor_scrapes_the_pods_of_the_settings() -> None:
    kubernetes = Kubernetes(
        name="drift",
        namespace="ml",
        port="metrics",
        path="/m",
        interval="15s",
        labels={},
        pods={"app": "churn"},
    )
    files = rendered("alerts", RenderSettings(kubernetes=kubernetes))
    monitor = yaml.safe_load(files["podmonitor.yaml"])
    assert monitor["metadata"] == {"name": "drift", "namespace": "ml", "labels": {}}
    assert monitor["spec"]["selector"] == {"matchLabels": {"app": "churn"}}
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "path": "/m", "interval": "15s"}]


def test_the_json_for_jsonnet_holds_the_rules() -> None:
    text = (ROOT / "alerts" / "driftgauge.rules.json").read_text(encoding="utf-8")
    assert json.loads(text) == document("driftgauge.rules.yaml")

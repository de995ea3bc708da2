"""What ``alerts/README.md`` tells people to do, done: settings, a Prometheus to try, routes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from services import unavailable

from driftgauge.bridge.settings import BridgeSettings
from driftgauge.render import load_settings

ALERTS = Path(__file__).resolve().parents[2] / "alerts"
README = (ALERTS / "README.md").read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    (text,) = (
        text for text in re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL) if holding in text
    )
    return str(text)


def amtool(*arguments: str) -> str:
    binary = shutil.which("amtool")
    if binary is None:
        unavailable("amtool is not installed: apt-get install prometheus-alertmanager")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def routing(tmp_path: Path) -> Path:
    """The README's routes, inhibitions and receivers as a whole configuration."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(block("yaml", "inhibit_rules") + block("yaml", "webhook_configs"), encoding="utf-8")
    return path


def test_the_settings_of_the_readme_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "render.toml"
    path.write_text(block("toml", "[thresholds]"), encoding="utf-8")
    settings = load_settings(path)
    assert settings.thresholds.psi == 0.25
    assert settings.bridge.pending_seconds == 86_400
    assert not settings.alerts["DriftgaugeNoTraffic"].enabled


def test_the_prometheus_to_try_the_rules_with_has_them(promtool: Callable[..., str]) -> None:
    said = promtool("check", "config", str(ALERTS / "prometheus.yml"), text="")
    assert "1 rule files found" in said
    assert "--config.file=alerts/prometheus.yml" in block("sh", "demo")


@pytest.mark.parametrize(("action", "receivers"), [("retrain", "retraining,tickets"), ("look", "tickets")])
def test_every_alert_is_a_ticket_whatever_it_trains(action: str, receivers: str, routing: Path) -> None:
    amtool("check-config", str(routing))
    said = amtool("config", "routes", "test", f"--config.file={routing}", f"driftgauge_action={action}")
    assert said.strip() == receivers


ALERTMANAGER = ALERTS / "alertmanager.yml"


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["driftgauge_action=retrain", "alertname=DriftgaugeModelDrift"], "bridge,people"),
        (["driftgauge_action=look", "alertname=DriftgaugeFeatureDrift"], "people"),
        (["driftgauge_action=retrain", "alertname=DriftgaugeBridgeRunsFailing"], "people"),
    ],
)
def test_alertmanager_sends_to_the_bridge_what_may_train_and_all_to_people(
    labels: list[str], receivers: str
) -> None:
    amtool("check-config", str(ALERTMANAGER))
    said = amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels)
    assert said.strip() == receivers


def test_alertmanager_knows_the_bridge_by_its_path_and_has_its_token_from_a_file() -> None:
    config = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    (hook,) = (each for receiver in config["receivers"] for each in receiver.get("webhook_configs", ()))
    settings = BridgeSettings()
    port = settings.server.listen.rpartition(":")[2]
    assert hook["url"] == f"http://driftgauge-bridge:{port}{settings.webhook.path}"
    assert hook["http_config"]["authorization"].keys() == {"type", "credentials_file"}


def test_the_example_holds_back_what_the_readme_holds_back(routing: Path) -> None:
    rules, others = (
        sorted((sorted(each["source_matchers"]), each["target_matchers"], each["equal"]) for each in found)
        for found in (
            yaml.safe_load(path.read_text(encoding="utf-8"))["inhibit_rules"]
            for path in (routing, ALERTMANAGER)
        )
    )
    assert rules == others


def test_broken_data_holds_training_back(routing: Path) -> None:
    rules = yaml.safe_load(routing.read_text(encoding="utf-8"))["inhibit_rules"]
    (rule,) = (rule for rule in rules if rule["target_matchers"] == ['driftgauge_action="retrain"'])
    sources = rule["source_matchers"][0]
    assert all(name in sources for name in ("MissingJump", "UnseenCategories", "OutOfRange"))
    assert rule["equal"] == ["model", "model_version"]

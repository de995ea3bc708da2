"""The bridge as it is deployed: chart, manifest and systemd unit tell it what it understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployables import CHART, DEPLOY, containers, documents, helm, of_kind, program, rendered, run

from driftgauge.bridge.settings import BridgeSettings, load_settings
from driftgauge.bridge.wiring import wire

ALERTMANAGER = DEPLOY.parent / "alerts" / "alertmanager.yml"
UNIT = DEPLOY / "systemd" / "driftgauge-bridge.service"
SECRETS = {"AIRFLOW_USER": "driftgauge", "AIRFLOW_PASSWORD": "x"}


@pytest.fixture(scope="module")
def manifest() -> str:
    return (DEPLOY / "manifests" / "bridge.yaml").read_text(encoding="utf-8")


def pod(text: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind(text, "Deployment")["spec"]["template"]["spec"]
    return spec


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_the_bridge_understands_what_the_chart_tells_it(manifest: str, tmp_path: Path) -> None:
    own = containers(of_kind(manifest, "Deployment"))["driftgauge"]
    environ = variables(own)
    config = tmp_path / "bridge.toml"
    config.write_text(of_kind(manifest, "ConfigMap")["data"]["bridge.toml"], encoding="utf-8")
    settings = load_settings(config, environ=environ)
    wire(settings, SECRETS)  # raises where a target or a template is wrong
    (port,) = own["ports"]
    assert own["args"] == ["driftgauge", "bridge", "serve"]
    assert settings.server.listen == f"0.0.0.0:{port['containerPort']}"
    mounts = {each["mountPath"] for each in own["volumeMounts"]}
    assert str(Path(settings.store.path).parent) in mounts
    assert str(Path(settings.server.token_file).parent) in mounts
    assert str(Path(environ["DRIFTGAUGE_CONFIG"]).parent) in mounts
    secrets = {each["name"] for each in own["env"] if "valueFrom" in each}
    assert secrets == set(SECRETS), "no secret stands in a manifest"
    assert pod(manifest)["terminationGracePeriodSeconds"] > settings.server.drain


def test_one_bridge_at_a_time_on_a_volume_that_stays(manifest: str) -> None:
    deployment = of_kind(manifest, "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    claim = of_kind(manifest, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    claims = [
        each["persistentVolumeClaim"] for each in pod(manifest)["volumes"] if "persistentVolumeClaim" in each
    ]
    assert claims == [{"claimName": claim["metadata"]["name"]}]


def test_alertmanager_posts_where_the_service_is(manifest: str) -> None:
    service, settings = of_kind(manifest, "Service"), BridgeSettings()
    config = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    (hook,) = (each for receiver in config["receivers"] for each in receiver.get("webhook_configs", ()))
    port = service["spec"]["ports"][0]["port"]
    assert hook["url"] == f"http://{service['metadata']['name']}:{port}{settings.webhook.path}"


def test_selectors_select_the_bridge_and_never_a_monitor() -> None:
    text = rendered("bridge", "fraud", "monitor.enabled=true")
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"].items()
        for each in documents(text)
        if each["kind"] == "Deployment"
    }
    assert set(labels) == {"fraud", "fraud-bridge"}
    chosen = {
        "Service": lambda spec: spec["selector"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
        "PodMonitor": lambda spec: spec["selector"]["matchLabels"],
        "Deployment": lambda spec: spec["selector"]["matchLabels"],
    }
    for each in documents(text):
        if each["kind"] in chosen:
            selector = chosen[each["kind"]](each["spec"]).items()
            selected = {name for name, has in labels.items() if selector <= has}
            assert selected == {each["metadata"]["name"]}, each["kind"]


def test_without_anybody_to_let_in_nobody_gets_in() -> None:
    nobody = ("bridge.alertsFrom=[]", "networkPolicy.metricsFrom=[]")
    assert of_kind(rendered("bridge", "x", *nobody), "NetworkPolicy")["spec"]["ingress"] == []


@pytest.mark.parametrize(("account", "mounted"), [("", False), ("jobs", True)])
def test_only_with_an_account_of_its_own_it_may_ask_the_cluster(account: str, mounted: bool) -> None:
    spec = pod(rendered("bridge", "x", f'bridge.serviceAccountName="{account}"'))
    assert spec["automountServiceAccountToken"] is mounted
    assert spec.get("serviceAccountName", "") == account


def test_changed_settings_start_a_new_pod() -> None:
    def mark(*settings: str) -> str:
        deployment = of_kind(rendered("bridge", "x", *settings), "Deployment")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert mark() == mark('bridge.storage.size="2Gi"')
    assert mark() != mark('bridge.config=""')


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('bridge.token.existingSecret=""', "must name a Secret with the token"),
        ('bridge.storage.size="much"', "size"),
        ("bridge.replicas=2", "replicas"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(setting: str, words: str) -> None:
    values = DEPLOY / "chart" / "examples" / "bridge.yaml"
    done = helm("template", "x", CHART, "--values", values, "--kube-version", "1.34.0", "--set-json", setting)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_example_of_settings_is_that_of_the_chart(manifest: str, tmp_path: Path) -> None:
    other = tmp_path / "bridge.toml"
    other.write_text(of_kind(manifest, "ConfigMap")["data"]["bridge.toml"], encoding="utf-8")
    assert load_settings(DEPLOY / "bridge.toml", environ={}) == load_settings(other, environ={})


def test_the_image_has_what_the_bridge_needs() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "'.[bridge,sidecar]'" in dockerfile


def test_the_bridge_understands_what_the_readme_tells_docker() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    (block,) = (
        each for each in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "--no-healthcheck" in each
    )
    words = shlex.split(block.replace("\\\n", " "))
    published = words[words.index("--publish") + 1]
    environ = dict(each.split("=", 1) for each in words if each.startswith("DRIFTGAUGE_"))
    mounted = [words[at + 1].split(":")[1] for at, name in enumerate(words) if name == "--volume"]
    settings = load_settings(DEPLOY / "bridge.toml", environ=environ)
    assert published.endswith(settings.server.listen.removeprefix("0.0.0.0"))
    assert [environ["DRIFTGAUGE_CONFIG"], settings.server.token_file] == mounted[:2]
    assert str(Path(settings.store.path).parent) == mounted[2]
    assert set(SECRETS) <= set(words)
    assert words[-3:] == ["driftgauge", "bridge", "serve"]


def entries() -> list[tuple[str, str]]:
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#", "[")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize(
    ("old", "new", "fine"),
    [
        ("", "", True),
        ("ProtectSystem=strict", "ProtectSystem=very", False),
        ("LoadCredential=", "LoadCredentials=", False),
    ],
)
def test_systemd_understands_the_unit(old: str, new: str, fine: bool, tmp_path: Path) -> None:
    path = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/driftgauge/bin/driftgauge", "/bin/true")
    path.write_text(text.replace(old, new), encoding="utf-8")
    done = run(program("systemd-analyze", "apt-get install systemd"), "verify", "--man=no", path)
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode == 0 and not said) == fine, done.stderr


def test_the_unit_tells_the_bridge_what_it_understands() -> None:
    found = entries()
    have = dict(found)
    environ = dict(value.split("=", 1) for name, value in found if name == "Environment")
    settings = load_settings(DEPLOY / "bridge.toml", environ=environ)
    assert settings.store.path.startswith(f"%S/{have['StateDirectory']}/")
    assert settings.server.token_file == f"%d/{have['LoadCredential'].partition(':')[0]}"
    assert int(have["TimeoutStopSec"]) > settings.server.drain
    assert have["ExecStart"].endswith("driftgauge bridge serve")
    assert "kill -HUP" in have["ExecReload"]

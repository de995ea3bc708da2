"""Helm chart, manifests and KServe's service: they render, they are valid, and they fit together."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployables import (
    CHART,
    DEPLOY,
    EXAMPLES,
    KUBERNETES,
    RELEASES,
    TOOLS,
    containers,
    documents,
    helm,
    of_kind,
    program,
    rendered,
    run,
    write_schemas,
)
from services import unavailable

from driftgauge.errors import ConfigError
from driftgauge.sidecar.settings import SidecarSettings, load_settings

MANIFESTS = sorted((DEPLOY / "manifests").glob("*.yaml"))
KSERVE = DEPLOY / "kserve" / "inferenceservice.yaml"
# Rendered: (which example, values on top of it).
VARIANTS = [
    ("sidecar", []),
    ("standalone", []),
    ("standalone", ['networkPolicy.metricsFrom=[]', 'replicas=3', 'podMonitor.enabled=false']),
    ("sidecar", [
        'token.existingSecret="writes"',
        'state.volume={"persistentVolumeClaim":{"claimName":"windows"}}',
        'references.volume={"persistentVolumeClaim":{"claimName":"references","readOnly":true}}',
        'imagePullSecrets=[{"name":"pull"}]',
        'serviceAccountName="model"',
        'podLabels={"team":"risk"}',
        'podAnnotations={"a":"b"}',
        'nodeSelector={"pool":"models"}',
        'tolerations=[{"key":"gpu","operator":"Exists"}]',
        'topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]',
        'affinity={"nodeAffinity":{}}',
        'env=[{"name":"DRIFTGAUGE_LOG__LEVEL","value":"debug"}]',
        'serving.volumes=[{"name":"scratch","emptyDir":{}}]',
        'service.annotations={"a":"b"}',
        'networkPolicy.requestsFrom=[{"namespaceSelector":{}}]',
    ]),
    ("bridge", []),
    ("bridge", [
        'bridge.storage={"size":"5Gi","className":"fast"}',
        'bridge.serviceAccountName="jobs"',
        'bridge.volumes=[{"name":"job","configMap":{"name":"job"}}]',
        'bridge.volumeMounts=[{"name":"job","mountPath":"/job"}]',
        'bridge.alertsFrom=[{"podSelector":{}}]',
        'imagePullSecrets=[{"name":"pull"}]',
        'nodeSelector={"pool":"tools"}',
        'tolerations=[{"key":"tools","operator":"Exists"}]',
    ]),
    ("bridge", [
        'bridge.storage.existingClaim="log"', 'bridge.alertsFrom=[]', 'networkPolicy.metricsFrom=[]'
    ]),
    ("bridge", ['monitor.enabled=true', 'networkPolicy.enabled=false', 'podMonitor.enabled=false']),
]  # fmt: skip


@pytest.fixture(scope="module")
def kubeconform(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = program("kubeconform", "`make test` builds it")
    schemas = tmp_path_factory.mktemp("schemas")
    write_schemas(schemas)
    where = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"

    def check(text: str) -> Any:
        return run(found, "-strict", "-summary", "-schema-location", where, "-", text=text)

    return check


def config_of(text: str, container: dict[str, Any]) -> SidecarSettings:
    """What the sidecar reads in a pod: the file of the ConfigMap under the variables of the container."""
    file = of_kind(text, "ConfigMap")["data"]["driftgauge.toml"]
    environ = {each["name"]: each["value"] for each in container.get("env", [])}
    config = environ.get("DRIFTGAUGE_CONFIG", "/etc/driftgauge/driftgauge.toml")
    mount = next(each for each in container["volumeMounts"] if each["name"] == "driftgauge-config")
    assert config == mount["mountPath"] + "/driftgauge.toml"
    return _loaded(file, environ)


def _loaded(file: str, environ: dict[str, str]) -> SidecarSettings:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "driftgauge.toml"
        path.write_text(file, encoding="utf-8")
        return load_settings(path, environ=environ)


@pytest.mark.parametrize("values", [None, *RELEASES])
def test_helm_finds_no_fault(values: str | None) -> None:
    chosen = [] if values is None else ["--values", DEPLOY / "chart" / "examples" / f"{values}.yaml"]
    done = helm("lint", "--strict", "--kube-version", "1.34.0", CHART, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RELEASES)
def test_the_manifests_are_the_chart_with_the_values_of_the_example(name: str) -> None:
    committed = (DEPLOY / "manifests" / f"{name}.yaml").read_text(encoding="utf-8")
    first, _, rest = committed.partition("\n")
    assert first.endswith(f"from deploy/chart/examples/{name}.yaml, do not edit.")
    assert documents(rest) == documents(rendered(name, RELEASES[name])), "make manifests writes them anew"


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=[
    "sidecar", "standalone", "less", "more", "bridge", "bridge more", "bridge less", "bridge and monitor"
])  # fmt: skip
def test_kubeconform_accepts_whatever_the_chart_renders(
    kubeconform: Any, name: str, settings: list[str]
) -> None:
    text = rendered(name, "fraud", *settings)
    done = kubeconform(text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Valid: {len(documents(text))}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


def test_kubeconform_accepts_what_is_committed(kubeconform: Any) -> None:
    for path in (*MANIFESTS, KSERVE):
        text = path.read_text(encoding="utf-8")
        done = kubeconform(text)
        assert f"Valid: {len(documents(text))}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (MANIFESTS[0], "readOnlyRootFilesystem", "readOnlyRoot"),
        (MANIFESTS[0], "medium: Memory", "medium: [Memory]"),
        (MANIFESTS[0], "podMetricsEndpoints", "podMetricEndpoints"),
        (MANIFESTS[0], "interval: 30s", "every: 30s"),
        (MANIFESTS[0], "policyTypes", "policies"),
        (KSERVE, "metadataHeaders", "headers"),
        (KSERVE, "protocolVersion", "protocol"),
        (KSERVE, "  predictor:", "  predict:"),
        (KSERVE, "runAsNonRoot", "runAsNoRoot"),
    ],
)
def test_kubeconform_would_see_a_mistake(kubeconform: Any, path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    assert kubeconform(text.replace(old, new, 1)).returncode != 0


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_validate_accepts_the_manifests(path: Path, tmp_path: Path) -> None:
    """The second opinion; it knows no objects of others."""
    if not (TOOLS / "kubernetes_validate").is_dir():
        unavailable(f"kubernetes-validate is not in {TOOLS}: `make test` brings it")
    own = tmp_path / "own.yaml"
    found = [each for each in documents(path.read_text()) if "coreos" not in each["apiVersion"]]
    own.write_text(yaml.safe_dump_all(found))
    command = ("-m", "kubernetes_validate", "--strict", "--no-warn", "-k", KUBERNETES, own)
    done = run(sys.executable, *command, PYTHONPATH=str(TOOLS))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("proxy.prot=1", "prot"),
        ("replicas=-1", "replicas"),
        ('podMonitor.interval="often"', "interval"),
        ("proxy.port=80", "port"),
        ("proxy.port=8080", "serving.port and proxy.port are both 8080"),
        ("shutdown.grace=20", "shutdown.grace must be more than .* = 20, got 20"),
        ('service.type="Headless"', "type"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(setting: str, words: str) -> None:
    values = DEPLOY / "chart" / "examples" / "sidecar.yaml"
    done = helm("template", "x", CHART, "--values", values, "--kube-version", "1.34.0", "--set-json", setting)
    assert done.returncode != 0
    assert re.search(words, done.stderr), done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sidecar_understands_what_the_chart_tells_it(name: str) -> None:
    text = rendered(name, EXAMPLES[name], 'token.existingSecret="writes"')
    own = containers(of_kind(text, "Deployment"))["driftgauge"]
    settings = config_of(text, own)
    assert settings.models_folder == "/models"
    assert settings.state.directory == "/state"
    assert settings.server.token_file == "/etc/driftgauge-token/token"
    ports = {each["name"]: each["containerPort"] for each in own["ports"]}
    assert settings.server.listen == f"0.0.0.0:{ports['driftgauge']}"
    if name == "sidecar":
        model = containers(of_kind(text, "Deployment"))["model"]
        assert settings.proxy.listen == f"0.0.0.0:{ports['proxy']}"
        assert settings.proxy.upstream == f"http://127.0.0.1:{model['ports'][0]['containerPort']}"
        assert settings.routes[0].protocol == "open_inference"
    mounts = {each["mountPath"] for each in own["volumeMounts"]}
    assert {"/models", "/state", "/tmp", "/etc/driftgauge", "/etc/driftgauge-token"} == mounts


def test_what_the_chart_tells_it_may_be_wrong() -> None:
    with pytest.raises(ConfigError):
        _loaded("[server]\nlisten = 1", {})


def test_kserve_posts_where_the_sidecar_listens() -> None:
    text = KSERVE.read_text(encoding="utf-8")
    predictor = of_kind(text, "InferenceService")["spec"]["predictor"]
    own = next(each for each in predictor["containers"] if each["name"] == "driftgauge")
    settings = config_of(text, own)
    port = settings.server.listen.rpartition(":")[2]
    assert predictor["logger"]["url"] == f"http://127.0.0.1:{port}{settings.sink.path}"
    assert own["ports"] == [{"name": "driftgauge", "containerPort": int(port)}]
    assert {each["name"] for each in predictor["volumes"]} == {each["name"] for each in own["volumeMounts"]}
    assert own["livenessProbe"]["httpGet"]["port"] == int(port)


def pods() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name of the file, labels and driftgauge's container, of everything that is committed."""
    found = []
    for path in MANIFESTS:
        deployment = of_kind(path.read_text(encoding="utf-8"), "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        found.append((path.name, labels, containers(deployment)["driftgauge"]))
    predictor = of_kind(KSERVE.read_text(encoding="utf-8"), "InferenceService")["spec"]["predictor"]
    own = next(each for each in predictor["containers"] if each["name"] == "driftgauge")
    found.append((KSERVE.name, predictor["labels"], own))
    return found


@pytest.mark.parametrize(("labels", "own"), [each[1:] for each in pods()], ids=[each[0] for each in pods()])
def test_every_pod_is_confined_probed_and_scraped(labels: Any, own: Any) -> None:
    secured = own["securityContext"]
    assert secured["readOnlyRootFilesystem"] is True
    assert secured["runAsNonRoot"] is True
    assert secured["allowPrivilegeEscalation"] is False
    assert secured["capabilities"] == {"drop": ["ALL"]}
    assert secured["runAsUser"] == secured["runAsGroup"] == 65532
    assert own["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
    assert "memory" in own["resources"]["limits"]
    assert "cpu" not in own["resources"]["limits"]
    rules = yaml.safe_load((DEPLOY.parent / "alerts" / "podmonitor.yaml").read_text(encoding="utf-8"))
    selected = rules["spec"]["selector"]["matchLabels"]
    assert selected.items() <= labels.items(), "alerts/podmonitor.yaml scrapes it too"
    assert rules["spec"]["podMetricsEndpoints"][0]["port"] in {each["name"] for each in own["ports"]}


@pytest.mark.parametrize("name", EXAMPLES)
def test_selectors_select_the_pod_and_ports_are_its_ports(name: str) -> None:
    text = rendered(name, "fraud")
    deployment = of_kind(text, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"] for each in containers(deployment).values() for port in each.get("ports", [])}
    policy, monitor, service = (
        of_kind(text, kind)["spec"] for kind in ("NetworkPolicy", "PodMonitor", "Service")
    )
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert monitor["selector"]["matchLabels"].items() <= labels
    assert service["selector"].items() <= labels
    open_ports = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert open_ports == (["proxy", "driftgauge"] if name == "sidecar" else ["driftgauge", "driftgauge"])
    assert {each["targetPort"] for each in service["ports"]} <= ports
    assert {each["port"] for each in monitor["podMetricsEndpoints"]} <= ports


def test_the_serving_container_outlives_the_drain_of_the_proxy() -> None:
    text = rendered("sidecar", "fraud", "shutdown.drain=30", "shutdown.grace=60")
    deployment = of_kind(text, "Deployment")
    settings = config_of(text, containers(deployment)["driftgauge"])
    stop = settings.server.not_ready + settings.server.drain
    assert containers(deployment)["model"]["lifecycle"]["preStop"]["sleep"]["seconds"] == stop == 35
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60 > stop


def test_a_serving_container_may_bring_its_own_end() -> None:
    own = 'serving.container.lifecycle={"preStop":{"exec":{"command":["stop"]}}}'
    model = containers(of_kind(rendered("sidecar", "fraud", own), "Deployment"))["model"]
    assert model["lifecycle"]["preStop"]["exec"] == {"command": ["stop"]}


def test_changed_settings_start_new_pods() -> None:
    def mark(*settings: str) -> str:
        deployment = of_kind(rendered("sidecar", "fraud", *settings), "Deployment")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert mark() == mark("replicas=4")
    assert mark() != mark("config=\"[log]\\nlevel = 'debug'\"")


def test_every_value_is_described_by_the_schema_and_used() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(values) | {"global"} == set(schema["properties"])
    templates = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir())
    for name in values:
        assert f".Values.{name}" in templates, name

"""What tests of deploy/ share: the files, the programs that check them, and schemas of every kind in them."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from services import unavailable

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart" / "driftgauge"
EXAMPLES = {"sidecar": "fraud", "standalone": "driftgauge"}  # values: name of the release
RELEASES = EXAMPLES | {"bridge": "driftgauge"}
KUBERNETES = "1.37.0"
# As in tests/render: where `make test` puts what must not be installed beside driftgauge.
TOOLS = Path(os.environ.get("DRIFTGAUGE_KUBERNETES", ROOT / ".venv" / "kubernetes"))
OPERATOR_SCHEMA = """
import json
from cloudcoil.models.prometheus_operator import v1
print(json.dumps(v1.PodMonitor.model_json_schema(by_alias=True)))
"""


def program(name: str, how: str) -> str:
    """Path of a program; where it is absent the test is skipped, and fails on CI."""
    return shutil.which(name) or unavailable(f"{name} is not there: {how}")


def run(*command: str | Path, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        input=text,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run(program("helm", "`make test` builds it"), *arguments)


def rendered(name: str, release: str, *settings: str) -> str:
    """The chart with the values of an example, as text."""
    values = DEPLOY / "chart" / "examples" / f"{name}.yaml"
    chosen = [part for setting in settings for part in ("--set-json", setting)]
    done = helm(
        *("template", release, CHART, "--values", values, "--namespace", "models"),
        *("--kube-version", "1.34.0", *chosen),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(text: str, kind: str) -> dict[str, Any]:
    found = [each for each in documents(text) if each["kind"] == kind]
    assert len(found) == 1
    return found[0]


def containers(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in deployment["spec"]["template"]["spec"]["containers"]}


def write_schemas(folder: Path) -> None:
    """Schemas in the places where kubeconform looks for them, with no field allowed that they do not name."""
    if not (TOOLS / "kubernetes_validate").is_dir() or not (TOOLS / "cloudcoil").is_dir():
        unavailable(f"schemas of Kubernetes and of the operator are not in {TOOLS}: `make test` brings them")
    if not (TOOLS / "kserve").is_dir():
        unavailable(f"KServe's models are not in {TOOLS}: `make test` brings them")
    definitions = (folder / "_definitions.json").as_uri()
    names = (
        "_definitions",
        "deployment-apps-v1",
        "service-v1",
        "configmap-v1",
        "networkpolicy-networking-v1",
        "persistentvolumeclaim-v1",
    )
    for name in names:
        text = (core_schemas() / f"{name}.json").read_text(encoding="utf-8")
        (folder / f"{name}.json").write_text(text.replace("/api/_definitions.json", definitions))
    done = run(sys.executable, "-c", OPERATOR_SCHEMA, PYTHONPATH=str(TOOLS))
    assert done.returncode == 0, done.stderr
    (folder / "podmonitor-monitoring-v1.json").write_text(json.dumps(closed(json.loads(done.stdout))))
    kserve = kserve_schema(definitions)
    (folder / "inferenceservice-serving-v1beta1.json").write_text(json.dumps(kserve))


def core_schemas() -> Path:
    return TOOLS / "kubernetes_validate" / "kubernetes-json-schema" / f"v{KUBERNETES}-local-strict"


def closed(schema: Any) -> Any:
    """A schema whose objects have no properties but those that are named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["additionalProperties"] = False
    return made


def kserve_schema(definitions: str) -> dict[str, Any]:
    """JSON schema of an InferenceService, from the tables in KServe's generated models, only read."""
    models: dict[str, dict[str, Any]] = {}
    for file in sorted((TOOLS / "kserve" / "models").glob("v1beta1_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                tables = {
                    each.targets[0].id: ast.literal_eval(each.value)
                    for each in node.body
                    if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
                    and each.targets[0].id in ("openapi_types", "attribute_map")
                }  # fmt: skip
                models[node.name] = tables
    core = json.loads((core_schemas() / "_definitions.json").read_text(encoding="utf-8"))["$defs"]

    def of(kind: str) -> dict[str, Any]:
        simple = {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}
        if kind in simple:
            return {"type": simple[kind]}
        if kind.startswith("list["):
            return {"type": "array", "items": of(kind[5:-1])}
        if kind.startswith("dict("):
            return {"type": "object", "additionalProperties": of(kind[5:-1].split(",", 1)[1].strip())}
        if kind in models:
            return {"$ref": f"#/$defs/{kind}"}
        name = kind.removeprefix("V1")
        for group in ("io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."):
            if kind.startswith("V1") and group + name in core:
                return {"$ref": f"{definitions}#/$defs/{group}{name}"}
        return {}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/V1beta1InferenceService",
        "$defs": {
            name: {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    tables["attribute_map"][key]: of(kind) for key, kind in tables["openapi_types"].items()
                },
            }
            for name, tables in models.items()
        },
    }

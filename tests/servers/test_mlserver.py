"""MLServer behind the sidecar's proxy, asked by the clients that it brings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from model_servers import (
    alone,
    check,
    fitted,
    folder_of,
    python_of,
    requests_of,
    run,
    serving,
    sidecar,
    value,
)
from services import free_port

from driftgauge import Reference

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("mlserver", tmp_path_factory.mktemp("mlserver") / "model")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return fitted(folder, "late")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with mlserver(folder) as url:
        yield url


@contextmanager
def mlserver(folder: Path) -> Iterator[str]:
    own = folder / "served"
    own.mkdir()
    ports = {name: free_port() for name in ("http_port", "grpc_port", "metrics_port")}
    (own / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    model = {
        "name": "risk",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "model.joblib"), "version": "v1"},
    }
    (own / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python_of("mlserver")).parent / "mlserver"), "start", str(own)]
    url = f"http://127.0.0.1:{ports['http_port']}"
    with serving(command, folder / "mlserver.log", f"{url}/v2/models/risk/ready"):
        yield url


@pytest.mark.parametrize("protocol", ["open_inference", "auto"])
def test_rows_that_tritons_client_sends_are_counted(
    folder: Path, reference: Reference, server: str, protocol: str
) -> None:
    route = f'[[routes]]\npath = "/v2/models/{{name}}/infer"\nmodel = "risk"\nprotocol = "{protocol}"\n'
    with sidecar(folder, route, upstream=server) as beside:
        run("mlserver", "mlserver_client", folder, beside.proxy, folder / "said.json")
        said = json.loads((folder / "said.json").read_text())
        samples = check(beside.metrics, folder, reference, "late", said)
        assert value(samples, "driftgauge_payloads_total", way="proxy", protocol=protocol) == len(said)


def test_rows_of_a_batch_file_are_counted(folder: Path, reference: Reference, server: str) -> None:
    """``mlserver infer`` puts several requests into one, and takes its answer apart again."""
    route = '[[routes]]\npath = "/v2/models/{model}/infer"\nprotocol = "open_inference"\n'
    requests = requests_of(folder)
    lines = []
    for number, columns in enumerate(requests):
        rows = list(zip(*columns.values(), strict=True))
        tensor = {"name": "predict", "datatype": "FP64", "shape": [len(rows), 3]}
        flat = [each for row in rows for each in row]
        lines.append(json.dumps({"id": str(number), "inputs": [{**tensor, "data": flat}]}))
    (folder / "asked.jsonl").write_text("\n".join(lines) + "\n")
    with sidecar(folder, route, upstream=server) as beside:
        command = [str(Path(python_of("mlserver")).parent / "mlserver"), "infer", "-m", "risk"]
        command += ["-u", beside.proxy.removeprefix("http://"), "-w", "1", "-s", "3"]
        command += ["-i", str(folder / "asked.jsonl"), "-o", str(folder / "said.jsonl")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=alone(), check=False)
        assert done.returncode == 0, done.stderr
        answers = [json.loads(line) for line in (folder / "said.jsonl").read_text().splitlines()]
        answers.sort(key=lambda answer: answer["parameters"]["batch_index"])
        said = [[float(each) for each in answer["outputs"][0]["data"]] for answer in answers]
        samples = check(beside.metrics, folder, reference, "late", said)
        assert value(samples, "driftgauge_payloads_total", way="proxy", protocol="open_inference") == 3

"""``mlflow models serve`` behind the sidecar's proxy, asked by MLflow's own client."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
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

ROUTE = '[[routes]]\npath = "/invocations"\nprotocol = "mlflow"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = folder_of("mlflow", tmp_path_factory.mktemp("mlflow") / "model")
    run("mlflow", "mlflow_model", folder)
    return folder


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return fitted(folder, "late")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    port = free_port()
    programs = Path(python_of("mlflow")).parent
    command = [str(programs / "mlflow"), "models", "serve", "--model-uri", str(folder / "mlflow")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # It looks for uvicorn on the path.
    environ = alone(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
    url = f"http://127.0.0.1:{port}"
    with serving(command, folder / "mlflow.log", f"{url}/ping", environ):
        yield url


def test_rows_that_mlflows_client_sends_are_counted(folder: Path, reference: Reference, server: str) -> None:
    with sidecar(folder, ROUTE, upstream=server) as beside:
        run("mlflow", "mlflow_client", folder, beside.proxy, folder / "said.json")
        said = json.loads((folder / "said.json").read_text())
        samples = check(beside.metrics, folder, reference, "late", said)
        assert value(samples, "driftgauge_payloads_total", way="proxy", protocol="mlflow") == len(said)


def post(url: str, content_type: str, body: bytes) -> list[float]:
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as response:
        return [float(each) for each in json.load(response)["predictions"]]


def test_every_form_of_its_requests_is_understood(folder: Path, reference: Reference, server: str) -> None:
    """Forms take turns, so that the rows together are those of the requests once more."""
    said = []
    with sidecar(folder, ROUTE, upstream=server) as beside:
        for number, columns in enumerate(requests_of(folder)):
            names, rows = list(columns), [list(row) for row in zip(*columns.values(), strict=True)]
            records = [dict(zip(names, row, strict=True)) for row in rows]
            lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
            forms = [
                ("application/json", json.dumps({"dataframe_split": {"columns": names, "data": rows}})),
                ("application/json", json.dumps({"dataframe_records": records})),
                ("application/json; charset=utf-8", json.dumps({"instances": records})),
                ("application/json", json.dumps({"inputs": columns})),
                ("text/csv", "\n".join(lines) + "\n"),
            ]
            content_type, body = forms[number % len(forms)]
            said.append(post(beside.proxy, content_type, body.encode()))
        check(beside.metrics, folder, reference, "late", said)

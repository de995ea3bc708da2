"""A FastAPI application with driftgauge inside, and the same one behind the sidecar's proxy."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from model_servers import (
    PROGRAMS,
    alone,
    check,
    fitted,
    folder_of,
    get,
    parsed,
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

ROOT = Path(__file__).resolve().parents[2]
MAPPING = """
[routes.mapping.inputs]
age = "customers[].age"
amount = "customers[].amount"
visits = "customers[].visits"
[routes.mapping.outputs]
risk = "answers[].risk"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("fastapi", tmp_path_factory.mktemp("fastapi") / "model")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return fitted(folder, "risk")


@contextmanager
def application(folder: Path, **environ: str) -> Iterator[str]:
    """The application under uvicorn; where it listens."""
    port = free_port()
    command = [python_of("fastapi"), "-m", "uvicorn", "--app-dir", str(PROGRAMS), "--port", str(port)]
    command += ["fastapi_app:app"]
    url = f"http://127.0.0.1:{port}"
    with serving(
        command, folder / "fastapi.log", f"{url}/healthz", alone(MODEL_FOLDER=str(folder), **environ)
    ):
        yield url


def ask(folder: Path, url: str, path: str) -> list[list[float]]:
    """What the client was answered."""
    run("fastapi", "fastapi_client", folder, url, path, folder / "said.json")
    return list(json.loads((folder / "said.json").read_text()))


def exchange(url: str, path: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers without the time, and body, as they come."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=30)
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, [each for each in answer.getheaders() if each[0].lower() != "date"], read


def test_inside_an_application_the_rows_of_both_routes_are_counted(
    folder: Path, reference: Reference
) -> None:
    source = f"{ROOT / 'src'}:{ROOT / 'exporters'}"
    with application(folder, WATCHED="yes", PYTHONPATH=source) as url:
        said = ask(folder, url, "/predict")
        assert ask(folder, url, "/stream") == said
        check(lambda: parsed(get(f"{url}/metrics/").decode()), folder, reference, "risk", said, times=2)


def test_with_driftgauge_inside_the_bytes_are_those_without_it(folder: Path, reference: Reference) -> None:
    asked = [
        json.dumps(
            {"customers": [dict(zip(one, row, strict=True)) for row in zip(*one.values(), strict=True)]}
        ).encode()
        for one in requests_of(folder)
    ]
    asked += [
        b"",
        b"{",
        b'{"customers": 3}',
        asked[5].replace(b"}, {", b"}," + b" " * 5_000 + b"{"),
        b"\xff" * 9,
    ]
    answers = {}
    for inside in (False, True):
        more = {"WATCHED": "yes", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'exporters'}"} if inside else {}
        with application(folder, **more) as url:
            answers[inside] = [
                exchange(url, path, body) for path in ("/predict", "/stream", "/nowhere") for body in asked
            ]
    assert answers[True] == answers[False]
    assert {status for status, _, _ in answers[True]} == {200, 400, 404, 422}
    assert any(name.lower() == "transfer-encoding" for _, headers, _ in answers[True] for name, _ in headers)
    assert reference.model == "risk"


def test_behind_the_proxy_the_rows_of_both_routes_are_counted(folder: Path, reference: Reference) -> None:
    routes = "".join(
        f'[[routes]]\npath = "{path}"\nprotocol = "mapping"{MAPPING}' for path in ("/predict", "/stream")
    )
    with application(folder) as url, sidecar(folder, routes, upstream=url) as beside:
        said = ask(folder, beside.proxy, "/predict")
        assert ask(folder, beside.proxy, "/stream") == said
        samples = check(beside.metrics, folder, reference, "risk", said, times=2)
        own = {"way": "proxy", "protocol": "mapping"}
        assert value(samples, "driftgauge_payloads_total", **own) == 2 * len(said) + 2
        assert value(samples, "driftgauge_payloads_dropped_total", **own, reason="not_ok") == 2

"""FastAPI and Flask applications with driftgauge inside, and the same ones behind the sidecar's proxy."""

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
    Samples,
    alone,
    check,
    fitted,
    folder_of,
    get,
    of_rows,
    parsed,
    python_of,
    requests_of,
    run,
    serving,
    sidecar,
    value,
)
from services import free_port, until

from driftgauge import Reference

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
SOURCES = f"{ROOT / 'src'}:{ROOT / 'exporters'}"
INSIDE = {"WATCHED": "yes", "PYTHONPATH": SOURCES}
PATHS = ("/predict", "/stream")
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
    return folder_of("applications", tmp_path_factory.mktemp("applications") / "model")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return fitted(folder, "risk")


@contextmanager
def application(framework: str, folder: Path, workers: int = 1, **environ: str) -> Iterator[str]:
    """An application under the server that is usual for it; where it listens."""
    port = free_port()
    python, url = python_of("applications"), f"http://127.0.0.1:{port}"
    if framework == "fastapi":
        command = [python, "-m", "uvicorn", "--port", str(port), "--workers", str(workers)]
    else:
        command = [python, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
        command += ["--threads", "2"]
    command += [f"{framework}_app:app"]
    paths = f"{environ.pop('PYTHONPATH', '')}:{PROGRAMS}".strip(":")
    own = alone(MODEL_FOLDER=str(folder), PYTHONPATH=paths, **environ)
    with serving(command, folder / f"{framework}.log", f"{url}/healthz", own):
        yield url


def ask(folder: Path, url: str, path: str) -> list[list[float]]:
    """What the client was answered."""
    run("applications", "http_client", folder, url, path, folder / "said.json")
    return list(json.loads((folder / "said.json").read_text()))


def bodies(folder: Path) -> list[bytes]:
    """The requests in the applications' own JSON."""
    return [
        json.dumps(
            {"customers": [dict(zip(one, row, strict=True)) for row in zip(*one.values(), strict=True)]}
        ).encode()
        for one in requests_of(folder)
    ]


def metrics(url: str) -> Samples:
    return parsed(get(f"{url}/metrics/").decode())


def exchange(url: str, path: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers without the time, and body, as they come."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=30)
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, [each for each in answer.getheaders() if each[0].lower() != "date"], read


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_inside_an_application_the_rows_of_both_routes_are_counted(
    folder: Path, reference: Reference, framework: str
) -> None:
    with application(framework, folder, **INSIDE) as url:
        said = ask(folder, url, "/predict")
        assert ask(folder, url, "/stream") == said
        samples = check(lambda: metrics(url), folder, reference, "risk", said, times=2)
        own = {"way": "middleware", "protocol": "mapping"}
        assert value(samples, "driftgauge_payloads_total", **own) == 2 * len(said) + 2
        assert value(samples, "driftgauge_payloads_dropped_total", **own, reason="not_ok") == 2


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_two_workers_that_share_a_directory_tell_one_truth(
    folder: Path, reference: Reference, framework: str, tmp_path: Path
) -> None:
    """Each request and each scrape goes to whichever worker takes the connection."""
    said = []
    with application(framework, folder, 2, SHARED_DIRECTORY=str(tmp_path), **INSIDE) as url:
        for body in bodies(folder) * 5:
            status, _, answer = exchange(url, "/predict", body)
            assert status == 200
            said.append([one["risk"] for one in json.loads(answer)["answers"]])
        once = said[: len(said) // 5]
        assert said == once * 5
        first = check(lambda: metrics(url), folder, reference, "risk", once, times=5)

        def payloads() -> float:  # told after the rows, by up to half a second
            return value(metrics(url), "driftgauge_payloads_total", way="middleware")

        until(lambda: payloads() >= len(said), "all payloads to be counted")
        for _ in range(10):
            assert payloads() == len(said)
            assert of_rows(metrics(url)) == pytest.approx(of_rows(first), rel=1e-12)
        assert len(list(tmp_path.rglob("*.dgw"))) >= 2  # both workers tell


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_with_driftgauge_inside_the_bytes_are_those_without_it(
    folder: Path, reference: Reference, framework: str
) -> None:
    asked = bodies(folder)
    spread = asked[5].replace(b"}, {", b"}," + b" " * 5_000 + b"{")
    asked += [b"", b"{", b'{"customers": 3}', b"\xff" * 9, spread]
    answers = {}
    for inside in (False, True):
        with application(framework, folder, **(INSIDE if inside else {})) as url:
            answers[inside] = [exchange(url, path, body) for path in (*PATHS, "/nowhere") for body in asked]
    assert answers[True] == answers[False]
    assert {200, 404, 422} < {status for status, _, _ in answers[True]}
    assert any(name.lower() == "transfer-encoding" for _, headers, _ in answers[True] for name, _ in headers)
    assert reference.model == "risk"


def test_behind_the_proxy_the_rows_of_both_routes_are_counted(folder: Path, reference: Reference) -> None:
    routes = "".join(f'[[routes]]\npath = "{path}"\nprotocol = "mapping"{MAPPING}' for path in PATHS)
    with application("fastapi", folder) as url, sidecar(folder, routes, upstream=url) as beside:
        said = ask(folder, beside.proxy, "/predict")
        assert ask(folder, beside.proxy, "/stream") == said
        samples = check(beside.metrics, folder, reference, "risk", said, times=2)
        own = {"way": "proxy", "protocol": "mapping"}
        assert value(samples, "driftgauge_payloads_total", **own) == 2 * len(said) + 2
        assert value(samples, "driftgauge_payloads_dropped_total", **own, reason="not_ok") == 2

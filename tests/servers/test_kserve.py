"""KServe's own server and client: behind the sidecar's proxy, and with the events of a payload logger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from model_servers import (
    PROGRAMS,
    Sidecar,
    check,
    fitted,
    folder_of,
    python_of,
    run,
    serving,
    sidecar,
    value,
)
from payload_logger import EventSink, logging_in_front_of
from services import free_port, until

from driftgauge import Reference

pytestmark = pytest.mark.servers

ROUTES = """
[[routes]]
path = "/v1/models/{model}:predict"
protocol = "kserve_v1"
[[routes]]
path = "/v2/models/{model}/infer"
protocol = "open_inference"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("kserve", tmp_path_factory.mktemp("kserve") / "model")


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return fitted(folder, "risk")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [python_of("kserve"), str(PROGRAMS / "kserve_server.py"), str(folder), str(port)]
    url = f"http://127.0.0.1:{port}"
    with serving(command, folder / "kserve.log", f"{url}/v2/models/risk/ready"):
        yield url


def ask(folder: Path, url: str, protocol: str) -> list[list[float]]:
    run("kserve", "kserve_client", folder, url, protocol, folder / "said.json")
    return list(json.loads((folder / "said.json").read_text()))


@pytest.mark.parametrize(
    ("protocol", "decoder"),
    [("v1", "kserve_v1"), ("v2", "open_inference"), ("v2 binary", "open_inference")],
)
def test_rows_that_its_own_client_sends_are_counted(
    folder: Path, reference: Reference, server: str, protocol: str, decoder: str
) -> None:
    with sidecar(folder, ROUTES, upstream=server) as beside:
        said = ask(folder, beside.proxy, protocol)
        samples = check(beside.metrics, folder, reference, "risk", said)
        assert value(samples, "driftgauge_payloads_total", way="proxy", protocol=decoder) == len(said)


@pytest.mark.parametrize("protocol", ["v1", "v2 binary"])
def test_rows_in_the_events_of_a_payload_logger_are_counted(
    folder: Path, reference: Reference, server: str, protocol: str
) -> None:
    """The logger is given the sidecar, which passes every event on to the sink that was there before."""
    with EventSink() as before, events(folder, before) as beside:
        with logging_in_front_of(server, f"{beside.url}/events") as logger:
            said = ask(folder, logger.url, protocol)
            until(lambda: logger.sent >= 2 * len(said), "the logger to have sent all its events")
        samples = check(beside.metrics, folder, reference, "risk", said)
        assert value(samples, "driftgauge_payloads_total", way="sink") == len(said)
        until(lambda: len(before.events) >= 2 * len(said), "all events to be passed on")
        assert sorted(before.events) == sorted(logger.events)
        assert logger.refused == 0


def events(folder: Path, before: EventSink) -> AbstractContextManager[Sidecar]:
    return sidecar(folder, f'[sink]\npath = "/events"\nprotocol = "auto"\ntee = "{before.url}"\n')

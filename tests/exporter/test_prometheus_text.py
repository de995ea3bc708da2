from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from exporter_cases import Frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from services import unavailable

import driftgauge as dg
from driftgauge.catalogue import CATALOGUE, samples
from driftgauge.errors import ConfigError
from driftgauge_prometheus import asgi_app, collector, serve, wsgi_app

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(collector(Frozen()))
    return made


Served = Callable[..., str]


@pytest.fixture
def served() -> Iterator[Served]:
    """Serves a source on a free port and returns the address; stops it after the test."""
    running = []

    def start(source: Any, scheme: str = "http", **options: Any) -> str:
        server, thread = serve(source, port=0, **options)
        running.append((server, thread))
        return f"{scheme}://127.0.0.1:{server.server_port}/metrics"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def read(address: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as response:
        body: bytes = response.read()
        return (gzip.decompress(body) if response.headers["Content-Encoding"] == "gzip" else body).decode()


def test_the_whole_text_is_as_committed(
    registry: CollectorRegistry, golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / "metrics.txt", generate_latest(registry).decode())


def test_the_whole_openmetrics_text_is_as_committed(
    registry: CollectorRegistry, golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / "openmetrics.txt", generate_openmetrics(registry).decode())


def test_promtool_finds_nothing_to_say(registry: CollectorRegistry, promtool: Callable[..., str]) -> None:
    assert promtool("check", "metrics", text=generate_latest(registry).decode()) == ""


@pytest.mark.parametrize(
    ("write", "parse"), [(generate_latest, parse_text), (generate_openmetrics, parse_openmetrics)]
)
def test_reading_the_text_gives_every_value_back_exactly(
    registry: CollectorRegistry, write: Callable[..., bytes], parse: Callable[..., Any]
) -> None:
    expected = {
        (family.prometheus_name, frozenset(labels.items())): float(value)
        for family, found in samples(Frozen().snapshot())
        for labels, value in found
    }
    read_back = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(write(registry).decode())
        for sample in family.samples
    }
    assert read_back == expected


def test_registering_does_not_evaluate_and_a_scrape_evaluates_once() -> None:
    source = Frozen()
    made = CollectorRegistry()
    made.register(collector(source))
    assert source.asked == 0
    generate_latest(made)
    assert source.asked == 1


def test_a_registry_refuses_a_second_collector_of_the_same_names(registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(collector(Frozen()))


def test_a_registry_can_be_asked_for_one_family(registry: CollectorRegistry) -> None:
    text = generate_latest(registry.restricted_registry(["driftgauge_feature_psi"])).decode()  # type: ignore[arg-type]
    assert {line.split("{")[0] for line in text.splitlines() if line[0] != "#"} == {"driftgauge_feature_psi"}


def test_the_server_answers_with_its_own_families_only(served: Served) -> None:
    families = list(parse_text(read(served(Frozen()))))
    assert len(families) == len(CATALOGUE)
    assert all(family.name.startswith("driftgauge_") for family in families)


def test_the_server_speaks_openmetrics_and_gzip_when_asked(served: Served) -> None:
    text = read(
        served(Frozen()),
        **{"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"},
    )
    assert text.endswith("# EOF\n")


def test_a_taken_port_is_refused_with_a_way_out(served: Served) -> None:
    port = int(served(Frozen()).rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(ConfigError, match=rf"port {port} on '127.0.0.1' is taken; .* another port"):
        serve(Frozen(), port=port)


def test_any_other_trouble_with_the_address_is_passed_on() -> None:
    with pytest.raises(socket.gaierror):
        serve(Frozen(), port=0, addr="no such host")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"certfile": "a.pem"}, "go together"),
        ({"keyfile": "a.key"}, "go together"),
        ({"client_auth_required": True}, "needs certfile"),
        ({"certfile": "a.pem", "keyfile": "a.key", "client_auth_required": True}, "needs certfile"),
        ({"certfile": "a.pem", "keyfile": "a.key", "client_cafile": "ca.pem"}, "checks nobody"),
    ],
)
def test_half_of_a_tls_setting_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        serve(Frozen(), port=0, **options)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    if shutil.which("openssl") is None:
        unavailable("openssl is not installed")
    command = "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    options = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(made),
    ]
    subprocess.run([*command.split(), *options], check=True, capture_output=True, timeout=60)
    return str(made), str(key)


def test_tls_serves_and_a_client_without_a_certificate_is_refused(
    served: Served, certificate: tuple[str, str]
) -> None:
    made, key = certificate
    anyone = ssl.create_default_context(cafile=made)
    known = ssl.create_default_context(cafile=made)
    known.load_cert_chain(made, key)
    address = served(
        Frozen(), "https", certfile=made, keyfile=key, client_cafile=made, client_auth_required=True
    )
    with urllib.request.urlopen(address, context=known, timeout=10) as response:
        assert b"driftgauge_feature_psi" in response.read()
    with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
        urllib.request.urlopen(address, context=anyone, timeout=10).read()


def call_asgi(
    app: Any, headers: list[tuple[bytes, bytes]], query: bytes = b"", kind: str = "http"
) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": kind, "headers": headers, "query_string": query}, receive, send))
    return sent


def test_the_asgi_app_answers_like_the_server(registry: CollectorRegistry) -> None:
    start, body = call_asgi(asgi_app(Frozen()), [])
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert body["body"] == generate_latest(registry)


def test_the_asgi_app_speaks_openmetrics_and_gzip_and_one_family() -> None:
    wanted = [(b"Accept", b"application/openmetrics-text; version=1.0.0"), (b"accept-encoding", b"gzip")]
    start, body = call_asgi(asgi_app(Frozen()), wanted, b"name[]=driftgauge_feature_psi")
    assert dict(start["headers"])[b"content-encoding"] == b"gzip"
    text = gzip.decompress(body["body"]).decode()
    assert text.endswith("# EOF\n")
    assert "driftgauge_feature_ks" not in text


def test_the_asgi_app_evaluates_away_from_the_event_loop() -> None:
    threads = []

    class Source(Frozen):
        def snapshot(self) -> Any:
            threads.append(threading.current_thread())
            return super().snapshot()

    call_asgi(asgi_app(Source()), [])
    assert threads != [threading.main_thread()]


def test_the_asgi_app_refuses_what_is_not_http() -> None:
    with pytest.raises(ConfigError, match="got 'websocket'"):
        call_asgi(asgi_app(Frozen()), [], kind="websocket")


def test_the_wsgi_app_answers_like_the_server(registry: CollectorRegistry) -> None:
    answers: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics"}
    (body,) = wsgi_app(Frozen())(environ, lambda status, _headers: answers.append(status))
    assert answers == ["200 OK"]
    assert body == generate_latest(registry)


def test_the_exporter_is_found_by_name() -> None:
    assert dg.exporter("prometheus").serve is serve

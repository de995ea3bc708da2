"""Receivers beside the Collector: rotel, and Prometheus 3 itself."""

from __future__ import annotations

import shutil
import socket
import sysconfig
from pathlib import Path

import pytest
from collector_service import ADDED
from exporter_cases import Frozen, small_snapshot
from otel_cases import expected, started
from otlp_sink import sink
from prometheus_service import prometheus
from services import free_port, running, unavailable, until

from driftgauge.catalogue import CATALOGUE


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


ALL = '{__name__=~"driftgauge_.+"}'


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_rotel_takes_every_value_and_hands_it_on(protocol: str, temporality: str, tmp_path: Path) -> None:
    agent = Path(sysconfig.get_paths()["purelib"]) / "rotel" / "rotel-agent"
    if not agent.exists():
        unavailable("rotel is not installed: pip install rotel")
    grpc, http = free_port(), free_port()
    with sink() as found:
        command = [str(agent), "start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"]
        command += ["--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"]
        command += ["--otlp-exporter-endpoint", found.url, "--batch-timeout", "100ms"]
        log = tmp_path / "rotel.log"
        with running(command, log) as process:
            port = grpc if protocol == "grpc" else http
            until(lambda: listens(port), "rotel to listen")  # differences that nobody takes are lost
            with started(
                Frozen(), f"http://127.0.0.1:{port}", protocol=protocol, temporality=temporality
            ) as exporter:
                exporter.flush()

                def arrived() -> bool:
                    assert process.poll() is None, log.read_text()
                    return len(found.points()) >= len(expected(small_snapshot()))

                until(arrived, "rotel to hand metrics on")
                exporter.close(timeout_seconds=0)
        points = found.points()
    names = {family.otel_name: family.prometheus_name for family in CATALOGUE}
    handed_on = {
        (names[metric["name"]], frozenset(pair for pair in attributes.items() if pair[1])): float(
            point.get("asDouble", point.get("asInt", 0))
        )
        for _, metric, attributes, point in points
    }
    assert len(points) == len(handed_on)
    assert handed_on == expected(small_snapshot())


@pytest.mark.prometheus
def test_prometheus_3_takes_them_without_a_collector(tmp_path: Path) -> None:
    """By its OTLP receiver; the names that it makes are the same again."""
    if shutil.which("prometheus3") is None:
        pytest.skip(
            "no Prometheus 3 here: go install github.com/prometheus/prometheus/cmd/prometheus, as prometheus3"
        )
    jobs = "otlp: {promote_resource_attributes: [deployment.environment.name]}\n"
    options = ["--web.enable-otlp-receiver"]
    with prometheus(tmp_path / "three", jobs, program="prometheus3", options=options) as server:
        resource = {"deployment.environment.name": "test"}
        with started(
            Frozen(), f"{server.url}/api/v1/otlp", preset="prometheus", resource=resource
        ) as exporter:
            exporter.flush()
            found = server.get("query", query=ALL)["result"]
            target = server.get("query", query="target_info")["result"]
    assert {each["metric"]["job"] for each in [*found, *target]} == {"churn"}
    assert {each["metric"].pop("deployment_environment_name") for each in found} == {"test"}
    series = {
        (
            each["metric"].pop("__name__"),
            frozenset(p for p in each["metric"].items() if not ADDED.fullmatch(p[0])),
        ): float(each["value"][1])
        for each in found
    }
    assert series == expected(small_snapshot())


@pytest.mark.prometheus
def test_prometheus_3_drops_differences_without_a_word(tmp_path: Path) -> None:
    """So its preset is cumulative. Gauges of the same request arrive, and the answer is that all is well."""
    if shutil.which("prometheus3") is None:
        pytest.skip("no Prometheus 3 here")
    options = ["--web.enable-otlp-receiver"]
    with (
        prometheus(tmp_path / "three", "", program="prometheus3", options=options) as server,
        started(Frozen(), f"{server.url}/api/v1/otlp", temporality="delta") as exporter,
    ):
        exporter.flush()
        found = {each["metric"]["__name__"] for each in server.get("query", query=ALL)["result"]}
        exporter.close(timeout_seconds=0)
    counters = {family.prometheus_name for family in CATALOGUE if family.instrument == "counter"}
    assert found == {family.prometheus_name for family in CATALOGUE} - counters

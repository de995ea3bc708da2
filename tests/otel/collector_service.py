"""A real OpenTelemetry Collector on loopback: OTLP in, Prometheus text and a file of JSON lines out."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from services import free_port, running, unavailable, until

PROGRAM = "otelcol-driftgauge"
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
# What is added on the way: the resource, the scope. A label without a value is no label in Prometheus.
ADDED = re.compile("job|instance|exported_job|exported_instance|otel_scope_.*")

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: 127.0.0.1:{grpc}}}
      http: {{endpoint: 127.0.0.1:{http}}}
processors:
  deltatocumulative:
exporters:
  prometheus: {{endpoint: 127.0.0.1:{text}}}
  file: {{path: {file}, flush_interval: 100ms}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics/text: {{receivers: [otlp], processors: [deltatocumulative], exporters: [prometheus]}}
    metrics/file: {{receivers: [otlp], exporters: [file]}}
    logs: {{receivers: [otlp], exporters: [file]}}
"""


def collector_program() -> str:
    """Where the Collector is: on the path, or beside the Python that runs the tests."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM) or (str(beside) if beside.exists() else None)
    if found is None:
        unavailable(f"{PROGRAM} is not installed: make .venv/.collector, which needs Go")
    return str(found)


@dataclass(frozen=True)
class Collector:
    """A running Collector."""

    grpc: str
    http: str
    text_port: int
    file: Path

    def endpoint(self, protocol: str) -> str:
        """Where to send over *protocol*."""
        return self.grpc if protocol == "grpc" else self.http

    def text(self) -> str:
        """What its Prometheus exporter says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.text_port}/metrics", timeout=10) as response:
            return str(response.read().decode())

    def series(self) -> Series:
        """Value of every series of ours, by name and labels without those that were added."""
        return series_of(self.text())

    def received(self, kind: str) -> list[dict[str, Any]]:
        """Requests that it has written to its file: ``'resourceMetrics'`` or ``'resourceLogs'``."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        return [each for request in whole for each in request.get(kind, [])]


def series_of(text: str) -> Series:
    """Series of ours in a text of Prometheus."""
    return {
        (sample.name, plain(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("driftgauge_")
    }


def plain(labels: dict[str, str]) -> frozenset[tuple[str, str]]:
    """Labels that are ours."""
    return frozenset(pair for pair in labels.items() if pair[1] and not ADDED.fullmatch(pair[0]))


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """A Collector that writes to *folder*, until the block ends."""
    grpc, http, text = free_port(), free_port(), free_port()
    config, file, log = folder / "collector.yaml", folder / "received.jsonl", folder / "collector.log"
    config.write_text(CONFIG.format(grpc=grpc, http=http, text=text, file=file), encoding="utf-8")
    with running([collector_program(), f"--config=file:{config}"], log) as process:

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"the Collector stopped:\n{log.read_text()}")
            return "Everything is ready" in log.read_text()

        until(ready, "the Collector to be ready")
        yield Collector(f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}", text, file)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Variables of the environment, and no other of OpenTelemetry's, until the block ends."""
    before = {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}
    for name in before:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)

"""A small OTLP/HTTP receiver for tests: keeps what comes, answers as told, as slowly as told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

KINDS: dict[str, Any] = {"/v1/metrics": ExportMetricsServiceRequest, "/v1/logs": ExportLogsServiceRequest}


class Sink:
    """What has come."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.answering = threading.Event()
        self.answering.set()
        self.came = threading.Event()

    def of(self, path: str) -> list[dict[str, Any]]:
        """Requests of one path, as OTLP's JSON has them but for ids."""
        return [MessageToDict(message) for where, _, message in self.requests if where == path]

    def points(self) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, str], dict[str, Any]]]:
        """Every point: its resource's attributes, its metric, its attributes, itself."""
        return [
            (values_of(resource["resource"]), metric, values_of(point), point)
            for request in self.of("/v1/metrics")
            for resource in request["resourceMetrics"]
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
            for point in (metric.get("gauge") or metric["sum"])["dataPoints"]
        ]

    def records(self) -> list[dict[str, Any]]:
        """Every log record."""
        return [
            record
            for request in self.of("/v1/logs")
            for resource in request["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]


def values_of(thing: dict[str, Any]) -> dict[str, Any]:
    """Attributes as a plain mapping."""
    return {each["key"]: next(iter(each["value"].values())) for each in thing.get("attributes", [])}


@contextmanager
def sink() -> Iterator[Sink]:
    """A receiver on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.came.set()
            found.answering.wait(60)
            message = KINDS[self.path]()
            message.ParseFromString(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.requests.append((self.path, headers, message))
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Sink(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.answering.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)

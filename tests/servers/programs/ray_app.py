"""Two actors of Ray, in processes of their own, whose monitors share a directory, behind a small HTTP server.

Each actor appends what it was given to a file of its own. Ray Serve's replicas are such actors too; it is not
used here because each of them listens on all interfaces. ``python ray_app.py PORT REFERENCE SHARED ROWS``
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import ray
from prometheus_client import CollectorRegistry, generate_latest

import driftgauge_prometheus
from driftgauge import Monitor, Reference, rows


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)
class Model:
    """Adds two inputs up, watched."""

    def __init__(self, reference: str, shared: str, given: str) -> None:
        monitor = Monitor(
            Reference.load(reference), windows=[rows(500)], budget=None, shared_directory=shared
        )
        self.predict = monitor.watch(lambda inputs: inputs.sum(axis=1))
        self.given = Path(given) / str(os.getpid())
        self.registry = CollectorRegistry()
        self.registry.register(driftgauge_prometheus.collector(monitor))

    def answer(self, body: bytes) -> bytes:
        inputs = np.frombuffer(body).reshape(-1, 2).copy()
        whole = np.column_stack((inputs, self.predict(inputs)))
        with self.given.open("ab", buffering=0) as file:  # one write: all there or not when it is killed
            file.write(whole.tobytes())
        return str(os.getpid()).encode()

    def metrics(self) -> bytes:
        return generate_latest(self.registry)


def main() -> None:
    port, reference, shared, given = sys.argv[1:]
    # A socket's path may have 107 characters, so Ray's folder is not among the test's.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        ray.init(
            _node_ip_address="127.0.0.1", _temp_dir=folder, include_dashboard=False, num_cpus=2,
            object_store_memory=100 * 2**20, log_to_driver=False,
        )  # fmt: skip
        actors = itertools.cycle([Model.remote(reference, shared, given) for _ in range(2)])

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(lambda actor: actor.metrics.remote())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(lambda actor: actor.answer.remote(body))

            def reply(self, call) -> None:
                try:
                    status, body = 200, ray.get(call(next(actors)), timeout=60)
                except ray.exceptions.RayError as error:  # killed: Ray starts it again
                    status, body = 503, type(error).__name__.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        try:
            ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
        finally:
            ray.shutdown()


if __name__ == "__main__":
    main()

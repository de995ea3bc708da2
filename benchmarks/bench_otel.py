"""Time of one export over OTLP at 10, 200 and 1,000 features, beside one Prometheus scrape.

python benchmarks/bench_otel.py [--smoke --folder DIR] [--repeats 7]
"""

from __future__ import annotations

import argparse
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench_scrape import series
from data import KINDS, names, table
from measure import column, interleave, median, options, save, versions
from measure import table as result_table
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter, ObservableGauge
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

import driftgauge as dg
from driftgauge import kernels


class Received(BaseHTTPRequestHandler):
    """Takes what comes, counts its bytes and says yes."""

    size = 0

    def do_POST(self) -> None:
        """Take one request."""
        type(self).size += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def export(features: int, window: int, repeats: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Times by part, and sizes."""
    labels = names(features)
    reference = dg.Reference.fit(table(2 * window, features, 1, kinds=KINDS), names=labels)
    monitor = dg.Monitor(reference, windows=[dg.rows(window)])
    monitor.warm_up()
    live = table(window, features, 2, kinds=KINDS, drift=0.3)
    for start in range(0, window, 1_000):
        monitor.observe(live[start : start + 1_000])
    otel = dg.exporter("otel")
    registry = CollectorRegistry()
    registry.register(dg.exporter("prometheus").collector(monitor))
    text = generate_latest(registry)
    limit = otel.CARDINALITY_LIMIT
    limits = {ObservableCounter: limit, ObservableGauge: limit}
    reader = InMemoryMetricReader(cardinality_limits=limits)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    registration = otel.register(monitor, provider, cardinality_limit=limit)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Received)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    exporter = otel.start(monitor, address, interval_seconds=86_400, timeout_seconds=60)
    times = interleave(
        {
            "export": exporter.flush,
            "collect": lambda: reader.collect(timeout_millis=600_000),
            "snapshot": monitor.snapshot,
            "scrape": lambda: generate_latest(registry),
        },
        repeats=repeats,
    )
    Received.size = 0
    exporter.flush()
    sizes = {"series": series(text), "bytes": Received.size, "scrape_bytes": len(text)}
    exporter.close(timeout_seconds=0)
    registration.close()
    server.shutdown()
    server.server_close()
    failures = monitor.snapshot().internal_errors["export"]
    monitor.close()
    return times, {**sizes, "failures": failures}


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/otel.json``."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    kernels.warm_up()
    sizes = (3,) if chosen.smoke else (10, 200, 1_000)
    rows, raw = [], {}
    for features in sizes:
        window, repeats = (200, 2) if chosen.smoke else (10_000, chosen.repeats)
        times, found = export(features, window, repeats)
        whole, collect, snapshot, scrape = (
            median(times[part]) for part in ("export", "collect", "snapshot", "scrape")
        )
        if found["failures"]:
            message = f"{found['failures']} exports of {features} features failed"
            raise RuntimeError(message)
        raw[str(features)] = {"times_nanoseconds": times, **found}
        rows.append(
            [
                features,
                found["series"],
                found["bytes"],
                min(times["export"]),
                whole,
                collect,
                snapshot,
                scrape,
                whole / scrape,
            ]
        )
    columns = [
        column("features", "count"),
        column("series", "count"),
        column("size", "bytes"),
        column("export, min", "ns"),
        column("export, median", "ns"),
        column("of it collecting in the SDK", "ns"),
        column("of it `monitor.snapshot()`", "ns"),
        column("Prometheus scrape", "ns"),
        column("export over scrape", "ratio"),
    ]
    note = (
        "One window of 10,000 rows, full; reference 20,000 rows; OTLP over HTTP without compression, to a "
        "server in the same process that only takes it. The Prometheus scrape is `generate_latest`, without "
        "a server. An export happens once a minute, on a thread of its own; what the SDK does is Python and "
        "holds the interpreter as any Python thread does."
    )
    return save(
        "otel",
        tables=[result_table("One export over OTLP", columns, rows, note)],
        versions=versions("driftgauge", "opentelemetry-sdk", "prometheus_client", "numpy", "numba"),
        raw=raw,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

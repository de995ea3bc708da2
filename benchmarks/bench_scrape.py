"""Time and bytes of one scrape at 10, 200 and 1,000 features; beside prometheus_client's plain gauges.

python benchmarks/bench_scrape.py [--smoke --folder DIR] [--repeats 15]
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path
from typing import Any

from data import KINDS, names, table
from measure import column, goal, interleave, median, options, save, versions
from measure import table as result_table
from prometheus_client import CollectorRegistry, Gauge, generate_latest

import driftgauge as dg
from driftgauge import kernels

LABELS = ("model", "model_version", "feature", "kind", "window")


def series(text: bytes) -> int:
    """Number of samples in an exposition."""
    return sum(1 for line in text.splitlines() if line and not line.startswith(b"#"))


def plain_gauges(count: int, features: list[str]) -> CollectorRegistry:
    """A registry of *count* children of plain gauges with our labels, one gauge a round of *features*."""
    registry = CollectorRegistry()
    left = count
    family = 0
    while left > 0:
        gauge = Gauge(
            f"plain_feature_statistic_{family}",
            "A gauge with as many labels as ours.",
            LABELS,
            registry=registry,
        )
        for feature in features[:left]:
            gauge.labels("model", "1", feature, "input", "10000rows").set(0.1 + family / 7 + left / 3)
        left -= len(features)
        family += 1
    return registry


def scrape(features: int, window: int, repeats: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Times by part, and sizes."""
    labels = names(features)
    reference = dg.Reference.fit(table(2 * window, features, 1, kinds=KINDS), names=labels)
    monitor = dg.Monitor(reference, windows=[dg.rows(window)])
    monitor.warm_up()
    live = table(window, features, 2, kinds=KINDS, drift=0.3)
    for start in range(0, window, 1_000):
        monitor.observe(live[start : start + 1_000])
        monitor.flush()
    registry = CollectorRegistry()
    registry.register(dg.exporter("prometheus").collector(monitor))
    text = generate_latest(registry)
    plain = plain_gauges(series(text), labels)
    times = interleave(
        {
            "scrape": lambda: generate_latest(registry),
            "snapshot": monitor.snapshot,
            "plain": lambda: generate_latest(plain),
        },
        repeats=repeats,
    )
    monitor.close()
    sizes = {
        "series": series(text),
        "bytes": len(text),
        "gzip": len(gzip.compress(text, 6)),
        "plain_bytes": len(generate_latest(plain)),
    }
    return times, sizes


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/scrape.json``."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    kernels.warm_up()
    sizes = (3,) if chosen.smoke else (10, 200, 1_000)
    rows, raw = [], {}
    for features in sizes:
        times, found = scrape(
            features, 200 if chosen.smoke else 10_000, 2 if chosen.smoke else chosen.repeats
        )
        whole, snapshot, plain = (median(times[part]) for part in ("scrape", "snapshot", "plain"))
        raw[str(features)] = {"times_nanoseconds": times, **found}
        rows.append(
            [
                features,
                found["series"],
                found["bytes"],
                found["gzip"],
                min(times["scrape"]),
                whole,
                snapshot,
                plain,
                whole / plain,
            ]
        )
    columns = [
        column("features", "count"),
        column("series", "count"),
        column("size", "bytes"),
        column("size with gzip", "bytes"),
        column("scrape, min", "ns"),
        column("scrape, median", "ns"),
        column("of it `monitor.snapshot()`", "ns"),
        column("prometheus_client, as many plain gauges", "ns"),
        column("scrape over plain gauges", "ratio"),
    ]
    note = (
        "One window of 10,000 rows, full; reference 20,000 rows; `generate_latest` of a registry that holds "
        "the collector and nothing else, without the web server. The plain gauges compute nothing, they only "
        "hold a number."
    )
    goals = [
        goal(
            f"One scrape of {row[0]:,} features over as many plain gauges",
            2.0,
            row[-1],
            better="lower",
            unit="ratio",
        )
        for row in rows[-1:]
    ]
    return save(
        "scrape",
        tables=[result_table("One scrape", columns, rows, note)],
        goals=goals,
        versions=versions("driftgauge", "prometheus_client", "numpy", "numba"),
        raw=raw,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

"""Bytes per feature: reference, windows and buffer; by tracemalloc, and as growth of the process.

python benchmarks/bench_memory.py [--smoke --folder DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from data import names, table
from environments import environ
from measure import HERE, column, goal, options, save, versions
from measure import table as result_table

# Each case in a process of its own: memory that one case gave back would hide the next one's.
PROBE = """
import gc, json, sys, tracemalloc
from pathlib import Path
sys.path.insert(0, {here!r})
import numpy as np
import driftgauge as dg
from driftgauge import kernels
from data import table

def resident():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss"))

def fill(monitor, features, rows, seconds, start):
    # In blocks, so that what is measured is not the rows themselves: 500 rows again and again, moved along.
    block = table(500, features, 3, drift=0.3)
    for step, first in enumerate(range(0, rows, 500)):
        monitor.observe(block, now_seconds=start + seconds * first / rows)
        monitor.flush()
        block = np.roll(block, 1, axis=0) * 1.0003

traced = {traced!r}
small = dg.Reference.fit(table(300, 2, 9), names=["a", "b"])
kernels.warm_up()
with dg.Monitor(small) as monitor:      # everything that is loaded late is loaded now
    fill(monitor, 2, 1000, 1.0, 1e9)
    monitor.snapshot(now_seconds=1e9 + 1)
del monitor
block = table(500, {features}, 3, drift=0.3)
del block
gc.collect()
if traced:
    tracemalloc.start()
before = tracemalloc.get_traced_memory()[0] if traced else resident()
reference = dg.Reference.load({path!r})
layout = reference.layout
gc.collect()
loaded = tracemalloc.get_traced_memory()[0] if traced else resident()
monitor = dg.Monitor(reference, windows=[eval(spec) for spec in {windows!r}])
fill(monitor, {features}, {rows}, {seconds}, 1e9)
monitor.snapshot(now_seconds=1e9 + {seconds})
gc.collect()
full = tracemalloc.get_traced_memory()[0] if traced else resident()
fill(monitor, {features}, {rows}, {seconds}, 1e9 + {seconds})
monitor.snapshot(now_seconds=1e9 + 2 * {seconds})
gc.collect()
later = tracemalloc.get_traced_memory()[0] if traced else resident()
held = monitor.snapshot(now_seconds=1e9 + 2 * {seconds}).windows[0].rows
print("\\n" + json.dumps([loaded - before, full - before, later - before, layout.nbytes, layout.cells, held]))
"""

FEATURES = 1_000
KIBIBYTE = 1024


def cases(smoke: bool) -> list[tuple[str, int, dict[str, Any], list[str], int, float, int]]:
    """Title, reference rows, settings of fit, windows, rows fed (twice), over how many seconds, features."""
    if smoke:
        return [("smoke", 300, {}, ["dg.rows(1000)"], 1_000, 60.0, 3)]
    ten = ["dg.rows(10_000)"]
    return [
        ("defaults: 1,023 quantile points, last 10,000 rows", 40_000, {}, ten, 12_000, 60.0, FEATURES),
        (
            "the same with the last hour beside it",
            40_000,
            {},
            [*ten, "dg.duration('1h')"],
            24_000,
            3_600.0,
            FEATURES,
        ),
        ("the last hour alone", 40_000, {}, ["dg.duration('1h')"], 24_000, 3_600.0, FEATURES),
        ("the last 100,000 rows alone", 40_000, {}, ["dg.rows(100_000)"], 110_000, 60.0, 200),
        ("exact: 10,000 distinct points, last 10,000 rows", 10_000, {}, ten, 12_000, 60.0, FEATURES),
        ("exact: 32,000 distinct points, last 10,000 rows", 32_000, {}, ten, 12_000, 60.0, 200),
    ]


def measure(
    path: Path, windows: list[str], rows: int, seconds: float, features: int, *, traced: bool
) -> list[int]:
    """Bytes after loading, with the window full, after as many rows again; layout bytes; cells; rows held."""
    code = PROBE.format(
        here=str(HERE),
        path=str(path),
        windows=windows,
        rows=rows,
        seconds=seconds,
        features=features,
        traced=traced,
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environ(), check=False
    )
    if done.returncode:
        message = f"the probe ended with status {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    found: list[int] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/memory.json``."""
    return run(options(__doc__).parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    import driftgauge as dg

    rows: list[list[Any]] = []
    raw: dict[str, Any] = {}
    fitted: dict[tuple[int, int], Path] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for title, reference_rows, settings, windows, fed, seconds, features in cases(chosen.smoke):
            path = fitted.get((reference_rows, features))
            if path is None:
                path = Path(scratch) / f"{reference_rows}_{features}.reference"
                values = table(reference_rows, features, 1)
                dg.Reference.fit(values, names=names(features), **settings).save(path)
                del values
                fitted[reference_rows, features] = path
            by_trace = measure(path, windows, fed, seconds, features, traced=True)
            by_process = measure(path, windows, fed, seconds, features, traced=False)
            raw[title] = {"tracemalloc": by_trace, "resident": by_process, "file_bytes": path.stat().st_size}
            rows.append(
                [
                    title,
                    features,
                    by_trace[4] / features,
                    by_trace[3] / features,
                    by_trace[1] / features,
                    by_process[1] / features,
                    (by_process[2] - by_process[1]) / features,
                    path.stat().st_size / features,
                ]
            )
    columns = [
        column("case"),
        column("features", "count"),
        column("cells a feature", "count"),
        column("reference arrays", "bytes"),
        column("all in, tracemalloc", "bytes"),
        column("all in, growth of the process", "bytes"),
        column("growth with as many rows again", "bytes"),
        column("reference file", "bytes"),
    ]
    note = (
        "Per feature. 'All in' is reference, windows, row buffer and Python objects. The "
        "process is fresh, numba compiled before the count starts: what numba itself costs stands in the "
        "table of import times."
    )
    goals = [
        goal(
            f"Bytes a feature, {rows[0][0]}: {how}",
            64 * KIBIBYTE,
            rows[0][place],
            better="lower",
            unit="bytes",
        )
        for how, place in (("held, by tracemalloc", 4), ("growth of the process", 5))
    ]
    return save(
        "memory",
        tables=[result_table("Memory a feature", columns, rows, note)],
        goals=goals,
        versions=versions("driftgauge", "numpy", "numba"),
        raw=raw,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

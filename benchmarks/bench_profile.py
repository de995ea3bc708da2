"""What learning a reference takes: of rows in memory, and of a Parquet file by ``driftgauge profile``.

    python benchmarks/bench_profile.py

Read it with these in mind. One thread; the file is in the page cache. Each case runs once in a process of its
own, so its time includes the compiling that large data ask for, and its memory is the peak of that process
over what the rows themselves take. Half of the columns are continuous, the others repeat few values.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from data import sample
from environments import environ
from measure import HERE, column, options, save, table, versions

KINDS = ("normal", "integer", "lognormal", "price")

# What is learned, and the arguments of `Reference.fit` and of the command line that ask for it.
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "counts": ({"exclude": "at", "joint": False}, ["--exclude", "at", "--no-joint"]),
    "counts, relations": ({"exclude": "at"}, ["--exclude", "at"]),
    "counts, order in time": ({"time": "at", "joint": False}, ["--time", "at", "--no-joint"]),
    "counts, relations, order in time": ({"time": "at"}, ["--time", "at"]),
}

PROBE = """
import json, resource, sys, time, warnings
import numpy as np

warnings.simplefilter("ignore")
path, how, settings, arguments = json.loads(sys.argv[1])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

if how == "memory":
    from driftgauge import Reference
    from pyarrow import parquet
    read = parquet.read_table(path)
    data = {name: values.to_numpy() for name, values in zip(read.column_names, read.columns)}
    del read
    Reference.fit({"warm": np.arange(300.0)})
    before, start = peak(), time.perf_counter()
    Reference.fit(data, **settings)
else:
    from driftgauge.cli._program import run
    before, start = 0, time.perf_counter()
    try:
        run(["profile", path, "-o", path + ".reference", "--format", "json", *arguments])
    except SystemExit:
        pass
print("\\n" + json.dumps([time.perf_counter() - start, peak() - before]))
"""


def write(path: Path, rows: int, columns: int) -> None:
    """A Parquet file of so many columns and a time a second."""
    import pyarrow
    from pyarrow import parquet

    data = {"at": (1_700_000_000 + np.arange(rows)).astype("datetime64[s]")}
    data |= {f"f{number}": sample(KINDS[number % len(KINDS)], rows, number) for number in range(columns)}
    parquet.write_table(pyarrow.table(data), path)


def measured(path: Path, how: str, case: str) -> tuple[float, float]:
    """Nanoseconds and bytes of one case."""
    settings, arguments = CASES[case]
    command = [sys.executable, "-c", PROBE, json.dumps([str(path), how, settings, arguments])]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, check=True, cwd=HERE)
    seconds, grown = json.loads(done.stdout.splitlines()[-1])
    return seconds * 1e9, grown


def main() -> None:
    """Measure all cases of all sizes and write the result."""
    parser: argparse.ArgumentParser = options(__doc__)
    chosen = parser.parse_args()
    sizes = [(2_000, 3)] if chosen.smoke else [(100_000, 20), (1_000_000, 100)]
    rows: list[list[Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, columns in sizes:
            path = Path(folder) / f"{number}.parquet"
            write(path, number, columns)
            for case in CASES:
                fitted, grown = measured(path, "memory", case)
                profiled, held = measured(path, "file", case)
                rows.append([number, columns, case, fitted, grown, profiled, held])
    head = [
        column("rows", "count"),
        column("columns", "count"),
        column("what is learned"),
        column("`Reference.fit`", "ns"),
        column("memory beyond the rows", "bytes"),
        column("`driftgauge profile`", "ns"),
        column("memory of the process", "bytes"),
    ]
    note = "Relations are 74 virtual features at 100 columns. Order in time has the replay of halves in it."
    save(
        "profile",
        tables=[table("Learning a reference", head, rows, note)],
        versions=versions("driftgauge", "numpy", "numba", "pyarrow"),
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    main()

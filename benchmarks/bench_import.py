"""How long `import driftgauge` takes in a fresh interpreter, and until a monitor exists; beside others.

python benchmarks/bench_import.py [--smoke --folder DIR] [--repeats 15]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from data import names, table
from environments import ensure, environ, interpreter
from measure import column, goal, median, options, save, versions
from measure import table as result_table

# What is timed runs after `site`, so start-up of Python itself is not in it. Standard library only around it.
PROBE = """
import sys, time
from pathlib import Path
def resident():
    lines = Path("/proc/self/status").read_text() if Path("/proc/self/status").exists() else ""
    return next((int(line.split()[1]) * 1024 for line in lines.splitlines() if line.startswith("VmRSS")), 0)
modules, memory = len(sys.modules), resident()
start = time.perf_counter_ns()
{code}
took = time.perf_counter_ns() - start
import json
print("\\n" + json.dumps([took, len(sys.modules) - modules, resident() - memory, "numba" in sys.modules]))
"""

MONITOR = """
import driftgauge as dg
monitor = dg.Monitor(dg.Reference.load({path!r}))
"""

COMPILED = """
from driftgauge import kernels
kernels.warm_up()
"""


def contenders(reference: str) -> list[tuple[str, str, str, int]]:
    """What is timed: title, environment, code, most repeats."""
    monitor = MONITOR.format(path=reference)
    return [
        ("import driftgauge", "driftgauge", "import driftgauge", 99),
        (
            "from driftgauge import Monitor, Reference",
            "driftgauge",
            "from driftgauge import Monitor, Reference",
            99,
        ),
        ("until the first Monitor exists (50 features from a file)", "driftgauge", monitor, 99),
        ("kernels.warm_up(): numba imported, all compiled", "driftgauge", COMPILED, 5),
        ("import numpy", "driftgauge", "import numpy", 99),
        ("import prometheus_client", "driftgauge", "import prometheus_client", 99),
        ("import scipy.stats", "driftgauge", "import scipy.stats", 99),
        ("import numba", "driftgauge", "import numba", 99),
        ("import frouros.detectors.data_drift", "frouros", "import frouros.detectors.data_drift", 99),
        (
            "import evidently",
            "evidently",
            "import warnings; warnings.simplefilter('ignore'); import evidently",
            7,
        ),
    ]


def probe(python: Path, code: str) -> list[Any]:
    """Nanoseconds, modules added, resident bytes added, and whether numba came along."""
    command = [str(python), "-c", PROBE.format(code=code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environ())
    found: list[Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/import.json``."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--no-peers", action="store_true", help="only what is installed beside driftgauge")
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    import driftgauge as dg

    repeats = 1 if chosen.smoke else chosen.repeats
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "import.reference"
        dg.Reference.fit(table(2_000, 50, 1), names=names(50)).save(path)
        entries = contenders(str(path))
        if chosen.smoke:
            entries = entries[:3]
        if chosen.no_peers:
            entries = [entry for entry in entries if entry[1] == "driftgauge"]
        for _, environment, _, _ in entries:
            if environment != "driftgauge":
                ensure(environment)
        found: dict[str, list[list[Any]]] = {title: [] for title, *_ in entries}
        # One round more, thrown away: it writes the .pyc files and fills the page cache.
        for step in range(repeats + 1):
            for title, environment, code, most in entries:
                if step <= most:
                    found[title].append(probe(interpreter(environment), code))
    rows, raw = [], {}
    for title, samples in found.items():
        kept = samples[1:]
        times = [sample[0] for sample in kept]
        raw[title] = times
        rows.append([title, min(times), median(times), len(times), kept[-1][1], median(s[2] for s in kept)])
    columns = [
        column("in a fresh interpreter"),
        column("min", "ns"),
        column("median", "ns"),
        column("samples", "count"),
        column("modules loaded", "count"),
        column("resident memory added", "bytes"),
    ]
    note = (
        "`import driftgauge` loads its parts when they are first used, so the first row alone flatters it: "
        "read it with the second and third. Files are in the page cache; a cold disk costs more."
    )
    tables = [result_table("Import time", columns, rows, note)]
    medians = {row[0]: row[2] for row in rows}
    goals = [goal(title, 1e8, medians[title], better="lower", unit="ns") for title in list(medians)[:2]]
    return save(
        "import",
        tables=tables,
        goals=goals,
        versions=versions("driftgauge", "numpy", "numba", "scipy", "prometheus_client"),
        raw=raw,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

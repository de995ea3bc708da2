"""How every benchmark here takes its times and writes its results. Standard library only.

A result file is ``results/NAME.json``::

    {"schema": 1, "benchmark": NAME, "script": ..., "taken": "2026-11-21", "smoke": false,
     "machine": {...}, "versions": {...},
     "tables": [{"title": ..., "columns": [{"name": ..., "unit": ...}], "rows": [[...]], "note": ...}],
     "goals": [{"what": ..., "goal": 20, "measured": 18.1, "better": "higher", "unit": "ratio"}]}

Rows hold plain numbers; `tables.py` gives them their units. Units: ``text``, ``count``, ``ratio``, ``ns``
(a time in nanoseconds), ``bytes``, ``error`` (a difference), ``number``. ``null`` shows as a dash.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

__all__ = [
    "RESULTS",
    "column",
    "goal",
    "interleave",
    "machine",
    "median",
    "options",
    "save",
    "table",
    "timed",
    "versions",
]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"

# One thread in every contender: what a serving process can spare beside the model, and what makes ratios
# independent of the number of cores.
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES}


def timed(call: Callable[[], object], loops: int = 1) -> float:
    """Return nanoseconds per call over *loops* calls, with the garbage collector off as `timeit` has it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = perf_counter_ns()
        for _ in range(loops):
            call()
        return (perf_counter_ns() - start) / loops
    finally:
        if enabled:
            gc.enable()


def interleave(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int, min_seconds: float = 0.002
) -> dict[str, list[float]]:
    """Time the contenders in turn, *repeats* times; nanoseconds per call of each repeat, by contender.

    Interleaved, so that a slow spell of a shared machine falls on all of them. Each sample loops for at least
    *min_seconds* so that the clock's resolution is under 0.01 % of it. The first call of each is thrown away.
    """
    loops: dict[str, int] = {}
    for name, call in contenders.items():
        call()
        once = max(timed(call), 1.0)
        loops[name] = max(1, round(min_seconds * 1e9 / once))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, call in contenders.items():
            samples[name].append(timed(call, loops[name]))
    return samples


def median(samples: Iterable[float]) -> float:
    """Return the median of the samples."""
    return float(statistics.median(samples))


def machine() -> dict[str, Any]:
    """Return what the machine is, and how busy it was when asked."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    flags = ""
    if info.exists():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                cpu = value.strip()
            if key.strip() == "flags" and not flags:
                flags = " ".join(flag for flag in ("avx2", "avx512f") if flag in value.split())
    return {
        "cpu": cpu,
        "vector_extensions": flags,
        "cores": os.cpu_count(),
        "memory_gibibytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_average_1_minute": round(os.getloadavg()[0], 2),
    }


def versions(*distributions: str) -> dict[str, str]:
    """Return the version of Python and of each distribution that is installed here."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every script here has."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument(
        "--smoke", action="store_true", help="tiny sizes, a run of a second or two; needs --folder"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the result goes instead of benchmarks/results"
    )
    return parser


def column(name: str, unit: str = "text") -> dict[str, str]:
    """Return one column of a table."""
    return {"name": name, "unit": unit}


def table(
    title: str,
    columns: Sequence[dict[str, str]],
    rows: Sequence[Sequence[Any]],
    note: str = "",
    *,
    headline: bool = False,
) -> dict[str, Any]:
    """Return one table of a result file; every row has as many cells as there are columns.

    README.md shows the tables with *headline*, or the first one of a benchmark that has none.
    """
    for row in rows:
        if len(row) != len(columns):
            message = f"table {title!r} has {len(columns)} columns but a row of {len(row)} cells: {row!r}"
            raise ValueError(message)
    entry = {"title": title, "columns": list(columns), "rows": [list(row) for row in rows], "note": note}
    return {**entry, "headline": True} if headline else entry


def goal(what: str, target: float, measured: float, *, better: str, unit: str) -> dict[str, Any]:
    """Return one goal and what came out; *better* is ``'higher'`` or ``'lower'``."""
    return {"what": what, "goal": target, "measured": measured, "better": better, "unit": unit}


def save(
    benchmark: str,
    *,
    tables: Sequence[dict[str, Any]],
    goals: Sequence[dict[str, Any]] = (),
    versions: Mapping[str, str],
    smoke: bool = False,
    raw: Any = None,
    folder: Path | None = None,
) -> Path:
    """Write ``NAME.json`` and return its path. A smoke run writes to *folder*, never over real results."""
    if smoke and folder is None:
        message = "a smoke run must not overwrite committed results; give folder="
        raise ValueError(message)
    document = {
        "schema": 1,
        "benchmark": benchmark,
        "script": f"benchmarks/{Path(sys.argv[0]).name}",
        "taken": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "smoke": smoke,
        "machine": machine(),
        "versions": dict(versions),
        "tables": list(tables),
        "goals": list(goals),
    }
    if raw is not None:
        document["raw"] = raw
    path = (folder or RESULTS) / f"{benchmark}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path

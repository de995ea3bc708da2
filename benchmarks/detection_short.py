"""Rows until a change is seen, at one false alarm in 2,000 rows: the drift score against alibi-detect.

    python benchmarks/detection_short.py [--smoke --folder DIR]

alibi-detect's online detectors find their thresholds by bootstrap, which takes longer the fewer false alarms
are allowed; this is as few as a run of some minutes lets them have, and as many as a budget may allow.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from detection import shown
from detection_runs import (
    SHORT,
    SHORT_BEFORE,
    SHORT_REFERENCE,
    SHORT_RUN_ROWS,
    ask,
    short_numbers,
    short_pairs,
)
from detection_streams import PAIRS
from measure import column, options, save, table, versions

from driftgauge import kernels

__all__ = ["main"]


def short_table(*, smoke: bool) -> tuple[Any, dict[str, str]]:
    """The table with alibi-detect, at one false alarm in 2,000 rows."""
    after = SHORT_RUN_ROWS // 2
    common: dict[str, Any] = {
        "run_rows": SHORT_RUN_ROWS,
        "reference_rows": SHORT_REFERENCE,
        "bootstraps": 5_000,
        "seed": 21,
        "before": SHORT_BEFORE,
        "after": after,
    }
    cvm: dict[str, Any] = {"delays": {}}
    mmd: dict[str, Any] = {"delays": {}}
    if not smoke:
        ask_it = partial(ask, "alibi_detect", "detection_alibi.py", **common)
        cvm = ask_it(detector="CVM", windows=[20, 50, 200], streams=60, changes=["none", *SHORT[:-1]])
        mmd = ask_it(detector="MMD", windows=[20], streams=10, changes=["none", *SHORT])
    rows = []
    for change in ("none", *SHORT[: 1 if smoke else None]):
        if change in PAIRS:
            mine = [short_pairs(change, effect) for effect in (0.0, 0.01)]
        else:
            mine = [short_numbers(change, effect) for effect in (0.0, 0.01)]
        row = [*mine, cvm["delays"].get(change), mmd["delays"].get(change)]
        rows.append([change, *(shown(found, after) if change != "none" else _seen(found) for found in row)])
    note = (
        f"Mean rows to the alarm within {after:,} rows after the change, reference {SHORT_REFERENCE}, "
        f"{SHORT_BEFORE} undrifted rows before. First line, no change: share of the streams with an alarm "
        f"within {after + SHORT_BEFORE:,} rows, 0.45 by what is asked for. CVM: windows of 20, 50 and 200, "
        "60 streams; MMD: TensorFlow, window of 20, 10 streams; 5,000 bootstraps on one reference. They "
        "look at every row, the drift score at every 20. Correlation: ten features."
    )
    columns = [
        column("change"),
        column("drift score"),
        column("at min_effect 0.01"),
        column("CVM"),
        column("MMD"),
    ]
    title = "Rows until a change is seen, against alibi-detect at one false alarm in 2,000 rows"
    return table(title, columns, rows, note), {
        name: cvm[name] for name in ("alibi-detect", "tensorflow") if name in cvm
    }


def _seen(found: Any) -> str:
    return "–" if found is None else f"{float(np.mean(np.asarray(found) != -2)):.2f}"


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/detection_short.json``."""
    return run(options(__doc__).parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    kernels.warm_up()
    entry, extra = short_table(smoke=chosen.smoke)
    return save(
        "detection_short",
        tables=[entry],
        versions=versions("driftgauge", "numpy", "numba", "scipy") | extra,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

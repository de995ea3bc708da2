"""References and small tools for the tests of the monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.snapshot import Snapshot
from driftgauge.windows import rows

NAMES = ("age", "income", "ratio")


def numbers_reference() -> Reference:
    """Three numeric inputs, one numeric output."""
    rng = np.random.default_rng(11)
    data = {name: rng.normal(size=2_000) for name in NAMES}
    return Reference.fit({**data, "score": rng.uniform(size=2_000)}, outputs=["score"], resolution=127)


def mixed_reference() -> Reference:
    """A numeric, a categorical and a boolean input, a category and a number as outputs."""
    rng = np.random.default_rng(12)
    data = {
        "age": rng.integers(18, 90, 1_000).astype(float),
        "plan": rng.choice(["free", "paid", "gold"], 1_000).tolist(),
        "active": rng.uniform(size=1_000) < 0.5,
        "label": rng.choice(["no", "yes"], 1_000).tolist(),
        "score": rng.uniform(size=1_000),
    }
    return Reference.fit(data, outputs=["label", "score"])


def monitor_of(reference: Reference, **settings: Any) -> Monitor:
    """A monitor over the last 10,000 rows without a thread: rows wait until they are asked for."""
    monitor = Monitor(reference, **{"windows": [rows(10_000)], **settings})
    monitor._buffer.asleep.clear()  # the first row finds nobody to wake
    return monitor


def window_counts(monitor: Monitor) -> Any:
    """Counts of the first window, every row included."""
    monitor.flush()
    return monitor._engine._windows[0].counts


def drops(snapshot: Snapshot) -> dict[str, int]:
    """Drop reasons that have happened."""
    return {reason: count for reason, count in snapshot.rows_dropped.items() if count}


def errors(snapshot: Snapshot) -> dict[str, int]:
    """Stages of internal errors that have happened."""
    return {stage: count for stage, count in snapshot.internal_errors.items() if count}


def assert_adds_up(snapshot: Snapshot, offered: int) -> None:
    """Every offered row is in exactly one place."""
    placed = snapshot.rows_sampled_out + snapshot.rows_sampled + sum(snapshot.rows_dropped.values())
    assert snapshot.rows == placed == offered


def in_rows(matrix: Any, call: Callable[[Any], Any], form: Callable[[Any], Any]) -> None:
    """Call once for each row."""
    for row in matrix:
        call(form(row))

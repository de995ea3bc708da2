"""References, rows and what NumPy and SciPy say of them, for the tests of shared directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import oracles
from numpy.typing import NDArray
from scipy import stats

from driftgauge.budget import one_false_alert
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.snapshot import Snapshot
from driftgauge.windows import duration, rows

Floats = NDArray[np.float64]

NAMES = ("age", "income", "risk")
TRAIN = np.random.default_rng(3).normal([40, 10, 0.5], [10, 2, 0.1], (4_000, 3))
SIZE = 500
WINDOWS = (rows(SIZE), duration("1h"))
BUDGET = one_false_alert(per="90d", evaluate_every="60s")


def reference() -> Reference:
    """The same in every process: what it is made of says its id."""
    columns = dict(zip(NAMES, TRAIN.T, strict=True))
    return Reference.fit(columns, outputs=["risk"], created_timestamp_seconds=0.0)


def monitor_in(path: Path, of: Reference | None = None, **settings: Any) -> Monitor:
    """A monitor without a thread: what it has counted is told when it is asked."""
    monitor = Monitor(of or reference(), windows=WINDOWS, shared_directory=path, **settings)
    monitor._buffer.asleep.clear()  # the first row finds nobody to wake
    return monitor


def observe(monitor: Monitor, block: Floats, now_seconds: float | None = None) -> None:
    monitor.observe(dict(zip(NAMES[:2], block.T, strict=False)), block[:, 2], now_seconds=now_seconds)


def drawn(seed: int, count: int, moved: float = 0.0) -> Floats:
    """Rows like those of the reference, *moved* by so many standard deviations."""
    rng = np.random.default_rng(seed)
    return rng.normal([40 + 10 * moved, 10, 0.5], [10, 2, 0.1], (count, 3))


def ks(column: int, live: Floats) -> float:
    return float(stats.ks_2samp(TRAIN[:, column], live[:, column]).statistic)


def psi(of: Reference, column: int, live: Floats) -> float:
    """Bins of the reference counted by NumPy, from the points that bound them."""
    feature = of.feature(NAMES[column])
    first = feature.bin_starts[1:-2]  # of the bins but the first, before the one of missing values
    bounds = feature.points[first // 2 - 1]  # a bin begins with the gap after a point, the bound
    assert (first % 2 == 1).all()
    counts = [
        [*np.bincount(np.searchsorted(bounds, values[:, column]), minlength=len(bounds) + 1).tolist(), 0]
        for values in (TRAIN, live)
    ]
    return oracles.psi(*counts)


def assert_says(snapshot: Snapshot, of: Reference, windows: Sequence[Floats]) -> None:
    """Every window of a snapshot equals SciPy and NumPy on its rows."""
    for window, live in zip(snapshot.windows, windows, strict=True):
        assert window.rows == len(live)
        for column, feature in enumerate(window.features):
            assert feature.ks is not None
            # both count the same rows; what is left is the rounding of two quotients
            assert abs(feature.ks - ks(column, live)) < 1e-12
            assert abs(feature.psi - psi(of, column, live)) < 1e-9

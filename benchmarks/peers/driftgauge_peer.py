"""driftgauge: the engine by itself, the same with fewer statistics, and the whole monitor around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import driftgauge as dg
from driftgauge import kernels

Floats = NDArray[np.float64]
Values = dict[str, list[float]]

KS = kernels.STATISTICS.index("ks")
PSI = kernels.STATISTICS.index("psi")

kernels.warm_up()


class Engine:
    """`Reference.index`, `add_counts`, `evaluate`: always all statistics, of which KS and PSI are two."""

    def __init__(self, reference: Floats, names: list[str]) -> None:
        self.reference = dg.Reference.fit(reference, names=names)
        self.layout = self.reference.layout
        self.counts = np.zeros(self.layout.cells, np.uint32)
        self.statistics = np.empty((len(names), len(kernels.STATISTICS)))
        self.bins = np.empty(self.layout.bins, np.int64)

    def _count(self, live: Floats) -> None:
        self.counts[:] = 0
        kernels.add_counts(self.reference.index(live), self.layout.cell_offsets, self.counts)

    def hold(self, live: Floats) -> None:
        """Count a full window. Not timed."""
        self._count(live)

    def rows(self, live: Floats) -> Values:
        """KS and PSI of each feature of float64[rows, features] in C order."""
        self._count(live)
        return self.tick()

    def tick(self) -> Values:
        """KS and PSI of each feature of the window held."""
        kernels.evaluate(self.layout, self.counts, self.statistics, self.bins)
        return {"ks": self.statistics[:, KS].tolist(), "psi": self.statistics[:, PSI].tolist()}


class WithoutPlaces(Engine):
    """As `Engine` without what needs each cell's place on the number line: nearer to like for like."""

    def tick(self) -> Values:
        """KS and PSI of each feature of the window held."""
        kernels.evaluate(self.layout, self.counts, self.statistics, self.bins, places=False)
        return {"ks": self.statistics[:, KS].tolist(), "psi": self.statistics[:, PSI].tolist()}


class WholeMonitor:
    """`Monitor.observe` and `Monitor.snapshot`: with queue, window, critical values and frozen result."""

    def __init__(self, reference: Floats, names: list[str]) -> None:
        self.reference = dg.Reference.fit(reference, names=names)
        self.monitor = dg.Monitor(self.reference)
        self.window = 0

    def _observe(self, live: Floats) -> None:
        # In blocks that the queue takes for certain: what does not fit would be dropped and counted.
        for start in range(0, len(live), 1_000):
            self.monitor.observe(live[start : start + 1_000])
            self.monitor.flush()

    def hold(self, live: Floats) -> None:
        """Fill a row window of just this length. Not timed."""
        self.monitor.close()
        self.window = len(live)
        self.monitor = dg.Monitor(self.reference, windows=[dg.rows(self.window)])
        self._observe(live)

    def rows(self, live: Floats) -> Values:
        """KS and PSI of each feature of float64[rows, features] in C order."""
        if self.window != len(live):
            self.hold(live)
        self._observe(live)
        return self.tick()

    def tick(self) -> Values:
        """KS and PSI of each feature of the window held."""
        window = self.monitor.snapshot().windows[0]
        return {"ks": [f.ks for f in window.features], "psi": [f.psi for f in window.features]}


CONTENDERS = {
    "driftgauge": Engine,
    "driftgauge, no Wasserstein, no moments": WithoutPlaces,
    "driftgauge, whole monitor": WholeMonitor,
}

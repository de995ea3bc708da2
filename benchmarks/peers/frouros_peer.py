"""frouros: `KSTest` and `PSI`, one fitted detector of each a feature."""

from __future__ import annotations

import numpy as np
from frouros.detectors.data_drift import PSI, KSTest
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = dict[str, list[float]]


class Frouros:
    """Detectors are fitted beforehand; KS with ``method='asymp'`` as the baseline; PSI with its 10 bins."""

    def __init__(self, reference: Floats, names: list[str]) -> None:  # noqa: ARG002
        self.ks, self.psi = [], []
        for column in reference.T:
            values = np.ascontiguousarray(column)
            ks, psi = KSTest(), PSI(num_bins=10)
            ks.fit(X=values)
            psi.fit(X=values)
            self.ks.append(ks)
            self.psi.append(psi)
        self.window: list[Floats] = []

    def hold(self, live: Floats) -> None:
        """Store a full window, one contiguous array a feature. Not timed."""
        self.window = [np.ascontiguousarray(column) for column in live.T]

    def _both(self, columns: list[Floats]) -> Values:
        return {
            "ks": [
                float(detector.compare(X=column, method="asymp")[0].statistic)
                for detector, column in zip(self.ks, columns, strict=True)
            ],
            "psi": [
                float(detector.compare(X=column)[0].distance)
                for detector, column in zip(self.psi, columns, strict=True)
            ],
        }

    def rows(self, live: Floats) -> Values:
        """KS and PSI of each feature of float64[rows, features] in C order."""
        return self._both(list(live.T))

    def tick(self) -> Values:
        """KS and PSI of each feature of the window held."""
        return self._both(self.window)


CONTENDERS = {"frouros": Frouros}

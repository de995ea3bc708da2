"""Evidently: a report of `ValueDrift` by 'ks' and by 'psi' for each column, and its two tests without it.

Its 'ks' method gives the p-value and no statistic, so only the p-value can be compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

warnings.filterwarnings("ignore")

import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.legacy.calculations.stattests import ks_stat_test, psi_stat_test  # noqa: E402
from evidently.legacy.core import ColumnType  # noqa: E402
from evidently.metrics import ValueDrift  # noqa: E402

Floats = NDArray[np.float64]
Values = dict[str, list[float]]


class EvidentlyReport:
    """The documented way, `Report.run(current, reference)`, which draws each column's plot too."""

    def __init__(self, reference: Floats, names: list[str]) -> None:
        self.names = names
        self.definition = DataDefinition(numerical_columns=names)
        self.reference = self._dataset(reference)
        self.report = Report(
            [ValueDrift(column=name, method=method) for name in names for method in ("ks", "psi")]
        )
        self.window: Any = None

    def _dataset(self, values: Floats) -> Any:
        return Dataset.from_pandas(pd.DataFrame(values, columns=self.names), data_definition=self.definition)

    def hold(self, live: Floats) -> None:
        """Store a full window as its Dataset. Not timed."""
        self.window = self._dataset(live)

    def _both(self, current: Any) -> Values:
        values = [
            float(metric["value"]) for metric in self.report.run(current, self.reference).dict()["metrics"]
        ]
        return {"ks_p_value": values[0::2], "psi": values[1::2]}

    def rows(self, live: Floats) -> Values:
        """p-value of KS, and PSI, of each feature of float64[rows, features] in C order."""
        return self._both(self._dataset(live))

    def tick(self) -> Values:
        """p-value of KS, and PSI, of each feature of the window held."""
        return self._both(self.window)


class EvidentlyTests:
    """Only the two test functions behind the report, on pandas Series: what it would cost without plots."""

    def __init__(self, reference: Floats, names: list[str]) -> None:
        self.names = names
        self.reference = pd.DataFrame(reference, columns=names)
        self.window: Any = None

    def hold(self, live: Floats) -> None:
        """Store a full window as a DataFrame. Not timed."""
        self.window = pd.DataFrame(live, columns=self.names)

    def _both(self, current: Any) -> Values:
        out: Values = {"ks_p_value": [], "psi": []}
        for name in self.names:
            pair = (self.reference[name], current[name], ColumnType.Numerical)
            out["ks_p_value"].append(float(ks_stat_test(*pair, 0.05).drift_score))
            out["psi"].append(float(psi_stat_test(*pair, 0.1).drift_score))
        return out

    def rows(self, live: Floats) -> Values:
        """p-value of KS, and PSI, of each feature of float64[rows, features] in C order."""
        return self._both(pd.DataFrame(live, columns=self.names))

    def tick(self) -> Values:
        """p-value of KS, and PSI, of each feature of the window held."""
        return self._both(self.window)


CONTENDERS = {"Evidently, report": EvidentlyReport, "Evidently, its two tests only": EvidentlyTests}

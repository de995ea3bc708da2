"""The demo's model: ridge regression of rides on the hour's calendar and weather, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from driftgauge._demo._data import WEATHER, Hours

__all__ = ["RidgeRides"]

Floats = NDArray[np.float64]


DAY = np.eye(24)
NUMBERS = ("holiday", "temperature", "feels_like", "humidity", "windspeed")


def _design(columns: Mapping[str, ArrayLike]) -> Floats:
    """Model matrix, float64[n, 56]: a daily curve, another on working days, the weather."""
    hours = DAY[np.atleast_1d(np.asarray(columns["hour"], dtype=np.intp))]
    working = np.atleast_1d(np.asarray(columns["workingday"], dtype=np.float64))[:, None]
    weather = np.atleast_1d(columns["weather"])[:, None] == WEATHER[2:]
    numbers = np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in NUMBERS])
    return np.hstack([hours, hours * working, weather.astype(np.float64), numbers])


class RidgeRides:
    """Rides an hour from calendar and weather; fitted by ridge regression with penalty 1.

    It is a deliberately ordinary model: what it learns in a winter does not hold in a summer.
    """

    def __init__(self, hours: Hours) -> None:
        design = _design(hours.columns)
        gram = design.T @ design + np.eye(design.shape[1])
        self._coefficients = np.linalg.solve(gram, design.T @ hours.rides).astype(np.float64)

    def predict(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Rides for each row, float64[n], never below 0; *columns* are arrays, or numbers for one row."""
        rides: Floats = np.maximum(_design(columns) @ self._coefficients, 0.0)
        return rides

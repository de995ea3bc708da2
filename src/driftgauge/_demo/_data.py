"""The bundled hours as columns: Capital Bikeshare, Washington DC, 2011 and 2012 (see ATTRIBUTION.md)."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftgauge._demo.make_data import FILE

__all__ = ["INPUTS", "Hours", "load"]

WEEKDAYS = np.array(["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"])
WEATHER = np.array(["", "clear", "mist", "light rain or snow", "heavy rain or snow"])

INPUTS = (
    "hour",
    "weekday",
    "workingday",
    "holiday",
    "weather",
    "temperature",
    "feels_like",
    "humidity",
    "windspeed",
)


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Rows of the data set in order of time.

    Parameters
    ----------
    days : str[n]
        ISO date of each row.
    columns : dict of array[n]
        `INPUTS`: float64 numbers, booleans and strings.
    rides : float64[n]
        Rides begun in that hour: the truth that the model predicts.
    """

    days: NDArray[np.str_]
    columns: dict[str, NDArray[np.generic]]
    rides: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.rides.size)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds since the epoch at which each hour begins, as if Washington kept UTC."""
        midnight = self.days.astype("datetime64[s]").astype(np.float64)
        return midnight + 3_600 * self.columns["hour"].astype(np.float64)

    def part(self, start: int, stop: int) -> Hours:
        """Rows *start* up to but not including *stop*; views, no copies."""
        columns = {name: values[start:stop] for name, values in self.columns.items()}
        return Hours(self.days[start:stop], columns, self.rides[start:stop])


def load() -> Hours:
    """All 17,379 hours."""
    with gzip.open(FILE, "rt", encoding="ascii", newline="") as file:
        header, *rows = csv.reader(file)
    text = dict(zip(header, np.array(rows).T, strict=True))
    columns: dict[str, NDArray[np.generic]] = {
        "hour": text["hr"].astype(np.float64),
        "weekday": WEEKDAYS[text["weekday"].astype(np.intp)],
        "workingday": text["workingday"] == "1",
        "holiday": text["holiday"] == "1",
        "weather": WEATHER[text["weathersit"].astype(np.intp)],
        "temperature": text["temp"].astype(np.float64),
        "feels_like": text["atemp"].astype(np.float64),
        "humidity": text["hum"].astype(np.float64),
        "windspeed": text["windspeed"].astype(np.float64),
    }
    return Hours(text["dteday"], columns, text["cnt"].astype(np.float64))

"""The story that the demo tells: a model learns a winter, is asked about two years, and driftgauge watches.

Nothing is printed here, no clock is read and nothing is served. `driftgauge.cli.demo` does that.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from driftgauge._demo._data import INPUTS, Hours, load
from driftgauge._demo._model import RidgeRides
from driftgauge.budget import one_false_alert
from driftgauge.errors import TrainingDriftWarning
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.snapshot import Snapshot
from driftgauge.windows import rows

__all__ = ["BUDGET", "OUTPUT", "SPLIT_DAY", "WINDOW_ROWS", "Day", "Story"]

OUTPUT: Final = "rides_predicted"

# The reference is January to March 2011. Temperature must then drift in spring and come back each winter; the
# calendar (hour, weekday, workingday, holiday) must not.
SPLIT_DAY: Final = "2011-04-01"

# Four weeks of hours. Whole weeks, so that every weekday is in a window as often as in the reference; in
# shorter windows a single wet week is a drift of its own.
WINDOW_ROWS: Final = 4 * 7 * 24

# A day of hours is the least that evidence is weighed of: 20 rows and more.
DAY_SECONDS: Final = 86_400
BUDGET: Final = one_false_alert(per="365d", evaluate_every="1d")


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the stream, sent: its ISO date, hours sent so far, and the monitor's view after it."""

    date: str
    rows: int
    snapshot: Snapshot


class Story:
    """A trained model, its reference, its monitor, and the hours still to come.

    Attributes
    ----------
    reference : Reference
    monitor : Monitor
    total_days : int
        Days in the stream.
    reference_error, live_error : float
        Mean absolute error in rides an hour, on the reference's hours and on those sent so far (NaN before).
    """

    def __init__(self) -> None:
        hours = load()
        split = int(np.searchsorted(hours.days, SPLIT_DAY))
        past, self._live = hours.part(0, split), hours.part(split, len(hours))
        model = RidgeRides(past)
        predicted = model.predict(past.columns)
        self.reference_error = float(np.abs(predicted - past.rides).mean())
        # With times, for one hour's weather is like the last one's: what 24 rows tell is not 24 rows' worth.
        with warnings.catch_warnings():
            # A winter that ends as spring is no steady reference. The demo tells, in its own words.
            warnings.simplefilter("ignore", TrainingDriftWarning)
            self.reference = Reference.fit(
                {**past.columns, OUTPUT: predicted, "time": past.seconds},
                time="time",
                model="bike_rides",
                version="2011q1",
                outputs=OUTPUT,
            )
        self._now_seconds = float(self._live.seconds[0])
        self.monitor = Monitor(
            self.reference,
            windows=[rows(WINDOW_ROWS)],
            budget=BUDGET,
            # No statistic before the window is full: one week in spring is not comparable with three months.
            min_rows=WINDOW_ROWS,
            clock=lambda: self._now_seconds,
        )

        @self.monitor.watch
        def predict(hour: dict[str, Any]) -> float:
            return float(model.predict(hour)[0])

        self._predict = predict
        self.total_days = int(np.unique(self._live.days).size)
        self._total_error = 0.0
        self._sent = 0

    @property
    def reference_days(self) -> tuple[str, str]:
        """First and last day of the reference."""
        return "2011-01-01", "2011-03-31"

    @property
    def rows(self) -> int:
        """Hours in the stream."""
        return len(self._live)

    @property
    def live_error(self) -> float:
        """Mean absolute error in rides an hour of what was sent so far; NaN before the first hour."""
        return self._total_error / self._sent if self._sent else float("nan")

    def days(self) -> Iterator[Day]:
        """Sends the stream hour by hour through the watched function; pauses after each day."""
        starts = np.flatnonzero(np.r_[True, self._live.days[1:] != self._live.days[:-1]])
        for start, stop in zip(starts, [*starts[1:], len(self._live)], strict=True):
            day = self._live.part(int(start), int(stop))
            told = zip(_hours(day), day.rides.tolist(), day.seconds.tolist(), strict=True)
            for hour, rides, self._now_seconds in told:
                self._total_error += abs(self._predict(hour) - rides)
                self._sent += 1
                # At once, for the stream's clock runs a million times too fast for the thread behind. Hours
                # are compared with the same hours: three counted as one make a drift of the hour itself.
                self.monitor.flush()
            self._now_seconds = float(day.seconds[0] // DAY_SECONDS + 1) * DAY_SECONDS
            yield Day(str(day.days[0]), self._sent, self.monitor.snapshot())


def _hours(day: Hours) -> Iterator[dict[str, Any]]:
    """One dict an hour, of plain Python values, as a service gets them from a request."""
    columns = [day.columns[name].tolist() for name in INPUTS]
    for values in zip(*columns, strict=True):
        yield dict(zip(INPUTS, values, strict=True))

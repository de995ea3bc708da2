"""Detectors that compare a sliding window with the reference, each with a line that holds a budget.

They are here to compare and to choose. Each watches one statistic and is blind to what it does not see: KS to
spikes, Wasserstein to what leaves the mean where it is, PSI to small moves of the mean. The drift score is
slower than the best of them nowhere by much, and blind to none of this.

The score of a feature is its statistic divided by its line; the model's is the highest of them. Every feature
that has the statistic has an equal share of the budget. Lines are for independent rows; no theorem holds the
promise as it does the drift score's, so they are asked for 1.5 times the budget, which makes them 1 % higher:
they are that exact, and a window that fills is looked at more often than a full one. A window is weighed from
100 rows on.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.budget import Budget
from driftgauge.cells import Floats
from driftgauge.detectors._monte_carlo import WassersteinNoise
from driftgauge.detectors._settings import budget_of, check_reference, is_number
from driftgauge.detectors.run_length import (
    ks_critical_run_length,
    mode_critical_run_length,
    psi_critical_run_length,
)
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.windows import rows

__all__ = ["ADWindow", "GWindow", "KSWindow", "PSIWindow", "WassersteinWindow"]

# Fewer rows say nothing, and no closed form holds for them.
_MIN_ROWS: Final = 100

# How many times the budget lines are asked for. Closed forms are within 0.8 of what simulation says, and a
# window of 500 rows that fills from 100 on adds a sixth of what it has in a tenth of 1,000 evaluations.
_CAUTION: Final = 1.5

# Sum of the tail of the modes 1 / (j (j + 1)) of Anderson and Darling's statistic against its first alone.
_ANDERSON_DARLING_FACTOR: Final = 3.0**0.5

_COLUMN: Final = {name: place for place, name in enumerate(kernels.STATISTICS)}


class _SlidingWindow:
    """A window, its budget, and when it is weighed: all but the statistic and its line.

    Subclasses have ``_statistics``, float64[F] with NaN where a feature has none at the moment, and
    ``_lines``, float64[F].
    """

    _only_numbers = False

    def __init__(self, reference: Reference, *, budget: Budget | None = None, size: int = 5_000) -> None:
        """Give no *budget*, and it is one false alert in 90 days at an evaluation a minute."""
        check_reference(reference)
        self._reference = reference
        self._layout = reference.layout
        self._budget = budget_of(budget)
        self._watched = (
            self._layout.numeric.copy()
            if self._only_numbers
            else np.ones(self._layout.numeric.size, np.bool_)
        )
        if not self._watched.any():
            message = (
                f"{type(self).__name__} watches numbers, and {reference.model!r} has no numeric feature; "
                "PSIWindow and GWindow watch categories too"
            )
            raise ConfigError(message)
        if not (is_number(size) and size >= _MIN_ROWS):
            message = (
                f"size must be at least {_MIN_ROWS} rows, got {size!r}; noise alone fills a shorter window"
            )
            raise ConfigError(message)
        self._evaluations_each = _CAUTION * self._budget.evaluations * int(self._watched.sum())
        self._bin_starts = self._layout.bin_offsets[:-1]
        self._reference_rows = self._by_feature(self._layout.reference_bins)
        self._reference_numbers = self._reference_rows - self._layout.reference_bins[self._missing_bins]
        self._table = np.empty((self._watched.size, len(kernels.STATISTICS)))
        self._bins = np.empty(self._layout.bins, np.int64)
        self._window = rows(size).open(self._layout, reference.id)
        self.reset()

    @property
    def budget(self) -> Budget:
        """How many false alerts are accepted."""
        return self._budget

    def reset(self) -> None:
        """Forget all rows."""
        self._window.clear()
        self._scores = np.zeros(self._watched.size)
        self._pending = self._weighed = self._evaluations = 0

    def add(self, indices: NDArray[np.uint16], now_seconds: float | Floats) -> None:
        """Let rows into the window, and the oldest out."""
        if indices.shape[1] == 0:
            return
        self._window.push(indices, float(np.max(now_seconds)))
        self._pending += indices.shape[1]

    def evaluate(self, now_seconds: float) -> bool:  # noqa: ARG002 (rows leave by number, not by time)
        """Compare the window with the reference. False without new rows, or with under 100 in the window."""
        if self._pending == 0 or self._window.rows < _MIN_ROWS:
            return False
        self._weighed += self._pending
        self._evaluations += 1
        self._pending = 0
        kernels.evaluate(self._layout, self._window.counts, self._table, self._bins)
        lines = self._lines(self._weighed / self._evaluations)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = self._statistics() / lines
        self._scores = np.where(self._watched & np.isfinite(ratio), np.maximum(ratio, 0.0), 0.0)
        return True

    def scores(self) -> Floats:
        """Statistic by line of each feature, float64[F]; 0 where there is none."""
        return self._scores.copy()

    def model_score(self) -> float:
        """The highest score."""
        return float(self._scores.max())

    def state(self) -> dict[str, NDArray[Any]]:
        """The rows of the window and what was last seen of them."""
        ring = self._window.state().ring
        assert ring is not None  # a window that was not merged has its rows
        counters = np.array([self._pending, self._weighed, self._evaluations], np.int64)
        return {"rows": ring, "counters": counters, "scores": self._scores.copy()}

    def restored(self, state: dict[str, NDArray[Any]]) -> Self:
        """A detector with the settings of this one that goes on from *state*."""
        other = type(self)(self._reference, budget=self._budget, size=self._window.spec.size)
        other.add(np.ascontiguousarray(state["rows"], np.uint16), 0.0)
        other._pending, other._weighed, other._evaluations = (int(number) for number in state["counters"])
        other._scores = np.array(state["scores"], np.float64)
        return other

    @property
    def _missing_bins(self) -> NDArray[np.int64]:
        return self._layout.bin_offsets[1:] - 1

    def _by_feature(self, by_bin: NDArray[Any]) -> NDArray[np.int64]:
        return np.add.reduceat(by_bin, self._bin_starts).astype(np.int64)

    def _bins_used(self) -> NDArray[np.int64]:
        return self._by_feature((self._layout.reference_bins + self._bins > 0).astype(np.int64))

    def _numbers(self) -> NDArray[np.int64]:
        """Rows of the window that are numbers, by feature."""
        return self._window.rows - self._bins[self._missing_bins]

    def _statistics(self) -> Floats:
        raise NotImplementedError

    def _lines(self, block: float) -> Floats:
        raise NotImplementedError


class PSIWindow(_SlidingWindow):
    """PSI of the last *size* rows, on the bins of the reference.

    Parameters
    ----------
    reference : Reference
    budget : Budget, optional
        One false alert in 90 days at an evaluation a minute where left out.
    size : int
        Rows of the window, at least 100. Default 5,000, as the windows of a monitor.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> reference = Reference.fit({"x": rng.normal(size=10_000)})
    >>> detector = PSIWindow(reference, size=1_000)
    >>> detector.add(reference.index({"x": rng.normal(size=1_000)}), now_seconds=0.0)
    >>> detector.evaluate(60.0), detector.model_score() > 1
    (True, False)
    >>> detector.add(reference.index({"x": rng.normal(0.8, size=1_000)}), now_seconds=60.0)
    >>> detector.evaluate(120.0), detector.model_score() > 1
    (True, True)
    """

    def _statistics(self) -> Floats:
        return self._table[:, _COLUMN["psi"]]

    def _lines(self, block: float) -> Floats:
        return psi_critical_run_length(
            self._bins_used(), self._reference_rows, self._window.rows, block, self._evaluations_each
        )


class GWindow(_SlidingWindow):
    """Likelihood ratio of the last *size* rows against the reference, on its bins; see `PSIWindow`.

    Notes
    -----
    Two-sample G statistic: Sokal & Rohlf, *Biometry*, 3rd ed., section 17.4.
    """

    def _statistics(self) -> Floats:
        live, held = self._bins.astype(np.float64), self._layout.reference_bins.astype(np.float64)
        both = live + held
        live_rows, reference_rows = self._window.rows, self._reference_rows.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            terms = _zero_at_zero(live * np.log(live / both)) + _zero_at_zero(held * np.log(held / both))
        total = live_rows + reference_rows
        expected = live_rows * np.log(live_rows / total) + reference_rows * np.log(reference_rows / total)
        found: Floats = 2 * (np.add.reduceat(terms, self._bin_starts) - expected)
        return found

    def _lines(self, block: float) -> Floats:
        live_rows, held = self._window.rows, self._reference_rows
        psi = psi_critical_run_length(self._bins_used(), held, live_rows, block, self._evaluations_each)
        return psi / (1 / held + 1 / live_rows)


class KSWindow(_SlidingWindow):
    """KS of the last *size* rows, exact on the cells of the reference; see `PSIWindow`. Numbers only."""

    _only_numbers = True

    def _statistics(self) -> Floats:
        return self._table[:, _COLUMN["ks"]]

    def _lines(self, block: float) -> Floats:
        numbers = self._numbers()
        part = np.maximum(block * numbers / self._window.rows, 1.0)
        return ks_critical_run_length(self._reference_numbers, numbers, part, self._evaluations_each)


class ADWindow(_SlidingWindow):
    """Anderson and Darling's statistic of the last *size* rows; see `PSIWindow`. Numbers only.

    Notes
    -----
    Scholz & Stephens, *K-Sample Anderson-Darling Tests*, J. Amer. Statist. Assoc. 82 (1987), equation 6, for
    two samples with ties; equal to what `scipy.stats.anderson_ksamp` standardises. Its line is in closed
    form: `mode_critical_run_length` with the factor of the root of 3. Against simulated windows the mean time
    to a false alert is 0.8 to 1.7 times what was asked for (`tests/detectors/test_windows.py`).
    """

    _only_numbers = True

    def __init__(self, reference: Reference, *, budget: Budget | None = None, size: int = 5_000) -> None:
        layout = reference.layout
        numbers = np.flatnonzero(layout.numeric)
        spans = [np.arange(layout.cell_offsets[f], layout.cell_offsets[f + 1] - 2) for f in numbers]
        self._cells = np.concatenate([np.empty(0, np.int64), *spans])
        self._widths = np.array([span.size for span in spans], np.int64)
        self._starts = np.cumsum(self._widths) - self._widths
        self._held = layout.reference[self._cells].astype(np.float64)
        super().__init__(reference, budget=budget, size=size)

    def _statistics(self) -> Floats:
        live = self._window.counts[self._cells].astype(np.float64)
        live_up_to, live_rows = self._cumulated(live)
        held_up_to, held_rows = self._cumulated(self._held)
        total = live_rows + held_rows
        with np.errstate(invalid="ignore", divide="ignore"):
            level = (live_up_to + held_up_to) / total
            apart = live_up_to / live_rows - held_up_to / held_rows
            terms = (live + self._held) / total * apart**2 / (level * (1 - level))
        terms[level * total > total - 0.5] = 0.0  # the last occupied cell and all after it
        terms = _zero_at_zero(terms)
        found = np.full(self._watched.size, np.nan)
        rows_each = live_rows[self._starts] * held_rows[self._starts] / total[self._starts]
        found[self._watched] = rows_each * np.add.reduceat(terms, self._starts)
        return found

    def _cumulated(self, counts: Floats) -> tuple[Floats, Floats]:
        """Rows up to and with each cell of its feature, and all rows of that feature, by cell."""
        up_to = np.cumsum(counts)
        before = up_to[self._starts] - counts[self._starts]
        ends = up_to[self._starts + self._widths - 1]
        return up_to - np.repeat(before, self._widths), np.repeat(ends - before, self._widths)

    def _lines(self, block: float) -> Floats:
        return _mode_root(self, _ANDERSON_DARLING_FACTOR, block) ** 2 / 2


class WassersteinWindow(_SlidingWindow):
    """Wasserstein-1 distance of the last *size* rows in reference deviations; see `PSIWindow`. Numbers only.

    The line depends on the feature's distribution. A constant of it is simulated when the detector is made,
    50 to 200 ms a feature, from a generator with a seed of its own, so that it is the same each time.

    Notes
    -----
    Against simulated windows of uniform and exponential values the mean time to a false alert is 0.8 to 1.5
    times what was asked for; of lognormal ones, whose far values a reference of 2,000 rows hardly knows, up
    to 2.5 times (`tests/detectors/test_windows.py`).
    """

    _only_numbers = True

    def __init__(self, reference: Reference, *, budget: Budget | None = None, size: int = 5_000) -> None:
        super().__init__(reference, budget=budget, size=size)
        features = [reference.features[number] for number in np.flatnonzero(self._watched)]
        self._noise = [WassersteinNoise.of(one, size, np.random.default_rng(0)) for one in features]
        self._factors = np.ones(self._watched.size)
        self._factors[self._watched] = [1.0 if noise is None else noise.factor for noise in self._noise]

    def _statistics(self) -> Floats:
        return self._table[:, _COLUMN["wasserstein"]]

    def _lines(self, block: float) -> Floats:
        lines = np.full(self._watched.size, np.nan)
        roots, numbers = _mode_root(self, self._factors, block), self._numbers()
        for number, noise in zip(np.flatnonzero(self._watched), self._noise, strict=True):
            if noise is not None and numbers[number] > 0:
                held = float(self._reference_numbers[number])
                lines[number] = noise.distance(float(roots[number]), held, float(numbers[number]))
        return lines


def _mode_root(window: ADWindow | WassersteinWindow, factor: float | Floats, block: float) -> Floats:
    numbers = window._numbers()
    part = np.maximum(block * numbers / window._window.rows, 1.0)
    return mode_critical_run_length(
        factor, window._reference_numbers, numbers, part, window._evaluations_each
    )


def _zero_at_zero(terms: Floats) -> Floats:
    """Terms of the form 0 * log(0) and 0 / 0 are 0."""
    return np.where(np.isfinite(terms), terms, 0.0)

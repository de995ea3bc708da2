"""What drift would be seen, and after how many rows: before anything has drifted.

    table = power(reference, budget=one_false_alert(per="90d"))
    print(table.to_dict())

Evidence grows by so much a row, the same in the mean while a drift lasts, and the alarm comes when it has
reached the budget. So the rows to an alarm follow from the reference and the settings alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from driftgauge._scenarios import Places, scenarios
from driftgauge.budget import Budget
from driftgauge.cells import Floats
from driftgauge.detectors._allowance import MIN_EFFECT, most_errors
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._recursion import MIN_ROWS
from driftgauge.detectors._settings import budget_of, is_number, shown
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.detectors.run_length import psi_critical_run_length
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference

__all__ = ["PowerRow", "PowerTable", "power"]

_SHIFT: Final = 0.25
_SHORTEST_WINDOW: Final = 100
_LONGEST_WINDOW: Final = 10_000_000
# A window passes its line with this chance of 0.9 when its PSI is so many deviations over it.
_NINE_IN_TEN: Final = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRow:
    """One kind of drift in one feature.

    Parameters
    ----------
    feature : str
    drift : str
        For people: ``'mean +0.25 sd'``.
    psi : float
        On the bins of the reference, without noise.
    rows : float or None
        Rows from the drift to the alarm of the drift score, in the mean. None: it is never seen, because it
        is under `min_effect` and what the reference does not know, together.
    window_rows : int or None
        The shortest window whose PSI passes its line, over all looks of the budget, nine times in ten. None:
        none does, up to ten million rows.
    """

    feature: str
    drift: str
    psi: float
    rows: float | None
    window_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerTable:
    """What drift would be seen, and what settings would see more.

    Parameters
    ----------
    budget_seconds, evaluate_seconds : float
    min_effect : float
    rows_per_evaluation : int
    reference_rows : int
    rows : tuple of PowerRow
        Features in the order of the reference.
    shift : float
        The smallest move of a mean that matters, in standard deviations; suggestions are for it.
    suggested_min_effect : float
        A quarter of that shift's PSI: half the shift counts as no drift.
    suggested_window_rows : int or None
        The shortest window for PSI in which it shows in every numeric feature. None: there is none, or no
        numeric feature.
    suggested_reference_rows : int
        From how many rows on the error of the reference itself, three standard errors of it (2.5 from 10,000
        rows on), is no more than half the shift.
    """

    budget_seconds: float
    evaluate_seconds: float
    min_effect: float
    rows_per_evaluation: int
    reference_rows: int
    rows: tuple[PowerRow, ...]
    shift: float
    suggested_min_effect: float
    suggested_window_rows: int | None
    suggested_reference_rows: int

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    def suggestions(self) -> tuple[str, ...]:
        """What settings would see a mean that moves by `shift`, one sentence each; none where all is well."""
        lines = []
        seen = f"a mean that moves by {self.shift:g} sd"
        # half of one per cent of room: 0.015625 is fine as 0.016
        if self.min_effect > 1.05 * self.suggested_min_effect:
            lines.append(
                f"min_effect {self.min_effect:g} hides or slows {seen}; "
                f"{self.suggested_min_effect:.2g} sees it"
            )
        if self.reference_rows < self.suggested_reference_rows:
            lines.append(
                f"a reference of {self.reference_rows:,} rows hides or slows {seen}; "
                f"{self.suggested_reference_rows:,} rows would do"
            )
        if self.suggested_window_rows is not None:
            lines.append(f"for {seen} to show in PSI, a window needs {self.suggested_window_rows:,} rows")
        return tuple(lines)


def power(
    reference: Reference,
    *,
    budget: Budget | None = None,
    min_effect: float = MIN_EFFECT,
    weights: Mapping[str, float] | None = None,
    rows_per_evaluation: int = 100,
    shift: float = _SHIFT,
) -> PowerTable:
    """Rows until the drift score would see each of some usual drifts, feature by feature.

    Parameters
    ----------
    reference : Reference
        Its times, if it was fitted with any, count: where neighbouring rows are alike, it takes more of them.
    budget, min_effect, weights
        As for `DriftScore`.
    rows_per_evaluation : int
        Rows that arrive between two evaluations, at least 1; fewer than 20 wait for more. Default 100.
    shift : float
        The smallest move of a mean that matters to you, in standard deviations, above 0. Default 0.25.

    Returns
    -------
    PowerTable

    Raises
    ------
    ConfigError
        When a parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> table = power(Reference.fit({"age": rng.normal(40, 10, 10_000)}))
    >>> rows = {row.drift: row.rows for row in table.rows}
    >>> rows["mean +0.1 sd"] is None, rows["mean +0.25 sd"] > 1_000, rows["mean +0.5 sd"] < 400
    (True, True, True)

    Notes
    -----
    Drifts of numbers are drifts of their normal scores, so "0.25 sd" is a quarter of a standard deviation
    where the feature is Gaussian and as unusual where it is not. The rows are where the mixture of all
    alternatives passes the budget on its mean path, ``sum(weight * exp(growth * rows) / (1 - exp(-growth *
    block)))``; with one alternative that is Wald's ``ln(A / (share * weight)) / growth``: *Sequential
    Analysis* (1947), section 3.5. Against the drift score itself on simulated rows it is 0.8 to 1.3 times the
    mean, or one evaluation apart (`tests/detectors/test_power.py`). What virtual features see of a drift is
    left out, so it may be seen sooner.
    """
    if not (is_number(rows_per_evaluation) and rows_per_evaluation >= 1):
        message = f"rows_per_evaluation must be at least 1, got {shown(rows_per_evaluation)}"
        raise ConfigError(message)
    if not (is_number(shift) and math.isfinite(shift) and shift > 0):
        message = (
            f"shift must be a number of standard deviations above 0, got {shown(shift)}; 0.25 is the default"
        )
        raise ConfigError(message)
    chosen = budget_of(budget)
    detector = DriftScore(reference, budget=chosen, min_effect=min_effect, weights=weights)
    block = max(rows_per_evaluation, MIN_ROWS)
    found = []
    window = 0
    for number, feature in enumerate(reference.features):
        stream, share = detector.streams[number], float(detector.shares[number])
        if share == 0:
            continue
        needed = math.log(chosen.evaluations / share)
        growing = _Growth(stream.bank(min_effect, needed), stream.bucket_counts, needed)
        ecells, bins = Places.of_stream(stream), Places.of_bins(feature)
        windows = _Windows(max(feature.rows, 1), rows_per_evaluation, chosen.evaluations / share)
        for drift in scenarios(stream, shift):
            law = drift.of(bins)
            psi = _psi(bins.shares, law)
            rows = windows.shortest(psi, int(((bins.shares > 0) | (law > 0)).sum()))
            if drift.is_suggested:
                window = max(window, rows or _LONGEST_WINDOW + 1)
            seen = growing.rows_to_alarm(drift.of(ecells), block)
            found.append(
                PowerRow(feature=feature.name, drift=drift.words, psi=psi, rows=seen, window_rows=rows)
            )
    return PowerTable(
        budget_seconds=chosen.per_seconds,
        evaluate_seconds=chosen.evaluate_seconds,
        min_effect=float(min_effect),
        rows_per_evaluation=rows_per_evaluation,
        reference_rows=reference.rows,
        rows=tuple(found),
        shift=shift,
        suggested_min_effect=shift**2 / 4,
        suggested_window_rows=window if 0 < window <= _LONGEST_WINDOW else None,
        suggested_reference_rows=math.ceil((2 * most_errors(reference.rows) / shift) ** 2),
    )


class _Growth:
    """How the evidence of one stream grows."""

    def __init__(self, bank: Bank, bucket_counts: Any, log_line: float) -> None:
        self.bank = bank
        self.log_line = log_line
        self.ratios = bank.log_ratios()
        by_bucket = np.ones(1) if bucket_counts is None else np.asarray(bucket_counts, float).sum(axis=1)
        self.bounds = (by_bucket / by_bucket.sum()) @ bank.log_bounds

    def rows_to_alarm(self, law: Floats, block: int) -> float | None:
        """Rows of this law by e-cell until the evidence has reached the line, or None if it does not grow."""
        growth = self.bank.exponents * (self.ratios @ law - self.bounds)
        grows = growth > 1e-12
        if not grows.any():
            return None
        rate, weight = growth[grows], np.log(self.bank.weights[grows])
        # the sum over all blocks in which the change may have begun
        start = weight - np.log(-np.expm1(-rate * block))
        low, high = 0.0, float(((self.log_line - start) / rate).min())
        if high <= 0:
            return float(block)
        for _ in range(60):
            middle = (low + high) / 2
            if np.logaddexp.reduce(start + rate * middle) < self.log_line:
                low = middle
            else:
                high = middle
        # evidence is only looked at when a block is full: half a block late in the mean
        return max(float(block), high + block / 2)


def _psi(reference: Floats, live: Floats) -> float:
    # a bin that is empty on one side counts as one row in 10,000: the size of the drift, without noise
    p, q = np.maximum(live, 1e-4), np.maximum(reference, 1e-4)
    return float(((p - q) * np.log(p / q)).sum())


class _Windows:
    """The shortest window of one feature in which PSI shows, from lines at 2,000 lengths, 0.6 % apart."""

    def __init__(self, held: int, block: int, evaluations: float) -> None:
        self.held, self.block, self.evaluations = held, block, evaluations
        self.rows = np.unique(np.geomspace(_SHORTEST_WINDOW, _LONGEST_WINDOW, 2_000).round())
        self.least: dict[int, Floats] = {}

    def shortest(self, psi: float, bins: int) -> int | None:
        """Rows, or None where there is none up to the longest."""
        if bins not in self.least:
            lines = psi_critical_run_length(bins, self.held, self.rows, self.block, self.evaluations)
            deviations = np.sqrt(1 / self.rows + 1 / self.held)
            self.least[bins] = (np.sqrt(lines) + _NINE_IN_TEN * deviations) ** 2
        seen = self.least[bins] <= psi
        return int(self.rows[int(np.argmax(seen))]) if seen.any() else None

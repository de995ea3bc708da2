"""The rules of thumb that a backtest puts beside the drift score: a fixed line on PSI or KS of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge.detectors.noise import ks_critical
from driftgauge.errors import ConfigError
from driftgauge.windows import Duration, Rows, Window, WindowSpec

if TYPE_CHECKING:
    from driftgauge.reference import Reference

__all__ = ["RULES_OF_THUMB", "StaticRule", "WindowRules", "ks_p_below", "psi_above"]

_PSI: Final = kernels.STATISTICS.index("psi")
_KS: Final = kernels.STATISTICS.index("ks")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRule:
    """A line that any one feature of a window may cross. Made by `psi_above` and `ks_p_below`."""

    statistic: Literal["psi", "ks_p"]
    threshold: float

    def __post_init__(self) -> None:
        if self.statistic not in ("psi", "ks_p"):
            message = f"statistic must be 'psi' or 'ks_p', got {self.statistic!r}"
            raise ConfigError(message)
        top = float("inf") if self.statistic == "psi" else 1.0
        if not isinstance(self.threshold, int | float | np.number) or not 0 < self.threshold < top:
            message = (
                f"threshold of {self.statistic} must be above 0 and below {top:g}, got {self.threshold!r}"
            )
            raise ConfigError(message)

    @property
    def name(self) -> str:
        """For people: ``'PSI > 0.2'``, ``'KS p < 0.05'``."""
        return f"{'PSI >' if self.statistic == 'psi' else 'KS p <'} {self.threshold:g}"


def psi_above(threshold: float) -> StaticRule:
    """The rule "PSI of any feature is over *threshold*", above 0; 0.1 and 0.2 are customary."""
    return StaticRule(statistic="psi", threshold=threshold)


def ks_p_below(threshold: float) -> StaticRule:
    """The rule "the p-value of a KS test of any numeric feature is under *threshold*", in (0, 1)."""
    return StaticRule(statistic="ks_p", threshold=threshold)


RULES_OF_THUMB: Final = (psi_above(0.1), psi_above(0.2), ks_p_below(0.05))


class WindowRules:
    """One window and the rules on it.

    A rule is judged once the window is full, as whoever compares "the last 5,000 rows" does: ten bins of 100
    rows pass a PSI of 0.2 by chance (critical value 0.28 at one look).

    Parameters
    ----------
    spec : WindowSpec
    rules : sequence of StaticRule
    reference : Reference
    """

    def __init__(self, spec: WindowSpec, rules: Sequence[StaticRule], reference: Reference) -> None:
        layout = reference.layout
        self.spec = spec
        self.rules = tuple(rules)
        self._layout = layout
        self._window: Window = spec.open(layout, reference.id)
        self._first_seconds: float | None = None
        self._table = np.empty((len(layout.features), len(kernels.STATISTICS)))
        self._bins = np.empty(layout.bins, np.int64)
        self._missing = layout.bin_offsets[1:] - 1
        totals = np.add.reduceat(layout.reference_bins, layout.bin_offsets[:-1])
        self._numbers = totals - layout.reference_bins[self._missing]

    def push(self, indices: NDArray[np.uint16], first_seconds: float, now_seconds: float) -> None:
        """Let rows in, uint16[F, n], of which the first and the last came at these times."""
        if self._first_seconds is None:
            self._first_seconds = first_seconds
        self._window.push(indices, now_seconds)

    def judge(self, now_seconds: float) -> NDArray[np.bool_] | None:
        """Which features cross which line, bool[rules, F]; None while the window is not full."""
        self._window.advance(now_seconds)
        if not self._full(now_seconds):
            return None
        kernels.evaluate(self._layout, self._window.counts, self._table, self._bins, places=False)
        over = np.empty((len(self.rules), self._table.shape[0]), np.bool_)
        rows = self._window.rows - self._bins[self._missing]
        for place, rule in enumerate(self.rules):
            if rule.statistic == "psi":
                over[place] = self._table[:, _PSI] > rule.threshold
            else:
                # p < alpha is D over its critical value at 1 - alpha; NaN, of no numbers, is never over
                over[place] = self._table[:, _KS] > ks_critical(self._numbers, rows, 1 - rule.threshold)
        return over

    def strongest(self, place: int, over: NDArray[np.bool_]) -> list[int]:
        """Numbers of the features that rule number *place* names, the largest statistic first."""
        column = _PSI if self.rules[place].statistic == "psi" else _KS
        found = np.flatnonzero(over[place])
        order: list[int] = found[np.argsort(-self._table[found, column], kind="stable")].tolist()
        return order

    def _full(self, now_seconds: float) -> bool:
        if isinstance(self.spec, Rows):
            return self._window.rows == self.spec.size
        assert isinstance(self.spec, Duration)
        reach = now_seconds - (now_seconds if self._first_seconds is None else self._first_seconds)
        return self._window.rows > 0 and reach >= self.spec.seconds

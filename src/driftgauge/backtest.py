"""What would have fired: the rows of the past through a drift detector, beside the rules of thumb.

report = replay(reference, history, budget=one_false_alert(per="90d"), time="timestamp")
report.alerts[0].row, report.alerts[0].features
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftgauge._backtest_clock import Clock
from driftgauge._backtest_report import Alert, BacktestReport, Cause, FeatureReport, RuleReport, Trace
from driftgauge._backtest_rules import RULES_OF_THUMB, StaticRule, WindowRules, ks_p_below, psi_above
from driftgauge._backtest_run import Replay
from driftgauge._time_column import read_times
from driftgauge.budget import Budget, one_false_alert
from driftgauge.errors import ConfigError
from driftgauge.windows import Duration, Rows, WindowSpec
from driftgauge.windows import rows as row_window

if TYPE_CHECKING:
    from driftgauge.detectors.protocol import Detector
    from driftgauge.reference import Reference

__all__ = [
    "RULES_OF_THUMB",
    "Alert",
    "BacktestReport",
    "Cause",
    "FeatureReport",
    "RuleReport",
    "StaticRule",
    "Trace",
    "ks_p_below",
    "psi_above",
    "replay",
]

# The fewest rows that the drift score weighs at once, see `driftgauge.detectors`.
ROWS_PER_EVALUATION: Final = 20

# Sampling noise alone keeps PSI of ten bins under 0.01 there, against 10,000 rows, at 999 looks of 1,000.
LAST_ROWS: Final = row_window(5_000)


def replay(
    reference: Reference,
    history: Any,
    *,
    budget: Budget | None = None,
    min_effect: float = 0.01,
    weights: Mapping[str, float] | None = None,
    time: str | None = None,
    rows_per_evaluation: int | None = None,
    windows: WindowSpec | Sequence[WindowSpec] = LAST_ROWS,
    static_rules: Sequence[StaticRule] = RULES_OF_THUMB,
    reset_on_alert: bool = False,
    detector: Detector | None = None,
    on_rows: Callable[[int], object] | None = None,
) -> BacktestReport:
    """Replay a history as if it were live, and say which alerts would have fired, and when.

    Parameters
    ----------
    reference : Reference
    history : data, or an iterable of batches of it
        Each as `Reference.index` takes it, in the order in which the rows came.
    budget : Budget, optional
        `one_false_alert()` where left out: one in 90 days at an evaluation a minute.
    min_effect, weights
        As in `driftgauge.detectors.DriftScore`.
    time : str, optional
        The column that says when a row came. Rows are put in its order within a batch, and evaluations are
        cut at multiples of `Budget.evaluate_seconds`, as a monitor with that interval would. Times without a
        zone are of the reference's.
    rows_per_evaluation : int, optional
        Cut at multiples of this many rows instead. Without *time* and without this it is 20, the fewest rows
        that the drift score weighs.
    windows : window specification, or several
        What the static rules look at. Default the last 5,000 rows.
    static_rules : sequence of StaticRule
        Default PSI over 0.1, PSI over 0.2 and KS p under 0.05, of any feature. Judged when the drift
        score is, from when the window is full.
    reset_on_alert : bool
        Whether evidence starts at 0 again after an alert, as when somebody acknowledges each at once. Else
        the score stays above 1 while the drift lasts and falls after it, as the live metric does.
    detector : Detector, optional
        Another one, with no evidence yet; its own budget holds and *budget*, *min_effect* and *weights* must
        be left out.
    on_rows : callable, optional
        Called after each batch with the number of rows in it, for a progress bar.

    Returns
    -------
    BacktestReport

    Raises
    ------
    ConfigError
        A setting out of its range; a duration window without *time*.
    DataError
        What cannot be read; a *time* that is no column or holds no times; more than 1 % of the rows out of
        order.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.reference import Reference
    >>> rng = np.random.default_rng(7)
    >>> reference = Reference.fit({"age": rng.normal(40, 10, 10_000)})
    >>> history = {"age": np.concatenate([rng.normal(40, 10, 5_000), rng.normal(50, 10, 5_000)])}
    >>> report = replay(reference, history)
    >>> report.result, [5_000 < alert.row < 5_300 for alert in report.alerts]
    ('drift', [True])

    Notes
    -----
    The promise of the budget is about evaluations: one false alert in `Budget.evaluations` of them in the
    mean. Where rows come so slowly that an evaluation is skipped for want of 20 rows, alerts are rarer still.
    """
    specs = (windows,) if isinstance(windows, Rows | Duration) else tuple(windows)
    per = _check(specs, time, rows_per_evaluation)
    if detector is None:
        from driftgauge.detectors.drift_score import DriftScore

        detector = DriftScore(
            reference, budget=budget or one_false_alert(), min_effect=min_effect, weights=weights
        )
    elif budget is not None or weights is not None:
        message = "a detector has its own budget and weights; leave out budget and weights, or detector"
        raise ConfigError(message)
    run = Replay(
        reference,
        detector,
        Clock(detector.budget.evaluate_seconds, per),
        [WindowRules(spec, static_rules, reference) for spec in specs] if static_rules else [],
        timed=time is not None,
        reset_on_alert=reset_on_alert,
    )
    zone = "UTC" if reference.calibration is None else reference.calibration.buckets.timezone
    for batch in _batches(history):
        seconds = None if time is None else read_times(batch, time, timezone=zone, names=reference.names)
        arrived = run.take(batch, seconds)
        if on_rows is not None:
            on_rows(arrived)
    return run.finish(min_effect=min_effect, rows_per_evaluation=per)


def _batches(history: Any) -> Iterable[Any]:
    """Batches of *history*: itself where it is one set of rows, else what it gives one by one."""
    whole = isinstance(history, Mapping) or hasattr(history, "shape") or hasattr(history, "column_names")
    if isinstance(history, list | tuple) and history and isinstance(history[0], Mapping):
        # a dict of columns is a batch, a dict of single values a row
        whole = all(isinstance(value, str) or not hasattr(value, "__len__") for value in history[0].values())
    return [history] if whole else history


def _check(specs: Sequence[WindowSpec], time: str | None, rows_per_evaluation: int | None) -> int | None:
    """Rows an evaluation, None where it is cut by time."""
    if time is None:
        for spec in specs:
            if isinstance(spec, Duration):
                message = f"window {spec!r} needs times; name the column that holds them, or use rows(5_000)"
                raise ConfigError(message)
    if rows_per_evaluation is None:
        return ROWS_PER_EVALUATION if time is None else None
    whole = isinstance(rows_per_evaluation, int | np.integer) and not isinstance(rows_per_evaluation, bool)
    if not whole or rows_per_evaluation < 1:
        message = f"rows_per_evaluation must be a whole number and at least 1, got {rows_per_evaluation!r}"
        raise ConfigError(message)
    return int(rows_per_evaluation)

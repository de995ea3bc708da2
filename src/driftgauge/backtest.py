"""What would have fired: the rows of the past through a drift detector, beside the rules of thumb.

report = replay(reference, history, budget=one_false_alert(per="90d"), time="timestamp")
report.alerts[0].row, report.alerts[0].features
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Final

from driftgauge._backtest_clock import Clock
from driftgauge._backtest_report import Alert, BacktestReport, Cause, FeatureReport, RuleReport, Trace
from driftgauge._backtest_rules import RULES_OF_THUMB, StaticRule, WindowRules, ks_p_below, psi_above
from driftgauge._backtest_run import Replay
from driftgauge._settings import DEFAULT_BUDGET, check_whole, detector_of, specs_of
from driftgauge._time_column import read_times
from driftgauge.budget import Budget
from driftgauge.detectors._settings import check_reference, shown
from driftgauge.errors import ConfigError, DataError
from driftgauge.windows import Duration, WindowSpec
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
    keep_firing: int = 10,
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
    keep_firing : int
        Evaluations in a row at which a rule must not hold before its alert ends, from 0 up, as Prometheus'
        ``keep_firing_for`` has it. Default 10, at an evaluation a minute ten minutes: a number that goes to
        and fro over its line is one alert. For the static rules too.
    reset_on_alert : bool
        Whether evidence starts at 0 again after an alert, as when somebody acknowledges each at once, which
        ends it. Else the score stays above 1 while drift lasts and falls after it, as the live metric does.
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
        A setting of a wrong type or out of its range; a duration window without *time*; a *time* that is a
        feature of the reference.
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
    check_reference(reference)
    specs = specs_of((windows,) if isinstance(windows, WindowSpec) else windows)
    per = _check(reference, specs, time, rows_per_evaluation)
    rules = _rules(static_rules)
    keep_firing = check_whole("keep_firing", keep_firing, least=0)
    accepted = DEFAULT_BUDGET if budget is None else budget
    detector = detector_of(reference, accepted, min_effect, weights, detector)
    assert detector is not None  # it is only without a budget
    run = Replay(
        reference,
        detector,
        Clock(detector.budget.evaluate_seconds, per),
        [WindowRules(spec, rules, reference) for spec in specs] if rules else [],
        timed=time is not None,
        reset_on_alert=reset_on_alert,
        keep_firing=keep_firing,
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
    if isinstance(history, str | bytes | PathLike) or not (
        hasattr(history, "__iter__") or hasattr(history, "shape")
    ):
        message = (
            f"history must be data or an iterable of batches of it, got {shown(history)}; a file is read by "
            "driftgauge.files.read_batches"
        )
        raise DataError(message)
    whole = isinstance(history, Mapping) or hasattr(history, "shape") or hasattr(history, "column_names")
    if isinstance(history, list | tuple) and history and isinstance(history[0], Mapping):
        # a dict of columns is a batch, a dict of single values a row
        whole = all(isinstance(value, str) or not hasattr(value, "__len__") for value in history[0].values())
    return [history] if whole else history


def _check(
    reference: Reference, specs: Sequence[WindowSpec], time: str | None, rows_per_evaluation: int | None
) -> int | None:
    """Rows an evaluation, None where it is cut by time."""
    if time is None:
        for spec in specs:
            if isinstance(spec, Duration):
                message = f"window {spec!r} needs times; name the column that holds them, or use rows(5_000)"
                raise ConfigError(message)
    elif time in reference.names:
        message = f"time must be the column that says when a row came, got {time!r}, which is a feature"
        raise ConfigError(message)
    if rows_per_evaluation is None:
        return ROWS_PER_EVALUATION if time is None else None
    return check_whole("rows_per_evaluation", rows_per_evaluation)


def _rules(static_rules: object) -> tuple[StaticRule, ...]:
    rules = tuple(static_rules) if isinstance(static_rules, Iterable) else (static_rules,)
    for rule in rules:
        if not isinstance(rule, StaticRule):
            message = f"static_rules must be made by psi_above and ks_p_below, got {rule!r}"
            raise ConfigError(message)
    return rules

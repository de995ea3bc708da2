"""A backtest on a terminal: rules side by side, alerts and their causes, features, advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from driftgauge.cli._console import console, plain_table, print_table
from driftgauge.cli._text import clean, number, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from driftgauge.backtest import Alert, BacktestReport

__all__ = ["advice", "show", "time_text", "when"]

STYLES: Final = {"drift": "bold red", "could not tell": "yellow", "no drift": "green"}
ALERTS: Final = 10  # more fill a screen; the JSON has all
CAUSES: Final = 5
VIRTUAL: Final = 3  # one feature that moves takes all its sums and differences with it

# Lengths of time that people choose between evaluations.
INTERVALS: Final = (
    (60, "60s"), (300, "5m"), (900, "15m"), (3_600, "1h"), (21_600, "6h"), (86_400, "1d"), (604_800, "7d"),
)  # fmt: skip


def show(report: BacktestReport, lines: Sequence[str]) -> None:
    """Print *report*, and *lines* of advice under it."""
    screen = console()
    if report.evaluations:
        _rules(screen, report)
        _alerts(screen, report)
        _features(screen, report)
    _end(screen, report)
    for line in lines:
        screen.print(Text(line), soft_wrap=True)


def time_text(seconds: float) -> str:
    """A time as people write it: ``2019-03-31 21:00``, in UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(seconds // 1), UTC).strftime("%Y-%m-%d %H:%M")


def when(row: int | None, seconds: float | None) -> str:
    """Where in the history: ``row 25,140 (2019-03-31 21:00)``."""
    if row is None:
        return "the end"
    return f"row {row:,}" + ("" if seconds is None else f" ({time_text(seconds)})")


def _rules(screen: Console, report: BacktestReport) -> None:
    timed = report.first_seconds is not None
    heads = [
        "rule",
        "window",
        "alerts",
        "first at row",
        *(["time (UTC)"] if timed else []),
        "in alert",
        "named first",
    ]
    table = plain_table(*heads, right=("alerts", "first at row", "in alert"))
    for rule in report.rules:
        first = rule.first
        names = ""
        if first is not None:
            found = first.features or tuple(cause.name for cause in first.causes)
            names = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        table.add_row(
            rule.name,
            rule.window,
            f"{len(rule.alerts):,}" if rule.evaluations else "",
            "" if first is None else f"{first.row:,}",
            *(["" if first is None or first.seconds is None else time_text(first.seconds)] if timed else []),
            ratio(rule.over_ratio),
            Text(clean(names) if rule.evaluations else "its window was never full"),
        )
    # all rules look at the same window, as a rule, and the alerts name features again
    print_table(screen, table, spare=((1,), (len(heads) - 2,), (len(heads) - 1,)))
    screen.print()


def _alerts(screen: Console, report: BacktestReport) -> None:
    for alert in report.alerts[:ALERTS]:
        screen.print(_alert_line(alert), soft_wrap=True)
        for cause in alert.causes[:CAUSES]:
            line = Text("  ").append(clean(cause.name), style="bold")
            began = "" if cause.onset_row is None else f", began near row {cause.onset_row:,}"
            named = "" if cause.row == alert.row else f" at row {cause.row:,}"
            line.append(f": {clean(cause.words)}, score {number(cause.score, 2)}{named}{began}", style="none")
            screen.print(line, soft_wrap=True)
        if len(alert.causes) > CAUSES:
            screen.print(Text(f"  and {len(alert.causes) - CAUSES} more"), soft_wrap=True)
    if len(report.alerts) > ALERTS:
        screen.print(Text(f"and {len(report.alerts) - ALERTS:,} more alerts; --format json has all"))
    if report.alerts:
        screen.print()


def _alert_line(alert: Alert) -> Text:
    span = f"{when(alert.row, alert.seconds)} to {when(alert.cleared_row, alert.cleared_seconds)}"
    return Text("alert", style="bold red").append(
        f" {span}: score {number(alert.score, 2)}, at most {number(alert.peak_score, 2)}", style="none"
    )


def _features(screen: Console, report: BacktestReport) -> None:
    # one window's rules, or the table is wider than a terminal
    static = [rule for rule in report.rules[1:] if rule.window == report.rules[1].window]
    columns = ("feature", "highest score", "1 at row", *(rule.name for rule in static))
    table = plain_table(*columns, "what", right=columns[1:])
    virtual = [feature for feature in report.features if feature.kind == "virtual"]
    shown = sorted(virtual, key=lambda feature: -feature.peak_score)[:VIRTUAL]
    quiet = 0
    for feature in report.features:
        if feature.kind == "virtual" and feature not in shown:
            continue
        if feature.first_row is None and not feature.words and all(row is None for row in feature.rule_rows):
            quiet += 1
            continue
        rows = [
            "" if row is None else f"{row:,}"
            for row in (feature.first_row, *feature.rule_rows[: len(static)])
        ]
        words = Text(clean(feature.words))
        table.add_row(Text(clean(feature.name)), number(feature.peak_score, 2), *rows, words)
    if table.row_count:
        # what happened to a feature stands at its alert; the first rule is the loosest
        print_table(screen, table, spare=((len(columns),), *((place,) for place in range(3, len(columns)))))
        screen.print()
    if len(virtual) > VIRTUAL:
        screen.print(Text(f"and {len(virtual) - VIRTUAL} more relations between features"))
    if quiet:
        features = len(report.features) - len(virtual)
        screen.print(Text(f"{quiet:,} of {features:,} features quiet by every rule"))


def _end(screen: Console, report: BacktestReport) -> None:
    alerts = len(report.alerts)
    words = {
        "drift": f"{alerts:,} alert{'s' * (alerts != 1)} of the drift score",
        "no drift": "no alert of the drift score",
        "could not tell": "no evaluation had enough rows",
    }[report.result]
    cut = (
        f"every {_length(report.evaluate_seconds)}"
        if report.rows_per_evaluation is None
        else f"every {report.rows_per_evaluation:,} rows"
    )
    end = Text(report.result, style=STYLES[report.result]).append(
        f": {words}; {report.rows:,} rows, {report.evaluations:,} evaluations ({cut}), "
        f"one false alert in {_length(report.budget_seconds)} accepted, "
        f"reference {report.reference_rows:,} rows",
        style="none",
    )
    screen.print(end, soft_wrap=True)


def advice(report: BacktestReport) -> list[str]:
    """What of the settings does not fit the history."""
    lines = []
    if report.late_rows:
        lines.append(f"{report.late_rows:,} rows came after their evaluation and count at the next")
    if report.dependence == "assumed" and report.evaluations:
        lines.append(
            "the reference knows no times, so rows are taken as independent; "
            "`driftgauge profile --time` measures it"
        )
    first, last = report.first_seconds, report.last_seconds
    if report.rows_per_evaluation is None and report.evaluations and first is not None and last is not None:
        step = (last - first) / report.evaluations
        fitting = [(seconds, text) for seconds, text in INTERVALS if seconds >= step]
        if step > 2 * report.evaluate_seconds and fitting:
            seconds, text = fitting[0]
            budget = "" if report.budget_seconds / seconds >= 100 else f" --budget {_length(100 * seconds)}"
            lines.append(
                f"rows come slowly: enough for an evaluation every {_length(step)}, so that a false alert "
                f"comes once in {_length(step * report.budget_evaluations)} at most; "
                f"--evaluate-every {text}{budget} finds drift sooner"
            )
    return lines


def _length(seconds: float) -> str:
    """A length of time in a unit of which there are one, or two and more: ``1d``, ``36h``, ``60s``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size or (seconds == size and size > 60):
            return f"{seconds / size:,.0f}{unit}"
    return f"{seconds:.3g}s"

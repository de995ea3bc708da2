"""``driftgauge backtest``: a history through the drift score, beside the rules of thumb."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from driftgauge.cli._options import budget_options, min_effect_option, weight_option
from driftgauge.errors import DataError, DriftgaugeError

if TYPE_CHECKING:
    from driftgauge.backtest import BacktestReport
    from driftgauge.budget import Budget
    from driftgauge.reference import Reference
    from driftgauge.windows import WindowSpec

__all__ = ["command"]

PLOTS: Final = (".html", ".svg")
STATUS: Final = {"no drift": 0, "drift": 1, "could not tell": 2}


def _window(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[WindowSpec, ...]:
    """Row windows and duration windows; ConfigError tells what cannot be read."""
    from driftgauge.windows import duration, rows

    return tuple(rows(int(value)) if value.isdigit() else duration(value) for value in values)


def _plot(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.lower().endswith(PLOTS):
        message = f"{value!r} must end in {' or '.join(PLOTS)}"
        raise click.BadParameter(message)
    return value


@click.command("backtest", short_help="Replay history: which alerts would have fired.")
@click.argument("reference", type=click.Path())
@click.argument("file", type=click.Path())
@budget_options
@click.option("--time", metavar="COLUMN", help="When each row came; evaluations are cut by it.")
@click.option(
    "--rows-per-evaluation",
    type=click.IntRange(min=1),
    help="Cut evaluations by rows instead. [default without --time: 20]",
)
@min_effect_option
@weight_option
@click.option(
    "--window",
    "windows",
    multiple=True,
    default=("5000",),
    show_default=True,
    metavar="ROWS|TIME",
    callback=_window,
    help="What PSI and KS look at, for example 5000 or 1d.",
)
@click.option(
    "--keep-firing",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Evaluations below its line before an alert ends.",
)
@click.option("--reset-on-alert", is_flag=True, help="Start evidence at 0 again after each alert.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--plot",
    type=click.Path(),
    metavar="FILE",
    callback=_plot,
    help="Draw score and alerts, in .html or .svg.",
)
def command(
    reference: str, file: str, per: str, evaluate_every: str, style: str, plot: str | None, **settings: Any
) -> int:
    """Replay FILE (Parquet, CSV or TSV; text also .gz) as if it were live, against a REFERENCE.

    Says which alerts the drift score would have raised and when, and beside it what fixed lines on PSI and KS
    of a window would have done. Rows count in the order of the file, or of --time.

    Exit status: 0 no alert of the drift score, 1 alerts, 2 could not tell (too few rows, a file that cannot
    be read, wrong usage).
    """
    from driftgauge.budget import one_false_alert

    try:
        known, report = _replay(
            reference, file, one_false_alert(per=per, evaluate_every=evaluate_every), **settings
        )
    except DriftgaugeError as error:
        if style == "table":
            raise
        # A CI job reads the file that it asked for, not stderr.
        click.echo(_json({"result": "could not tell", "explanation": str(error)}, reference, file))
        click.echo(f"Error: {error}", err=True)
        return STATUS["could not tell"]
    if plot is not None:
        _draw(report, plot)
    from driftgauge.cli._backtest_view import advice, show

    lines = [*advice(report), *_power(report, known, settings["weights"], settings["windows"])]
    if style == "json":
        click.echo(_json({**report.to_dict(), "advice": lines}, reference, file))
    else:
        show(report, lines)
    return STATUS[report.result]


def _replay(path: str, file: str, budget: Budget, **settings: Any) -> tuple[Reference, BacktestReport]:
    from driftgauge.backtest import replay
    from driftgauge.cli._console import row_progress
    from driftgauge.files import read_batches, total_rows
    from driftgauge.reference import Reference

    reference = Reference.load(path)
    # a code such as 0123 must not become the number 123 on its way from a file without types
    text = {feature.name for feature in reference.features if feature.dtype == "categorical"}
    total = total_rows(file)
    there = next((batch.column_names for batch in read_batches(file, batch_rows=1, text=text)), None)
    columns = None
    if there is not None:
        weights = settings["weights"] or {}
        absent = [name for name in reference.names if name not in there and weights.get(name) != 0]
        if absent:
            # As missing values they would be drift, from the first evaluation to the last.
            message = (
                f"{file!r} has no column {absent[0]!r}, a feature of the reference; --weight {absent[0]}=0 "
                f"leaves it out"
            ) + (f", {len(absent)} columns are lacking in all" if len(absent) > 1 else "")
            raise DataError(message)
        if total:
            # Parquet keeps columns apart, so only those that are replayed need to be read.
            wanted = {*reference.names, settings["time"]}
            columns = [name for name in there if name in wanted]
    with row_progress(f"backtest {file}", total) as on_rows:
        batches = read_batches(file, columns=columns, text=text)
        return reference, replay(reference, batches, budget=budget, on_rows=on_rows, **settings)


def _power(
    report: BacktestReport,
    reference: Reference,
    weights: dict[str, float] | None,
    windows: tuple[WindowSpec, ...],
) -> list[str]:
    """What these settings see how soon, what they do not see, and what would see it."""
    if not report.evaluations:
        return []
    from driftgauge.budget import Budget
    from driftgauge.power import power
    from driftgauge.windows import Rows

    table = power(
        reference,
        budget=Budget(per_seconds=report.budget_seconds, evaluate_seconds=report.evaluate_seconds),
        min_effect=report.min_effect,
        weights=weights,
        rows_per_evaluation=max(1, report.rows // report.evaluations),
    )
    sizes = [window.size for window in windows if isinstance(window, Rows)]
    if sizes and table.suggested_window_rows is not None and table.suggested_window_rows <= min(sizes):
        table = replace(table, suggested_window_rows=None)  # all windows are long enough
    lines = []
    seen = [row.rows for row in table.rows if row.drift == f"mean +{table.shift:g} sd" and row.rows]
    if seen:
        least, most = f"{round(min(seen), -1):,.0f}", f"{round(max(seen), -1):,.0f}"
        span = least if least == most else f"{least} to {most}"
        lines.append(f"a mean that moves by {table.shift:g} sd is seen after some {span} rows")
    return [*lines, *table.suggestions()]


def _json(document: dict[str, Any], reference: str, file: str) -> str:
    from driftgauge.cli._console import version
    from driftgauge.cli._formats import without_nan

    status = STATUS[document["result"]]
    known = {**document.get("reference", {}), "file": reference}
    past = {**document.get("history", {}), "file": file}
    whole = {
        "format": 1,
        "driftgauge": version(),
        "exit_status": status,
        **document,
        "reference": known,
        "history": past,
    }
    return json.dumps(without_nan(whole), indent=2, ensure_ascii=False, allow_nan=False)


def _draw(report: BacktestReport, path: str) -> None:
    from pathlib import Path

    from driftgauge.cli._backtest_plot import to_html, to_svg
    from driftgauge.cli._console import Failure

    text = to_html(report) if path.lower().endswith(".html") else to_svg(report)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {path!r}: {error.strerror or error}"
        raise Failure(message) from error

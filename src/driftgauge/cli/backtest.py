"""``driftgauge backtest``: a history through the drift score, beside the rules of thumb."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from driftgauge.errors import DriftgaugeError

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


def _weights(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, float] | None:
    found = {}
    for value in values:
        name, equals, number = value.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            message = f"{value!r} is not a feature's name, =, and a number"
            raise click.BadParameter(message)
    return found or None


def _plot(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.lower().endswith(PLOTS):
        message = f"{value!r} must end in {' or '.join(PLOTS)}"
        raise click.BadParameter(message)
    return value


@click.command("backtest", short_help="Replay history: which alerts would have fired.")
@click.argument("reference", type=click.Path())
@click.argument("file", type=click.Path())
@click.option("--budget", "per", default="90d", show_default=True, help="One false alert in so much time.")
@click.option("--evaluate-every", default="60s", show_default=True, help="Time between two evaluations.")
@click.option("--time", metavar="COLUMN", help="When each row came; evaluations are cut by it.")
@click.option(
    "--rows-per-evaluation",
    type=click.IntRange(min=1),
    help="Cut evaluations by rows instead. [default without --time: 20]",
)
@click.option(
    "--min-effect", type=float, default=0.01, show_default=True, help="Drift of a smaller PSI is none."
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_weights,
    help="How much a feature matters, the others being 1; 0 does not watch it.",
)
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
    if style == "json":
        click.echo(_json(report.to_dict(), reference, file))
    else:
        from driftgauge.cli._backtest_view import show

        show(report, known)
    return STATUS[report.result]


def _replay(path: str, file: str, budget: Budget, **settings: Any) -> tuple[Reference, BacktestReport]:
    from driftgauge.backtest import replay
    from driftgauge.cli._console import row_progress
    from driftgauge.files import read_batches, total_rows
    from driftgauge.reference import Reference

    reference = Reference.load(path)
    total = total_rows(file)
    columns = None
    if total:
        # Parquet keeps columns apart, so only those that are replayed need to be read.
        wanted = {*reference.names, settings["time"]}
        first = next(iter(read_batches(file, batch_rows=1)))
        columns = [name for name in first.column_names if name in wanted]
    # a code such as 0123 must not become the number 123 on its way from a file without types
    text = {feature.name for feature in reference.features if feature.dtype == "categorical"}
    with row_progress(f"backtest {file}", total) as on_rows:
        batches = read_batches(file, columns=columns, text=text)
        return reference, replay(reference, batches, budget=budget, on_rows=on_rows, **settings)


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

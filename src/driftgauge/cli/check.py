"""``driftgauge check``: one file against a reference."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from driftgauge.cli._options import min_effect_option
from driftgauge.cli.profile import names_option
from driftgauge.errors import DataError, ReferenceFileError

if TYPE_CHECKING:
    from driftgauge.cells import Counts
    from driftgauge.cli._formats import Comparison
    from driftgauge.cli._verdict import FeatureVerdict, Thresholds
    from driftgauge.reference import Reference
    from driftgauge.snapshot import DriftSnapshot

__all__ = ["command"]


def _limit(flag: str, default: str, text: str) -> Callable[[Any], Any]:
    """An option that is a number from 0 up, or ``off``, which becomes None."""

    def parse(_: click.Context, __: click.Parameter, value: str) -> float | None:
        if value == "off":
            return None
        try:
            limit = float(value)
        except ValueError:
            limit = -1.0
        if not 0.0 <= limit < float("inf"):
            message = f"{value!r} is neither a number from 0 up nor 'off'"
            raise click.BadParameter(message)
        return limit

    return click.option(
        flag, default=default, show_default=True, metavar="NUMBER|off", callback=parse, help=text
    )


@click.command("check", short_help="Compare a file with a reference: exit status 0, 1 or 2.")
@click.argument("reference", type=click.Path())
@click.argument("file", type=click.Path())
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "json", "markdown", "junit"]),
    default="table",
    show_default=True,
)
@_limit("--psi", "0.2", "Drift when PSI is over this and over its noise.")
@_limit("--ks", "off", "Drift when KS is over this and over its noise.")
@_limit("--missing", "0.05", "Drift when the missing ratio rises by more.")
@_limit("--unseen", "0.05", "Drift when the ratio of unseen categories rises by more.")
@_limit("--out-of-range", "0.05", "Drift when the out-of-range ratio rises by more.")
@_limit("--score", "off", "Drift when the drift score is over this; 1 is one false alarm in 1,000 files.")
@min_effect_option
@click.option(
    "--min-rows",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="With fewer: could not tell.",
)
@names_option("--features", "Only these, separated by commas.")
@click.option("--kind", type=click.Choice(["input", "output"]), help="Only model inputs, or only outputs.")
def command(
    reference: str,
    file: str,
    style: str,
    min_rows: int,
    min_effect: float,
    features: tuple[str, ...],
    kind: str | None,
    **limits: float | None,
) -> int:
    """Compare FILE (Parquet, CSV or TSV; text also .gz) with a REFERENCE from `profile`.

    Exit status: 0 no drift, 1 drift, 2 could not tell (too few rows, a column of the reference that the file
    does not have, a file that cannot be read, wrong usage).

    A feature drifts when a number is over its threshold and over what sampling noise alone explains at this
    number of rows (one look, level 0.999). The drift score says how sure it is that something changed,
    however little: all rows of the file are weighed at once, whatever their order, and over all features
    together it passes 1 by chance in one file of 1,000. It decides only with --score. What changed when, in a
    history with times, `driftgauge backtest` tells.
    """
    from driftgauge.cli._formats import Comparison
    from driftgauge.cli._verdict import Thresholds, unknown

    thresholds = Thresholds(**limits)
    try:
        comparison = _compare(reference, file, thresholds, min_rows, min_effect, features, kind)
    except (DataError, ReferenceFileError) as error:
        if style == "table":
            raise
        from driftgauge.cli._console import version

        # A CI job reads the file that it asked for, not stderr.
        comparison = Comparison(
            verdict=unknown(str(error)),
            thresholds=thresholds,
            min_rows=min_rows,
            reference_file=reference,
            live_file=file,
            version=version(),
        )
        click.echo(f"Error: {error}", err=True)
    _write(comparison, style)
    return comparison.verdict.exit_status


def _compare(
    path: str,
    file: str,
    thresholds: Thresholds,
    min_rows: int,
    min_effect: float,
    features: tuple[str, ...],
    kind: str | None,
) -> Comparison:
    from driftgauge._evaluate import evaluate
    from driftgauge.cli._console import version
    from driftgauge.cli._formats import Comparison
    from driftgauge.cli._verdict import judge
    from driftgauge.reference import Reference

    reference = Reference.load(path)
    chosen = _choose(reference, features, kind)
    whole, there, drift = _count(reference, file, chosen, min_effect)
    now_seconds = time.time()
    # the lines of noise stay those of one look, which this is
    snapshot = replace(evaluate(reference, [whole], now_seconds=now_seconds, min_rows=1), drift=drift)
    absent = chosen - there if whole.rows else frozenset()
    return Comparison(
        verdict=judge(snapshot, thresholds, only=chosen, absent=absent, min_rows=min_rows),
        thresholds=thresholds,
        min_rows=min_rows,
        reference_file=path,
        live_file=file,
        version=version(),
        reference_id=reference.id,
        model=reference.model,
        model_version=reference.version,
        reference_rows=reference.rows,
        created_timestamp_seconds=reference.created_timestamp_seconds,
    )


def _choose(reference: Reference, features: tuple[str, ...], kind: str | None) -> frozenset[str]:
    unknown_names = sorted(set(features) - set(reference.names))
    if unknown_names:
        there = ", ".join(sorted(reference.names))
        message = f"no feature {unknown_names[0]!r} in the reference; there are {there}"
        raise click.BadParameter(message, param_hint="--features")
    chosen = frozenset(
        feature.name
        for feature in reference.features
        if (not features or feature.name in features) and kind in (None, feature.kind)
    )
    if not chosen:
        message = "no feature is left to check; use a wider --features or --kind"
        raise click.UsageError(message)
    return chosen


@dataclass(frozen=True, slots=True)
class _WholeFile:
    """All rows of a file as one window."""

    reference_id: str
    counts: Counts
    rows: int
    name: str = "file"

    def seconds(self, now_seconds: float) -> float:
        del now_seconds
        return 0.0


def _count(
    reference: Reference, file: str, chosen: frozenset[str], min_effect: float
) -> tuple[_WholeFile, frozenset[str], DriftSnapshot | None]:
    """Counts of the whole file in bounded memory, the columns that it has, and what the evidence is."""
    import numpy as np

    from driftgauge import kernels
    from driftgauge.cli._console import row_progress
    from driftgauge.cli._one_look import OneLook
    from driftgauge.files import read_batches, total_rows

    total = total_rows(file)
    columns = None
    if total:
        # Parquet keeps columns apart, so only those that are compared need to be read.
        first = next(iter(read_batches(file, batch_rows=1)))
        columns = [name for name in first.column_names if name in chosen]
    # a code such as 0123 must not become the number 123 on its way from a file without types
    text = {feature.name for feature in reference.features if feature.dtype == "categorical"}
    counts = np.zeros(reference.layout.cells, np.uint32)
    rows, there, look = 0, frozenset[str](), None
    with row_progress(f"check {file}", total) as on_rows:
        if columns != []:
            for batch in read_batches(file, columns=columns, text=text):
                there = there or frozenset(batch.column_names)
                if look is None and chosen & there:
                    look = OneLook(reference, chosen & there, min_effect)
                indices = reference.index(batch)
                kernels.add_counts(indices, reference.layout.cell_offsets, counts)
                if look is not None:
                    look.add(indices)
                rows += batch.num_rows
                on_rows(batch.num_rows)
    drift = None if look is None else look.drift()
    return _WholeFile(reference.id, counts, rows or total or 0), there, drift


def _write(comparison: Comparison, style: str) -> None:
    from driftgauge.cli import _formats

    if style == "table":
        _print(comparison)
    else:
        writer = {"json": _formats.to_json, "markdown": _formats.to_markdown, "junit": _formats.to_junit}[
            style
        ]
        click.echo(writer(comparison), nl=False)


COLUMNS = ("feature", "score", "PSI", "noise", "KS", "noise", "missing", "unseen", "out of range", "result")
# What a terminal of 80 columns has no room for: PSI covers KS, and what is wrong with a ratio is said below.
SPARE = ((4, 5), (8,), (7,), (6,))
STYLES = {"drift": "bold red", "could not tell": "yellow", "no drift": "green"}


def _print(comparison: Comparison) -> None:
    from rich.text import Text

    from driftgauge.cli._console import console, plain_table, print_table
    from driftgauge.cli._formats import joint_evidence, why
    from driftgauge.cli._text import clean

    screen, verdict = console(), comparison.verdict
    if verdict.features:
        table = plain_table(*COLUMNS, right=COLUMNS[1:-1])
        for feature in verdict.features:
            result = Text(feature.result, style=STYLES[feature.result])
            table.add_row(Text(clean(feature.name)), *_numbers(feature), result)
        print_table(screen, table, spare=SPARE)
        screen.print()
    for feature in verdict.features:
        if told := why(feature):
            line = Text(clean(feature.name), style="bold").append(f": {clean(told)}", style="none")
            screen.print(line, soft_wrap=True)
    if together := joint_evidence(verdict):
        screen.print(clean(together), soft_wrap=True)
    compared = f"reference {comparison.reference_rows:,} rows, file {verdict.rows:,} rows"
    if verdict.drift is not None:
        compared += f", drift score {verdict.drift.score:.2f} in one look"
    end = Text(verdict.result, style=STYLES[verdict.result])
    screen.print(end.append(f": {clean(verdict.explanation)}; {compared}", style="none"), soft_wrap=True)


def _numbers(feature: FeatureVerdict) -> list[str]:
    from driftgauge.cli._text import number, ratio

    live = feature.statistics
    if live is None:
        return [""] * 8
    return [
        number(feature.drift.score if feature.drift else None, 2),
        number(live.psi),
        number(live.psi_critical),
        number(live.ks),
        number(live.ks_critical),
        ratio(live.missing_ratio),
        ratio(live.unseen_ratio),
        ratio(live.out_of_range_ratio),
    ]

"""``driftgauge profile``: a reference from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from driftgauge.cells import FeatureReference
    from driftgauge.reference import Reference

__all__ = ["command", "names_option"]


def names_option(flag: str, text: str) -> Callable[[Any], Any]:
    """An option of names separated by commas, which may be repeated."""

    def split(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for value in values for part in value.split(",") if part)

    return click.option(flag, multiple=True, metavar="NAMES", callback=split, help=text)


@click.command("profile", short_help="Build a reference from a file.")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", "target", required=True, type=click.Path(), help="The reference to write.")
@click.option("--model", default="model", show_default=True, help="Label of every metric.")
@click.option("--model-version", default="1", show_default=True, help="Label of every metric.")
@names_option("--outputs", "Columns that the model puts out; the rest are inputs.")
@names_option("--exclude", "Columns that are no features.")
@names_option("--categorical", "Columns of numbers that are categories.")
@click.option(
    "--resolution",
    type=int,
    default=1023,
    show_default=True,
    help="Quantile cells of a number with more than 32,000 distinct values.",
)
@click.option("--bins", type=int, default=10, show_default=True, help="PSI bins of a numeric feature.")
@click.option(
    "--category-bins", type=int, default=20, show_default=True, help="Categories with a PSI bin of their own."
)
@click.option(
    "--min-category-count",
    type=int,
    default=5,
    show_default=True,
    help="A category seen less often is not named in the reference.",
)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    file: str,
    target: str,
    model: str,
    model_version: str,
    outputs: tuple[str, ...],
    exclude: tuple[str, ...],
    categorical: tuple[str, ...],
    style: str,
    **settings: Any,
) -> None:
    """Build a reference from FILE (Parquet, CSV or TSV; text also .gz) and say what was learned.

    The file is read in batches, so it may be larger than memory. NAMES are separated by commas.
    """
    from driftgauge.cli._console import Failure, row_progress
    from driftgauge.files import read_batches, total_rows
    from driftgauge.reference import Reference

    batches = read_batches(file, text=categorical)  # as numbers the codes 0123 and 123 would be one
    with row_progress(f"profile {file}", total_rows(file)) as on_rows:
        reference = Reference.fit_batches(
            batches,
            on_rows=on_rows,
            model=model,
            version=model_version,
            outputs=outputs,
            exclude=exclude,
            categorical=categorical,
            **settings,
        )
    try:
        reference.save(target)
    except OSError as error:
        message = f"cannot write {target!r}: {error.strerror or error}"
        raise Failure(message) from error
    if style == "json":
        click.echo(json.dumps(_document(reference, target), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _print(reference, target)


def _missing(feature: FeatureReference) -> float:
    cells = feature.counts[-2:] if feature.dtype == "numeric" else feature.counts[-1:]
    return float(cells.sum()) / feature.rows


def _document(reference: Reference, target: str) -> dict[str, Any]:
    return {
        "format": 1,
        "file": target,
        "id": reference.id,
        "model": reference.model,
        "model_version": reference.version,
        "rows": reference.rows,
        "created_timestamp_seconds": reference.created_timestamp_seconds,
        "features": [
            {
                "name": feature.name,
                "kind": feature.kind,
                "dtype": feature.dtype,
                "cells": feature.cells,
                "bins": len(feature.bin_labels),
                "exact": bool(feature.exact),
                "ks_error_bound": float(feature.ks_error_bound) if feature.dtype == "numeric" else None,
                "missing_ratio": _missing(feature),
                "least": float(feature.points[0]) if feature.dtype == "numeric" else None,
                "greatest": float(feature.points[-1]) if feature.dtype == "numeric" else None,
                "categories": len(feature.categories) if feature.dtype != "numeric" else None,
                "unseen_ratio": float(feature.counts[feature.unseen_cell]) / feature.rows
                if feature.dtype != "numeric"
                else None,
            }
            for feature in reference.features
        ],
    }


def _print(reference: Reference, target: str) -> None:
    from rich.text import Text

    from driftgauge.cli._console import console, plain_table, print_table
    from driftgauge.cli._text import clean, ratio

    table = plain_table(
        "feature",
        "kind",
        "type",
        "cells",
        "bins",
        "KS",
        "missing",
        "values",
        right=("cells", "bins", "missing"),
    )
    for feature in reference.features:
        table.add_row(
            Text(clean(feature.name)),
            feature.kind,
            feature.dtype,
            f"{feature.cells:,}",
            str(len(feature.bin_labels)),
            _exactness(feature),
            ratio(_missing(feature)),
            Text(clean(_values(feature))),
        )
    screen = console()
    print_table(screen, table)
    screen.print()
    title = (
        f"{target}: {reference.model} {reference.version}, {reference.rows:,} rows, id {reference.id[:12]}"
    )
    screen.print(Text(clean(title)), soft_wrap=True)


def _exactness(feature: FeatureReference) -> str:
    if feature.dtype != "numeric":
        return ""
    # Rounded up: a bound that is printed too small is no bound.
    return "exact" if feature.exact else f"± {feature.ks_error_bound + 5e-6:.5f}"


def _values(feature: FeatureReference) -> str:
    from driftgauge.cli._text import ratio, short

    if feature.dtype == "numeric":
        return f"{short(float(feature.points[0]))} … {short(float(feature.points[-1]))}"
    shown = ", ".join(feature.categories[:3])
    more = f", … {len(feature.categories):,} in all" if len(feature.categories) > 3 else ""
    rare = float(feature.counts[feature.unseen_cell]) / feature.rows
    return shown + more + (f"; {ratio(rare)} of rows rarer" if rare else "")

"""``driftgauge profile``: a reference from a file."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from driftgauge.cells import FeatureReference
    from driftgauge.reference import Reference

__all__ = ["command", "names_option"]

_INDEPENDENT: Final = "rows are taken as independent; --time COLUMN measures how far they are not"

_CYCLES: Final = {
    "hour": "hour of the day",
    "hour_weekend": "hour of a working day or weekend",
    "hour_weekday": "hour of the week",
    "weekday": "weekday",
}


def names_option(flag: str, text: str) -> Callable[[Any], Any]:
    """An option of names separated by commas, which may be repeated."""

    def split(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part for value in values for part in value.split(",") if part)

    return click.option(flag, multiple=True, metavar="NAMES", callback=split, help=text)


@click.command("profile", short_help="Build a reference from a file.")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", "target", required=True, type=click.Path(), help="The reference to write.")
@click.option("--time", metavar="COLUMN", help="When each row was; no feature. See below.")
@click.option("--timezone", default="UTC", show_default=True, help="Of hours, weekdays and local times.")
@click.option("--joint/--no-joint", default=True, show_default=True, help="Watch relations between features.")
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
    time: str | None,
    joint: bool,
    style: str,
    **settings: Any,
) -> None:
    """Build a reference from FILE (Parquet, CSV or TSV; text also .gz) and say what was learned.

    The file is read in batches, twice, so it may be larger than memory. NAMES are separated by commas.

    With --time, rows must be in the order of that column of dates, ISO text or seconds since 1970. Then it is
    learned how much neighbouring rows repeat each other, what changes with the hour and the weekday, and
    whether the second half of the rows has drifted from the first.
    """
    from driftgauge.cli._console import Failure, row_progress
    from driftgauge.errors import TimeOrderWarning, TrainingDriftWarning
    from driftgauge.files import batch_reader, total_rows
    from driftgauge.reference import Reference

    batches = batch_reader(file, text=categorical)  # as numbers the codes 0123 and 123 would be one
    rows = total_rows(file)
    readings = 2 if joint or time is not None else 1
    with (
        warnings.catch_warnings(),
        row_progress(f"profile {file}", None if rows is None else rows * readings) as on_rows,
    ):
        warnings.simplefilter("ignore", TrainingDriftWarning)  # both are told below
        warnings.simplefilter("ignore", TimeOrderWarning)
        reference = Reference.fit_batches(
            batches,
            time=time,
            joint=joint,
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
        _print(reference, target, timed=time is not None)


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
        "calibration": _calibration_document(reference),
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


def _calibration_document(reference: Reference) -> dict[str, Any] | None:
    calibration = reference.calibration
    if calibration is None:
        return None
    names = (*reference.names, *(virtual.name for virtual in calibration.virtual))
    streams = dict(zip(names, calibration.streams, strict=True))
    return {
        "in_time_order": calibration.in_time_order,
        "cycle": calibration.buckets.cycle,
        "timezone": calibration.buckets.timezone,
        "matched": [name for name, stream in streams.items() if stream.bucket_counts is not None],
        "largest_design_effects": {
            name: float(streams[name].design_effects.max()) for name in reference.names
        }
        if calibration.in_time_order
        else None,
        "virtual_features": [virtual.name for virtual in calibration.virtual],
        "half_score": calibration.half_score,
        "half_features": list(calibration.half_features),
    }


def _learned(reference: Reference, *, timed: bool) -> list[str]:
    """What was learned beyond the counts, a line each."""
    calibration = reference.calibration
    if calibration is None:
        return [_INDEPENDENT]
    lines = []
    if calibration.in_time_order:
        effects = [float(stream.design_effects.max()) for stream in calibration.streams]
        effects = effects[: len(reference.names)]
        most = max(effects)
        if most > 1:
            text = f"{most:,.0f}" if most > 9.5 else f"{most:.1f}"
            where = reference.names[effects.index(most)]
            lines.append(f"neighbouring rows repeat each other most in {where}: {text} are worth one")
        else:
            lines.append("neighbouring rows are independent")
    elif timed:
        lines.append("rows are taken as independent, for they are not in the order of their times; sort them")
    else:
        lines.append(_INDEPENDENT)
    matched = sum(stream.bucket_counts is not None for stream in calibration.streams)
    if matched:
        lines.append(
            f"compared with the same {_CYCLES[calibration.buckets.cycle]} ({calibration.buckets.timezone}): "
            f"{matched} of {len(calibration.streams)} streams"
        )
    if calibration.virtual:
        lines.append(f"relations between features: {len(calibration.virtual)} virtual features")
    if calibration.half_score is not None:
        lines.append(f"second half against first: drift score {calibration.half_score:.2f}")
    return lines


def _print(reference: Reference, target: str, *, timed: bool) -> None:
    from rich.text import Text

    from driftgauge._half_replay import training_drift
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
    for line in _learned(reference, timed=timed):
        screen.print(Text(clean(line)), soft_wrap=True)
    drift = training_drift(reference.calibration)
    if drift is not None:
        screen.print(Text(clean(f"warning: {drift}"), "yellow"), soft_wrap=True)


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

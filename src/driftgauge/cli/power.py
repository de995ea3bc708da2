"""``driftgauge power``: what drift would be seen, and after how many rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from driftgauge.cli._options import budget_options, min_effect_option, weight_option

if TYPE_CHECKING:
    from driftgauge.power import PowerTable

__all__ = ["command"]

FEATURES = 10  # of some 13 lines each; more scroll off the screen


@click.command("power", short_help="What drift would be seen, after how many rows.")
@click.argument("reference", type=click.Path())
@budget_options
@click.option(
    "--rows-per-evaluation",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Rows that come between two evaluations.",
)
@min_effect_option
@weight_option
@click.option(
    "--shift",
    type=float,
    default=0.25,
    show_default=True,
    help="Smallest move of a mean that matters, in standard deviations; suggestions are for it.",
)
@click.option(
    "--feature", "features", multiple=True, metavar="NAME", help="Show only this one; may be repeated."
)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    reference: str, per: str, evaluate_every: str, features: tuple[str, ...], style: str, **settings: Any
) -> int:
    """Say how many rows of each of some usual drifts the drift score of REFERENCE needs for an alarm.

    Beside it, how long a window must be for its PSI to show the same drift, over all looks of the budget. All
    features share the budget, also when only some are shown. Last come settings that would see more.
    """
    from driftgauge.budget import one_false_alert
    from driftgauge.power import power
    from driftgauge.reference import Reference

    known = Reference.load(reference)
    for name in features:
        known.feature(name)
    budget = one_false_alert(per=per, evaluate_every=evaluate_every)
    table = power(known, budget=budget, **settings)
    if style == "json":
        click.echo(_json(table, reference, features))
    else:
        _show(table, features)
    return 0


def _json(table: PowerTable, reference: str, features: tuple[str, ...]) -> str:
    from driftgauge.cli._console import version

    document = table.to_dict()
    rows = [row for row in document.pop("rows") if not features or row["feature"] in features]
    whole = {
        "format": 1,
        "driftgauge": version(),
        "reference": reference,
        **document,
        "suggestions": list(table.suggestions()),
        "rows": rows,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)


def _show(table: PowerTable, features: tuple[str, ...]) -> None:
    from rich.text import Text

    from driftgauge.cli._console import console, plain_table, print_table
    from driftgauge.cli._text import clean

    screen = console()
    right = ("PSI", "rows to alarm", "window for PSI")
    drawn = plain_table("feature", "drift", *right, right=right)
    last = None
    named = list(dict.fromkeys(row.feature for row in table.rows))
    shown = features or named[:FEATURES]
    for row in table.rows:
        if row.feature not in shown:
            continue
        drawn.add_row(
            Text(clean(row.feature) if row.feature != last else "", overflow="fold"),
            Text(clean(row.drift)),
            Text(f"{row.psi:.3f}"),
            Text("never" if row.rows is None else f"{_round(row.rows):,}"),
            Text("none" if row.window_rows is None else f"{_round(row.window_rows):,}"),
        )
        last = row.feature
    print_table(screen, drawn)
    if len(named) > len(shown) and not features:
        screen.print(
            Text(
                f"and {len(named) - len(shown):,} more features; --feature shows one, --format json has all"
            ),
            soft_wrap=True,
        )
    days = table.budget_seconds / 86_400
    screen.print(
        Text(
            f"one false alert in {days:g} days, an evaluation every {table.evaluate_seconds:g} s with "
            f"{table.rows_per_evaluation:,} rows, min_effect {table.min_effect:g}, "
            f"reference {table.reference_rows:,} rows"
        ),
        soft_wrap=True,
    )
    for line in table.suggestions():
        screen.print(Text(line), soft_wrap=True)


def _round(rows: float) -> int:
    """Two digits: the figures are no more exact than that."""
    return int(float(f"{rows:.2g}"))

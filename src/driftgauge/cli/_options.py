"""Options that several commands have: the budget, what counts as no drift, and what matters more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from driftgauge.errors import ConfigError

__all__ = ["budget_options", "min_effect_option", "weight_option"]


def _length(_: click.Context, __: click.Parameter, value: str) -> str:
    """A length of time, as it was given."""
    from driftgauge.windows import duration

    try:
        duration(value)
    except ConfigError as error:
        message = f"{value!r} is no length of time from 1 second to ten years, such as '90d', '36h' or '60s'"
        raise click.BadParameter(message) from error
    return value


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


def budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--budget`` and ``--evaluate-every``, which come as *per* and *evaluate_every*."""
    every = click.option(
        "--evaluate-every",
        default="60s",
        show_default=True,
        metavar="TIME",
        callback=_length,
        help="Time between two evaluations.",
    )
    per = click.option(
        "--budget",
        "per",
        default="90d",
        show_default=True,
        metavar="TIME",
        callback=_length,
        help="One false alert in so much time is accepted, in the mean.",
    )
    return per(every(command))


min_effect_option = click.option(
    "--min-effect",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="The drift score takes changes of at most this PSI as no drift.",
)

weight_option = click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_weights,
    help="How much a feature matters, the others being 1; 0 does not watch it.",
)

"""``driftgauge metrics``: every metric as a table."""

from __future__ import annotations

import click

__all__ = ["command", "markdown_table"]


@click.command("metrics", short_help="List every metric that is exported.")
def command() -> None:
    """List every metric that is exported: name, type, labels and what it says.

    As Markdown, from the same lists that are exported: the catalogue, and what the bridge tells of itself.
    """
    click.echo(markdown_table(), nl=False)


def markdown_table() -> str:
    """All metrics as a Markdown table, one line each, as it stands in the README.

    Examples
    --------
    >>> print(markdown_table().splitlines()[-1])
    | `driftgauge_bridge_dead_letters` | gauge |  | Runs that could not be started and wait for a replay |
    """
    from driftgauge.bridge.families import FAMILIES, BridgeFamily
    from driftgauge.catalogue import CATALOGUE, Family

    families: tuple[Family | BridgeFamily, ...] = (*CATALOGUE, *FAMILIES)
    rows = [
        f"| `{family.prometheus_name}` | {family.instrument} | {', '.join(family.labels)} | {family.help} |"
        for family in families
    ]
    return "\n".join(["| metric | type | labels | what |", "|---|---|---|---|", *rows, ""])

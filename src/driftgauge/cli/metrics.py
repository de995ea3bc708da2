"""``driftgauge metrics``: the catalogue as a table."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("metrics", short_help="List every metric that is exported.")
def command() -> None:
    """List every metric that is exported: name, type, labels and what it says.

    As Markdown, from the same lists that are exported: the catalogue, and what the bridge tells of itself.
    """
    from driftgauge.bridge.families import FAMILIES
    from driftgauge.catalogue import CATALOGUE, markdown_table

    click.echo(markdown_table((*CATALOGUE, *FAMILIES)), nl=False)

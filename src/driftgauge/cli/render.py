"""``driftgauge render``: dashboards and alerts from settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from driftgauge.render.files import What

__all__ = ["command"]

DIFFERS = 1


@click.command("render", short_help="Write dashboards or alerts.")
@click.argument("what", type=click.Choice(["dashboards", "alerts"]))
@click.option("--config", type=click.Path(), help="Settings (TOML) that differ from the defaults.")
@click.option("--output", type=click.Path(), help="Folder to write to.  [default: WHAT]")
@click.option("--check", is_flag=True, help="Write nothing; show how the files differ and exit with 1.")
def command(what: What, config: str | None, output: str | None, check: bool) -> int:
    """Write dashboards (JSON for Grafana) or alerts (rules for Prometheus and its operator).

    Every setting has a default; a file of settings names only what differs.
    """
    from driftgauge.render.files import differences, rendered, write
    from driftgauge.render.settings import RenderSettings, load_settings

    settings = RenderSettings() if config is None else load_settings(config)
    folder = Path(output or what)
    texts = rendered(what, settings)
    if check:
        difference = differences(folder, texts)
        click.echo(difference, nl=False)
        if difference:
            click.echo(_remedy(what, config, output), err=True)
        return DIFFERS if difference else 0
    changed = write(folder, texts)
    for name in texts:
        click.echo(f"{'wrote' if name in changed else 'unchanged'} {folder / name}")
    return 0


def _remedy(what: str, config: str | None, output: str | None) -> str:
    options = (("--config", config), ("--output", output))
    words = [
        "driftgauge",
        "render",
        what,
        *(word for name, value in options if value for word in (name, value)),
    ]
    return f"The files differ from what is rendered; to write them: {shlex.join(words)}"

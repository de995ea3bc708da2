"""``driftgauge sidecar``: the engine as a process of its own."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Final

import click

__all__ = ["command"]

FILE: Final = "driftgauge.toml"
VARIABLE: Final = "DRIFTGAUGE_CONFIG"


@click.command("sidecar", short_help="Watch models that another process serves.")
@click.option(
    "--config",
    "-c",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    envvar=VARIABLE,
    show_envvar=True,
    help=f"Settings. Default: {FILE} in this folder, if there is one.",
)
@click.option(
    "--print-config",
    is_flag=True,
    help="Print what is set, from the file, the environment and the defaults, and exit.",
)
def command(path: Path | None, print_config: bool) -> int:
    """Watch models that another process serves: as a proxy, a sink of payload logs, by rows posted or files.

    Settings come from a TOML file and from the environment, which wins: the key `listen` of `[server]` is
    DRIFTGAUGE_SERVER__LISTEN. SIGHUP reads references again; SIGTERM drains and stops.
    """
    from driftgauge.errors import MissingExtraError

    try:
        from driftgauge.sidecar.app import run
        from driftgauge.sidecar.logs import set_up_logs
        from driftgauge.sidecar.settings import load_settings
    except ModuleNotFoundError as error:
        message = f"the sidecar needs {error.name}; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    if path is None and Path(FILE).is_file():
        path = Path(FILE)
    settings = load_settings(path, environ=os.environ)
    if print_config:
        click.echo(settings.to_toml(), nl=False)
        return 0

    set_up_logs(settings.log.level, settings.log.format)
    run(settings)
    _leave()
    return 0


def _leave() -> None:
    """End now where a thread still compiles or reads a file: all is saved, and Python would wait for it."""
    waiting = [each for each in threading.enumerate() if each is not threading.main_thread()]
    if waiting:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

"""The group of commands, and what every command shares: errors, Ctrl-C and exit statuses.

======  =====================================================================
status  meaning
======  =====================================================================
0       done; `check`: no drift; `demo`: stopped after it had shown its result
1       `check`: drift; `backtest`: an alert of the drift score; `render --check`:
        files that differ
2       could not: wrong usage, a file that cannot be read, too little data
130     stopped by Ctrl-C before the work was done
======  =====================================================================
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from driftgauge.errors import DriftgaugeError

__all__ = ["program", "run"]

COMMANDS = ("profile", "check", "backtest", "power", "demo", "sidecar", "bridge", "metrics", "render")

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


class _Commands(click.Group):
    """Each command is a module of this package with its name; all are light until they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"driftgauge.cli.{cmd_name}").command
        return command


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from driftgauge.cli._console import version

        click.echo(f"driftgauge {version()}")
        ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def program() -> None:
    """Drift metrics for the monitoring you already run."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and exits. An error is one line on stderr; a traceback means a fault of driftgauge."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A column may be named in letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    try:
        status = program.main(arguments, prog_name="driftgauge", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except DriftgaugeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (`driftgauge check … | head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(INTERRUPTED)
    except Exception:
        # Python would end with 1 here, and 1 means drift.
        traceback.print_exc()
        click.echo("Error: this is a fault in driftgauge; please report it with the lines above", err=True)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)

"""``driftgauge bridge``: from alerts to retraining runs, with brakes."""

from __future__ import annotations

import getpass
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

if TYPE_CHECKING:
    from driftgauge.bridge.records import Entry, Run
    from driftgauge.bridge.settings import BridgeSettings
    from driftgauge.bridge.store import Store

__all__ = ["command"]

FILE: Final = "bridge.toml"
VARIABLE: Final = "DRIFTGAUGE_CONFIG"


def _config(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        "-c",
        "path",
        metavar="FILE",
        type=click.Path(path_type=Path),
        envvar=VARIABLE,
        show_envvar=True,
        help=f"Settings. Default: {FILE} in this folder, if there is one.",
    )(function)


@click.group("bridge", short_help="Start retraining when alerts fire, with brakes.")
def command() -> None:
    """Start retraining when alerts fire, with brakes.

    `serve` takes the webhooks of Alertmanager and Grafana. The other commands work on its file, whether it
    runs or not; it notices within a second.
    """


@command.command("serve", short_help="Take alerts and start runs.")
@_config
def serve(path: Path | None) -> int:
    """Take alerts and start runs, until SIGTERM or Ctrl-C.

    Settings come from a TOML file and from the environment, which wins: the key `listen` of `[server]` is
    DRIFTGAUGE_SERVER__LISTEN.
    """
    settings = _settings(path)
    from driftgauge.bridge.app import run
    from driftgauge.sidecar.logs import set_up_logs

    set_up_logs(settings.log.level, settings.log.format)
    run(settings)
    return 0


@command.command("check", short_help="Check the settings and print them, secrets masked.")
@_config
def check(path: Path | None) -> int:
    """Check the settings, targets, secrets and templates, and print them, secrets masked.

    Nothing is called and nothing is written. Exit status 2 when something is wrong.
    """
    settings = _settings(path)
    from driftgauge.bridge.targets import target_kinds
    from driftgauge.bridge.wiring import masked, wire

    wire(settings)
    click.echo(masked(settings), nl=False)
    click.echo(f"\n# kinds of targets: {', '.join(target_kinds())}")
    if not settings.routes:
        click.echo("# no [[routes]]: alerts are kept, and nothing is ever started")
    return 0


@command.command("list", short_help="List runs.")
@_config
@click.option("--state", default="", help="Only those in this state, such as proposed or dead.")
@click.option("--model", default="", help="Only those of this model.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_runs(path: Path | None, state: str, model: str, limit: int, as_json: bool) -> int:
    """List runs, the newest first."""
    from driftgauge.bridge.records import State

    if state and state not in get_args(State):
        message = f"{state!r} is no state; there are {', '.join(get_args(State))}"
        raise click.BadParameter(message, param_hint="--state")
    with _store(path) as store:
        runs = store.runs(state, model, limit)
    if as_json:
        for run in runs:
            click.echo(json.dumps(asdict(run)))
        return 0
    _table(("run", "state", "decided", "route", "target", "reason"), map(_run_row, runs), "no runs")
    return 0


@command.command("log", short_help="Show what was decided, and why.")
@_config
@click.option("--model", default="", help="Only about this model.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def log(path: Path | None, model: str, limit: int, as_json: bool) -> int:
    """Show what was decided, and why, and what became of it; the newest last."""
    with _store(path) as store:
        entries = store.entries(model, limit)
    if as_json:
        for entry in entries:
            click.echo(json.dumps(asdict(entry)))
        return 0
    _table(
        ("time", "what", "model", "route", "brake", "run", "reason"), map(_entry_row, entries), "no entries"
    )
    return 0


def _by_hand(name: str, short: str) -> None:
    @command.command(name, short_help=short)
    @_config
    @click.argument("run_id", metavar="ID")
    def one(path: Path | None, run_id: str) -> int:
        settings = _settings(path)
        from driftgauge.bridge import by_hand

        with _opened(settings) as store:
            run = getattr(by_hand, name)(store, run_id, time.time(), _who())
        click.echo(f"{run.id} is {run.state}")
        return 0

    one.help = f"{short} ID is that of `driftgauge bridge list`; its last characters suffice."


_by_hand("approve", "Let a proposed run be started.")
_by_hand("deny", "Refuse a run that has not been started.")
_by_hand("replay", "Start a run again that is over, or could not be started.")


def _settings(path: Path | None) -> BridgeSettings:
    from driftgauge.errors import MissingExtraError

    try:
        import aiohttp  # noqa: F401

        from driftgauge.bridge.settings import load_settings
    except ModuleNotFoundError as error:
        message = f"the bridge needs {error.name}; pip install driftgauge[bridge]"
        raise MissingExtraError(message) from error
    if path is None and Path(FILE).is_file():
        path = Path(FILE)
    return load_settings(path, environ=os.environ)


@contextmanager
def _store(path: Path | None) -> Iterator[Store]:
    with _opened(_settings(path)) as store:
        yield store


@contextmanager
def _opened(settings: BridgeSettings) -> Iterator[Store]:
    from driftgauge.bridge.store import Store
    from driftgauge.errors import ConfigError

    if not Path(settings.store.path).is_file():
        message = f"there is no file {settings.store.path!r}; has the bridge run with these settings?"
        raise ConfigError(message)
    store = Store(settings.store.path)
    try:
        yield store
    except sqlite3.Error as error:
        message = (
            f"store.path {settings.store.path!r} cannot be used: {error}; nothing was changed, try again"
        )
        raise ConfigError(message) from error
    finally:
        store.close()


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def _run_row(run: Run) -> tuple[str, ...]:
    return (
        run.id,
        run.state,
        _time(run.created_seconds),
        run.request.route,
        run.request.target,
        run.reason,
    )


def _entry_row(entry: Entry) -> tuple[str, ...]:
    return (
        _time(entry.seconds),
        entry.what,
        entry.model,
        entry.route,
        entry.brake,
        entry.run_id,
        entry.reason,
    )


def _time(seconds: float) -> str:
    from driftgauge.bridge.alerts import time_text

    return f"{time_text(seconds)[:19]}Z"


def _table(head: tuple[str, ...], found: Iterator[tuple[str, ...]], nothing: str) -> None:
    from driftgauge.cli._text import clean

    rows = [tuple(clean(cell) or "-" for cell in row) for row in found]
    if not rows:
        click.echo(nothing)
        return
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    for row in [head, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())

"""Where the program writes: consoles, tables, progress. Colour and motion only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

__all__ = ["Failure", "console", "plain_table", "print_table", "row_progress", "version"]

# Files and logs have no width; this one fits a review and keeps transcripts the same everywhere.
PIPE_WIDTH: Final = 120


class Failure(click.ClickException):
    """One line on stderr and exit status 2."""

    exit_code = 2


def version() -> str:
    """The installed version of driftgauge."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("driftgauge")
    except PackageNotFoundError:
        return "unknown"


def console(*, stderr: bool = False) -> Console:
    """A console on stdout or stderr: the terminal's width there, 120 columns without colour elsewhere."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(stderr=stderr, highlight=False)
    return Console(
        stderr=stderr,
        highlight=False,
        width=PIPE_WIDTH,
        color_system=None,
        force_terminal=False,
        markup=False,
    )


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table with a line under its head; columns in *right* are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(
            Text(name), justify="right" if name in right else "left", overflow="fold", no_wrap=name in right
        )
    return table


def print_table(screen: Console, table: Table) -> None:
    """Prints *table*; where it is not a terminal, without the blanks that would fill up its lines."""
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        screen.out(line.rstrip())


@contextmanager
def row_progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives a function to call with the rows of each batch; draws on stderr if that is a terminal."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda _rows: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
    )
    with progress:
        task = progress.add_task(what, total=total)
        yield lambda rows: progress.advance(task, rows)

"""Where the program writes: consoles, tables, progress. Colour and motion only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
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


# Text that is wider may be folded in a table; what is narrower stays in one line.
NARROW: Final = 16
GAP: Final = 3  # between two columns


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


def plain_table(*columns: str, right: Collection[str] = ()) -> Table:
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


def print_table(screen: Console, table: Table, *, spare: Sequence[Collection[int]] = ()) -> None:
    """Prints *table*; where it is not a terminal, without the blanks that would fill up its lines.

    Where the screen has no room for all of it, it goes without the columns of these numbers in *spare*, then
    without the next ones, until there is.
    """
    table = _fitted(screen, table, spare)
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    for line in captured.get().splitlines():
        screen.out(line.rstrip())


def _fitted(screen: Console, table: Table, spare: Sequence[Collection[int]]) -> Table:
    from rich.measure import Measurement
    from rich.text import Text

    names = [str(column.header) for column in table.columns]
    rows = list(zip(*(list(column.cells) for column in table.columns), strict=True))
    widths = [
        max(
            [
                Text(name).cell_len,
                *(Measurement.get(screen, screen.options, row[place]).maximum for row in rows),
            ]
        )
        for place, name in enumerate(names)
    ]
    folding = [not column.no_wrap and widths[place] > NARROW for place, column in enumerate(table.columns)]
    needed = [NARROW if fold else width for fold, width in zip(folding, widths, strict=True)]
    left_out: set[int] = set()
    for places in ((), *spare):
        left_out.update(places)
        kept = [place for place in range(len(names)) if place not in left_out]
        if sum(needed[place] for place in kept) + GAP * (len(kept) - 1) <= screen.width:
            break
    fitted = plain_table()
    for place in kept:
        column = table.columns[place]
        fitted.add_column(
            Text(names[place]),
            justify=column.justify,
            overflow="fold",
            no_wrap=not folding[place],
            min_width=needed[place],
        )
    for row in rows:
        fitted.add_row(*(row[place] for place in kept))
    return fitted


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

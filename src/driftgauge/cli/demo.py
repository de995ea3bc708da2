"""``driftgauge demo``: real data through a watched model until it drifts."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from driftgauge._demo._story import Day, Story
    from driftgauge.cli._tracks import Tracks
    from driftgauge.monitor import Monitor

__all__ = ["command"]

# Long enough to watch a year go by, short enough that the whole run, imports and all, is under a minute.
AUTO_SECONDS: Final = 30.0
FRAMES_PER_SECOND: Final = 15


def _speed(_: click.Context, __: click.Parameter, value: str) -> str | float:
    if value in ("auto", "max"):
        return value
    try:
        rows_per_second = float(value)
    except ValueError:
        rows_per_second = 0.0
    if not 0 < rows_per_second < float("inf"):
        message = f"{value!r} is neither 'auto', 'max' nor a number of rows a second above 0"
        raise click.BadParameter(message)
    return rows_per_second


@click.command("demo", short_help="Watch a model meet data that drifts, with live metrics.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=9109,
    show_default=True,
    help="Where /metrics is served, on 127.0.0.1 only; 0 takes any free port.",
)
@click.option(
    "--speed",
    default="auto",
    show_default=True,
    metavar="auto|max|ROWS",
    callback=_speed,
    help="auto: about 30 seconds on a terminal, max elsewhere; or rows a second.",
)
@click.option(
    "--hold/--no-hold",
    default=None,
    help="Go on serving metrics at the end until Ctrl-C. Default: on a terminal.",
)
@click.option("--serve/--no-serve", default=True, show_default=True, help="Serve metrics at all.")
def command(port: int, speed: str | float, hold: bool | None, serve: bool) -> int:
    """Watch a small model meet data that drifts, with live metrics. Needs no other service.

    The data: two years of Capital Bikeshare hours, which come with driftgauge (CC BY 4.0, Fanaee-T and Gama,
    2013). Ctrl-C stops it at any time: exit status 130 while the data flows, 0 at the end.
    """
    from driftgauge._demo._story import Story
    from driftgauge.cli._console import console
    from driftgauge.cli._demo_view import print_introduction, print_summary
    from driftgauge.cli._tracks import Tracks
    from driftgauge.cli._verdict import Thresholds

    screen = console()
    story = Story()
    with story.monitor, _served(story.monitor, port if serve else None) as address:
        print_introduction(screen, story)
        if address:
            screen.print(f"metrics on {address}", soft_wrap=True)
        tracks = Tracks(story.monitor.snapshot(), Thresholds())
        days: list[Day] = []
        try:
            show = _show_live if screen.is_terminal else _show_lines
            show(story, tracks, days, _pace(story, speed, terminal=screen.is_terminal))
        except KeyboardInterrupt:
            print_summary(screen, story, tracks, days[-1] if days else None)
            raise
        print_summary(screen, story, tracks, days[-1])
        if address and (sys.stdout.isatty() if hold is None else hold):
            with suppress(KeyboardInterrupt):
                screen.print(f"\nMetrics stay on {address} until Ctrl-C.", soft_wrap=True)
                threading.Event().wait()
            screen.print("Stopped.")
    return 0


@contextmanager
def _served(monitor: Monitor, port: int | None) -> Iterator[str | None]:
    """The address of the metrics, while they are served; None without a port."""
    if port is None:
        yield None
        return
    import driftgauge
    from driftgauge.cli._console import Failure
    from driftgauge.errors import ConfigError

    try:
        server, thread = driftgauge.exporter("prometheus").serve(monitor, port=port)
    except (OSError, ConfigError) as error:
        message = f"cannot serve metrics: {error}; --port 0 takes any free port, --no-serve none"
        raise Failure(message) from error
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=2)


def _pace(story: Story, speed: str | float, *, terminal: bool) -> Callable[[int], None]:
    """Waits until so many rows are due."""
    if speed == "max" or (speed == "auto" and not terminal):
        return lambda _rows: None
    rows_per_second = story.rows / AUTO_SECONDS if isinstance(speed, str) else speed
    started = time.monotonic()

    def wait(rows: int) -> None:
        due = started + rows / rows_per_second - time.monotonic()
        if due > 0:
            time.sleep(due)

    return wait


def _show_live(story: Story, tracks: Tracks, days: list[Day], pace: Callable[[int], None]) -> None:
    from rich.live import Live

    from driftgauge.cli._console import console
    from driftgauge.cli._demo_view import live_view

    screen = console()

    def view() -> RenderableType:
        return live_view(screen, story, tracks, days[-1] if days else None)

    drawn = 0.0
    with Live(view(), console=screen, auto_refresh=False) as live:
        for day in story.days():
            days.append(day)
            tracks.add(day.date, day.snapshot)
            now = time.monotonic()
            if now - drawn >= 1 / FRAMES_PER_SECOND:
                live.update(view(), refresh=True)
                drawn = now
            pace(day.rows)
        live.update(view(), refresh=True)


def _show_lines(story: Story, tracks: Tracks, days: list[Day], pace: Callable[[int], None]) -> None:
    from driftgauge.cli._console import console
    from driftgauge.cli._demo_view import month_line

    screen = console()
    for day in story.days():
        if days and day.date[:7] != days[-1].date[:7]:
            screen.print(month_line(days[-1], story, tracks), soft_wrap=True)
        days.append(day)
        tracks.add(day.date, day.snapshot)
        pace(day.rows)
    screen.print(month_line(days[-1], story, tracks), soft_wrap=True)

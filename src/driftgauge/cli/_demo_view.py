"""What the demo shows: a live table on a terminal, a line a month elsewhere, a summary at the end."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from driftgauge.cli._console import plain_table, print_table
from driftgauge.cli._text import number, ratio, sparkline
from driftgauge.cli._verdict import Thresholds

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from driftgauge._demo._story import Day, Story
    from driftgauge.cli._tracks import Track, Tracks

__all__ = ["live_view", "month_line", "print_introduction", "print_summary"]

WIDE = 100  # columns from which the live table has room for the noise of KS


def print_introduction(screen: Console, story: Story) -> None:
    """What is about to be seen."""
    first, last = story.reference_days
    screen.print(
        Text.assemble(
            ("Capital Bikeshare, Washington DC. ", "bold"),
            f"A model has learnt rides an hour from {_day(first)} to {_day(last)}: "
            f"{story.reference.rows:,} hours, its reference. Now come {story.rows:,} more, to 31 Dec 2012, "
            "one call of a watched predict function each. The window is the last 4 weeks.",
        )
    )


def live_view(screen: Console, story: Story, tracks: Tracks, day: Day | None) -> RenderableType:
    """The screen at one moment."""
    plain = not _has_blocks(screen)
    wide = screen.width >= WIDE
    # What the other columns need; the rest of the line shows the course of PSI.
    spark = max(min(screen.width - (75 if wide else 67), 60), 8)
    names = ["feature", "PSI", "noise", "KS", *(["noise"] if wide else []), "missing", "PSI over time"]
    table = plain_table(*names, "drift since", right=("PSI", "noise", "KS", "missing"))
    outputs = {track.name for track in tracks.features if track.kind == "output"}
    for i, track in enumerate(tracks.features):
        last_input = track.name not in outputs and tracks.features[i + 1].name in outputs
        table.add_row(
            *_cells(track, wide=wide, spark=spark, plain=plain, story=story), end_section=last_input
        )
    return Padding(Group(_progress(story, day), Text(), table), (1, 0, 0, 0))


def _cells(track: Track, *, wide: bool, spark: int, plain: bool, story: Story) -> list[RenderableType]:
    live = track.latest.statistics if track.latest else None
    colour = "red" if track.drifts else "none"
    # A block is a few days wide and stays at its place, however far the stream has come.
    still_to_come = [math.nan] * (story.total_days - len(track.psi))
    top = max((value for value in track.psi if value == value), default=0.0)
    course = sparkline(
        [*track.psi, *still_to_come], max(top, 2 * (Thresholds().psi or 0.0)), spark, plain=plain
    )
    numbers = [
        Text(number(live.psi) if live else "", style=f"bold {colour}" if track.drifts else "none"),
        Text(number(live.psi_critical) if live else "", style="dim"),
        Text(number(live.ks) if live else ""),
        *([Text(number(live.ks_critical) if live else "", style="dim")] if wide else []),
        Text(ratio(live.missing_ratio) if live else ""),
    ]
    since = Text(track.noticed or "", style="red" if track.drifts else "yellow")
    return [Text(track.name, style=colour), *numbers, Text(course, style=colour), since]


def _progress(story: Story, day: Day | None) -> Table:
    line = Table.grid(padding=(0, 2), expand=True)
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    sent = day.rows if day else 0
    line.add_row(
        Text(_day(day.date) if day else "", style="bold"),
        ProgressBar(total=story.rows, completed=sent),
        Text(f"{sent:,} / {story.rows:,} hours"),
    )
    return line


def month_line(day: Day, story: Story, tracks: Tracks) -> str:
    """One line of plain progress."""
    window = day.snapshot.windows[0]
    head = f"{day.date}  {day.rows:>6,} of {story.rows:,} hours  "
    if not window.features:
        return head + "window not full yet"
    drifting = [
        track for track in tracks.features if track.drifts and track.latest and track.latest.statistics
    ]
    listed = ", ".join(
        f"{track.name} {track.latest.statistics.psi:.2f}"
        for track in drifting
        if track.latest and track.latest.statistics
    )
    return head + (f"PSI of what drifts: {listed}" if listed else "no drift")


def print_summary(screen: Console, story: Story, tracks: Tracks, day: Day | None) -> None:
    """Which features drifted, when, by how much; what did not; and what to think of it."""
    if day is None or not tracks.days_judged:
        screen.print("Stopped before the window was full: nothing to say yet.")
        return
    screen.print()
    names = ("drifted", "noticed on", "days in drift", "largest PSI", "on", "shift then", "now")
    table = plain_table(*names, right=("days in drift", "largest PSI", "shift then"))
    for track in tracks.drifted:
        peak = track.peak
        table.add_row(
            Text(track.name, style="bold"),
            track.noticed or "",
            f"{track.days_in_drift} of {tracks.days_judged}",
            number(peak.psi if peak else None, 2),
            track.peak_day,
            f"{peak.shift:+.1f} sd" if peak and peak.shift is not None else "",
            Text("drift", style="red") if track.drifts else Text("quiet", style="green"),
        )
    if tracks.drifted:
        print_table(screen, table)
    quiet = ", ".join(track.name for track in tracks.quiet)
    if quiet:
        screen.print()
        screen.print(Text.assemble(("Never drifted: ", "bold"), quiet))
    screen.print()
    first, last = story.reference_days
    screen.print(
        f"The model paid for it: wrong by {story.reference_error:.0f} rides an hour in the reference's "
        f"months, by {story.live_error:.0f} since. The reference is a winter, {_day(first)} to {_day(last)}: "
        "summer is a real difference from it and no false alarm, and the numbers fall as each winter "
        "returns. The calendar stays quiet, as it must. A reference of a whole year, or one for each season, "
        "would be the cure. Drift is judged as `driftgauge check` does by default: PSI over 0.2 and over its "
        "noise, or 5 % of rows more missing, unseen or out of range."
    )


def _day(iso: str) -> str:
    """``2011-04-01`` as ``1 Apr 2011``, in English whatever the locale."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    parsed = date.fromisoformat(iso)
    return f"{parsed.day} {months[parsed.month - 1]} {parsed.year}"


def _has_blocks(screen: Console) -> bool:
    try:
        "▁█".encode(screen.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

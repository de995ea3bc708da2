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
from driftgauge.cli._text import number, sparkline

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from driftgauge._demo._story import Day, Story
    from driftgauge.cli._tracks import Track, Tracks

__all__ = ["live_view", "month_line", "print_introduction", "print_summary"]

WIDE = 100  # columns from which the live table has room for KS


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
    learned = story.reference.calibration
    if learned is not None and learned.half_score is not None and learned.half_score > 1:
        screen.print(
            "The reference itself drifts, and fitting it says so: its second half against its first has a "
            f"drift score of {learned.half_score:.1f}. March is no January."
        )


def live_view(screen: Console, story: Story, tracks: Tracks, day: Day | None) -> RenderableType:
    """The screen at one moment."""
    plain = not _has_blocks(screen)
    wide = screen.width >= WIDE
    # What the other columns need; the rest of the line shows the course of the score.
    spark = max(min(screen.width - (76 if wide else 60), 60), 8)
    names = ["feature", "score", "PSI", "noise", *(["KS", "noise"] if wide else []), "score over time"]
    table = plain_table(*names, "drift since", right=("score", "PSI", "noise", "KS"))
    outputs = {track.name for track in tracks.features if track.kind == "output"}
    for i, track in enumerate(tracks.features):
        last_input = track.name not in outputs and tracks.features[i + 1].name in outputs
        table.add_row(
            *_cells(track, wide=wide, spark=spark, plain=plain, story=story), end_section=last_input
        )
    return Padding(Group(_progress(story, day), Text(), _model_line(tracks), Text(), table), (1, 0, 0, 0))


def _model_line(tracks: Tracks) -> Text:
    model = tracks.model
    score = model.score[-1] if model.score else 0.0
    line = Text("drift score of the model ").append(
        f"{score:.2f}", style="bold red" if model.drifts else "bold"
    )
    if model.noticed:
        line.append(f", over 1 since {model.noticed}" if model.drifts else f", over 1 on {model.noticed}")
    return line


def _cells(track: Track, *, wide: bool, spark: int, plain: bool, story: Story) -> list[RenderableType]:
    live = track.latest.statistics if track.latest else None
    colour = "red" if track.drifts else "none"
    # A block is a few days wide and stays at its place, however far the stream has come.
    still_to_come = [math.nan] * (story.total_days - len(track.score))
    course = sparkline([*track.score, *still_to_come], max([*track.score, 2.0]), spark, plain=plain)
    numbers = [
        Text(
            number(track.score[-1], 2) if track.score else "",
            style=f"bold {colour}" if track.drifts else "none",
        ),
        Text(number(live.psi) if live else ""),
        Text(number(live.psi_critical) if live else "", style="dim"),
    ]
    if wide:
        numbers += [
            Text(number(live.ks) if live else ""),
            Text(number(live.ks_critical) if live else "", style="dim"),
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
    head = f"{day.date}  {day.rows:>6,} of {story.rows:,} hours  "
    listed = ", ".join(f"{track.name} {track.score[-1]:.1f}" for track in tracks.features if track.drifts)
    return head + f"drift score {tracks.model.score[-1]:.1f}: {listed or 'no feature by itself'}"


def print_summary(screen: Console, story: Story, tracks: Tracks, day: Day | None) -> None:
    """Which features drifted, when, by how much; what did not; and what to think of it."""
    if day is None or not tracks.days:
        screen.print("Stopped before the first day was over: nothing to say yet.")
        return
    screen.print()
    names = ("drifted", "score over 1", "began about", "largest PSI", "on", "what it was then", "now")
    table = plain_table(*names, right=("largest PSI",))
    for track in tracks.drifted:
        peak = track.peak
        table.add_row(
            Text(track.name, style="bold"),
            track.noticed or "",
            track.began or "",
            number(peak.psi if peak else None, 2),
            track.peak_day,
            track.peak_words,
            Text("drift", style="red") if track.drifts else Text("quiet", style="green"),
        )
    if tracks.drifted:
        print_table(screen, table, spare=((4,), (2,)))
        screen.print()
    for title, quiet in (("Only PSI over 0.2: ", tracks.only_psi), ("Never drifted: ", tracks.quiet)):
        if quiet:
            listed = ", ".join(track.name for track in quiet)
            screen.print(Text.assemble((title, "bold"), listed), soft_wrap=True)
    screen.print()
    first, last = story.reference_days
    noticed = (
        f"The model's drift score passed 1 on {_day(tracks.model.noticed)}. " if tracks.model.noticed else ""
    )
    screen.print(
        f"{noticed}The model paid for it: wrong by {story.reference_error:.0f} rides an hour in the "
        f"reference's months, by {story.live_error:.0f} since. The reference is a winter, {_day(first)} to "
        f"{_day(last)}: summer is a real difference from it and no false alarm, and the score falls as each "
        "winter returns. The calendar stays quiet, as it must. A reference of a whole year, or one for each "
        "season, would be the cure. The budget is one false alert a year, evidence is weighed once a day. "
        "PSI over 0.2 takes each hour as news and calls a rainy month drift. The score does not: the "
        "reference has told it how much one hour's weather is like the next one's."
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

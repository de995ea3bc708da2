"""Where the bars of a drawing lie. Numbers only: the template writes the SVG and escapes every text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from driftgauge.sidecar.page_text import percent, shown

__all__ = ["Bar", "Drawing", "Gauge", "draw", "gauge"]

# In the units of the drawing, which is as wide as its place on the page; text is 11 of them high.
WIDTH: Final = 400
ROW: Final = 18
LABEL: Final = 134
BARS: Final = 156
LABEL_CHARACTERS: Final = 23
# More rows than a page can use: the bins that changed least are drawn as one.
MOST_BARS: Final = 16

GAUGE_WIDTH: Final = 120
GAUGE_END: Final = 2.0
"""The drift score at the right end. 1, the budget, is in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bin: its share of rows in the reference and in the window, as text and as width."""

    label: str
    title: str
    top: int
    reference_width: float
    live_width: float
    reference: str
    live: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The bars of one feature. ``live_rows`` 0: there is no window to compare with."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    left: int
    live_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A drift score as a filled strip with a mark at 1."""

    width: int
    filled: float
    mark: float


def gauge(score: float) -> Gauge:
    """Strip of a drift score; beyond `GAUGE_END` it is full, NaN leaves it empty."""
    part = min(score / GAUGE_END, 1.0) if score > 0 else 0.0
    return Gauge(width=GAUGE_WIDTH, filled=round(part * GAUGE_WIDTH, 1), mark=GAUGE_WIDTH / GAUGE_END)


def draw(
    labels: Sequence[str], reference_rows: Sequence[int], live_rows: Sequence[int], bars: int = MOST_BARS
) -> Drawing:
    """Bars of one feature, one pair a bin.

    Parameters
    ----------
    labels, reference_rows, live_rows
        One of each a bin, in the order of the reference. *live_rows* may be empty.
    bars : int
        At most so many pairs, at least 2. Where there are more bins, those whose share changed least are
        added up in the last. Bins that are empty on both sides have none.

    Examples
    --------
    >>> pair = draw(["(-inf, 3]", "(3, inf]"], [50, 50], [10, 90]).bars
    >>> [(bar.reference, bar.live) for bar in pair]
    [('50.0 %', '10.0 %'), ('50.0 %', '90.0 %')]
    """
    reference = _shares(reference_rows)
    live = _shares(live_rows) if live_rows else [0.0] * len(reference)
    rows = [row for row in zip(labels, reference, live, strict=True) if row[1] or row[2]]
    if len(rows) > bars:
        by_change = sorted(range(len(rows)), key=lambda place: -abs(rows[place][2] - rows[place][1]))
        kept, others = sorted(by_change[: bars - 1]), by_change[bars - 1 :]
        rest = (
            f"{len(others)} other bins",
            sum(rows[place][1] for place in others),
            sum(rows[place][2] for place in others),
        )
        rows = [*(rows[place] for place in kept), rest]
    longest = max((max(was, is_now) for _, was, is_now in rows), default=0.0) or 1.0
    return Drawing(
        bars=tuple(
            Bar(
                label=shown(label, LABEL_CHARACTERS),
                title=shown(label),
                top=place * ROW,
                reference_width=round(BARS * was / longest, 1),
                live_width=round(BARS * is_now / longest, 1),
                reference=percent(was),
                live=percent(is_now) if live_rows else "–",
            )
            for place, (label, was, is_now) in enumerate(rows)
        ),
        width=WIDTH,
        height=len(rows) * ROW,
        left=LABEL,
        live_rows=sum(live_rows),
    )


def _shares(rows: Sequence[int]) -> list[float]:
    total = sum(rows)
    return [count / total for count in rows] if total else [0.0] * len(rows)

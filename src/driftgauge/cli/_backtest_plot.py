"""A backtest as a drawing: the course of the score, and under it the alerts of each rule.

The drawing is SVG, the page is HTML around it; both are one file that needs nothing from anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

from driftgauge.cli._backtest_view import when
from driftgauge.cli._text import clean

if TYPE_CHECKING:
    from driftgauge.backtest import Alert, BacktestReport, RuleReport

__all__ = ["to_html", "to_svg"]

LEFT, RIGHT, WIDTH = 190, 70, 1_000
TOP, HEIGHT = 34, 220
STRIP, GAP = 16, 10
TICKS: Final = 6

STYLE: Final = """
.dg text{font:12px system-ui,sans-serif;fill:#333}.dg .small{font-size:11px;fill:#666}
.dg .head{font-weight:600}.dg .axis{stroke:#bbb}.dg .line{stroke:#c0392b;stroke-dasharray:5 4}
.dg .score{fill:none;stroke:#1f4e79;stroke-width:1.4}
.dg .back{fill:#f2f2f2}.dg .on{fill:#c0392b}.dg .rule{fill:#d68910}.dg .shade{fill:#c0392b;opacity:.09}
""".strip().replace("\n", "")

PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body{{font:14px/1.5 system-ui,sans-serif;color:#333;max-width:1040px;margin:2em auto;padding:0 1em}}
table{{border-collapse:collapse;margin:1em 0}}
th,td{{padding:.25em .9em .25em 0;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}}
td.number{{text-align:right}}
svg{{max-width:100%;height:auto}}
</style>
<h1>{title}</h1>
<p>{summary}</p>
{drawing}
<h2>Rules</h2>
{rules}
{alerts}
</html>
"""


def to_svg(report: BacktestReport) -> str:
    """The drawing, ending in a newline."""
    height = TOP + HEIGHT + 34 + len(report.rules) * (STRIP + GAP) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        f"<title>{_escaped(_title(report))}</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="head" x="{LEFT}" y="20">{_escaped(_title(report))}</text>',
        *_course(report),
        *_strips(report),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def to_html(report: BacktestReport) -> str:
    """A page with the drawing, the rules and the alerts, ending in a newline."""
    rules = _table(
        ("rule", "window", "alerts", "first", "evaluations in alert"),
        (
            (
                rule.name,
                rule.window,
                str(len(rule.alerts)) if rule.evaluations else "never judged",
                when(rule.first.row, rule.first.seconds) if rule.first else "",
                "" if rule.over_ratio is None else f"{rule.over_ratio:.1%}",
            )
            for rule in report.rules
        ),
    )
    alerts = ""
    if report.alerts:
        rows = (
            (
                when(alert.row, alert.seconds),
                when(alert.cleared_row, alert.cleared_seconds),
                f"{alert.peak_score or 0:.2f}",
                "; ".join(f"{cause.name}: {cause.words}" for cause in alert.causes),
            )
            for alert in report.alerts
        )
        alerts = (
            f"<h2>Alerts of the drift score</h2>\n{_table(('from', 'to', 'highest score', 'causes'), rows)}"
        )
    return PAGE.format(
        title=_escaped(_title(report)),
        summary=_escaped(_summary(report)),
        drawing=to_svg(report).rstrip("\n"),
        rules=rules,
        alerts=alerts,
    )


def _title(report: BacktestReport) -> str:
    return f"Backtest of {report.model} {report.model_version}: {report.result}"


def _summary(report: BacktestReport) -> str:
    return (
        f"{report.rows:,} rows, {report.evaluations:,} evaluations, against a reference of "
        f"{report.reference_rows:,} rows ({report.reference_id[:12]}); at most one false alert in "
        f"{report.budget_evaluations:,.0f} evaluations is accepted."
    )


def _escaped(text: str) -> str:
    return escape(clean(text))


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = ["<table>", "<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{_escaped(value)}</td>" for value in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _across(report: BacktestReport) -> Callable[[int, float | None], float]:
    """From a row and its time to a place on the drawing: by time where there are times, else by row."""
    first, last = report.first_seconds, report.last_seconds
    width = WIDTH - LEFT - RIGHT
    timed = first is not None and last is not None and last > first

    def place(row: int, seconds: float | None) -> float:
        if timed and seconds is not None:
            assert first is not None
            assert last is not None
            share = (seconds - first) / (last - first)
        else:
            share = row / max(report.rows, 1)
        return LEFT + width * min(max(share, 0.0), 1.0)

    return place


def _course(report: BacktestReport) -> Iterator[str]:
    trace = report.trace.thinned(WIDTH - LEFT - RIGHT)
    scores = trace.scores.tolist()
    top = max(1.2, *scores) if scores else 1.2
    across, bottom = _across(report), TOP + HEIGHT

    def up(score: float) -> float:
        return bottom - HEIGHT * score / top

    for alert in report.alerts:
        start, end = _span(report, alert)
        yield f'<rect class="shade" x="{start:.1f}" y="{TOP}" width="{end - start:.1f}" height="{HEIGHT}"/>'
    timed = report.first_seconds is not None
    points = " ".join(
        f"{across(row, seconds if timed else None):.1f},{up(score):.1f}"
        for row, seconds, score in zip(trace.rows.tolist(), trace.seconds.tolist(), scores, strict=True)
    )
    yield f'<polyline class="score" points="{points}"/>'
    yield f'<line class="line" x1="{LEFT}" y1="{up(1):.1f}" x2="{WIDTH - RIGHT}" y2="{up(1):.1f}"/>'
    yield f'<text class="small" x="{LEFT - 8}" y="{up(1) + 4:.1f}" text-anchor="end">1 = the budget</text>'
    yield f'<text class="small" x="{LEFT - 8}" y="{bottom + 4}" text-anchor="end">0</text>'
    yield f'<text x="{LEFT - 8}" y="{TOP + 10}" text-anchor="end">drift score</text>'
    yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>'
    for x, text in _ticks(report):
        yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        yield f'<text class="small" x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{text}</text>'


def _strips(report: BacktestReport) -> Iterator[str]:
    windows = {rule.window for rule in report.rules[1:]}
    y = TOP + HEIGHT + 34
    for rule in report.rules:
        label = rule.name if len(windows) < 2 or not rule.window else f"{rule.name}, {rule.window}"
        yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{_escaped(label)}</text>'
        yield f'<rect class="back" x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{STRIP}"/>'
        yield from _bars(report, rule, y)
        count = len(rule.alerts)
        text = f"{count:,} alert{'s' * (count != 1)}" if rule.evaluations else "not judged"
        yield f'<text class="small" x="{WIDTH - RIGHT + 6}" y="{y + 12}">{text}</text>'
        y += STRIP + GAP


def _bars(report: BacktestReport, rule: RuleReport, y: int) -> Iterator[str]:
    kind = "on" if rule is report.drift else "rule"
    for alert in rule.alerts:
        start, end = _span(report, alert)
        names = alert.features or tuple(cause.name for cause in alert.causes)
        span = f"{when(alert.row, alert.seconds)} to {when(alert.cleared_row, alert.cleared_seconds)}"
        about = _escaped(f"{rule.name}, {span}: {', '.join(names)}")
        # an alert of one evaluation is a hair on a drawing of a year; two pixels can be seen and pointed at
        yield (
            f'<rect class="{kind}" x="{start:.1f}" y="{y}" width="{max(end - start, 2):.1f}" '
            f'height="{STRIP}"><title>{about}</title></rect>'
        )


def _span(report: BacktestReport, alert: Alert) -> tuple[float, float]:
    across = _across(report)
    end = (
        across(report.rows, report.last_seconds)
        if alert.cleared_row is None
        else across(alert.cleared_row, alert.cleared_seconds)
    )
    return across(alert.row, alert.seconds), end


def _ticks(report: BacktestReport) -> Iterator[tuple[float, str]]:
    across = _across(report)
    first, last = report.first_seconds, report.last_seconds
    if first is not None and last is not None and last > first:
        form = "%Y-%m-%d" if last - first > 3 * 86_400 else "%m-%d %H:%M"
        for number in range(TICKS):
            seconds = first + (last - first) * number / (TICKS - 1)
            yield across(0, seconds), datetime.fromtimestamp(int(seconds), UTC).strftime(form)
        return
    step = _round_step(max(report.rows, 1) / TICKS)
    for row in range(0, report.rows + 1, step):
        yield across(row, None), f"{row:,}"


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not under *least*."""
    size = 10 ** max(0, math.floor(math.log10(least))) if least > 1 else 1
    return next(int(size * factor) for factor in (1, 2, 5, 10) if size * factor >= least)

"""Texts and drawings of the status page."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.sidecar.page_text import ago, grouped, instant, number, percent, shown, span
from driftgauge.sidecar.svg import BARS, LABEL_CHARACTERS, MOST_BARS, ROW, draw, gauge

COUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)
# Everything that Python takes for text, halves of characters included.
ANY_TEXT = st.text(st.characters(codec=None), max_size=300)


@given(ANY_TEXT, st.integers(8, 200))
def test_a_name_that_is_shown_hides_nothing_and_is_short(name: str, characters: int) -> None:
    text = shown(name, characters)
    assert 0 < len(text) <= characters + 10  # the escape of one character may be as long
    assert not {unicodedata.category(each) for each in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    text.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=50))
def test_a_decent_name_is_shown_as_it_is(name: str) -> None:
    assert shown(name) == name


def test_marks_piled_on_a_letter_are_written_out() -> None:
    assert shown("e\u0301") == "e\u0301"
    assert shown("e" + "\u0301" * 5) == "e\u0301\u0301" + "\\u0301" * 3


def test_what_cannot_be_seen_is_named() -> None:
    assert shown("") == "(no name)"
    assert shown("a\u202eb\x00\ud800") == "a\\u202eb\\x00\\ud800"


@given(COUNTS, st.data())
def test_bars_stay_in_their_place_and_the_longest_fills_it(reference: list[int], data: st.DataObject) -> None:
    live = data.draw(st.lists(st.integers(0, 10**9), min_size=len(reference), max_size=len(reference)))
    drawing = draw([str(place) for place in range(len(reference))], reference, live)
    widths = [width for bar in drawing.bars for width in (bar.reference_width, bar.live_width)]
    assert len(drawing.bars) <= MOST_BARS
    assert all(0 <= width <= BARS for width in widths)
    assert bool(widths) == bool(sum(reference) or sum(live))
    assert not widths or max(widths) == BARS
    assert drawing.height == ROW * len(drawing.bars)


@given(st.integers(MOST_BARS + 1, 100))
def test_bins_that_find_no_place_are_added_up(bins: int) -> None:
    reference, live = [10] * bins, [1] * (bins - 1) + [1 + 9 * bins]
    drawing = draw([f"bin {place}" for place in range(bins)], reference, live)
    assert [bar.label for bar in drawing.bars][-2:] == [
        f"bin {bins - 1}",
        f"{bins - MOST_BARS + 1} other bins",
    ]
    rest = sum(reference[MOST_BARS - 1 :]) / sum(reference)
    assert drawing.bars[-1].reference == percent(rest)


def test_bars_say_the_shares_of_rows() -> None:
    drawing = draw(["a", "b", "unseen", "missing"], [75, 25, 0, 0], [10, 10, 20, 0])
    assert [(bar.label, bar.reference, bar.live) for bar in drawing.bars] == [
        ("a", "75.0 %", "25.0 %"),
        ("b", "25.0 %", "25.0 %"),
        ("unseen", "0.0 %", "50.0 %"),
    ]
    assert [bar.reference_width for bar in drawing.bars] == [BARS, BARS / 3, 0.0]


def test_without_a_window_there_are_reference_bars_only() -> None:
    drawing = draw(["a", "b"], [3, 1], ())
    assert drawing.live_rows == 0
    assert [bar.live for bar in drawing.bars] == ["–", "–"]


def test_long_labels_are_cut_and_whole_in_the_title() -> None:
    bar = draw(["x" * 100], [1], [1]).bars[0]
    assert len(bar.label) == LABEL_CHARACTERS
    assert bar.title == "x" * 100


@pytest.mark.parametrize(
    ("score", "filled"),
    [(0.0, 0.0), (1.0, 60.0), (2.0, 120.0), (1e9, 120.0), (math.inf, 120.0), (math.nan, 0.0), (-1.0, 0.0)],
)
def test_a_drift_score_of_one_fills_half_the_strip(score: float, filled: float) -> None:
    assert gauge(score).filled == filled
    assert gauge(score).mark == 60.0


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.0 %"), (1e-9, "<0.1 %"), (0.5, "50.0 %"), (1 - 1e-9, ">99.9 %"), (1.0, "100.0 %"), (None, "–")],
)
def test_percent_is_never_nothing_for_something(share: float | None, text: str) -> None:
    assert percent(share) == text


def test_numbers_for_people() -> None:
    assert number(0.12345, 3) == "0.123"
    assert number(math.nan) == number(None) == "–"
    assert number(1e300) == "1.00e+300"
    assert grouped(1_234_567) == "1\u00a0234\u00a0567"


@given(st.floats())
def test_no_time_is_too_odd_for_the_page(seconds: float) -> None:
    for text in (span(seconds), instant(seconds), ago(seconds, 0.0), ago(0.0, seconds)):
        assert text


def test_times_say_how_long_ago() -> None:
    assert ago(1_790_000_000.0, 1_790_000_090.0) == "2026-09-21 14:13:20 UTC, 1.5 min ago"
    assert (span(59.4), span(60), span(86_400 * 90)) == ("59 s", "1 min", "90 d")

"""What a window may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge._window_specs import spec_from_dict
from driftgauge.errors import ConfigError
from driftgauge.windows import Duration, Rows, duration, rows

specs = st.one_of(
    st.builds(Rows, st.integers(1, 2**31 - 1)),
    st.builds(Duration, st.floats(1, 1e8), st.integers(1, 1_000)),
    st.builds(Duration, st.integers(1, 10**7).map(float), st.integers(1, 1_000)),
)


# Laws


@given(specs)
def test_a_specification_prints_as_the_code_that_makes_it_again(spec: Rows | Duration) -> None:
    assert eval(repr(spec), {"rows": rows, "duration": duration}) == spec


@given(specs)
def test_a_specification_survives_a_file(spec: Rows | Duration) -> None:
    assert spec_from_dict(spec.to_dict()) == spec


@given(st.floats(1, 1e8), st.integers(1, 1_000), st.floats(-1e10, 1e10))
def test_a_moment_is_in_its_pane(seconds: float, panes: int, now_seconds: float) -> None:
    spec = Duration(seconds, panes)
    number = spec.pane_number(now_seconds)
    # a few units in the last place where the moment is on the edge; a denormal time divides to 0
    slack = max(abs(now_seconds) * 1e-15, 1e-300)
    assert number * spec.pane_seconds <= now_seconds + slack
    assert now_seconds - slack <= (number + 1) * spec.pane_seconds


# Oracle


@pytest.mark.parametrize(
    ("given_length", "seconds", "name"),
    [
        ("90s", 90, "90s"),
        ("15m", 900, "15m"),
        ("1h", 3_600, "1h"),
        ("1h30m", 5_400, "90m"),
        ("1h 30m", 5_400, "90m"),
        ("24h", 86_400, "1d"),
        ("2w", 1_209_600, "14d"),
        ("1.5h", 5_400, "90m"),
        (36.5, 36.5, "36.5s"),
        (7, 7, "7s"),
        (timedelta(minutes=2), 120, "2m"),
    ],
)
def test_a_length_of_time_is_read_and_named(
    given_length: str | float | timedelta, seconds: float, name: str
) -> None:
    spec = duration(given_length)
    assert (spec.seconds, spec.name, spec.panes) == (seconds, name, 12)


def test_a_row_window_is_named_by_its_size() -> None:
    assert rows(10_000).name == "10000rows"


# Edges


@pytest.mark.parametrize("size", [0, -1, 2**31, 1.5, True, "10", None])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(ConfigError, match=r"size must be a whole number from 1 to 2,147,483,647, got "):
        rows(size)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", ["", "1", "h", "1x", "1h-", "-1h", "1h 30", "one hour", None, True, [1]])
def test_a_length_that_cannot_be_read_is_refused(length: object) -> None:
    with pytest.raises(ConfigError, match="a duration "):
        duration(length)  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [0, 0.5, -3, float("nan"), float("inf"), "0s", "11000d"])
def test_a_length_out_of_range_is_refused(length: str | float) -> None:
    with pytest.raises(ConfigError, match="from 1 second to ten years"):
        duration(length)


@pytest.mark.parametrize("panes", [0, -1, 1_001, 2.0, True])
def test_panes_out_of_range_are_refused(panes: object) -> None:
    with pytest.raises(ConfigError, match=r"panes must be a whole number from 1 to 1,000, got "):
        duration("1h", panes=panes)  # type: ignore[arg-type]

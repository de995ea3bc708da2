"""Hours and weekdays by a clock in any zone, against the standard library's datetime."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge._time_buckets import from_local
from driftgauge.calibration import CYCLES, Cycle, TimeBuckets
from driftgauge.errors import ConfigError

# Whole hours, half hours, three quarters, clocks that are set by one hour and by half an hour.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
SECONDS = st.floats(0, 2.5e9)


def bucket_by_datetime(seconds: float, cycle: Cycle, zone: str) -> int:
    """Oracle: ask datetime."""
    local = datetime.datetime.fromtimestamp(np.floor(seconds), zoneinfo.ZoneInfo(zone))
    return {
        "none": 0,
        "hour": local.hour,
        "weekday": local.weekday(),
        "hour_weekend": local.hour + 24 * (local.weekday() >= 5),
        "hour_weekday": local.hour + 24 * local.weekday(),
    }[cycle]


# law


@given(st.lists(SECONDS, max_size=20), st.sampled_from(sorted(CYCLES)), st.sampled_from(ZONES))
def test_one_time_and_many_have_the_same_buckets(seconds: list[float], cycle: Cycle, zone: str) -> None:
    buckets = TimeBuckets(cycle=cycle, timezone=zone)
    found = buckets.of(np.array(seconds))
    assert found.tolist() == [buckets.at(second) for second in seconds]
    assert ((found >= 0) & (found < buckets.size)).all()


# oracle


@given(SECONDS, st.sampled_from(sorted(CYCLES)), st.sampled_from(ZONES))
def test_a_bucket_is_what_datetime_says(seconds: float, cycle: Cycle, zone: str) -> None:
    buckets = TimeBuckets(cycle=cycle, timezone=zone)
    assert buckets.at(seconds) == bucket_by_datetime(seconds, cycle, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_every_quarter_hour_of_a_year_of_set_clocks_is_right(zone: str) -> None:
    start = float(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC).timestamp())
    seconds = start + np.arange(4 * 24 * 365, dtype=np.float64) * 900
    found = TimeBuckets(cycle="hour_weekday", timezone=zone).of(seconds)
    assert found.tolist() == [bucket_by_datetime(second, "hour_weekday", zone) for second in seconds]


@given(SECONDS, st.sampled_from(ZONES))
def test_local_time_goes_back_to_the_same_moment_but_in_the_hour_that_comes_twice(
    seconds: float, zone: str
) -> None:
    local = datetime.datetime.fromtimestamp(np.floor(seconds), zoneinfo.ZoneInfo(zone))
    offset = local.utcoffset()
    assert offset is not None
    back = from_local(np.array([np.floor(seconds) + offset.total_seconds()]), zone)[0]
    assert back == local.replace(fold=0).timestamp()


# edge


def test_there_may_be_no_times() -> None:
    assert TimeBuckets(cycle="hour", timezone="Europe/Berlin").of(np.empty(0)).size == 0


@pytest.mark.parametrize("seconds", [-1e6, 1e15, -1e15])
def test_a_clock_gone_mad_still_has_a_bucket(seconds: float) -> None:
    for zone in ("UTC", "Europe/Berlin"):
        buckets = TimeBuckets(cycle="hour_weekday", timezone=zone)
        assert 0 <= buckets.at(seconds) < 168
        assert buckets.of(np.array([seconds]))[0] == buckets.at(seconds)


def test_an_unknown_zone_or_cycle_is_refused_with_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"'Mars/Base' is not known .* 'Europe/Berlin'"):
        TimeBuckets(timezone="Mars/Base")
    with pytest.raises(ConfigError, match=r"'hour', .* got 'month'"):
        TimeBuckets(cycle="month")  # type: ignore[arg-type]


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin"])
@pytest.mark.parametrize("seconds", [np.nan, np.inf, -np.inf, 1e300])
def test_a_clock_gone_mad_stops_nobody(seconds: float, timezone: str) -> None:
    buckets = TimeBuckets(cycle="hour_weekday", timezone=timezone)
    assert 0 <= buckets.at(seconds) < 168

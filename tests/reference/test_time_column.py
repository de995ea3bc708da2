"""A time column of any library becomes seconds since 1970."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftgauge._time_column import read_times
from driftgauge.errors import DataError

SECONDS = [1_700_000_000.0, 1_700_000_000.25, 1_711_852_200.5]  # the last half an hour before clocks are set
MOMENTS = [datetime.datetime.fromtimestamp(second, datetime.UTC) for second in SECONDS]
NAIVE = [moment.replace(tzinfo=None) for moment in MOMENTS]

SAME: dict[str, Callable[[], Any]] = {
    "seconds": lambda: SECONDS,
    "objects": lambda: MOMENTS,
    "naive objects": lambda: NAIVE,
    "text": lambda: [moment.isoformat() for moment in MOMENTS],
    "naive text": lambda: [moment.isoformat(sep=" ") for moment in NAIVE],
    "zulu": lambda: [moment.isoformat() + "Z" for moment in NAIVE],
    "two zones": lambda: [
        moment.astimezone(datetime.timezone(datetime.timedelta(hours=hours))).isoformat()
        for hours, moment in enumerate(MOMENTS)
    ],
    "numpy": lambda: np.array(NAIVE, "datetime64[ms]"),
    "numpy seconds": lambda: np.array(SECONDS),
    "numpy text": lambda: np.array([moment.isoformat() for moment in NAIVE]),
    "masked": lambda: np.ma.masked_invalid(SECONDS),
    "pandas": lambda: pd.Series(NAIVE),
    "pandas zoned": lambda: pd.Series(MOMENTS).dt.tz_convert("Asia/Tokyo"),
    "pandas text": lambda: pd.Series([moment.isoformat() for moment in MOMENTS]),
    "pandas nullable": lambda: pd.Series(SECONDS, dtype="Float64"),
    "pandas category": lambda: pd.Series([moment.isoformat() for moment in MOMENTS], dtype="category"),
    "polars": lambda: pl.Series(NAIVE),
    "polars milliseconds": lambda: pl.Series(NAIVE).dt.cast_time_unit("ms"),
    "polars zoned": lambda: pl.Series(MOMENTS).dt.convert_time_zone("America/New_York"),
    "polars text": lambda: pl.Series([moment.isoformat() for moment in MOMENTS]),
    "arrow": lambda: pa.array(NAIVE),
    "arrow chunked": lambda: pa.chunked_array([pa.array(NAIVE[:1]), pa.array(NAIVE[1:])]),
}


# law


@pytest.mark.parametrize("kind", SAME)
def test_the_same_times_are_the_same_seconds(kind: str) -> None:
    assert read_times({"at": SAME[kind](), "x": [1, 2, 3]}, "at").tolist() == SECONDS


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
def test_the_column_of_a_frame_is_found(make: Callable[[Any], Any]) -> None:
    assert read_times(make({"x": [1, 2, 3], "at": NAIVE}), "at").tolist() == SECONDS
    assert read_times(make({"x": [1, 2, 3], "at": SECONDS}), "at").tolist() == SECONDS


def test_arrays_and_rows_have_time_columns_too() -> None:
    rows = [{"x": 1, "at": moment} for moment in MOMENTS]
    assert read_times(rows, "at").tolist() == SECONDS
    matrix = np.column_stack(([1.0, 2.0, 3.0], SECONDS))
    assert read_times(matrix, "at", names=["x", "at"]).tolist() == SECONDS
    assert read_times(matrix, "feature_1").tolist() == SECONDS


# edge


def test_times_without_a_zone_are_in_the_zone_that_is_given() -> None:
    local = [
        "2024-03-31 01:30",
        "2024-03-31 03:30",
        "2024-10-27 01:30",
        "2024-10-27 02:30",
        "2024-10-27 03:30",
    ]
    found = read_times({"at": local}, "at", timezone="Europe/Berlin")
    # one real hour over the hour that is left out, and two over the hour that comes twice
    assert np.diff(found).tolist()[0] == 3_600
    assert (found[4] - found[2]) == 3 * 3_600
    assert read_times({"at": ["2024-07-01T12:00"]}, "at", timezone="Europe/Berlin")[0] == pytest.approx(
        datetime.datetime(2024, 7, 1, 10, tzinfo=datetime.UTC).timestamp()
    )


def test_times_that_name_their_zone_keep_it() -> None:
    zoned = {"at": ["2024-07-01T12:00+00:00"]}
    assert read_times(zoned, "at") == read_times(zoned, "at", timezone="Europe/Berlin")


def test_dates_are_midnights() -> None:
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    for column in (days, pl.Series(days), pa.array(days), ["2024-01-01", "2024-01-02"]):
        assert np.diff(read_times({"at": column}, "at")).tolist() == [86_400]


@pytest.mark.parametrize(
    "column",
    [
        [SECONDS[0], None, float("nan")],
        [MOMENTS[0], None, pd.NaT],
        np.array([NAIVE[0], "NaT", "NaT"], "datetime64[us]"),
        pd.Series([NAIVE[0], None, None]),
        pl.Series([NAIVE[0], None, None]),
        pa.array([NAIVE[0], None, None]),
        pl.Series([SECONDS[0], None, None]),
        ["2024-01-01", None, None],
    ],
    ids=range(8),
)
def test_rows_without_a_time_are_counted_in_the_refusal(column: Any) -> None:
    with pytest.raises(DataError, match="no time in 2 of 3 rows"):
        read_times({"at": column}, "at")


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (["soon"], "'soon'"),
        ([1_700_000_000_000], "milliseconds"),
        (np.array([1_700_000_000_000]), "milliseconds"),
        ([True], "True"),
        (np.array([True]), "bool"),
        (np.zeros((2, 2)), "shape"),
        (pl.Series([datetime.timedelta(1)]), "durations"),
        (pl.Series([datetime.time(1)]), "times"),
        ([[1, 2]], r"\[1, 2\]"),
    ],
)
def test_what_is_no_time_is_refused_with_what_would_do(column: Any, why: str) -> None:
    with pytest.raises(DataError, match=rf"'at' .*{why}.*seconds since 1970"):
        read_times({"at": column}, "at")


def test_an_absent_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(DataError, match="no column 'when', only at, x"):
        read_times({"x": [1], "at": [1]}, "when")
    twice = pd.DataFrame([[1, 2]], columns=["at", "at"])
    with pytest.raises(DataError, match="two columns"):
        read_times(twice, "at")

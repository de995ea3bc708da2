"""One row of a frame falls into the cells that it has in a batch, whatever the types of its columns."""

# ruff: noqa: ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from monitor_cases import assert_adds_up, drops, errors, monitor_of, window_counts

from driftgauge.reference import Reference

ROWS = 60


def mixed_frame(seed: int, rows: int) -> pd.DataFrame:
    """Columns of five types; tenths, which float32 does not hold."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "tenths": rng.uniform(size=rows).round(1),
            "exact": rng.uniform(size=rows).round(1),
            "count": rng.integers(0, 5, rows),
            "plan": rng.choice(["free", "paid", "gold"], rows),
            "active": rng.uniform(size=rows) < 0.5,
        }
    )


REFERENCE = Reference.fit(mixed_frame(1, 2_000))
NUMBERS = Reference.fit(mixed_frame(1, 2_000)[["tenths", "exact", "count"]])
LIVE = mixed_frame(2, ROWS).astype({"tenths": "float32"})

DTYPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "category": {"plan": "category", "count": "category"},
    "nullable": {"tenths": "Float32", "exact": "Float64", "count": "Int64", "active": "boolean"},
    "objects": {"plan": object, "active": object, "count": object},
    "arrow": {"tenths": "float[pyarrow]", "count": "int64[pyarrow]", "plan": "string[pyarrow]"},
    "half": {"tenths": "float16"},
}


def to_polars(frame: pd.DataFrame) -> Any:
    import polars as pl

    return pl.from_arrow(pa.Table.from_pandas(frame, preserve_index=False))


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas, column by column": lambda frame: pd.concat([frame[[name]] for name in frame], axis=1),
    "pandas, wider": lambda frame: frame.assign(note="n", other=1.5),
    "pandas, very wide": lambda frame: pd.concat(
        [frame, pd.DataFrame({f"x{i}": 1.0 for i in range(40)}, index=frame.index)], axis=1
    ),
    "polars": to_polars,
    "polars, wider": lambda frame: to_polars(frame.assign(note="n")),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "pyarrow, wider": lambda frame: pa.Table.from_pandas(frame.assign(note="n"), preserve_index=False),
    "record batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "dict of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "list of one dict": lambda frame: [{name: frame[name].to_numpy()[0] for name in frame}],
}


def counts_of_rows(reference: Reference, frames: list[Any]) -> Any:
    monitor = monitor_of(reference)
    predict = monitor.watch(lambda data: None)
    for frame in frames:
        predict(frame)
    found = window_counts(monitor)
    snapshot = monitor.snapshot()
    assert_adds_up(snapshot, len(frames))
    assert drops(snapshot) == errors(snapshot) == {}
    return found


def singly(frame: pd.DataFrame, form: Callable[[pd.DataFrame], Any]) -> list[Any]:
    return [form(frame.iloc[row : row + 1]) for row in range(len(frame))]


@pytest.mark.parametrize("form", [name for name in FORMS if "list" not in name])
@pytest.mark.parametrize("dtypes", DTYPES)
def test_rows_one_by_one_count_like_the_batch(form: str, dtypes: str) -> None:
    without = dtypes == "half" and form not in {"dict of arrays"} and "pandas" not in form  # Arrow has none
    frame = LIVE if without else LIVE.astype(DTYPES[dtypes])
    expected = REFERENCE.count(frame)
    np.testing.assert_array_equal(counts_of_rows(REFERENCE, singly(frame, FORMS[form])), expected)


@pytest.mark.parametrize("form", [name for name in FORMS if "half" not in name])
def test_numbers_of_several_dtypes_count_like_the_batch(form: str) -> None:
    frame = LIVE[["tenths", "exact", "count"]]
    expected = NUMBERS.count(frame)
    np.testing.assert_array_equal(counts_of_rows(NUMBERS, singly(frame, FORMS[form])), expected)


def test_neighbours_of_other_types_keep_their_own() -> None:
    frame = LIVE[["tenths", "exact", "count"]]
    rows = singly(frame, lambda row: row) + singly(frame.astype("float64"), lambda row: row)
    rows = [rows[place // 2 + (place % 2) * ROWS] for place in range(2 * ROWS)]
    expected = NUMBERS.count(frame) + NUMBERS.count(frame.astype("float64"))
    np.testing.assert_array_equal(counts_of_rows(NUMBERS, rows), expected)
    np.testing.assert_array_equal(
        counts_of_rows(NUMBERS, [r.to_dict("records")[0] for r in rows[1::2]]),
        NUMBERS.count(frame.astype("float64")),
    )
    records: list[Any] = [
        dict(zip(row.columns, [row.iat[0, i] for i in range(3)], strict=True)) for row in rows
    ]
    np.testing.assert_array_equal(counts_of_rows(NUMBERS, records), expected)


@pytest.mark.parametrize("form", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("dtypes", ["plain", "category", "nullable"])
def test_what_is_missing_in_single_rows_is_missing(form: str, dtypes: str) -> None:
    frame = mixed_frame(3, ROWS).astype(DTYPES[dtypes])
    holes = np.random.default_rng(4).uniform(size=(ROWS, 2)) < 0.3
    frame.loc[holes[:, 0], "plan"] = None
    if dtypes == "nullable":
        frame.loc[holes[:, 1], ["tenths", "count", "active"]] = pd.NA
    else:
        frame.loc[holes[:, 1], "exact"] = np.nan
    data = FORMS[form](frame)
    expected = REFERENCE.count(data)
    rows = [data[row : row + 1] if form != "pyarrow" else data.slice(row, 1) for row in range(ROWS)]
    np.testing.assert_array_equal(counts_of_rows(REFERENCE, rows), expected)


def test_text_and_gaps_where_numbers_were_are_what_they_are_in_a_batch() -> None:
    frame = pd.DataFrame(
        {"tenths": ["0.1", None, "x"] * 4, "exact": pd.Categorical([0.5, None, 0.2] * 4), "count": [1] * 12}
    )
    expected = NUMBERS.count(frame)
    np.testing.assert_array_equal(counts_of_rows(NUMBERS, singly(frame, lambda row: row)), expected)


def test_a_frame_without_names_and_one_with_a_name_twice() -> None:
    frame = LIVE.set_axis(range(5), axis=1)
    np.testing.assert_array_equal(
        counts_of_rows(REFERENCE, singly(frame.astype(object), lambda row: row)),
        REFERENCE.count(
            LIVE.astype("float64", errors="ignore").astype(object).set_axis(LIVE.columns, axis=1)
        ),
    )
    monitor = monitor_of(REFERENCE)
    predict = monitor.watch(lambda data: None)
    predict(pd.concat([LIVE, LIVE[["plan"]]], axis=1).iloc[:1])
    assert drops(monitor.snapshot()) == {"unsupported_type": 1}

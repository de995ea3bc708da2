"""Data of every kind come out as the same columns."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.cells import MISSING, is_missing
from driftgauge.errors import DataError
from driftgauge.frames import Categories, Columns, label, to_columns

NUMBERS = [1.5, None, -0.0, 3.0]
TEXT = ["red", None, "blue", "red"]
FLAGS = [True, False, None, True]
WHOLE = [3, None, 5, 3]
PLAIN = {"number": NUMBERS, "text": TEXT, "flag": FLAGS, "whole": WHOLE}


def plain(columns: Columns) -> dict[str, tuple[str, list[Any]]]:
    """Types and values as Python, None where missing."""
    out = {}
    for name, values, dtype in zip(columns.names, columns.values, columns.dtypes, strict=True):
        if isinstance(values, Categories):
            rows = [values.labels[code] if code >= 0 else None for code in values.codes]
        else:
            rows = [
                None if gone else value
                for value, gone in zip(values.tolist(), is_missing(values), strict=True)
            ]
        out[name] = (dtype, rows)
    return out


EXPECTED = {
    "number": ("numeric", NUMBERS),
    "text": ("categorical", TEXT),
    "flag": ("boolean", FLAGS),
    "whole": ("numeric", WHOLE),
}

NULLABLE = pd.DataFrame(
    {
        "number": pd.array(NUMBERS, dtype="Float64"),
        "text": pd.array(TEXT, dtype="string"),
        "flag": pd.array(FLAGS, dtype="boolean"),
        "whole": pd.array(WHOLE, dtype="Int64"),
    }
)
ARROW = pa.table(PLAIN)


class Tensor:
    """As much of a torch tensor as we use."""

    def __init__(self, array: np.ndarray[Any, Any], *, on_gpu: bool = True, brain: bool = False) -> None:
        self.array, self.on_gpu, self.brain = array, on_gpu, brain

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def detach(self) -> Tensor:
        return Tensor(self.array, on_gpu=self.on_gpu, brain=self.brain)

    def cpu(self) -> Tensor:
        return Tensor(self.array, on_gpu=False, brain=self.brain)

    def float(self) -> Tensor:
        return Tensor(self.array.astype(np.float32), on_gpu=self.on_gpu)

    def numpy(self) -> np.ndarray[Any, Any]:
        if self.on_gpu or self.brain:
            message = "can't convert"
            raise TypeError(message)
        return self.array


# law


@pytest.mark.parametrize(
    "data",
    [
        PLAIN,
        {name: np.array(values, object) for name, values in PLAIN.items()},
        [dict(zip(PLAIN, row, strict=True)) for row in zip(*PLAIN.values(), strict=True)],
        pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in PLAIN.items()}),
        NULLABLE,
        NULLABLE.convert_dtypes(dtype_backend="pyarrow"),
        NULLABLE.assign(text=NULLABLE["text"].astype("category")),
        {name: NULLABLE[name] for name in NULLABLE},
        pl.DataFrame(PLAIN),
        pl.DataFrame(PLAIN).with_columns(pl.col("text").cast(pl.Categorical)),
        pl.DataFrame(PLAIN).with_columns(pl.col("text").cast(pl.Enum(["blue", "grey", "red"]))),
        pl.DataFrame(PLAIN).with_columns(pl.col("number").cast(pl.Decimal(10, 2))),
        {name: pl.Series(values) for name, values in PLAIN.items()},
        ARROW,
        pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1)]),
        ARROW.set_column(1, "text", ARROW["text"].dictionary_encode()),
        ARROW.to_batches()[0],
        pl.DataFrame(PLAIN).with_columns(pl.col("text").cast(pl.Categorical)).to_arrow(),
        {name: ARROW[name] for name in ARROW.column_names},
        {name: ARROW[name].combine_chunks() for name in ARROW.column_names},
        {name: np.ma.MaskedArray([values[0] if v is None else v for v in values], [v is None for v in values])
         for name, values in PLAIN.items() if name != "text"} | {"text": TEXT},
    ],
    ids=lambda data: type(data).__module__.split(".")[0],
)  # fmt: skip
def test_every_container_gives_the_same_columns(data: Any) -> None:
    found = plain(to_columns(data))
    assert {name: found[name] for name in EXPECTED} == EXPECTED


@given(st.lists(st.one_of(st.none(), st.floats(), st.integers(-(2**53), 2**53)), min_size=1))
def test_numbers_survive_any_road(values: list[float | None]) -> None:
    expected = np.array([MISSING if v is None else v for v in values], np.float64)
    roads: list[Any] = [
        {"x": values},
        {"x": np.array(values, object)},
        pl.DataFrame({"x": values}, strict=False),
    ]
    for data in roads:
        column = to_columns(data).values[0]
        assert isinstance(column, np.ndarray)
        np.testing.assert_array_equal(column, expected)
        np.testing.assert_array_equal(is_missing(column), is_missing(expected))


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=30))
def test_text_survives_any_road(values: list[str | None]) -> None:
    expected = [None if v is None else label(v) for v in values]
    schema = pl.Schema({"x": pl.String})
    series = pd.Series(values, dtype="str")
    roads: list[Any] = [
        {"x": np.array(values, object)},
        {"x": series},
        pa.table({"x": pa.array(expected, pa.string())}),
    ]
    if expected == values:  # polars and Arrow refuse half surrogate pairs
        roads.append(pl.DataFrame({"x": values}, schema=schema))
    for data in roads:
        found = plain(to_columns(data, categorical=["x"]))
        assert found == {"x": ("categorical", expected)}


@pytest.mark.parametrize(
    "make",
    [
        lambda values: {"x": values},
        lambda values: {"x": np.array(values)},
        lambda values: pd.DataFrame({"x": values}),
        lambda values: pd.DataFrame({"x": pd.array(values, dtype="Int64")}),
        lambda values: pl.DataFrame({"x": values}),
        lambda values: pa.table({"x": values}),
    ],
)
def test_numbers_that_name_categories_are_never_rounded(make: Any) -> None:
    values = [2**53 + 1, 2**53, 7, 7]
    found = plain(to_columns(make(values), categorical=["x"]))
    assert found == {"x": ("categorical", ["9007199254740993", "9007199254740992", "7", "7"])}


# oracle


@pytest.mark.parametrize(
    "value", [3, 3.0, np.int64(3), np.float32(3), np.uint8(3), np.float16(3), Decimal("3.0"), "3", b"3"]
)
def test_a_three_is_one_category(value: object) -> None:
    assert label(value) == "3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (np.False_, "false"),
        (0.1, "0.1"),
        (np.float32(0.1), "0.1"),
        (-0.0, "0"),
        (1e300, "1e+300"),
        (math.inf, "inf"),
        ("  Red ", "  Red "),
        ("", ""),
        (b"\xff", "�"),
        ("\ud800", "?"),
    ],
)
def test_labels_are_written_plainly(value: object, text: str) -> None:
    assert label(value) == text


def test_a_long_text_is_cut_and_still_told_from_another() -> None:
    one, other = "a" * 1000, "a" * 999 + "b"
    assert len(label(one)) <= 256
    assert label(one) != label(other)
    assert label("a" * 256) == "a" * 256


# edge


def test_nan_is_not_null() -> None:
    for data in (
        {"x": [math.nan, None]},
        pl.DataFrame({"x": [math.nan, None]}),
        pa.table({"x": [math.nan, None]}),
    ):
        values = to_columns(data).values[0]
        assert isinstance(values, np.ndarray)
        assert np.isnan(values).all()
        assert is_missing(values).tolist() == [False, True]


def test_pandas_writes_nan_for_null_and_it_stays_nan() -> None:
    values = to_columns(pd.DataFrame({"x": [1.0, None]})).values[0]
    assert isinstance(values, np.ndarray)
    assert not is_missing(values).any()


def test_nan_in_a_categorical_column_is_missing() -> None:
    for data in ({"x": ["a", math.nan]}, pd.DataFrame({"x": ["a", math.nan]})):
        assert plain(to_columns(data)) == {"x": ("categorical", ["a", None])}
    assert plain(to_columns({"x": np.array([1.0, np.nan])}, categorical=["x"])) == {
        "x": ("categorical", ["1", None])
    }


@pytest.mark.parametrize("value", [None, pd.NA, pd.NaT])
def test_a_column_of_nothing_is_numeric(value: object) -> None:
    assert plain(to_columns({"x": [value, value]})) == {"x": ("numeric", [None, None])}


def test_mixed_objects_take_the_widest_type() -> None:
    data = {"n": [1, 2.5, True, Decimal("0.5"), Fraction(1, 4)], "c": [1, "a", 2.0, None, b"a"]}
    assert plain(to_columns(data)) == {
        "n": ("numeric", [1.0, 2.5, 1.0, 0.5, 0.25]),
        "c": ("categorical", ["1", "a", "2", None, "a"]),
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_single_precision_is_remembered(dtype: Any) -> None:
    assert to_columns({"x": np.array([1, 2], dtype)}).single == {"x"}
    assert to_columns({"x": [dtype(1), dtype(2)]}).single == {"x"}
    assert not to_columns({"x": np.array([1.0, 2.0])}).single


@pytest.mark.parametrize("data", [pl.DataFrame, pd.DataFrame, pa.table])
def test_single_precision_of_frames_is_remembered(data: Any) -> None:
    assert to_columns(data({"x": np.array([1, 2], np.float32)})).single == {"x"}


@pytest.mark.parametrize(
    "data",
    [
        {"x": [2**53 + 1]},
        {"x": [10**30]},
        {"x": np.array([-(2**53) - 1])},
        {"x": np.array([2**64 - 1], np.uint64)},
        {"x": np.array([-(2**63)])},
        pl.DataFrame({"x": [2**53 + 1, None]}),
        pa.table({"x": [2**53 + 1, None]}),
        pd.DataFrame({"x": pd.array([2**53 + 1, None], dtype="Int64")}),
    ],
)
def test_integers_that_float64_cannot_hold_are_flagged(data: Any) -> None:
    assert to_columns(data).too_large == {"x"}


def test_two_to_the_53_still_fits() -> None:
    assert not to_columns({"x": [2**53, -(2**53)], "y": np.array([2**53, -(2**53)])}).too_large


def test_an_integer_beyond_float64_says_so() -> None:
    with pytest.raises(DataError, match="column 'x': a number does not fit a float64"):
        to_columns({"x": [10**400]})


@pytest.mark.parametrize(
    "values",
    [
        [datetime.date(2026, 1, 1), None],
        [datetime.timedelta(1)],
        np.array(["2026-01-01"], "datetime64[D]"),
        pd.Series(pd.to_datetime(["2026-01-01"])),
        pl.Series([datetime.time(1)]),
        pa.chunked_array([pa.array([datetime.datetime(2026, 1, 1)])]),
    ],
)
def test_dates_are_dates(values: Any) -> None:
    assert to_columns({"x": values}).dtypes == ("date",)


def test_arrays_and_rows_take_their_names_by_position() -> None:
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    expected = {"a": ("numeric", [1.0, 3.0, 5.0]), "b": ("numeric", [2.0, 4.0, 6.0])}
    for data in (
        rows,
        np.array(rows),
        np.array(rows, order="F"),
        Tensor(np.array(rows)),
        np.array(rows, object),
    ):
        assert plain(to_columns(data, names=["a", "b"])) == expected
    assert to_columns(np.array(rows)).names == ("feature_0", "feature_1")


def test_a_structured_array_has_names() -> None:
    array = np.array([(1, "a"), (2, "b")], dtype=[("n", "i4"), ("c", "U1")])
    assert plain(to_columns(array)) == {"n": ("numeric", [1.0, 2.0]), "c": ("categorical", ["a", "b"])}


def test_a_bfloat16_tensor_is_read_as_float32() -> None:
    assert to_columns({"x": Tensor(np.array([1.0]), brain=True)}).single == {"x"}


def test_one_dimension_is_a_column_or_a_row_by_its_names() -> None:
    array = np.array([1.0, 2.0])
    assert plain(to_columns(array, names=["a"])) == {"a": ("numeric", [1.0, 2.0])}
    assert plain(to_columns(array, names=["a", "b"])) == {"a": ("numeric", [1.0]), "b": ("numeric", [2.0])}
    assert plain(to_columns([1.0, "x"], names=["a", "b"])) == {
        "a": ("numeric", [1.0]),
        "b": ("categorical", ["x"]),
    }
    assert plain(to_columns(0.5)) == {"feature_0": ("numeric", [0.5])}


def test_a_series_is_one_column() -> None:
    assert plain(to_columns(pd.Series([1.0], name="score"))) == {"score": ("numeric", [1.0])}
    assert plain(to_columns(pl.Series("score", [1.0]))) == {"score": ("numeric", [1.0])}


def test_a_dict_of_scalars_is_one_row() -> None:
    assert plain(to_columns({"n": 1, "c": "x", "m": None})) == {
        "n": ("numeric", [1.0]),
        "c": ("categorical", ["x"]),
        "m": ("numeric", [None]),
    }


def test_a_key_that_a_dict_lacks_is_missing() -> None:
    assert plain(to_columns([{"a": 1}, {"b": 2}])) == {
        "a": ("numeric", [1.0, None]),
        "b": ("numeric", [None, 2.0]),
    }


def test_columns_that_are_not_wanted_are_not_looked_at() -> None:
    data = {"a": [1], "nested": [[1, 2]], "b": [2]}
    assert to_columns(data, only=["b", "absent"]).names == ("b",)
    assert to_columns(data, exclude=["nested"]).names == ("a", "b")
    assert to_columns({"a": [1, 2, 3]}, only=()).rows == 3


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1.0, 2.0], 1: [0, 0], "1": [0, 0]},
        np.array([[1.0, 0, 0], [2.0, 0, 0]]),
        pd.DataFrame([[1.0, 0, 0], [2.0, 0, 0]], columns=["a", "1", "1"]),
        pd.DataFrame([[1.0, 0, 0], [2.0, 0, 0]], columns=["a", 1, "1"]),
        pa.Table.from_arrays([pa.array([1.0, 2.0])] * 3, names=["a", "1", "1"]),
        pa.RecordBatch.from_arrays([pa.array([1.0, 2.0])] * 3, names=["a", "1", "1"]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_columns_that_are_not_wanted_may_share_a_name(data: Any) -> None:
    for choice in ({"only": ["a"]}, {"exclude": ["1"]}):
        columns = to_columns(data, names=["a", "1", "1"], **choice)  # type: ignore[arg-type]
        assert (columns.names, columns.rows) == (("a",), 2)
        np.testing.assert_array_equal(columns.values[0], [1.0, 2.0])
    with pytest.raises(DataError, match="two columns have the name '1'"):
        to_columns(data, names=["a", "1", "1"])


def test_columns_pass_through() -> None:
    columns = to_columns({"a": [1]})
    assert to_columns(columns) is columns


def test_the_callers_memory_is_not_shared() -> None:
    array = np.array([[1.0], [2.0]])
    columns = to_columns(array)
    array[:] = 9.0
    assert plain(columns) == {"feature_0": ("numeric", [1.0, 2.0])}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"a": [1, 2], "b": [1]}, "different lengths: 'a' 2, 'b' 1"),
        ({1: [1], "1": [2]}, "two columns have the name '1'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns have the name 'a'"),
        (pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]), "two columns have the name 'a'"),
        ({"a": [[1, 2]]}, "column 'a': a value is a list"),
        ({"a": [{"b": 1}]}, "column 'a': a value is a dict"),
        (pl.DataFrame({"a": [[1]]}), "column 'a': a value is a list"),
        ({"a": [1j]}, "complex"),
        ({"a": np.array([1j])}, "neither numbers nor text"),
        ({"a": np.zeros((2, 2))}, r"column 'a': it has shape \(2, 2\)"),
        ({"a": object()}, "column 'a' is a object"),
        (np.zeros((2, 2, 2)), "one or two dimensions"),
        ([[1, 2], [3]], "different lengths, from 1 to 2"),
        (pl.LazyFrame({"a": [1]}), "collect()"),
        (object(), "cannot read a object"),
        (None, "cannot read a NoneType"),
    ],
)
def test_what_cannot_be_read_says_why(data: Any, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        to_columns(data)


def test_more_names_than_columns_lists_them() -> None:
    with pytest.raises(DataError, match="2 columns but 3 names: 'a', 'b', 'c'"):
        to_columns(np.zeros((4, 2)), names=["a", "b", "c"])


NO_ROWS = [
    {"a": []},
    np.zeros((0, 2)),
    pl.DataFrame({"a": []}),
    pd.DataFrame({"a": []}),
    pa.table({"a": pa.array([], pa.string())}),
]


@pytest.mark.parametrize("data", NO_ROWS, ids=lambda data: type(data).__module__.split(".")[0])
def test_no_rows_are_no_error(data: Any) -> None:
    assert to_columns(data).rows == 0

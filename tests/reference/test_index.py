"""From live data of any type to cells, and what a reference is beside its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge import kernels
from driftgauge.cells import MISSING, FeatureReference
from driftgauge.frames import to_columns
from driftgauge.reference import PartialReference, Reference


@pytest.fixture(scope="module")
def reference() -> Reference:
    data = {
        "number": [1.0, 2.0, 4.0, None],
        "plan": ["free", "paid", "paid", "3"],
        "flag": [True, False, True, True],
        "score": [0.1, 0.2, 0.3, 0.1],
    }
    return Reference.fit(data, outputs="score", min_category_count=1, created_timestamp_seconds=0.0)


def slow_cell(value: Any, feature: FeatureReference) -> int:
    """The table in `cells`, read line by line."""
    k = feature.points.size
    if np.isnan(value):
        return (
            2 * k + 4
            if np.float64(value).view(np.uint64) == np.float64(MISSING).view(np.uint64)
            else 2 * k + 3
        )
    if np.isinf(value):
        return 0 if value < 0 else 2 * k + 2
    below = int((feature.points < value).sum())
    exactly = below < k and feature.points[below] == value
    return 2 * below + (2 if exactly else 1)


def cells(reference: Reference, name: str, values: Any) -> list[int]:
    found: list[int] = reference.index({name: values})[reference.number(name)].tolist()
    return found


# law


@settings(deadline=None)
@given(values=st.lists(st.floats(), min_size=1, max_size=50))
def test_rows_one_by_one_and_all_at_once_agree(values: list[float], reference: Reference) -> None:
    array = np.array(values)
    whole = reference.index({"number": array})
    singles = [reference.index({"number": array[i : i + 1]}) for i in range(array.size)]
    np.testing.assert_array_equal(whole, np.concatenate(singles, axis=1))


@settings(deadline=None)
@given(
    points=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30, unique=True),
    values=st.lists(st.one_of(st.floats(), st.just(MISSING)), min_size=1),
)
def test_cells_are_those_of_the_table(points: list[float], values: list[float]) -> None:
    fitted = Reference.fit({"x": points})
    array = np.array([*values, *points])
    expected = [slow_cell(value, fitted.features[0]) for value in array]
    assert fitted.index({"x": array})[0].tolist() == expected


def test_many_rows_give_what_few_give(reference: Reference) -> None:
    rng = np.random.default_rng(0)
    data = {"number": rng.normal(2, size=10_000), "score": rng.choice([0.1, 0.2, np.nan], 10_000)}
    parts = [reference.index({n: v[i : i + 1000] for n, v in data.items()}) for i in range(0, 10_000, 1000)]
    np.testing.assert_array_equal(reference.index(data), np.concatenate(parts, axis=1))


def test_compiled_kernels_give_the_same_cells(reference: Reference) -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random(9_000) < 0.2, np.nan, rng.normal(2, size=9_000))
    twins = [reference.index({"number": part, "score": part}) for part in (values, values[:7])]
    kernels.warm_up()
    compiled = [reference.index({"number": part, "score": part}) for part in (values, values[:7])]
    for one, other in zip(twins, compiled, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rows", [0, 1, 5_000])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_a_matrix_of_numbers_gives_what_its_columns_give(rows: int, order: str) -> None:
    rng = np.random.default_rng(8)
    reference = Reference.fit(rng.normal(size=(500, 3)), names=["a", "b", "c"])
    live = rng.choice([np.nan, np.inf, -np.inf, MISSING, -0.0, 1e300, 0.3, -0.3], size=(rows, 3))
    matrix = np.repeat(live, 2, axis=1)[:, ::2] if order == "strided" else np.array(live, order=order)
    columns = {name: live[:, place].copy() for place, name in enumerate("abc")}
    np.testing.assert_array_equal(reference.index(matrix), reference.index(columns))


def test_count_is_the_index_counted(reference: Reference) -> None:
    data = {"number": [1.0, 9.0, None], "plan": ["free", "new", None]}
    index, counts = reference.index(data), reference.count(data)
    for number, start in enumerate(reference.layout.cell_offsets[:-1]):
        own = counts[start : reference.layout.cell_offsets[number + 1]]
        np.testing.assert_array_equal(own, np.bincount(index[number], minlength=own.size))


# edge


def test_an_absent_feature_is_missing_in_every_row(reference: Reference) -> None:
    index = reference.index({"number": [1.0, 2.0], "other": ["is", "passed over"]})
    for feature, row in zip(reference.features[1:], index[1:], strict=True):
        assert row.tolist() == [feature.missing_cell] * 2


def test_no_rows_have_no_cells(reference: Reference) -> None:
    assert reference.index({"number": []}).shape == (4, 0)
    assert reference.count({"number": []}).sum() == 0


def test_text_in_a_numeric_feature_is_the_number_it_spells(reference: Reference) -> None:
    k = reference.feature("number").points.size
    values = ["2", "2.0", "1e0", "two", "", None, "inf", "nan"]
    assert cells(reference, "number", values) == [
        4,
        4,
        2,
        2 * k + 3,
        2 * k + 3,
        2 * k + 4,
        2 * k + 2,
        2 * k + 3,
    ]
    assert cells(reference, "number", [True, False]) == [2, 1]
    assert cells(reference, "number", ["true", "false"]) == [2, 1]


def test_numbers_in_a_categorical_feature_are_their_label(reference: Reference) -> None:
    feature = reference.feature("plan")
    three, unseen, missing = feature.categories.index("3"), feature.unseen_cell, feature.missing_cell
    for values in ([3, 3.0, 4, None], pd.Series([3, 3, 4, np.nan]), pl.Series([3.0, 3.0, 4.0, None])):
        assert cells(reference, "plan", values) == [three, three, unseen, missing]
    columns = to_columns({"plan": [3.0, 4.0, np.nan, None]})  # already floats, as a monitor keeps them
    assert reference.index(columns)[1].tolist() == [three, unseen, missing, missing]


@pytest.mark.parametrize(
    ("known", "live", "found"),
    [
        ("3", "3.0", True),
        ("3", "3.00", True),
        ("-3", "-3.0", True),
        ("0", "0.0", True),
        ("3", 3.0, True),
        ("1.0", 1.0, True),
        ("1.0", 1, True),
        ("1.0", np.int64(1), True),
        ("123", "0123", False),
        ("123", "0123.0", False),
        ("123", " 123", False),
        ("123", "+123", False),
        ("123", "123.", False),
        ("123", "123.0\n", False),
        ("10", "1_0", False),
        ("100000", "1e5", False),
        ("inf", "Infinity", False),
        ("3", "\N{ARABIC-INDIC DIGIT THREE}.0", False),
        ("0.5", "0.50", False),
        ("01.0", 1, False),
    ],
)
def test_a_category_is_known_by_its_text_and_a_whole_number_with_or_without_point(
    known: str, live: Any, found: bool
) -> None:
    fitted = Reference.fit({"code": [known, "other"]}, min_category_count=1)
    feature = fitted.features[0]
    expected = feature.categories.index(known) if found else feature.unseen_cell
    assert cells(fitted, "code", [live]) == [expected]
    assert cells(fitted, "code", [live, "other"])[0] == expected


def test_a_boolean_feature_takes_words_and_numbers(reference: Reference) -> None:
    assert cells(reference, "flag", [True, False, None]) == [1, 0, 3]
    assert cells(reference, "flag", ["true", "False", "TRUE", "0", "yes", None]) == [1, 0, 1, 0, 2, 3]
    assert cells(reference, "flag", [1, 0.0, 2, None]) == [1, 0, 2, 3]
    assert cells(reference, "flag", [1.0, np.nan]) == [1, 3]


@pytest.mark.parametrize(
    "values",
    [
        [True, None, False, None],
        [True, np.nan, False, np.nan],
        [True, np.nan, False, None],
        np.array([1.0, np.nan, 0.0, np.nan]),
        np.array([True, np.nan, False, np.nan], object),
        pd.Series([True, None, False, None], dtype=object),
        pd.Series([True, np.nan, False, np.nan], dtype=object),
        pd.Series([True, None, False, None], dtype="boolean"),
        pd.Series([True, False], index=[0, 2]).reindex(range(4)),
        pl.Series([True, None, False, None]),
        pl.Series([1.0, np.nan, 0.0, None]),
    ],
    ids=str,
)
def test_a_nan_in_a_boolean_feature_is_missing_whatever_it_came_in(reference: Reference, values: Any) -> None:
    assert cells(reference, "flag", values) == [1, 3, 0, 3]


@pytest.mark.parametrize("gap", [np.nan, np.float32("nan"), None])
def test_a_nan_keeps_no_column_from_being_boolean(gap: Any) -> None:
    fitted = Reference.fit({"flag": [True, gap, False, True]})
    assert fitted.features[0].dtype == "boolean"
    assert fitted.features[0].counts.tolist() == [1, 2, 0, 1]
    assert to_columns({"flag": [True, 2.0, np.nan]}).dtypes == ("numeric",)


def test_a_categorical_of_numbers_keeps_large_ones_apart() -> None:
    fitted = Reference.fit({"id": [2**53, 2**53 + 1]}, categorical="id", min_category_count=1)
    assert fitted.index({"id": [2**53 + 1, 2**53, 2**53 + 2]})[0].tolist() == [1, 0, 2]


def test_float32_values_are_compared_as_float32(reference: Reference) -> None:
    values = np.array([0.1, 0.2, 0.15, np.nan, 0.3], np.float32)
    k = reference.feature("score").points.size
    expected = [2, 4, 3, 2 * k + 3, 6]
    assert cells(reference, "score", values) == expected
    assert cells(reference, "score", pl.Series(values)) == expected
    # the same numbers widened first lie beside the points
    assert cells(reference, "score", values.astype(np.float64))[0] == 3


def test_float64_values_are_rounded_where_the_reference_came_as_float32(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(5_000, 2)).round(1)
    Reference.fit(values.astype(np.float32), names=["a", "b"]).save(tmp_path / "file")
    fitted = Reference.load(tmp_path / "file")
    assert [feature.single for feature in fitted.features] == [True, True]
    columns = {"a": values[:, 0], "b": values[:, 1]}
    own = np.concatenate([feature.counts for feature in fitted.features])
    for data in (values, values.astype(np.float32), values.tolist(), columns, pl.DataFrame(columns)):
        np.testing.assert_array_equal(fitted.count(data), own)


def test_rounding_to_float32_leaves_alone_what_it_cannot_hold() -> None:
    fitted = Reference.fit({"x": np.array([0.1, 0.5], np.float32)})
    values = [-np.inf, -1e300, 0.1, 0.3, 0.5, 1e300, np.inf, np.nan, MISSING]
    assert cells(fitted, "x", np.array(values)) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert fitted.index(np.array([values]).T)[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert cells(fitted, "x", ["0.1", None]) == [2, 8]


def test_one_float64_value_makes_the_whole_column_float64(tmp_path: Path) -> None:
    single = {"x": np.array([0.1, 0.5], np.float32)}
    for other, expected in (
        (np.array([0.1]), False),
        (np.array([0.5], np.float32), True),
        (np.array([np.nan]), True),
    ):
        PartialReference().update(single).save(tmp_path / "part")
        parts = [PartialReference.load(tmp_path / "part"), PartialReference().update({"x": other})]
        whole = PartialReference().update(single).update({"x": other}).finish()
        assert [whole.features[0].single, Reference.merge(parts).features[0].single] == [expected] * 2
        assert Reference.merge(parts).id == Reference.merge(parts[::-1]).id == whole.id


def test_a_matrix_is_rounded_only_in_the_columns_that_were_fitted_on_float32() -> None:
    values = np.array([[0.1, 0.1], [0.2, 0.2]])
    fitted = Reference.fit({"a": values[:, 0].astype(np.float32), "b": values[:, 1]})
    assert [feature.single for feature in fitted.features] == [True, False]
    live = values + 1e-9
    kept = live.copy()
    assert fitted.index(live).tolist() == [[2, 4], [3, 5]]
    np.testing.assert_array_equal(live, kept)


def test_the_id_sees_the_precision() -> None:
    values = np.array([0.1, 0.5], np.float32)
    assert Reference.fit({"x": values}).id != Reference.fit({"x": values.astype(float)}).id


def test_integers_beyond_float64_are_live_data_like_any_other(reference: Reference) -> None:
    k = reference.feature("number").points.size
    assert cells(reference, "number", [2**60]) == [2 * k + 1]


def test_arrays_go_by_position(reference: Reference) -> None:
    row = np.array([[2.0, np.nan, 1.0, 0.2]])
    assert reference.index(row)[:, 0].tolist() == [4, reference.feature("plan").missing_cell, 1, 4]
    inputs = reference.index(row[:, :3])
    assert inputs[:, 0].tolist() == [4, 3 + 1, 1, reference.feature("score").missing_cell]
    np.testing.assert_array_equal(reference.index(row[0, :3]), inputs)
    np.testing.assert_array_equal(reference.index([[2.0, None, 1.0]]), inputs)


def test_the_id_is_of_the_content(tmp_path: Path) -> None:
    data = {"x": [1.0, 2.0, 2.0]}
    base = Reference.fit(data, created_timestamp_seconds=1.0)
    assert len(base.id) == 64
    assert base.id == Reference.fit(data, created_timestamp_seconds=2.0).id
    base.save(tmp_path / "one name")
    assert Reference.load(tmp_path / "one name").id == base.id
    others: list[Reference] = [
        Reference.fit({"x": [1.0, 2.0, 3.0]}),
        Reference.fit({"x": [1.0, 1.0, 2.0]}),
        Reference.fit({"y": [1.0, 2.0, 2.0]}),
        Reference.fit(data, model="other"),
        Reference.fit(data, version="2"),
        Reference.fit(data, outputs="x"),
        Reference.fit({"x": [1.0, 2.0, 2.0, None]}),
    ]
    assert len({base.id, *(other.id for other in others)}) == 8


def test_a_saved_reference_comes_back_whole(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "file")
    loaded = Reference.load(tmp_path / "file")
    assert loaded.id == reference.id
    assert repr(loaded) == repr(reference)
    assert loaded.unnamed_counts == reference.unnamed_counts
    for one, other in zip(loaded.features, reference.features, strict=True):
        for field in one.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file").read_bytes()


def test_unicode_names_and_labels_come_back(tmp_path: Path) -> None:
    fitted = Reference.fit({"größe €": ["ü"] * 5}, model="模型")
    fitted.save(tmp_path / "ünïcode")
    loaded = Reference.load(tmp_path / "ünïcode")
    assert (loaded.names, loaded.model, loaded.features[0].categories) == (("größe €",), "模型", ("ü",))

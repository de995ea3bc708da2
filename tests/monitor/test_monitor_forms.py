"""Whatever form rows come in, they fall into the same cells."""

# ruff: noqa: ARG001, ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monitor_cases import NAMES, assert_adds_up, drops, errors, monitor_of, numbers_reference, window_counts

from driftgauge.reference import Reference

REFERENCE = numbers_reference()


class Tensor:
    """What a framework's CPU tensor can do, and nothing of what it cannot."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self._array


def record(row: Any) -> dict[str, float]:
    return dict(zip(NAMES, row.tolist(), strict=True))


def pandas_of(matrix: Any) -> pd.DataFrame:
    return pd.DataFrame(np.atleast_2d(matrix), columns=list(NAMES))


ONE_ROW: dict[str, Callable[[Any], Any]] = {
    "vector": lambda row: row,
    "matrix of one row": lambda row: row[None],
    "not contiguous": lambda row: np.repeat(row, 2)[::2],
    "objects": lambda row: row.astype(object),
    "list": lambda row: row.tolist(),
    "tuple": lambda row: tuple(row.tolist()),
    "list of one list": lambda row: [row.tolist()],
    "dict": record,
    "dict with more in it": lambda row: {"id": "x1", **record(row), "note": None},
    "dict in another order": lambda row: dict(reversed(record(row).items())),
    "list of one dict": lambda row: [record(row)],
    "dict of columns": lambda row: {name: [value] for name, value in record(row).items()},
    "pandas": pandas_of,
    "pandas with text": lambda row: pandas_of(row).assign(note="n"),
    "pandas, reordered": lambda row: pandas_of(row)[list(reversed(NAMES))],
    "pandas series": lambda row: pd.Series(row, index=list(NAMES)),
    "pandas without names": lambda row: pd.DataFrame(row[None]),
    "polars": lambda row: pl.DataFrame([record(row)]),
    "pyarrow": lambda row: pa.Table.from_pylist([record(row)]),
    "tensor": Tensor,
    "structured": lambda row: np.array(tuple(row), dtype=[(name, "f8") for name in NAMES]),
}

MANY_ROWS: dict[str, Callable[[Any], Any]] = {
    "matrix": lambda matrix: matrix,
    "column by column in memory": np.asfortranarray,
    "list of lists": lambda matrix: matrix.tolist(),
    "list of arrays": list,
    "list of dicts": lambda matrix: [record(row) for row in matrix],
    "dict of arrays": lambda matrix: dict(zip(NAMES, matrix.T, strict=True)),
    "dict of lists": lambda matrix: dict(zip(NAMES, matrix.T.tolist(), strict=True)),
    "dict of tensors": lambda matrix: {n: Tensor(c) for n, c in zip(NAMES, matrix.T, strict=True)},
    "pandas": pandas_of,
    "polars": lambda matrix: pl.DataFrame(matrix, schema=list(NAMES)),
    "pyarrow": lambda matrix: pa.table(dict(zip(NAMES, matrix.T, strict=True))),
    "record batch": lambda matrix: pa.RecordBatch.from_pandas(pandas_of(matrix)),
    "tensor": Tensor,
}

ONE_OUTPUT: dict[str, Callable[[float], Any]] = {
    "float": float,
    "numpy scalar": np.float64,
    "array of one": lambda score: np.array([score]),
    "matrix of one": lambda score: np.array([[score]]),
    "list of one": lambda score: [score],
    "dict": lambda score: {"score": score, "why": ["a", "b"]},
    "dict of a list": lambda score: {"score": [score]},
    "frame": lambda score: pd.DataFrame({"score": [score]}),
    "frame of another name": lambda score: pl.DataFrame({"prediction": [score]}),
    "tensor": lambda score: Tensor(np.array([score])),
}

MANY_OUTPUTS: dict[str, Callable[[Any], Any]] = {
    "vector": lambda scores: scores,
    "matrix": lambda scores: scores[:, None],
    "list": lambda scores: scores.tolist(),
    "list of lists": lambda scores: scores[:, None].tolist(),
    "list of dicts": lambda scores: [{"score": score} for score in scores.tolist()],
    "dict": lambda scores: {"score": scores},
    "pandas series": pd.Series,
    "polars series": pl.Series,
    "pandas": lambda scores: pd.DataFrame({"score": scores}),
    "pyarrow": lambda scores: pa.table({"score": scores}),
    "tensor": Tensor,
}

matrices = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 9), st.just(len(NAMES))),
    elements=st.floats(-4, 4) | st.sampled_from([np.inf, -np.inf, 1e300]),
)


def expected(matrix: Any, scores: Any) -> Any:
    return REFERENCE.count({**dict(zip(NAMES, matrix.T, strict=True)), "score": scores})


@pytest.mark.parametrize("output", ONE_OUTPUT)
@pytest.mark.parametrize("form", ONE_ROW)
def test_one_row_falls_into_the_same_cells_in_every_form(form: str, output: str) -> None:
    matrix = np.random.default_rng(5).normal(size=(6, len(NAMES)))
    scores = np.linspace(0.1, 0.9, 6)
    monitor = monitor_of(REFERENCE)
    answers = iter(map(ONE_OUTPUT[output], scores.tolist()))

    @monitor.watch
    def predict(data: Any) -> Any:
        return next(answers)

    for row in matrix:
        predict(ONE_ROW[form](row))
    np.testing.assert_array_equal(window_counts(monitor), expected(matrix, scores))
    snapshot = monitor.snapshot()
    assert_adds_up(snapshot, 6)
    assert (drops(snapshot), errors(snapshot)) == ({}, {})


@pytest.mark.parametrize("output", MANY_OUTPUTS)
@pytest.mark.parametrize("form", MANY_ROWS)
def test_a_batch_falls_into_the_same_cells_in_every_form(form: str, output: str) -> None:
    matrix = np.random.default_rng(6).normal(size=(7, len(NAMES)))
    scores = np.linspace(0.1, 0.9, 7)
    monitor = monitor_of(REFERENCE)
    monitor.watch(lambda data: MANY_OUTPUTS[output](scores))(MANY_ROWS[form](matrix))
    np.testing.assert_array_equal(window_counts(monitor), expected(matrix, scores))
    assert (drops(monitor.snapshot()), errors(monitor.snapshot())) == ({}, {})


@settings(max_examples=25, deadline=None)
@given(matrices, st.data())
def test_any_mixture_of_forms_counts_like_the_rows_at_once(matrix: Any, data: st.DataObject) -> None:
    monitor = monitor_of(REFERENCE)
    predict = monitor.watch(lambda given: 0.5)
    for row in matrix:
        predict(ONE_ROW[data.draw(st.sampled_from(sorted(ONE_ROW)))](row))
    np.testing.assert_array_equal(window_counts(monitor), expected(matrix, np.full(len(matrix), 0.5)))


@settings(max_examples=25, deadline=None)
@given(matrices)
def test_one_by_one_is_at_once(matrix: Any) -> None:
    singly, together = monitor_of(REFERENCE), monitor_of(REFERENCE)
    for row in matrix:
        singly.watch(lambda data: 0.25)(row)
    together.watch(lambda data: np.full(len(matrix), 0.25))(matrix)
    np.testing.assert_array_equal(window_counts(singly), window_counts(together))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int8, np.uint16, np.bool_])
def test_numbers_of_every_dtype_count_like_the_frame_of_them(dtype: Any) -> None:
    matrix = np.array([[0, 1, 1], [1, 0, 3]]).astype(dtype)
    monitor = monitor_of(REFERENCE)
    for row in matrix:
        monitor.watch(lambda data: 0.5)(row)
    frame = dict(zip(NAMES, matrix.T, strict=True))
    want = REFERENCE.count({**frame, "score": np.full(2, 0.5)})
    np.testing.assert_array_equal(window_counts(monitor), want)


def test_null_is_missing_and_nan_is_not_a_number() -> None:
    rows_ = [{"age": None, "income": 1.0, "ratio": float("nan")}, {"age": 0.5, "income": None, "ratio": 0.0}]
    want = REFERENCE.count({**{n: [r[n] for r in rows_] for n in NAMES}, "score": [0.5, 0.5]})
    forms: list[Callable[[Any], Any]] = [
        lambda row: row,
        lambda row: [row],
        lambda row: pl.DataFrame([row]),
        lambda row: pa.Table.from_pylist([row]),
        lambda row: list(row.values()),
    ]
    for form in forms:
        monitor = monitor_of(REFERENCE)
        for row in rows_:
            monitor.watch(lambda data: 0.5)(form(row))
        np.testing.assert_array_equal(window_counts(monitor), want)


def test_categories_booleans_and_two_outputs_are_read_in_every_form(mixed: Any) -> None:
    records = [
        {"age": 30.0, "plan": "free", "active": True},
        {"age": 41.0, "plan": "unheard of", "active": False},
        {"age": None, "plan": None, "active": True},
    ]
    answers = [("yes", 0.25), ("no", 0.5), ("maybe", None)]
    columns = {name: [record[name] for record in records] for name in records[0]}
    want = mixed.count({**columns, "label": [a for a, _ in answers], "score": [b for _, b in answers]})
    inputs: list[Callable[[Any], Any]] = [
        dict,
        lambda row: [dict(row)],
        lambda row: pd.DataFrame([row]),
        lambda row: pl.DataFrame([row]),
        lambda row: pa.Table.from_pylist([row]),
        lambda row: list(row.values()),
    ]
    outputs: list[Callable[[Any], Any]] = [
        tuple,
        list,
        lambda answer: [list(answer)],
        lambda answer: dict(zip(("label", "score"), answer, strict=True)),
        lambda answer: pl.DataFrame([dict(zip(("label", "score"), answer, strict=True))]),
    ]
    for form in inputs:
        for output in outputs:
            monitor = monitor_of(mixed)
            for row, answer in zip(records, answers, strict=True):
                given = output(answer)
                monitor.watch(lambda data, given=given: given)(form(row))  # type: ignore[misc]
            np.testing.assert_array_equal(window_counts(monitor), want)
    together = monitor_of(mixed)
    together.watch(lambda data: tuple(zip(*answers, strict=True)))(columns)
    np.testing.assert_array_equal(window_counts(together), want)


def test_a_reference_of_one_input_takes_scalars_and_columns() -> None:
    reference = Reference.fit({"plan": ["free", "paid"] * 50})
    want = reference.count({"plan": ["free", "paid", "other"]})
    singly = monitor_of(reference)
    for plan in ("free", "paid", "other"):
        singly.watch(lambda plan: None)(plan)
    np.testing.assert_array_equal(window_counts(singly), want)
    for together in (
        ["free", "paid", "other"],
        np.array(["free", "paid", "other"]),
        pd.Series(["free", "paid", "other"]),
    ):
        monitor = monitor_of(reference)
        monitor.watch(lambda data: None)(together)
        np.testing.assert_array_equal(window_counts(monitor), want)


def test_a_reference_of_outputs_alone_counts_what_predict_says() -> None:
    reference = Reference.fit({"score": np.linspace(0, 1, 100)}, outputs=["score"])
    monitor = monitor_of(reference)
    monitor.watch(lambda anything: 0.5)("text")
    monitor.watch(lambda anything: np.array([0.1, 0.2]))(object())
    np.testing.assert_array_equal(window_counts(monitor), reference.count({"score": [0.5, 0.1, 0.2]}))
    assert_adds_up(monitor.snapshot(), 3)


def test_observe_takes_what_predict_would_have_been_given() -> None:
    matrix = np.random.default_rng(8).normal(size=(50, len(NAMES)))
    monitor = monitor_of(REFERENCE, buffer_rows=1)
    monitor.observe(matrix, np.full(50, 0.5), now_seconds=5.0)
    np.testing.assert_array_equal(window_counts(monitor), expected(matrix, np.full(50, 0.5)))
    assert monitor.snapshot(now_seconds=12.0).windows[0].seconds == 7.0


# ---------------------------------------------------------------------- edge


def test_changes_that_predict_makes_to_its_inputs_are_not_seen() -> None:
    def spoil(data: Any) -> float:
        if isinstance(data, np.ndarray):
            data[...] = 99
        elif isinstance(data, dict):
            for name in data:
                data[name] = 99
        elif isinstance(data, list):
            data[:] = [99] * len(data)
        elif isinstance(data, pd.DataFrame):
            data.iloc[0, 0] = 99.0
        elif isinstance(data, pl.DataFrame):
            data[0, "age"] = 99.0
            data.replace_column(1, pl.Series("income", [99.0]))
        return 0.5

    matrix = np.random.default_rng(9).normal(size=(2, len(NAMES)))
    for name, form in ONE_ROW.items():
        if name in ("tensor", "pyarrow", "structured", "tuple", "pandas series"):
            continue
        monitor = monitor_of(REFERENCE)
        for row in matrix:
            monitor.watch(spoil)(form(row.copy()))
        got = window_counts(monitor)
        np.testing.assert_array_equal(got, expected(matrix, np.full(2, 0.5)), err_msg=name)


def test_a_frame_over_an_array_that_the_host_writes_to_is_safe() -> None:
    array = np.zeros((1, len(NAMES)))
    frame = pd.DataFrame(array, columns=list(NAMES), copy=False).assign(note="n")
    wide = pd.DataFrame(np.zeros((3, len(NAMES))), columns=list(NAMES), copy=False)
    for data, rows_ in ((frame, 1), (wide, 3)):
        monitor = monitor_of(REFERENCE)
        monitor.watch(lambda data, rows_=rows_: np.full(rows_, 0.5))(data)  # type: ignore[misc]
        array[...] = 99
        data[list(NAMES)].to_numpy()
        want = expected(np.zeros((rows_, len(NAMES))), np.full(rows_, 0.5))
        np.testing.assert_array_equal(window_counts(monitor), want)


def test_changes_to_the_result_after_it_was_returned_are_not_seen() -> None:
    scores = np.array([0.1, 0.2])
    monitor = monitor_of(REFERENCE)
    monitor.watch(lambda data: scores)(np.zeros((2, len(NAMES))))
    scores[:] = 0.9
    np.testing.assert_array_equal(
        window_counts(monitor), expected(np.zeros((2, len(NAMES))), np.array([0.1, 0.2]))
    )


def test_no_rows_are_no_offer() -> None:
    monitor = monitor_of(REFERENCE)
    predict = monitor.watch(lambda data: np.empty(0))
    for nothing in (np.empty((0, len(NAMES))), [], pd.DataFrame(columns=list(NAMES), dtype=float)):
        predict(nothing)
    assert_adds_up(monitor.snapshot(), 0)

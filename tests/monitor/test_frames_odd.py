"""Rows in unusual clothes: values without dimensions, matrices, gaps for columns, lists with holes."""

# ruff: noqa: ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from monitor_cases import NAMES, assert_adds_up, drops, errors, monitor_of, numbers_reference, window_counts
from scipy import sparse

REFERENCE = numbers_reference()
ROW = np.array([0.1, -0.2, 0.3])


class Scalar:
    """A tensor of no dimension."""

    ndim = 0

    def __init__(self, value: float) -> None:
        self._value = value

    def __len__(self) -> int:
        message = "len() of a 0-d tensor"
        raise TypeError(message)

    def detach(self) -> Scalar:
        return self

    def cpu(self) -> Scalar:
        return self

    def numpy(self) -> Any:
        return np.array(self._value)


def watched(data: Any) -> Any:
    monitor = monitor_of(REFERENCE)
    monitor.watch(lambda data: 0.5)(data)
    return monitor


STRUCTURED = np.array([tuple(ROW)], dtype=[(name, "f8") for name in NAMES])


@pytest.mark.parametrize(
    "data",
    [
        {name: np.array(value) for name, value in zip(NAMES, ROW, strict=True)},
        {name: Scalar(value) for name, value in zip(NAMES, ROW, strict=True)},
        {name: [value] for name, value in zip(NAMES, ROW, strict=True)} | {"note": None},
        np.matrix(ROW),
        STRUCTURED[0],
    ],
    ids=["arrays", "tensors", "columns", "matrix", "record"],
)
def test_one_row_in_unusual_clothes_is_that_row(data: Any) -> None:
    monitor = watched(data)
    expected = REFERENCE.count({**dict(zip(NAMES, ROW[:, None], strict=True)), "score": [0.5]})
    np.testing.assert_array_equal(window_counts(monitor), expected)
    assert drops(monitor.snapshot()) == errors(monitor.snapshot()) == {}


@pytest.mark.parametrize(
    ("data", "reason", "rows"),
    [
        ([{"age": 1.0, "income": 2.0}, None], "unsupported_type", 2),
        ({"age": None, "income": [1, 2, 3], "ratio": [1, 2, 3]}, "unsupported_type", 3),
        (sparse.csr_matrix(np.ones((5, 3))), "unsupported_type", 5),
    ],
)
def test_what_cannot_be_read_is_counted_with_all_its_rows(data: Any, reason: str, rows: int) -> None:
    snapshot = watched(data).snapshot()
    assert drops(snapshot) == {reason: rows}
    assert set(errors(snapshot)) <= {"outputs"}  # one score for several rows
    assert_adds_up(snapshot, rows)


@pytest.mark.parametrize("first", [None, "r-17", 5])
def test_rows_are_counted_in_the_columns_of_the_reference(first: Any) -> None:
    columns = {name: [value] * 3 for name, value in zip(NAMES, ROW.tolist(), strict=True)}
    monitor = monitor_of(REFERENCE)
    monitor.watch(lambda data: [0.5] * 3)({"request": first, **columns})
    np.testing.assert_array_equal(window_counts(monitor), REFERENCE.count({**columns, "score": [0.5] * 3}))
    assert_adds_up(monitor.snapshot(), 3)

"""From values to cells."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import categorical_feature, numeric_feature, point_sets, values_around

from driftgauge.cells import MISSING
from driftgauge.kernels import build_search
from driftgauge.kernels._search import Search
from driftgauge.layout import Layout


def cells_of(served_by: ModuleType, values: np.ndarray, search: Search) -> np.ndarray:
    out = np.full(values.size, 65_535, np.uint16)
    served_by.index_numeric(values, search, out)
    return out


@given(data=st.data(), points=point_sets(), buckets=st.sampled_from([2, 3, 16, 256]))
@settings(max_examples=300, deadline=None)
def test_every_value_falls_into_the_cell_that_the_table_says(
    served_by: ModuleType, data: st.DataObject, points: np.ndarray, buckets: int
) -> None:
    values = data.draw(values_around(points))
    expected = [oracles.cell_of(value, points.tolist()) for value in values]
    assert cells_of(served_by, values, build_search(points, buckets)).tolist() == expected


@given(points=point_sets(), values=st.lists(st.floats(allow_nan=False), min_size=2, max_size=40))
@settings(max_examples=100, deadline=None)
def test_cells_rise_with_values(served_by: ModuleType, points: np.ndarray, values: list[float]) -> None:
    cells = cells_of(served_by, np.sort(np.array(values)), build_search(points))
    assert (np.diff(cells.astype(int)) >= 0).all()


@pytest.mark.parametrize("size", [1, 2, 31, 255, 1023, 32_000])
@pytest.mark.parametrize(
    "shape", ["normal", "lognormal", "integer", "one outlier", "two clusters", "equal bits"]
)
def test_large_sets_of_points_agree_with_numpy(served_by: ModuleType, size: int, shape: str) -> None:
    rng = np.random.default_rng(size)
    if shape == "normal":
        points = rng.normal(size=size)
    elif shape == "lognormal":
        points = np.exp(3 * rng.normal(size=size))
    elif shape == "integer":
        points = np.arange(size, dtype=np.float64) - size // 2
    elif shape == "one outlier":
        points = np.append(rng.normal(size=size - 1), 1e300)
    elif shape == "two clusters":
        points = np.append(rng.normal(size=size // 2), 1e6 + rng.normal(size=size - size // 2))
    else:
        points = 1.0 + np.arange(size) * 2.0**-52
    points = np.unique(points)
    some = rng.choice(points, 700)
    values = np.concatenate(
        (
            some,
            np.nextafter(some, np.inf),
            np.nextafter(some, -np.inf),
            rng.normal(size=300),
            [np.inf, -np.inf],
        )
    )
    # searchsorted gives the insertion position; points and specials become cells here
    position = np.searchsorted(points, values)
    on_point = points[np.minimum(position, points.size - 1)] == values
    expected = 2 * position + 1 + on_point + (values == np.inf) - (values == -np.inf)
    assert (cells_of(served_by, values, build_search(points)) == expected).all()


def test_minus_zero_is_zero_whichever_of_them_is_the_point(served_by: ModuleType) -> None:
    for zero in (0.0, -0.0):
        for others in ([-1e-300, 1e-300], [-5e-324, 5e-324], [-1.0, 1e200]):
            search = build_search(np.sort(np.array([zero, *others])))
            assert cells_of(served_by, np.array([0.0, -0.0]), search).tolist() == [4, 4]


def test_missing_is_told_from_not_a_number(served_by: ModuleType) -> None:
    values = np.array([np.nan, MISSING, -np.nan, np.nan, 0.0] * 200)
    cells = cells_of(served_by, values, build_search(np.array([0.0, 1.0])))
    assert cells.tolist() == [7, 8, 7, 7, 2] * 200


def test_values_of_any_stride_and_read_only_arrays_are_taken(served_by: ModuleType) -> None:
    block = np.arange(2000, dtype=np.float64).reshape(500, 4)
    block.flags.writeable = False
    search = build_search(np.array([0.0, 900.0, 1900.0]))
    assert (
        cells_of(served_by, block[::3, 2], search) == cells_of(served_by, block[::3, 2].copy(), search)
    ).all()


def test_no_values_write_nothing(served_by: ModuleType) -> None:
    assert cells_of(served_by, np.empty(0), build_search(np.array([1.0]))).size == 0


def test_columns_are_written_to_their_features_and_others_are_left_alone(served_by: ModuleType) -> None:
    layout = Layout.of(
        [
            numeric_feature([1.0, 2.0], [1] * 9, "a"),
            categorical_feature([3, 2, 1, 0]),
            numeric_feature(np.arange(50.0), [1] * 105, "b"),
        ]
    )
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 51, size=(700, 2))
    out = np.full((3, 700), 999, np.uint16)
    served_by.index_numeric_columns(values, layout, np.array([2, 0], np.int32), out)
    assert (out[1] == 999).all()
    assert (out[2] == cells_of(served_by, values[:, 0], layout.search(2))).all()
    assert (out[0] == cells_of(served_by, values[:, 1], layout.search(0))).all()


@pytest.mark.parametrize("shape", ["normal", "lognormal", "uniform", "integer", "one outlier"])
def test_quantile_points_of_ordinary_data_need_at_most_three_steps_and_8_kib(shape: str) -> None:
    rng = np.random.default_rng(0)
    sample = {
        "normal": rng.normal(size=200_000),
        "lognormal": rng.lognormal(size=200_000),
        "uniform": rng.uniform(size=200_000),
        "integer": rng.integers(0, 1023, size=200_000).astype(float),
        "one outlier": np.append(rng.normal(size=199_999), 1e300),
    }[shape]
    levels = np.linspace(0, 1, 1023)
    points = np.unique(np.quantile(sample, levels, method="inverted_cdf"))
    search = build_search(points)
    # a plain binary search over 1,023 points takes 10
    assert search.steps <= 3
    assert search.table.nbytes <= 8192

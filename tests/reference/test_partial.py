"""Partial references: merge is concat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftgauge._archive import read_archive, write_archive
from driftgauge.cells import MISSING
from driftgauge.errors import ConfigError, DataError, ReferenceFileError
from driftgauge.reference import PartialReference, Reference

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(), st.integers(-5, 5)),
        st.one_of(st.none(), st.sampled_from(["a", "b", "ü", ""])),
        st.one_of(st.none(), st.booleans()),
    ),
    max_size=20,
)


def table(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(("number", "text", "flag"))}


SETTINGS: dict[str, Any] = {"outputs": ["flag"], "min_category_count": 1, "model": "m"}
ANCHOR = [(1.5, "a", True)]  # so that each column has a value somewhere


def sketched(seed: int, rows: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=rows)


# law


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(ROWS, min_size=1, max_size=4), saved=st.booleans(), where=st.integers(0, 4))
def test_merge_is_concat(parts: list[list[Any]], saved: bool, where: int, tmp_path: Path) -> None:
    parts = [*parts[:where], ANCHOR, *parts[where:]]
    whole = Reference.fit(table([row for part in parts for row in part]), **SETTINGS)
    partials = []
    for part in parts:
        partial = PartialReference(**SETTINGS).update(table(part))
        if saved:
            partial.save(tmp_path / "partial")
            partial = PartialReference.load(tmp_path / "partial")
        partials.append(partial)
    merged = Reference.merge(partials)
    assert merged.id == whole.id
    assert merged.rows == sum(partial.rows for partial in partials)
    # merging leaves the parts as they were, and goes in any order
    assert Reference.merge(reversed(partials)).id == whole.id
    assert Reference.fit_batches(map(table, parts), **SETTINGS).id == whole.id


def test_merge_is_concat_within_the_bound_where_a_column_is_summarised(tmp_path: Path) -> None:
    parts = [sketched(seed, 120_000 + seed) for seed in range(3)]
    partials = [PartialReference().update({"x": part}) for part in parts]
    for number, partial in enumerate(partials):
        partial.save(tmp_path / str(number))
    merged = Reference.merge(PartialReference.load(tmp_path / str(number)) for number in range(3))
    assert merged.id == Reference.merge(partials).id
    values = np.concatenate(parts)
    feature = merged.features[0]
    assert feature.rows == values.size
    assert feature.points[[0, -1]].tolist() == [values.min(), values.max()]
    # the reference's distribution function at each of its points, against the rows themselves
    up_to = np.cumsum(feature.counts[: feature.number_cells])[2::2] / values.size
    true = np.searchsorted(np.sort(values), feature.points, side="right") / values.size
    gap = 1 / (1023 - 10)
    assert np.abs(up_to[:-1] - true).max() <= feature.ks_error_bound - gap + 2e-5
    assert gap < feature.ks_error_bound < gap + 0.0006


def test_batches_of_any_size_give_one_id() -> None:
    values = sketched(9, 300_000)
    ids = {
        Reference.fit_batches(np.array_split(values, pieces), names=["x"], created_timestamp_seconds=0.0).id
        for pieces in (1, 3, 100)
    }
    assert len(ids) == 1


def test_a_batch_that_is_refused_leaves_no_trace() -> None:
    partial = PartialReference(min_category_count=1).update({"a": [1.0], "b": ["x"]})
    before = partial.finish(created_timestamp_seconds=0.0).id
    for bad in (
        {"a": [1.0]},
        {"a": [1.0], "b": [2.0]},
        {"a": [1.0], "b": ["x"], "c": [1]},
        {"a": [2**60], "b": ["x"]},
    ):
        with pytest.raises(DataError):
            partial.update(bad)
    assert partial.finish(created_timestamp_seconds=0.0).id == before


def test_a_partial_goes_on_after_finish() -> None:
    partial = PartialReference().update({"x": [1.0]})
    assert partial.finish().rows == 1
    assert partial.update({"x": [2.0]}).finish().features[0].points.tolist() == [1.0, 2.0]


# edge


def test_a_column_may_be_empty_in_some_batches() -> None:
    batches: list[Any] = [
        {"n": [None], "c": [None], "b": [None]},
        pl.DataFrame({"n": [1.0], "c": ["x"], "b": [True]}),
        pd.DataFrame({"n": [None], "c": [None], "b": [None]}),
        {"b": [None], "c": [None], "n": [None]},
    ]
    reference = Reference.fit_batches(batches, min_category_count=1)
    assert [feature.dtype for feature in reference.features] == ["numeric", "categorical", "boolean"]
    assert [int(feature.counts[-1]) for feature in reference.features] == [3, 3, 3]


def test_a_batch_of_nan_is_missing_where_the_column_is_no_number() -> None:
    partial = PartialReference(min_category_count=1).update({"flag": [True, False], "plan": ["a", "b"]})
    partial.update({"flag": [np.nan, np.nan], "plan": np.array([np.nan, np.nan])})
    reference = partial.finish()
    assert [feature.counts.tolist() for feature in reference.features] == [[1, 1, 0, 2]] * 2


def test_unbounded_counts_give_what_fit_gives_and_merge_with_the_bounded() -> None:
    values = np.random.default_rng(5).permutation(70_000).astype(float)
    halves = [PartialReference(bounded=False).update({"x": half}) for half in np.split(values, 2)]
    whole = Reference.fit({"x": values})
    assert Reference.fit({"x": values[:35_000]}).id == halves[0].finish().id
    assert halves[0].options == PartialReference().options
    assert PartialReference(**halves[0].options).merge(halves[0]).merge(halves[1]).rows == whole.rows
    assert halves[0].merge(halves[1]).finish().id == whole.id


def test_progress_is_told_by_batch() -> None:
    seen: list[int] = []
    Reference.fit_batches([{"x": [1, 2]}, {"x": [3]}], on_rows=seen.append)
    assert seen == [2, 1]


def test_no_batches_are_no_reference() -> None:
    with pytest.raises(DataError, match="no rows"):
        Reference.fit_batches([])
    with pytest.raises(ConfigError, match="nothing to merge"):
        Reference.merge([])


def test_a_column_that_changes_its_type_is_refused_with_a_hint() -> None:
    partial = PartialReference().update({"x": [1.0]})
    with pytest.raises(
        DataError, match=r"'x' was numeric and is categorical in later rows.*categorical=\['x'\]"
    ):
        partial.update({"x": ["a"]})
    other = PartialReference().update({"x": ["a"]})
    with pytest.raises(DataError, match="'x' is numeric in one partial, categorical in another"):
        partial.merge(other)


def test_another_set_of_columns_is_refused() -> None:
    partial = PartialReference().update({"x": [1.0], "y": [1.0]})
    with pytest.raises(DataError, match="'y' is there only before"):
        partial.update({"x": [1.0]})
    with pytest.raises(DataError, match="'z' is there only in these rows"):
        partial.update({"x": [1.0], "y": [1.0], "z": [1.0]})
    with pytest.raises(DataError, match="'y' is in one partial only"):
        partial.merge(PartialReference().update({"x": [1.0]}))


def test_other_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="bins is 10 here, 11 there"):
        PartialReference().merge(PartialReference(bins=11))


def test_an_empty_partial_merges_with_anything(tmp_path: Path) -> None:
    PartialReference().save(tmp_path / "empty")
    empty = PartialReference.load(tmp_path / "empty")
    assert Reference.merge([empty, PartialReference().update({"x": [1.0]})]).rows == 1


@pytest.mark.parametrize(
    "change", [{"rows": 3}, {"dtype": None}, {"tally": None}, {"dtype": "boolean"}, {"missing": "x"}]
)
def test_a_partial_whose_parts_do_not_fit_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "file"
    PartialReference().update({"x": [1.0, MISSING]}).save(path)
    header, arrays = read_archive(path, "partial reference")
    (header if "rows" in change else header["columns"][0]).update(change)
    write_archive(path, "partial reference", header, arrays)
    with pytest.raises(ReferenceFileError, match="damaged"):
        PartialReference.load(path)


# story


def test_a_million_rows_go_through_bounded_memory_in_one_pass() -> None:
    def batches() -> Any:
        rng = np.random.default_rng(10)
        for _ in range(20):
            yield {"x": rng.normal(size=50_000), "c": rng.integers(5, size=50_000).astype(str)}

    partial = PartialReference()
    for batch in batches():
        partial.update(batch)
    reference = partial.finish()
    tally: Any = partial._columns["x"].tally
    held = sum(b.nbytes for b in tally.summary.buffers.values()) + sum(a.nbytes for a in tally.table)
    held += sum(b.nbytes for b in tally.pending)
    assert held < 2**20
    assert reference.rows == 1_000_000
    assert reference.feature("x").ks_error_bound < 0.0013

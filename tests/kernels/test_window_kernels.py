"""Counts in step with rows that come and go."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType

import numpy as np
import oracles
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import categorical_feature, numeric_feature

from driftgauge.layout import Layout

CELLS = (7, 5)
OFFSETS = np.array([0, 7, 12])


def block_of(rows: list[tuple[int, ...]]) -> np.ndarray:
    return np.array(rows, dtype=np.uint16).reshape(-1, 2).T


row = st.tuples(st.integers(0, 6), st.integers(0, 4))


@given(capacity=st.integers(1, 9), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_row_window_holds_the_counts_of_its_last_rows(
    served_by: ModuleType, capacity: int, data: st.DataObject
) -> None:
    pushes = data.draw(st.lists(st.lists(row, max_size=capacity), max_size=12))
    ring = np.full((2, capacity), 9999, np.uint16)
    counts = np.zeros(12, np.uint32)
    head = filled = 0
    plain = oracles.RowWindow(capacity)
    for rows in pushes:
        plain.push(rows)
        served_by.push_rows(ring, head, filled, block_of(rows), OFFSETS, counts)
        head, filled = (head + len(rows)) % capacity, min(capacity, filled + len(rows))
        expected = [count for f in range(2) for count in plain.counts(f, CELLS[f])]
        assert counts.tolist() == expected


@given(first=st.lists(row, max_size=20), second=st.lists(row, max_size=20))
@settings(max_examples=50, deadline=None)
def test_counting_two_blocks_is_counting_them_joined(
    served_by: ModuleType, first: list[tuple[int, ...]], second: list[tuple[int, ...]]
) -> None:
    apart, joined = np.zeros(12, np.uint32), np.zeros(12, np.uint32)
    served_by.add_counts(block_of(first), OFFSETS, apart)
    served_by.add_counts(block_of(second), OFFSETS, apart)
    served_by.add_counts(block_of(first + second), OFFSETS, joined)
    assert (apart == joined).all()


def test_a_slice_of_a_wider_block_is_counted_as_itself(served_by: ModuleType) -> None:
    wide = np.arange(20, dtype=np.uint16).reshape(2, 10) % 5
    counts, expected = np.zeros(12, np.uint32), np.zeros(12, np.uint32)
    served_by.add_counts(wide[:, 2:6], OFFSETS, counts)
    served_by.add_counts(wide[:, 2:6].copy(), OFFSETS, expected)
    assert (counts == expected).all()
    assert counts.sum() == 8


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_bin_rows_only_grow_and_agree_with_counts(served_by: ModuleType, data: st.DataObject) -> None:
    layout = Layout.of([numeric_feature([0.0, 1.0, 2.0], [1] * 11), categorical_feature([4, 3, 2, 1])])
    rows = data.draw(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 3)), max_size=30))
    counts = np.zeros(layout.cells, np.uint32)
    bin_rows = np.full(layout.bins, 5, np.int64)
    served_by.add_counts(block_of(rows), layout.cell_offsets, counts)
    served_by.add_bin_rows(block_of(rows), layout, bin_rows)
    expected: list[int] = []
    for f, feature in enumerate(layout.features):
        cells = counts[layout.cell_offsets[f] : layout.cell_offsets[f + 1]]
        starts = feature.bin_starts.tolist()
        expected += [5 + int(cells[a:b].sum()) for a, b in pairwise(starts)]
    assert bin_rows.tolist() == expected

"""Flat arrays, one slice per feature."""

from __future__ import annotations

import numpy as np
from kernel_cases import categorical_feature, numeric_feature

from driftgauge.kernels import build_search
from driftgauge.layout import Layout


def test_a_layout_keeps_each_feature_and_holds_nothing_twice() -> None:
    given = [
        numeric_feature([1.0, 2.0, 4.0], range(11), "a"),
        categorical_feature([4, 3, 2, 1]),
        numeric_feature(np.arange(50.0), [2] * 105, "b"),
    ]
    layout = Layout.of(given)
    for before, after in zip(given, layout.features, strict=True):
        assert after.name == before.name
        assert (after.counts == before.counts).all()
        assert (after.bin_starts == before.bin_starts).all()
        assert (after.points == before.points).all()
        assert np.shares_memory(after.counts, layout.reference)
        assert np.shares_memory(after.bin_starts, layout.bin_starts)
        if before.dtype == "numeric":
            assert np.shares_memory(after.points, layout.edges)
    assert layout.cells == 11 + 4 + 105
    assert layout.bins == sum(f.bin_starts.size - 1 for f in given)
    assert layout.numeric_columns.tolist() == [0, 2]
    assert layout.reference_bins.sum() == layout.reference.sum()


def test_the_search_of_a_feature_is_the_one_its_points_give() -> None:
    points = np.random.default_rng(0).lognormal(size=500)
    points.sort()
    layout = Layout.of([categorical_feature([1, 2, 3]), numeric_feature(points, [1] * 1005)])
    found, made = layout.search(1), build_search(points)
    assert (found.points == points).all()
    assert (found.table == made.table).all()
    assert (found.low, found.scale, found.steps, found.ordered) == (
        made.low,
        made.scale,
        made.steps,
        made.ordered,
    )


def test_a_feature_of_1023_points_takes_at_most_26_kib() -> None:
    points = np.unique(np.random.default_rng(0).normal(size=1023))
    layout = Layout.of([numeric_feature(points, [1] * (2 * points.size + 5))])
    # points 8 KiB, table 8, reference counts 8, the rest
    assert layout.nbytes <= 26 * 1024


def test_a_layout_of_categorical_features_alone_has_no_points() -> None:
    layout = Layout.of([categorical_feature([1, 2, 3]), categorical_feature([5, 5])])
    assert layout.edges.size == 0
    assert layout.numeric_columns.size == 0

"""Rows by e-cell, virtual features, and the step of evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftgauge.calibration import VirtualFeature
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._tables import EvidenceTables, VirtualTables

Floats = NDArray[np.float64]

GAUSSIAN = np.array([20, 180, 800, *[1_000] * 18, 800, 180, 20, 0, 0, 0], dtype=float)
ZIPF = np.array([4_000, 2_000, 1_300, 1_000, 800, 500, 300, 80, 15, 5, 40, 0], dtype=float)


# Counting.


@given(data=st.data(), rows=st.integers(0, 600))
@settings(max_examples=60)
def test_rows_are_counted_by_the_ecell_of_their_cell(
    served_by: ModuleType, data: st.DataObject, rows: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    cells, ecells = (7, 1_000, 4), (3, 255, 1)
    cell_map = np.concatenate([rng.integers(0, k, c) for c, k in zip(cells, ecells, strict=True)])
    indices = np.array([rng.integers(0, c, 2 * rows) for c in cells], np.uint16)[:, ::2]
    offsets = np.array([0, 3, 258, 259, 264])  # and a virtual stream of 5, which is left alone
    counts = np.full(264, 7, np.uint32)
    out = np.empty((3, rows), np.uint8)
    served_by.count_ecells(
        indices, np.array([0, 7, 1_007, 1_011]), cell_map.astype(np.uint8), offsets, counts, out
    )
    expected = [7] * 264
    for f in range(3):
        for j in range(rows):
            ecell = int(cell_map[(0, 7, 1_007)[f] + int(indices[f, j])])
            assert out[f, j] == ecell
            expected[(0, 3, 258)[f] + ecell] += 1
    assert counts.tolist() == expected


@st.composite
def virtual_features(draw: st.DrawFn) -> tuple[VirtualFeature, ...]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        features = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True))
        edges = draw(st.lists(st.floats(-5, 5), max_size=6, unique=True))
        made.append(
            VirtualFeature(
                name=str(number),
                features=np.array(features, np.int32),
                weights=np.array(draw(st.lists(st.sampled_from([-1.0, 1.0, 0.5]), min_size=4)), np.float32)[
                    : len(features)
                ],
                squared=draw(st.booleans()),
                edges=np.sort(np.array(edges, float)),
            )
        )
    return tuple(made)


@given(virtual=virtual_features(), rows=st.integers(0, 600), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_virtual_features_are_counted_by_their_edges(
    served_by: ModuleType, virtual: tuple[VirtualFeature, ...], rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-8, 8, 4 * 3) / 4  # quarters: sums are exact, and values lie on edges
    virtual = tuple(replace(one, edges=np.unique(np.round(one.edges * 4) / 4)) for one in virtual)
    ecells = rng.integers(0, 3, (4, 2 * rows)).astype(np.uint8)[:, ::2]
    sizes = [3, 3, 3, 3, *(one.edges.size + 1 for one in virtual)]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    counts = np.zeros(offsets[-1], np.uint32)
    values = np.full((len(virtual), rows), np.nan)
    tables = VirtualTables.of(virtual)
    served_by.count_virtual(ecells, scores, offsets, tables, counts)
    served_by.virtual_values(ecells, scores, offsets, tables, values)
    expected = [0] * int(offsets[-1])
    for v, one in enumerate(virtual):
        for j in range(rows):
            value = 0.0
            for feature, weight in zip(one.features.tolist(), one.weights.tolist(), strict=True):
                score = float(scores[3 * feature + int(ecells[feature, j])])
                value += weight * (score**2 if one.squared else score)
            assert values[v, j] == value
            expected[int(offsets[4 + v]) + sum(edge < value for edge in one.edges.tolist())] += 1
    assert counts.tolist() == expected


# One step of evidence.


class Oracle:
    """The recursion in logarithms, one component after the other, from likelihood ratios by e-cell."""

    def __init__(self, bank: Bank, cap: float) -> None:
        self.ratios = bank.log_ratios().tolist()
        self.bounds = bank.log_bounds.tolist()
        self.exponents = bank.exponents.tolist()
        self.weights = bank.weights.tolist()
        self.cap = cap
        self.logs = [-math.inf] * len(self.weights)
        # Of each possible start of the change: its time and the log evidence for it.
        self.starts: list[list[tuple[float, float]]] = [[] for _ in self.weights]

    def step(self, counts: list[int], bucket_rows: list[int], start: float) -> None:
        for i, weight in enumerate(self.weights):
            s = sum(n * r for n, r in zip(counts, self.ratios[i], strict=True))
            if len(self.bounds) == 1:
                s -= sum(bucket_rows) * self.bounds[0][i]
            else:
                s -= sum(m * bound[i] for m, bound in zip(bucket_rows, self.bounds, strict=True))
            s *= self.exponents[i]
            before = self.logs[i]
            grown = before if before > 700 else math.log1p(math.exp(before))
            self.logs[i] = min(grown + s, math.log(self.cap / weight))
            self.starts[i] = [(time, log + s) for time, log in [*self.starts[i], (start, 0.0)]]

    def total(self) -> float:
        return math.fsum(w * math.exp(log) for w, log in zip(self.weights, self.logs, strict=True))

    def moment(self) -> float:
        """Only right while nothing was capped."""
        return math.fsum(
            w * time * math.exp(log)
            for w, starts in zip(self.weights, self.starts, strict=True)
            for time, log in starts
        )


class Model:
    """Several streams as the kernel has them."""

    def __init__(self, banks: list[Bank], tables: list[int], ecells: list[int], caps: list[float]) -> None:
        self.tables = EvidenceTables.of(banks, tables, ecells)
        self.caps = np.array(caps)
        components = int(self.tables.state_offsets[-1])
        self.evidence, self.moments = np.zeros(components), np.zeros(components)
        self.totals, self.total_moments = np.full(len(tables), np.nan), np.full(len(tables), np.nan)

    def step(
        self, served_by: ModuleType, counts: NDArray[np.integer], bucket_rows: list[int], start: float
    ) -> None:
        served_by.advance(
            np.asarray(counts, np.uint32),
            np.array(bucket_rows),
            start,
            self.tables,
            self.caps,
            self.evidence,
            self.moments,
            self.totals,
            self.total_moments,
        )


def number_bank(min_effect: float = 0.01) -> Bank:
    return Bank.of(GAUSSIAN, 24, 20_000, min_effect=min_effect)


def test_evidence_and_its_mean_start_are_those_of_the_recursion_in_logarithms(served_by: ModuleType) -> None:
    rng = np.random.default_rng(1)
    buckets = rng.multinomial(500, ZIPF / ZIPF.sum(), size=7)
    seasonal = Bank.of(
        buckets.sum(axis=0).astype(float), 0, int(buckets.sum()), min_effect=0.01, bucket_counts=buckets
    )
    dependent = Bank.of(
        GAUSSIAN, 24, 20_000, min_effect=0.01, design_effects=np.linspace(1, 9, 4 + GAUSSIAN.size)
    )
    banks = [number_bank(), Bank.empty(), seasonal, dependent]
    order = [2, 0, 1, 3, 0]  # two streams share a table, one is not watched
    caps = [1e60] * 5
    sizes = [{0: 27, 1: 9, 2: 12, 3: 27}[table] for table in order]
    model = Model(banks, order, sizes, caps)
    plain = [Oracle(banks[table], 1e60) for table in order]
    offsets = model.tables.ecell_offsets
    by_table = {0: GAUSSIAN, 1: np.ones(9), 2: ZIPF, 3: GAUSSIAN}
    laws = [0.9 * by_table[t] / by_table[t].sum() + 0.1 / by_table[t].size for t in order]
    for block in range(12):
        rows = int(rng.integers(1, 60))
        spread = rng.multinomial(rows, [0.6, 0.4, 0, 0, 0, 0, 0]).tolist()
        counts = np.concatenate([rng.multinomial(rows, law) for law in laws])
        start = 1.7e9 + 60 * block
        model.step(served_by, counts, spread, start)
        for s, one in enumerate(plain):
            one.step(counts[offsets[s] : offsets[s + 1]].tolist(), spread, start)
        # What a row adds by its bucket is kept in float32: 6e-8 of some hundredths, times rows.
        assert model.totals == pytest.approx([one.total() for one in plain], rel=1e-4)
        assert model.total_moments == pytest.approx([one.moment() for one in plain], rel=1e-4)
        assert model.totals[2] == 0


def test_evidence_meets_its_cap_and_the_mean_start_stays(served_by: ModuleType) -> None:
    bank = number_bank()
    model = Model([bank], [0], [27], [1e6])
    plain = Oracle(bank, 1e6)
    rows = np.zeros(27, int)
    rows[20] = 40  # all of them high
    for block in range(30):
        model.step(served_by, rows, [40], 1e9 + 60 * block)
        plain.step(rows.tolist(), [40], 1e9 + 60 * block)
        assert model.totals[0] == pytest.approx(plain.total(), rel=1e-4)
    assert model.evidence.max() == 1e6
    # It began with the first block or the second, for all that is known; that is not forgotten at the cap.
    assert model.total_moments[0] / model.totals[0] == pytest.approx(1e9, abs=60)


@given(seed=st.integers(0, 2**32 - 1), rows=st.sampled_from([1, 20, 5_000, 4_000_000_000]))
@settings(max_examples=40)
def test_no_block_makes_evidence_infinite_or_nothing(served_by: ModuleType, seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    model = Model([number_bank(), Bank.of(ZIPF, 0, 10_040, min_effect=0.0)], [0, 1], [27, 12], [1e12, 1e12])
    for _ in range(4):
        where = [int(rng.integers(27)), 27 + int(rng.integers(12))]
        counts = np.zeros(39, np.uint32)
        counts[where] = rows
        model.step(served_by, counts, [rows], 1.7e9)
        assert np.isfinite(model.evidence).all()
        assert (model.evidence > 0).all()
        assert (model.evidence <= 1e12).all()
        assert np.isfinite(model.total_moments).all()


def test_rows_where_the_reference_has_none_are_evidence_at_once(served_by: ModuleType) -> None:
    for cell in (24, 25, 26):
        model = Model([number_bank()], [0], [27], [1e9])
        rows = np.zeros(27, int)
        rows[cell] = 20
        model.step(served_by, rows, [20], 0.0)
        assert model.totals[0] >= 1e9


def test_twins_and_compiled_agree_over_a_long_stream(served_by: ModuleType) -> None:
    from driftgauge.kernels import twins

    rng = np.random.default_rng(9)
    law = np.concatenate((GAUSSIAN[:24] / 20_000, [0, 0, 0]))
    here, there = (Model([number_bank()], [0, 0], [27, 27], [1e7, 1e5]) for _ in range(2))
    for block in range(300):
        counts = rng.multinomial(30, law, size=2).ravel()
        here.step(served_by, counts, [30], 60.0 * block)
        there.step(twins, counts, [30], 60.0 * block)
    assert here.evidence == pytest.approx(there.evidence, rel=1e-9)
    assert here.moments == pytest.approx(there.moments, rel=1e-9)

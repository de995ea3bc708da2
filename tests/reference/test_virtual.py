"""Virtual features: which there are, and that their e-cells are cut as those of features are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._virtual import PAIRS, PROJECTIONS, choose_virtual, virtual_ecells
from driftgauge.calibration import VirtualFeature
from driftgauge.detectors._bank import normal_scores
from driftgauge.detectors._tables import VirtualTables
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.ecells import LEVELS
from driftgauge.reference import Reference

Matrix = NDArray[np.float64]


def reference_of(values: Matrix, **extra: NDArray[np.generic]) -> Reference:
    names = {f"f{number}": column for number, column in enumerate(values.T)}
    return Reference.fit({**names, **extra})


def virtual_of(reference: Reference) -> tuple[VirtualFeature, ...]:
    return () if reference.calibration is None else reference.calibration.virtual


def plain_values(virtual: VirtualFeature, scores: Matrix) -> Matrix:
    """Oracle: the definition, on normal scores [features, rows]."""
    total = np.zeros(scores.shape[1])
    for number, weight in zip(virtual.features, virtual.weights, strict=True):
        total = total + float(weight) * (scores[number] ** 2 if virtual.squared else scores[number])
    return total


def scored(reference: Reference, cells: NDArray[np.uint16]) -> tuple[Matrix, NDArray[np.uint8]]:
    scores, ecells = [], []
    for own, row in zip(reference.ecells, cells, strict=True):
        ecells.append(own.cell_map[row])
        scores.append(normal_scores(own.counts, own.ordered)[ecells[-1]])
    return np.stack(scores), np.stack(ecells)


# law


def test_every_pair_of_a_few_features_is_there_twice_and_no_relation_more_often() -> None:
    rng = np.random.default_rng(1)
    for number in (2, 3, 5, 12):
        virtual = virtual_of(reference_of(rng.standard_normal((600, number))))
        names = {each.name for each in virtual}
        pairs = {f"f{one} {sign} f{other}" for one, other in combinations(range(number), 2) for sign in "+-"}
        assert pairs <= names
        assert len(names) == len(virtual)
        definitions = set()
        for each in virtual:
            # turned round it is the same relation
            weights = each.weights * each.weights[0]
            definitions.add((tuple(each.features), tuple(weights), each.squared))
        assert len(definitions) == len(virtual)
        projections = sum("projection" in name for name in names)
        assert projections == min(PROJECTIONS, 2 ** (number - 1) - 1 if number > 2 else 0)
        assert ("sum" in names) == (number > 2)


def test_of_many_features_some_pairs_are_there_the_strongest_among_them() -> None:
    rng = np.random.default_rng(2)
    values = rng.standard_normal((2_000, 40))
    values[:, 7] = values[:, 3] + 0.3 * values[:, 7]
    values[:, 9] = 0.3 * values[:, 9] - values[:, 20]
    reference = reference_of(values)
    virtual = virtual_of(reference)
    pairs = [each for each in virtual if each.features.size == 2]
    names = {each.name for each in virtual}
    assert len(pairs) == PAIRS
    assert {"f3 - f7", "f9 + f20", "sum", "sum of squares", "projection 8"} <= names
    assert len(virtual) == PAIRS + 2 + PROJECTIONS
    again = reference_of(rng.standard_normal((2_000, 40)))
    projections = [each.weights.tolist() for each in virtual if "projection" in each.name]
    assert projections == [each.weights.tolist() for each in virtual_of(again) if "projection" in each.name]


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.sampled_from([1, 2, 4]), st.booleans())
def test_every_ecell_has_rows_and_no_edge_is_at_a_value(seed: int, digits: int, gaps: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((700, 3)).round(digits)
    if gaps:
        values[rng.random((700, 3)) < 0.3] = np.nan
    reference = reference_of(values)
    calibration = reference.calibration
    assert calibration is not None
    scores, _ = scored(reference, reference.index({f"f{i}": values[:, i] for i in range(3)}))
    for each, stream in zip(calibration.virtual, calibration.streams[3:], strict=True):
        assert stream.counts.size == each.edges.size + 1 <= len(LEVELS) + 5
        assert stream.counts.min() >= 5
        found = plain_values(each, scores)
        # an edge is half a gap from any value, so that no rounding can move a value over it
        assert np.abs(found[:, None] - each.edges).min() > 4e-8
        assert (np.bincount(np.searchsorted(each.edges, found)) == stream.counts).all()


# oracle


@settings(max_examples=15)
@given(st.integers(0, 1_000), st.sampled_from([2, 5, 20]))
def test_ecells_are_those_of_the_definition_and_of_the_kernel(seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    reference = reference_of(rng.standard_normal((800, number)))
    live = rng.standard_normal((300, number)) * 1.5
    live[rng.random(live.shape) < 0.1] = np.nan
    scores, ecells = scored(reference, reference.index({f"f{i}": live[:, i] for i in range(number)}))
    virtual = virtual_of(reference)
    found = np.empty((len(virtual), 300), np.uint8)
    by_ecell = [normal_scores(own.counts, own.ordered) for own in reference.ecells]
    virtual_ecells(virtual, by_ecell, ecells, found)
    offsets = np.cumsum([0, *(own.size for own in reference.ecells)])
    values = np.empty((len(virtual), 300))
    kernels.virtual_values(ecells, np.concatenate(by_ecell), offsets, VirtualTables.of(virtual), values)
    for place, each in enumerate(virtual):
        expected = plain_values(each, scores)
        assert values[place] == pytest.approx(expected, abs=1e-12)
        assert (found[place] == np.searchsorted(each.edges, expected)).all()


# edge


def test_what_has_no_order_or_one_value_is_in_no_relation() -> None:
    rng = np.random.default_rng(3)
    extra = {
        "plan": rng.choice(["a", "b"], 900),
        "constant": np.full(900, 7.0),
        "never": np.zeros(900, bool),
        "flag": rng.random(900) < 0.5,
    }
    reference = reference_of(rng.standard_normal((900, 1)), **extra)
    used = {int(number) for each in virtual_of(reference) for number in each.features}
    assert {reference.names[number] for number in used} == {"f0", "flag"}


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_features_with_an_order_have_no_relations(number: int) -> None:
    rng = np.random.default_rng(4)
    plan = rng.choice(["a", "b"], 900)
    assert virtual_of(reference_of(rng.standard_normal((900, number)), plan=plan)) == ()


def test_features_that_are_copies_leave_out_the_relation_that_is_constant() -> None:
    x = np.random.default_rng(5).standard_normal(900)
    names = {each.name for each in virtual_of(reference_of(np.column_stack((x, x))))}
    assert names == {"f0 + f1", "sum of squares"}


def test_a_feature_with_the_name_of_a_relation_keeps_it() -> None:
    rng = np.random.default_rng(6)
    columns = {name: rng.standard_normal(600) for name in ("a", "b", "sum", "a + b")}
    reference = Reference.fit(columns)
    names = [*reference.names, *(each.name for each in virtual_of(reference))]
    assert len(set(names)) == len(names)
    assert "sum (virtual)" in names


def test_no_rows_have_no_relations() -> None:
    reference = reference_of(np.random.default_rng(7).standard_normal((600, 3)))
    scores = [normal_scores(own.counts, own.ordered) for own in reference.ecells]
    none = np.empty((3, 0), np.uint8)
    assert choose_virtual(reference.names, reference.ecells, scores, none) == ()


# story


@pytest.mark.slow
def test_features_that_come_to_go_together_are_seen_though_each_stays_as_it_was() -> None:
    """The study has 250 rows for one pair of ten features, from no correlation to 0.5, with no tolerance."""
    rows_until = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        reference = reference_of(rng.standard_normal((10_000, 10)))
        detector = DriftScore(reference, min_effect=0.0)
        live = rng.standard_normal((2_000, 10))
        live[:, 1] = 0.5 * live[:, 0] + np.sqrt(0.75) * live[:, 1]
        cells = reference.index({f"f{number}": live[:, number] for number in range(10)})
        for start in range(0, 2_000, 50):
            detector.add(cells[:, start : start + 50], float(start))
            detector.evaluate(float(start))
            if detector.model_score() > 1:
                rows_until.append(start + 50)
                assert detector.snapshot().drifted_features[0] in {"f0 + f1", "f0 - f1"}
                assert detector.scores().max() < 1
                break
    assert len(rows_until) == 4
    # ln(129,600) is 1.2 times the ln(20,000) of the study; the mean of four is off by a sixth
    assert np.mean(rows_until) < 450

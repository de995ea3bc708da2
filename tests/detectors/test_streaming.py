"""Detectors of river behind the same contract: they are given normal scores, and their word is passed on."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from driftgauge.budget import one_false_alert
from driftgauge.detectors.streaming import ADWIN, KSWIN, PageHinkley
from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.reference import Reference
from driftgauge.testing import check_detector

river = pytest.importorskip("river")


def drawn(rng: np.random.Generator, rows: int, moved: float = 0.0) -> dict[str, Any]:
    return {"x": rng.normal(moved, size=rows), "word": rng.choice(["a", "b", "c"], rows, p=(0.7, 0.2, 0.1))}


# Laws


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ADWIN, PageHinkley])
def test_they_keep_the_laws_of_detectors(kind: type[ADWIN]) -> None:
    report = check_detector(lambda reference, budget: kind(reference, budget=budget, rows_per_evaluation=50))
    assert report.rows_to_alarm <= 500


@pytest.mark.slow
def test_kswin_keeps_the_laws_of_detectors() -> None:
    report = check_detector(
        lambda reference, budget: KSWIN(reference, budget=budget, rows_per_evaluation=10),
        draw=lambda rng, rows: {"x": rng.normal(size=rows)},
        rows_per_evaluation=10,
        streams=10,  # 0.4 ms a row
    )
    assert report.rows_to_alarm <= 100


# Oracle


def test_it_is_the_detector_of_river_on_normal_scores() -> None:
    rng = np.random.default_rng(5)
    reference = Reference.fit({"x": rng.normal(size=5_000)})
    detector = ADWIN(reference, rows_per_evaluation=100)
    plain = river.drift.ADWIN(delta=1 / 129_600, clock=32)
    for value in detector._drawn[0].tolist():
        plain.update(value)
    found = []
    for _ in range(40):
        cells = reference.index({"x": rng.normal(0.3, size=100)})
        detector.add(cells, 0.0)
        assert detector.evaluate(60.0)
        said = False
        for value in detector._scores_by_cell[0][cells[0]].tolist():
            plain.update(value)
            said = said or plain.drift_detected
        assert detector.model_score() == (2.0 if said else 0.0)
        found.append(said)
    assert any(found)


def test_scores_have_mean_0_and_deviation_1_under_the_reference() -> None:
    rng = np.random.default_rng(6)
    data = drawn(rng, 5_000)
    reference = Reference.fit(data)
    detector = PageHinkley(reference)
    for number, cells in enumerate(reference.index(data)):
        values = detector._scores_by_cell[number][cells]
        # empty e-cells count as half a row
        assert values.mean() == pytest.approx(0.0, abs=0.01)
        assert values.std() == pytest.approx(1.0, abs=0.02)


# Stories


@pytest.mark.parametrize(("kind", "moved"), [(ADWIN, 0.5), (PageHinkley, 0.5), (KSWIN, 3.0)])
def test_a_moved_mean_is_found_in_the_feature_that_moved(kind: type[ADWIN], moved: float) -> None:
    rng = np.random.default_rng(1)
    reference = Reference.fit(drawn(rng, 5_000))
    detector = kind(reference, budget=one_false_alert(per="2d"))
    for moved_by in (0.0, moved):
        seen = np.zeros(2)
        for _ in range(4):
            detector.add(reference.index(drawn(rng, 100, moved_by)), 0.0)
            assert detector.evaluate(60.0)
            seen = np.maximum(seen, detector.scores())
        assert seen.tolist() == [2.0 if moved_by else 0.0, 0.0]


# Edges


def test_without_river_the_message_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river.drift", None)
    with pytest.raises(MissingExtraError, match=r"pip install driftgauge\[river\]"):
        ADWIN(Reference.fit({"x": [1.0, 2.0]}))


def test_a_constant_a_flag_and_words_of_equal_share_have_scores() -> None:
    reference = Reference.fit({"one": [1.0] * 90, "flag": [True, False] * 45, "word": ["a", "b", "c"] * 30})
    detector = PageHinkley(reference)
    for by_cell in detector._scores_by_cell:
        assert np.isfinite(by_cell).all()
    unseen = reference.index({"one": [1.0], "flag": [True], "word": ["z"]})
    assert detector._scores_by_cell[2][unseen[2, 0]] > 1


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan"), float("inf")])
def test_rows_per_evaluation_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(ConfigError, match="rows_per_evaluation must be a finite number above 0"):
        ADWIN(Reference.fit({"x": [1.0, 2.0]}), rows_per_evaluation=wrong)

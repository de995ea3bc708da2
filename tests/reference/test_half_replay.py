"""The second half of a reference against the first: however rows come, and what people are told of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftgauge._half_replay import HalfReplay, training_drift
from driftgauge.budget import one_false_alert
from driftgauge.calibration import Calibration, Cycle, StreamCalibration, TimeBuckets
from driftgauge.detectors._recursion import Recursion
from driftgauge.detectors._streams import Stream, shares_of
from driftgauge.errors import TrainingDriftWarning
from driftgauge.reference import Reference

Rows = NDArray[np.uint8]
ROWS = 4_000


def halves(moved: float, seed: int = 1) -> tuple[Reference, Rows]:
    """A reference of two numbers, of which the first moves at half time, and the e-cells of its rows."""
    rng = np.random.default_rng(seed)
    data = {"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS)}
    data["x"][ROWS // 2 :] += moved
    reference = Reference.fit(data, joint=False)
    cells = reference.index(data)
    ecells = [own.cell_map[row] for own, row in zip(reference.ecells, cells, strict=True)]
    return reference, np.array(ecells, np.uint8)


def learned(reference: Reference, rows: Rows) -> Calibration:
    """What the first half says, of independent rows without a season."""
    return Calibration(
        rows=rows.shape[1],
        in_time_order=True,
        buckets=TimeBuckets(),
        virtual=(),
        streams=tuple(
            StreamCalibration(
                counts=np.bincount(row, minlength=own.size).astype(float),
                bucket_counts=None,
                design_effects=np.ones(4 + own.size, np.float32),
            )
            for own, row in zip(reference.ecells, rows, strict=True)
        ),
    )


def replayed(moved: float, *, cut: int = ROWS, rows_per_minute: float = 50.0, seed: int = 1) -> HalfReplay:
    reference, rows = halves(moved, seed)
    half = ROWS // 2
    replay = HalfReplay(reference, learned(reference, rows[:, :half]), half, rows_per_minute)
    for start in range(half, ROWS, cut):
        part = rows[:, start : start + cut]
        replay.add(part, 60.0 * np.arange(start, start + part.shape[1]))
    return replay


def told(score: float | None, features: tuple[str, ...] = ("x",), cycle: Cycle = "none") -> str | None:
    return training_drift(
        Calibration(
            rows=1_000,
            in_time_order=True,
            buckets=TimeBuckets(cycle=cycle),
            virtual=(),
            streams=(),
            half_score=score,
            half_features=features,
        )
    )


# law


@pytest.mark.parametrize("cut", [1, 7, 50, 333])
def test_how_rows_are_cut_makes_no_difference(cut: int) -> None:
    whole, parts = replayed(0.3), replayed(0.3, cut=cut)
    assert whole.score == parts.score > 0
    assert whole.drifted() == parts.drifted()


# oracle


def test_the_score_is_the_highest_of_an_e_detector_of_the_first_half() -> None:
    reference, rows = halves(0.4)
    half, step = ROWS // 2, 50
    streams = [
        Stream(
            name=feature.name,
            kind=feature.kind,
            labels=own.labels,
            roles=("cell",) * own.size,
            ordered=own.ordered,
            counts=np.bincount(row[:half], minlength=own.size).astype(float),
            rows=half,
            design_effects=np.ones(4 + own.size, np.float32),
        )
        for feature, own, row in zip(reference.features, reference.ecells, rows, strict=True)
    ]
    detector = Recursion(streams, shares_of(streams, None), one_false_alert(), 0.01)
    scores = []
    for start in range(half, ROWS, step):
        counts = [
            np.bincount(row[start : start + step], minlength=own.size)
            for own, row in zip(reference.ecells, rows, strict=True)
        ]
        detector.step(np.concatenate(counts).astype(np.uint32), np.array([step]), 60.0 * start)
        scores.append(detector.model_score())
    assert replayed(0.4).score == max(scores) > 1


# edge


def test_rows_that_all_have_one_time_are_weighed_all_the_same() -> None:
    """They are one minute's, and a minute's evaluation of all of them would come too late by one row."""
    assert replayed(1.0, rows_per_minute=1e9).score > 1
    rng = np.random.default_rng(2)
    data: dict[str, Any] = {"x": rng.normal(size=4_000), "at": np.zeros(4_000)}
    data["x"][2_000:] += 1.0
    with pytest.warns(TrainingDriftWarning, match="'x'"):
        Reference.fit(data, time="at")


def test_too_few_rows_for_an_evaluation_say_nothing() -> None:
    reference, rows = halves(5.0)
    replay = HalfReplay(reference, learned(reference, rows[:, :2_000]), 19, 1.0)
    replay.add(rows[:, 2_000:2_019], np.arange(19.0))
    assert (replay.score, replay.drifted()) == (0.0, ())
    replay.add(rows[:, 2_019:2_020], np.arange(1.0))
    assert replay.score > 0


@pytest.mark.parametrize("score", [None, 0.0, 1.0])
def test_a_reference_within_the_budget_is_not_talked_about(score: float | None) -> None:
    assert told(score) is None
    assert training_drift(None) is None


# story


def test_halves_that_differ_are_told_with_the_feature_that_does() -> None:
    for seed in range(3):
        moved, still = replayed(0.5, seed=seed), replayed(0.0, seed=seed)
        assert moved.score > 1
        assert moved.drifted() == ("x",)
        assert still.score < 1
        assert still.drifted() == ()


def test_the_remedy_is_a_season_only_where_none_is_matched() -> None:
    without, with_hours = told(2.34), told(2.34, cycle="hour")
    assert without is not None
    assert with_hours is not None
    assert "drift score of 2.3 ('x')" in without
    assert "each hour and weekday comes at least three times" in without
    assert "hour" not in with_hours
    assert without.endswith("or raise min_effect where the difference does not matter")


def test_of_many_features_five_are_named() -> None:
    many = told(3.0, tuple("abcdefg"))
    assert many is not None
    assert "('a', 'b', 'c', 'd', 'e' and 2 more)" in many


def test_no_warning_comes_of_rows_that_stay_as_they_are() -> None:
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Reference.fit({"x": rng.normal(size=4_000), "at": np.zeros(4_000)}, time="at")

"""The battery for detectors: good ones pass it, and each kind of broken one is told what it broke."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from driftgauge.budget import Budget, one_false_alert
from driftgauge.detectors import DriftScore
from driftgauge.detectors.windows import ADWindow, GWindow, KSWindow, PSIWindow, WassersteinWindow
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.testing import _most, check_detector

State = dict[str, NDArray[Any]]


class Good(PSIWindow):
    def __init__(self, reference: Reference, *, budget: Budget, size: int = 300) -> None:
        super().__init__(reference, budget=budget, size=size)


# Stories: detectors that keep the laws


def test_the_drift_score_keeps_the_laws() -> None:
    report = check_detector(lambda reference, budget: DriftScore(reference, budget=budget))
    assert report.streams == 40
    assert report.false_alarms <= 4  # it promises at most a tenth, and is known to stay far under it
    assert report.rows_to_alarm <= 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PSIWindow, GWindow, KSWindow, ADWindow, WassersteinWindow])
def test_windows_keep_the_laws(kind: type[PSIWindow]) -> None:
    report = check_detector(lambda reference, budget: kind(reference, budget=budget, size=500), streams=20)
    assert report.rows_to_alarm <= 500


def test_own_data_may_be_given() -> None:
    def draw(rng: np.random.Generator, rows: int) -> dict[str, Any]:
        return {"x": rng.exponential(size=rows)}

    seen = []

    def factory(reference: Reference, budget: Budget) -> Good:
        seen.append(reference.names)
        return Good(reference, budget=budget)

    report = check_detector(factory, draw=draw, streams=10, rows_per_evaluation=30, reference_rows=500)
    assert report.streams == 10
    assert report.rows_to_alarm % 30 == 0
    assert set(seen) == {("x",)}


def test_the_same_seed_is_the_same_report() -> None:
    reports = [
        check_detector(lambda reference, budget: Good(reference, budget=budget), streams=10, seed=seed)
        for seed in (3, 3)
    ]
    assert reports[0] == reports[1]


# Broken detectors, one a fault


class WrongBudget(Good):
    @property
    def budget(self) -> Budget:
        return one_false_alert()


class OneScore(Good):
    def scores(self) -> NDArray[np.float64]:
        return np.array([self.model_score()])


class NotANumber(Good):
    def scores(self) -> NDArray[np.float64]:
        return np.where(self._scores > 0, self._scores, np.nan)


class WritesToRows(Good):
    def add(self, indices: NDArray[np.uint16], now_seconds: Any) -> None:
        super().add(indices, now_seconds)
        indices[:] = 0


class SaysNothing(Good):
    def evaluate(self, now_seconds: float) -> bool:
        super().evaluate(now_seconds)
        return None  # type: ignore[return-value]


class CountsEvaluations(Good):
    def evaluate(self, now_seconds: float) -> bool:
        done = super().evaluate(now_seconds)
        self._scores = self._scores * 1.01
        return done


class ReadsTheClock(Good):
    def evaluate(self, now_seconds: float) -> bool:
        done = super().evaluate(now_seconds)
        if done:
            self._scores = self._scores + 1e-6 * (time.perf_counter() % 1000)
        return done


class DrawsFromTheGlobalGenerator(Good):
    def evaluate(self, now_seconds: float) -> bool:
        done = super().evaluate(now_seconds)
        if done:
            self._scores = self._scores * (1 + 0.01 * np.random.random())  # noqa: NPY002
        return done


class TakesOneRowOfMany(Good):
    def add(self, indices: NDArray[np.uint16], now_seconds: Any) -> None:
        if isinstance(now_seconds, np.ndarray):
            indices = np.ascontiguousarray(indices[:, :1])
        super().add(indices, now_seconds)


class ForgetsTheRestored(Good):
    def restored(self, state: State) -> Any:  # noqa: ARG002
        return type(self)(self._reference, budget=self._budget)


class LosesRowsThatWait(Good):
    def add(self, indices: NDArray[np.uint16], now_seconds: Any) -> None:
        self._waiting = [*getattr(self, "_waiting", []), indices.copy()]
        self._now = now_seconds

    def evaluate(self, now_seconds: float) -> bool:
        for block in getattr(self, "_waiting", []):
            super().add(block, self._now)
        self._waiting = []
        return super().evaluate(now_seconds)


class SavesObjects(Good):
    def state(self) -> State:
        return {**super().state(), "budget": np.array([self._budget], dtype=object)}


class NeverForgets(Good):
    def reset(self) -> None:
        if not hasattr(self, "_scores"):
            super().reset()


class ForgetsHalf(Good):
    def reset(self) -> None:
        self._scores = np.zeros(self._watched.size)
        if not hasattr(self, "_pending"):
            super().reset()


class Blind(Good):
    def evaluate(self, now_seconds: float) -> bool:
        done = super().evaluate(now_seconds)
        self._scores = np.minimum(self._scores, 0.9)
        return done


class TriggerHappy(Good):
    def evaluate(self, now_seconds: float) -> bool:
        done = super().evaluate(now_seconds)
        if done:
            self._scores = self._scores * 1.5
        return done


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongBudget, "the form of a detector: budget must be the one it was made with"),
        (
            OneScore,
            r"the form of a detector: scores\(\) must be float64\[4\], one a feature, got shape \(1,\)",
        ),
        (NotANumber, "the form of a detector: scores must be numbers of at least 0, got nan"),
        (WritesToRows, r"the form of a detector: add\(\) wrote to the rows it was given"),
        (SaysNothing, r"the form of a detector: evaluate\(\) must return True or False, got None"),
        (CountsEvaluations, r"law 2, .*: after evaluation 1 without a row: the score of \w+ is [\d.]+ where"),
        (ReadsTheClock, "law 3, time is an argument: two detectors given the same 1 blocks differ"),
        (DrawsFromTheGlobalGenerator, "law 3, .*: two detectors given the same 1 blocks differ"),
        (TakesOneRowOfMany, "law 3, .*: one time a row differs from one time for all, block 1"),
        (ForgetsTheRestored, r"law 4, .*: .*restored after \d blocks"),
        (LosesRowsThatWait, "law 4, it can stop and go on: restored after 0 blocks, at block 1"),
        (SavesObjects, r"law 4, .*: state\(\) must hold arrays of numbers, .*\['budget'\]"),
        (NeverForgets, "law 5, a reset forgets: right after it: the score of"),
        (ForgetsHalf, "law 5, a reset forgets: 1 blocks after it: the score of"),
        (
            Blind,
            "law 6, .*: 5,000 rows in a row fell where .* the highest model score was 0.9; it must pass 1",
        ),
        (
            TriggerHappy,
            r"law 1, no drift, few alarms: \d+ of 40 undrifted streams raised an alarm within 100",
        ),
    ],
)
def test_a_broken_detector_is_told_which_law_and_by_how_much(broken: type[Good], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_detector(lambda reference, budget: broken(reference, budget=budget))


# Edges


def test_bad_luck_is_not_taken_for_a_fault() -> None:
    # 12 of 40 or more at a chance of a tenth happen 4 times in 10,000, 13 or more once
    assert _most(40, 0.1) == 12
    assert _most(400, 0.1) == 64


@pytest.mark.parametrize(
    ("name", "value"), [("streams", 9), ("reference_rows", 0), ("rows_per_evaluation", 0)]
)
def test_numbers_too_small_to_try_anything_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least"):
        check_detector(lambda reference, budget: Good(reference, budget=budget), **{name: value})  # type: ignore[arg-type]

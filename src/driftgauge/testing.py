"""For tests of your own detectors: `check_detector` tries the laws that a detector must keep.

from driftgauge.testing import check_detector

def test_my_detector_keeps_the_laws():
    check_detector(lambda reference, budget: MyDetector(reference, budget=budget))
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget
from driftgauge.cells import Floats
from driftgauge.detectors.protocol import Detector
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference

__all__ = ["DetectorReport", "check_detector"]

Factory = Callable[[Reference, Budget], Detector]
Draw = Callable[[np.random.Generator, int], Any]
Cells = NDArray[np.uint16]

_EVALUATIONS: Final = 1_000
_SECONDS: Final = 60.0
_BLOCKS: Final = 12
# The chance that a detector which just keeps its promise fails law 1.
_LEVEL: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorReport:
    """What `check_detector` has measured of a detector that keeps the laws.

    Parameters
    ----------
    streams : int
        Undrifted streams that were tried, each a tenth of the budget long.
    false_alarms : int
        How many of them raised an alarm; a tenth is allowed.
    rows_to_alarm : int
        Rows until the drift was seen in which no value is one of the reference's.
    """

    streams: int
    false_alarms: int
    rows_to_alarm: int


def check_detector(
    factory: Factory,
    *,
    draw: Draw | None = None,
    reference_rows: int = 2_000,
    rows_per_evaluation: int = 50,
    streams: int = 40,
    seed: int = 0,
) -> DetectorReport:
    """Try the laws of `driftgauge.detectors.protocol.Detector`, and say which one is broken and by how much.

    Parameters
    ----------
    factory : callable
        Makes a new detector of a reference and a budget.
    draw : callable, optional
        Makes undrifted data of so many rows from a generator, in any form that `Reference.fit` takes. Left
        out: a number, a whole number, a boolean and a category, independent of each other.
    reference_rows, rows_per_evaluation : int
        Rows of each reference, and between two evaluations.
    streams : int
        Undrifted streams for law 1, at least 10. More find smaller faults: a detector that raises alarms
        five times as often as allowed fails with 40 almost surely, one that does twice as often with 400.
    seed : int

    Returns
    -------
    DetectorReport

    Raises
    ------
    AssertionError
        When a law is broken.
    ConfigError
        When *streams* is under 10 or one of the numbers of rows is under 1.

    Examples
    --------
    >>> from driftgauge.detectors.windows import PSIWindow
    >>> report = check_detector(lambda reference, budget: PSIWindow(reference, budget=budget, size=500))
    >>> report.streams, report.false_alarms < 10
    (40, True)

    Notes
    -----
    Law 1 fails when so many alarms would have a chance under 1 in 10,000 of a detector that keeps its
    promise. Some seconds with the drift score; a detector that takes 1 ms an evaluation takes 5 seconds.
    """
    for name, value, least in (
        ("streams", streams, 10),
        ("reference_rows", reference_rows, 1),
        ("rows_per_evaluation", rows_per_evaluation, 1),
    ):
        if value < least:
            message = f"{name} must be at least {least}, got {value!r}"
            raise ConfigError(message)
    battery = _Battery(factory, draw or _mixed, reference_rows, rows_per_evaluation, seed)
    battery.check_form()
    battery.check_no_rows()
    battery.check_time()
    battery.check_going_on()
    battery.check_reset()
    rows_to_alarm = battery.check_large_drift()
    return DetectorReport(
        streams=streams, false_alarms=battery.check_alarms(streams), rows_to_alarm=rows_to_alarm
    )


def _mixed(rng: np.random.Generator, rows: int) -> dict[str, NDArray[Any]]:
    return {
        "number": rng.normal(size=rows),
        "whole": rng.poisson(4, rows).astype(np.float64),
        "flag": rng.random(rows) < 0.3,
        "word": rng.choice(np.array(["a", "b", "c", "d"]), rows, p=(0.5, 0.3, 0.15, 0.05)),
    }


class _Battery:
    def __init__(self, factory: Factory, draw: Draw, reference_rows: int, block: int, seed: int) -> None:
        self.budget = Budget(per_seconds=_EVALUATIONS * _SECONDS, evaluate_seconds=_SECONDS)
        self.factory, self.draw, self.reference_rows, self.block = factory, draw, reference_rows, block
        self.rng = np.random.default_rng(seed)
        self.reference = Reference.fit(draw(self.rng, reference_rows))
        # enough for windows to fill, then rows of which a few have drifted: evidence that moves
        self.cells = [self.undrifted(max(block, 100)) for _ in range(_BLOCKS)]
        for cells in self.cells[_BLOCKS // 2 :]:
            cells[:, ::7] = self.elsewhere(cells.shape[1])[:, ::7]

    def new(self) -> Detector:
        return self.factory(self.reference, self.budget)

    def undrifted(self, rows: int) -> Cells:
        return self.reference.index(self.draw(self.rng, rows))

    def elsewhere(self, rows: int) -> Cells:
        """Rows in which every value falls where the reference has none."""
        cells = []
        for feature in self.reference.features:
            above = 2 * feature.points.size + 1
            cells.append(above if feature.dtype == "numeric" else feature.unseen_cell)
        return np.repeat(np.array(cells, np.uint16)[:, None], rows, axis=1)

    def feed(self, detector: Detector, first: int = 0, last: int = _BLOCKS) -> list[Floats]:
        """Blocks *first* to *last*, with an evaluation after each; the scores after each."""
        seen = []
        for number in range(first, last):
            now = _SECONDS * (number + 1)
            detector.add(self.cells[number].copy(), now)
            detector.evaluate(now)
            seen.append(self.scores(detector))
        return seen

    def scores(self, detector: Detector) -> Floats:
        """Of the features, then of the model; law 0, that they are scores."""
        scores = np.asarray(detector.scores(), np.float64)
        model = float(detector.model_score())
        features = len(self.reference.features)
        if scores.shape != (features,):
            _broken("form", f"scores() must be float64[{features}], one a feature, got shape {scores.shape}")
        together = np.append(scores, model)
        if not (together >= 0).all():
            what = ", ".join(f"{value:g}" for value in together)
            _broken("form", f"scores must be numbers of at least 0, got {what}; the last is model_score()")
        return together

    def same(self, law: str, what: str, found: Floats, expected: Floats) -> None:
        """A relative difference of 1e-9 is rounding."""
        apart = np.abs(found - expected)
        if (apart > 1e-9 * np.maximum(np.abs(expected), 1.0)).any():
            worst = int(np.argmax(apart))
            name = (*self.reference.names, "the model")[worst]
            _broken(
                law, f"{what}: the score of {name} is {found[worst]:.9g} where it was {expected[worst]:.9g}"
            )

    def check_form(self) -> None:
        detector = self.new()
        if detector.budget != self.budget:
            _broken("form", f"budget must be the one it was made with, {self.budget}, got {detector.budget}")
        cells = self.cells[0].copy()
        detector.add(cells, _SECONDS)
        if not np.array_equal(cells, self.cells[0]):
            _broken("form", "add() wrote to the rows it was given, which are the caller's")
        done = detector.evaluate(_SECONDS)
        if not isinstance(done, bool | np.bool_):
            _broken("form", f"evaluate() must return True or False, got {done!r}")
        self.scores(detector)

    def check_no_rows(self) -> None:
        law = "2, rows that did not come prove nothing"
        detector = self.new()
        for last in range(1, _BLOCKS + 1):
            before = self.feed(detector, last - 1, last)[-1]
            for again in range(1, 4):
                detector.evaluate(_SECONDS * (last + again / 4))
                self.same(law, f"after evaluation {again} without a row", self.scores(detector), before)
        empty = self.cells[0][:, :0]
        detector.add(empty, _SECONDS * (_BLOCKS + 1))
        detector.evaluate(_SECONDS * (_BLOCKS + 1))
        self.same(law, "after a block of no rows", self.scores(detector), before)

    def check_time(self) -> None:
        law = "3, time is an argument"
        first, second, third = self.new(), self.new(), self.new()
        held = np.random.get_state()  # noqa: NPY002 (the caller's)
        try:
            np.random.seed(1)  # noqa: NPY002 (whoever draws from the global generator is found out)
            expected = self.feed(first)
            np.random.seed(2)  # noqa: NPY002
            again = self.feed(second)
        finally:
            np.random.set_state(held)  # noqa: NPY002
        for number, (found, known) in enumerate(zip(again, expected, strict=True)):
            self.same(law, f"two detectors given the same {number + 1} blocks differ", found, known)
        for number, cells in enumerate(self.cells):
            now = _SECONDS * (number + 1)
            third.add(cells.copy(), np.full(cells.shape[1], now))
            third.evaluate(now)
            what = f"one time a row differs from one time for all, block {number + 1}"
            self.same(law, what, self.scores(third), expected[number])

    def check_going_on(self) -> None:
        law = "4, it can stop and go on"
        whole = self.feed(self.new())
        for stop in (0, 3, _BLOCKS - 2):
            detector = self.new()
            self.feed(detector, 0, stop)
            before = self.scores(detector)
            # with rows that wait, which belong to the state as well
            half = self.cells[stop].shape[1] // 2
            now = _SECONDS * (stop + 1)
            detector.add(self.cells[stop][:, :half].copy(), now)
            other = self.new().restored(_saved(law, detector.state()))
            self.same(law, f"just restored after {stop} blocks", self.scores(other), before)
            other.add(self.cells[stop][:, half:].copy(), now)
            other.evaluate(now)
            after = [self.scores(other), *self.feed(other, stop + 1)]
            for number, found in enumerate(after, stop):
                what = f"restored after {stop} blocks, at block {number + 1}"
                self.same(law, what, found, whole[number])
            what = "the detector that was saved changed when the restored one went on"
            self.same(law, what, self.scores(detector), before)

    def check_reset(self) -> None:
        law = "5, a reset forgets"
        new, used = self.new(), self.new()
        self.feed(used)
        used.add(self.cells[0].copy(), _SECONDS * (_BLOCKS + 1))  # rows that wait are forgotten too
        used.reset()
        self.same(law, "right after it", self.scores(used), self.scores(new))
        for number, (found, known) in enumerate(zip(self.feed(used), self.feed(new), strict=True)):
            self.same(law, f"{number + 1} blocks after it", found, known)

    def check_large_drift(self) -> int:
        detector = self.new()
        self.feed(detector, 0, _BLOCKS // 2)
        patience = _EVALUATIONS // 10
        highest = 0.0
        for number in range(1, patience + 1):
            now = _SECONDS * (_BLOCKS + number)
            detector.add(self.elsewhere(self.block), now)
            detector.evaluate(now)
            highest = max(highest, self.scores(detector)[-1])
            if highest > 1:
                return number * self.block
        _broken(
            "6, a large enough drift is seen",
            f"{patience * self.block:,} rows in a row fell where the reference has none, and the highest "
            f"model score was {highest:.3g}; it must pass 1",
        )
        return 0

    def check_alarms(self, streams: int) -> int:
        looks = _EVALUATIONS // 10
        hits = 0
        for _ in range(streams):
            self.reference = Reference.fit(self.draw(self.rng, self.reference_rows))
            cells, detector = self.undrifted(looks * self.block), self.new()
            for number in range(looks):
                now = _SECONDS * (number + 1)
                detector.add(np.ascontiguousarray(cells[:, number * self.block :][:, : self.block]), now)
                detector.evaluate(now)
                if detector.model_score() > 1:
                    hits += 1
                    break
        allowed = _most(streams, 0.1)
        if hits > allowed:
            _broken(
                "1, no drift, few alarms",
                f"{hits} of {streams} undrifted streams raised an alarm within {looks} evaluations, at a "
                f"budget of one in {_EVALUATIONS:,}; a tenth is promised, up to {allowed} could be bad luck",
            )
        return hits


def _most(streams: int, chance: float) -> int:
    """The most hits that a chance of *chance* has with more than `_LEVEL`."""
    from scipy.special import bdtrc

    return int(np.argmax(bdtrc(np.arange(streams + 1), streams, chance) < _LEVEL))


def _saved(law: str, state: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Through a file and back."""
    wrong = [
        name for name, value in state.items() if not isinstance(value, np.ndarray) or value.dtype.hasobject
    ]
    if wrong:
        _broken(law, f"state() must hold arrays of numbers, which a file can hold; {sorted(wrong)} are not")
    file = io.BytesIO()
    np.savez(file, **state)  # type: ignore[arg-type]
    file.seek(0)
    with np.load(file, allow_pickle=False) as held:
        return {name: held[name] for name in state}


def _broken(law: str, what: str) -> None:
    message = f"law {law}: {what}" if law != "form" else f"the form of a detector: {what}"
    raise AssertionError(message)

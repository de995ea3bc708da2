"""How each detector is run on the streams of `detection_streams`: rows from the change to the alarm, each.

An alarm before the change is -1, none at all -2.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import detection_windows as windows
import numpy as np
from detection_streams import (
    CATEGORIES,
    CHANGES,
    DIMENSIONS,
    LEVELS,
    categories,
    pairs,
    shares_after,
    stream,
)
from environments import ensure, environ
from measure import HERE
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from driftgauge.budget import Budget
from driftgauge.detectors import DriftScore
from driftgauge.reference import Reference

STEP = 20
REFERENCE_ROWS = 10_000
RUN_ROWS = 1_000_000  # mean distance of false alarms
SHORT_RUN_ROWS = 2_000  # of the table with alibi-detect
BEFORE = 3_000
AFTER = 30_000
WINDOWS = (200, 1_000, 5_000)

Delays = NDArray[np.float64]


SHORT = (
    "mean +0.5 sd",
    "mean +1 sd",
    "sd × 1.25",
    "10 % at +4 sd",
    "10 % at one value",
    "correlation 0 to 0.8",
)
SHORT_REFERENCE = 500
SHORT_BEFORE = 200


def _budget(evaluations: float) -> Budget:
    return Budget(per_seconds=60 * evaluations, evaluate_seconds=60)


def ours(
    reference: Reference, live: Mapping[str, NDArray[Any]], min_effect: float, run_rows: int, before: int
) -> Delays:
    """Rows from the change to the alarm; each feature is a stream of its own with all of the budget."""
    indices = reference.index(live)
    features = indices.shape[0]
    detector = DriftScore(reference, budget=_share(run_rows, features), min_effect=min_effect)
    first = np.full(features, -2.0)
    for start in range(0, indices.shape[1] - STEP + 1, STEP):
        detector.add(np.ascontiguousarray(indices[:, start : start + STEP]), 0.0)
        detector.evaluate(0.0)
        now = start + STEP - before
        first[(first == -2) & (detector.scores() > 1)] = now if now > 0 else -1
        if (first != -2).all():
            break
    return first


def _share(run_rows: int, features: int) -> Budget:
    """A budget of which each of so many features has the part that a model of one would have."""
    return Budget(per_seconds=60 * run_rows / STEP / features, evaluate_seconds=60)


@lru_cache(maxsize=4)
def _reference(kind: str, streams: int) -> Reference:
    """As many references as streams, as features of one; of numbers or of categories."""
    known = {}
    for r in range(streams):
        rng = np.random.default_rng((1, r))
        known[f"f{r}"] = (
            stream("none", rng, REFERENCE_ROWS, 0)
            if kind == "numbers"
            else _NAMES[categories("none", rng, REFERENCE_ROWS, 0)]
        )
    return Reference.fit(known, joint=False)


@lru_cache(maxsize=64)
def _pairs_reference(model: int, rows: int) -> Reference:
    rng = np.random.default_rng((3, model))
    return Reference.fit(pairs("none", rng, rows, 0), names=[f"f{k}" for k in range(DIMENSIONS)])


_NAMES = np.array([f"c{k}" for k in range(LEVELS + 1)])


def ours_numbers(change: str, min_effect: float, streams: int) -> Delays:
    """The drift score on streams of numbers."""
    live = {f"f{r}": stream(change, np.random.default_rng((2, r)), BEFORE, AFTER) for r in range(streams)}
    return ours(_reference("numbers", streams), live, min_effect, RUN_ROWS, BEFORE)


def ours_categories(change: str, min_effect: float, streams: int) -> Delays:
    """The drift score on streams of categories."""
    live = {
        f"f{r}": _NAMES[categories(change, np.random.default_rng((2, r)), BEFORE, AFTER)]
        for r in range(streams)
    }
    return ours(_reference("categories", streams), live, min_effect, RUN_ROWS, BEFORE)


def ours_pairs(change: str, min_effect: float, models: int) -> Delays:
    """The drift score of models of ten features, virtual features included."""
    found = np.empty(models)
    for m in range(models):
        live = pairs(change, np.random.default_rng((4, m)), BEFORE, AFTER // 3)
        found[m] = one_model(_pairs_reference(m, REFERENCE_ROWS), live, min_effect, RUN_ROWS, BEFORE)
    return found


def one_model(
    reference: Reference, live: NDArray[np.float64], effect: float, run_rows: int, before: int
) -> float:
    """Rows from the change to the alarm of one model, on rows float64[rows, features]."""
    indices = reference.index(live)
    detector = DriftScore(reference, budget=_budget(run_rows / STEP), min_effect=effect)
    for start in range(0, indices.shape[1] - STEP + 1, STEP):
        detector.add(np.ascontiguousarray(indices[:, start : start + STEP]), 0.0)
        detector.evaluate(0.0)
        if detector.model_score() > 1:
            now = start + STEP - before
            return float(now) if now > 0 else -1.0
    return -2.0


def _after(change: str, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the cells after the change, float64[streams, cells], exactly; reference standard normal."""
    edges = np.minimum(np.cumsum(truth, axis=1), 1.0)[:, :-1]
    z = ndtri(edges)
    kind, _, rest = change.partition(" ")
    if kind == "mean":
        upto = ndtr(z - float(rest.split()[0]))
    elif kind == "sd":
        upto = ndtr(z / float(rest.split()[1]))
    elif kind == "two":
        width = np.sqrt(1 - 0.7**2)
        upto = 0.5 * ndtr((z - 0.7) / width) + 0.5 * ndtr((z + 0.7) / width)
    else:
        share = float(kind) / 100
        added = ndtr((z - 4) / 0.3) if "+4 sd" in change else (z >= 0.3).astype(float)
        upto = (1 - share) * edges + share * added
    full = np.concatenate([np.zeros((len(truth), 1)), upto, np.ones((len(truth), 1))], axis=1)
    return np.maximum(np.diff(full, axis=1), 0.0)


def window_delays(size: int, streams: int) -> dict[str, Any]:
    """Delays of the four statistics in windows of *size* rows, by change; numbers, then categories."""
    evaluations = RUN_ROWS // 10 // STEP
    truth = windows.true_shares(REFERENCE_ROWS, 3 * streams, 1)
    known = np.full_like(truth, REFERENCE_ROWS / windows.CELLS)
    lines = windows.thresholds(windows.maxima(truth, known, size, STEP, evaluations, ordered=True, seed=1))
    fresh = windows.true_shares(REFERENCE_ROWS, 2 * streams, 2)
    check = windows.maxima(fresh, known, size, STEP, evaluations, ordered=True, seed=10**6)
    found: dict[str, Any] = {"lines": lines.tolist(), "alarms": windows.false_alarms(check, lines).tolist()}
    for place, change in enumerate(CHANGES):
        truth = windows.true_shares(REFERENCE_ROWS, streams, 100 + place)
        found[change] = windows.delays(
            truth,
            _after(change, truth),
            known,
            size,
            STEP,
            BEFORE // STEP,
            AFTER // STEP,
            lines,
            ordered=True,
            seed=2 * 10**6 + 1000 * place,
        ).T.tolist()
    return found


def category_delays(size: int, streams: int) -> dict[str, Any]:
    """The same of PSI and G on streams of categories."""
    rng = np.random.default_rng(5)
    evaluations = RUN_ROWS // 10 // STEP
    shares = shares_after("none")
    known = rng.multinomial(REFERENCE_ROWS, shares, size=2 * streams).astype(float)
    truth = np.tile(shares, (2 * streams, 1))
    lines = windows.thresholds(windows.maxima(truth, known, size, STEP, evaluations, ordered=False, seed=3))
    lines[2:] = np.inf
    found: dict[str, Any] = {"lines": lines[:2].tolist()}
    for place, change in enumerate(CATEGORIES):
        changed = np.tile(shares_after(change), (streams, 1))
        found[change] = windows.delays(
            truth[:streams],
            changed,
            known,
            size,
            STEP,
            BEFORE // STEP,
            AFTER // STEP,
            lines,
            ordered=False,
            seed=3 * 10**6 + 1000 * place,
        ).T.tolist()
    return found


def ask(peer: str, script: str, **request: Any) -> Any:
    """What ``peers/SCRIPT`` answers in its environment."""
    done = subprocess.run(
        [str(ensure(peer)), str(HERE / "peers" / script)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
        env=environ(),
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return json.loads(done.stdout)


def adwin_level(streams: int) -> tuple[float, list[tuple[float, float]], dict[str, str]]:
    """ADWIN's delta at which its false alarms are those allowed, by interpolation, and what was measured."""
    levels = [0.002, 0.003, 0.005, 0.008]
    answer = ask(
        "river",
        "detection_river.py",
        detector="ADWIN",
        levels=levels,
        reference_rows=REFERENCE_ROWS,
        rows=RUN_ROWS // 10,
        streams=streams,
        seed=11,
    )
    rates = [max(alarms, 0.5) / rows for alarms, rows in answer["rates"]]
    wanted = float(np.interp(np.log(1 / RUN_ROWS), np.log(np.maximum.accumulate(rates)), np.log(levels)))
    return float(np.exp(wanted)), list(zip(levels, rates, strict=True)), {"river": answer["river"]}


# KSWIN takes 0.4 ms a row, too long to count one false alarm in 1,000,000 rows. Counted at larger levels,
# 1,233 of them at 0.005 and 67 at 0.0001, the rate falls with the power 0.745 of the level: this is one.
KSWIN_LEVEL = 3.5e-7


def streaming(streams: int, smoke: bool) -> tuple[dict[str, Any], str, dict[str, str]]:
    """Delays of river's detectors by change, and what to say of their settings."""
    level, rates, found_versions = adwin_level(4 if smoke else 200)
    changes = list(CHANGES)[:2] if smoke else list(CHANGES)
    common = {"reference_rows": REFERENCE_ROWS, "before": BEFORE, "seed": 12}
    adwin = ask(
        "river",
        "detection_river.py",
        detector="ADWIN",
        level=level,
        changes=changes,
        streams=streams,
        after=AFTER,
        **common,
    )
    kswin = ask(
        "river",
        "detection_river.py",
        detector="KSWIN",
        level=KSWIN_LEVEL,
        changes=changes,
        streams=2 if smoke else 8,
        after=KSWIN_AFTER,
        **(common | {"reference_rows": 200, "before": 100}),
    )
    measured = ", ".join(f"{rate * 1e6:.1f} at {delta:g}" for delta, rate in rates)
    note = (
        f"ADWIN: delta {level:.4f}, from false alarms counted in a million rows: {measured}. KSWIN: alpha "
        f"{KSWIN_LEVEL:g}, extrapolated; 8 streams of {KSWIN_AFTER:,} rows, as it takes 0.4 ms a row."
    )
    return {"ADWIN": adwin["delays"], "KSWIN": kswin["delays"]}, note, found_versions


KSWIN_AFTER = 2_000


def short_numbers(change: str, effect: float) -> Delays:
    """The drift score at the short run, on numbers: one model each, as the budget is too short to divide."""
    rng = np.random.default_rng(22)
    found = np.empty(200)
    for place in range(found.size):
        reference = Reference.fit({"x": rng.standard_normal(SHORT_REFERENCE)}, joint=False)
        live = stream(change, rng, SHORT_BEFORE, SHORT_RUN_ROWS // 2)[:, np.newaxis]
        found[place] = one_model(reference, live, effect, SHORT_RUN_ROWS, SHORT_BEFORE)
    return found


def short_pairs(change: str, effect: float) -> Delays:
    """The drift score at the short run, on ten features."""
    found = np.empty(20)
    for m in range(found.size):
        live = pairs(change, np.random.default_rng((5, m)), SHORT_BEFORE, SHORT_RUN_ROWS // 2)
        found[m] = one_model(_pairs_reference(m, SHORT_REFERENCE), live, effect, SHORT_RUN_ROWS, SHORT_BEFORE)
    return found

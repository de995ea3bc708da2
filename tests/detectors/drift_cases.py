"""References and streams for tests of the drift score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.budget import Budget
from driftgauge.detectors import DriftScore
from driftgauge.detectors._recursion import Recursion
from driftgauge.detectors._streams import Stream
from driftgauge.reference import Reference

Floats = NDArray[np.float64]

# 24 e-cells of a continuous feature, then below, above and missing.
LAW = np.array([0.001, 0.009, 0.04, *[0.05] * 18, 0.04, 0.009, 0.001, 0, 0, 0])


def stream(counts: Floats, rows: int, name: str = "x", kind: str = "input", ordered: int = 24) -> Stream:
    """A stream of a number with these counts."""
    size = counts.size
    return Stream(
        name=name,
        kind=kind,
        labels=tuple(str(number) for number in range(size)),
        roles=("cell",) * size,
        ordered=ordered,
        counts=np.asarray(counts, float),
        rows=rows,
    )


def recursion(*streams: Stream, evaluations: float = 10_000.0, min_effect: float = 0.01) -> Recursion:
    """All streams with equal shares."""
    budget = Budget(per_seconds=60 * evaluations, evaluate_seconds=60)
    return Recursion(streams, np.full(len(streams), 1 / len(streams)), budget, min_effect)


def people(rng: np.random.Generator, rows: int, *, older: float = 0.0) -> dict[str, object]:
    """Numbers that repeat, numbers that do not, categories and booleans, and what a model says of them."""
    age = np.round(rng.normal(40 + older, 12, rows))
    income = rng.lognormal(10, 0.7, rows)
    city = rng.choice(np.array(["ulm", "bonn", "kiel"], dtype=object), rows, p=[0.6, 0.3, 0.1])
    return {
        "age": age,
        "income": income,
        "city": city,
        "member": rng.random(rows) < 0.3,
        "risk": 0.02 * age + rng.normal(0, 0.5, rows),
    }


def reference_of_people(rows: int = 8_000, *, joint: bool = True) -> Reference:
    """Fitted on `people`."""
    return Reference.fit(
        people(np.random.default_rng(11), rows),
        outputs="risk",
        joint=joint,
        created_timestamp_seconds=0.0,
    )


def feed(
    detector: DriftScore,
    reference: Reference,
    rng: np.random.Generator,
    blocks: int,
    *,
    rows: int = 50,
    start: float = 1.7e9,
    older: float = 0.0,
) -> None:
    """So many blocks of people, a minute apart, weighed one by one."""
    for block in range(blocks):
        now = start + 60 * block
        detector.add(reference.index(people(rng, rows, older=older)), now)
        detector.evaluate(now)

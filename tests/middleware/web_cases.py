"""Rows, payloads and a monitor that both middlewares are tried with, and what counts must add up to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from driftgauge import Monitor, Reference, rows
from driftgauge.snapshot import PayloadCounts, Snapshot

_RNG = np.random.default_rng(11)
TRAINING = {
    "age": _RNG.normal(40.0, 10.0, 3_000).round(1),
    "amount": _RNG.exponential(50.0, 3_000).round(2),
    "score": _RNG.uniform(size=3_000).round(3),
}
REFERENCE = Reference.fit(TRAINING, outputs=["score"], model="fraud", version="7")
PATH = "/v1/models/fraud:predict"


def monitor_of(reference: Reference = REFERENCE) -> Monitor:
    return Monitor(reference, windows=[rows(10_000)], budget=None, min_rows=1)


def score(row: Sequence[float]) -> float:
    """The model: what it says is a function of the row, so that rows and answers cannot be mixed up."""
    return round((row[0] * 7.0 + row[1]) % 1.0, 3)


def draw(count: int, seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    return np.column_stack(
        (rng.normal(55.0, 12.0, count).round(1), rng.exponential(80.0, count).round(2))
    ).tolist()


def request_body(batch: Sequence[Sequence[float]]) -> bytes:
    return json.dumps({"instances": batch}).encode()


def response_body(batch: Sequence[Sequence[float]]) -> bytes:
    return json.dumps({"predictions": [score(row) for row in batch]}).encode()


def answer_to(body: bytes) -> bytes:
    return response_body(json.loads(body)["instances"])


def expected(batches: Sequence[Sequence[Sequence[float]]], *, answered: bool = True) -> Snapshot:
    """What a monitor says that is given the rows themselves."""
    with monitor_of() as monitor:
        for batch in batches:
            inputs = dict(zip(("age", "amount"), zip(*batch, strict=True), strict=True))
            outputs = {"score": [score(row) for row in batch]} if answered else None
            monitor.observe({name: list(column) for name, column in inputs.items()}, outputs)
        return monitor.snapshot()


def numbers(snapshot: Snapshot) -> Any:
    """All that depends on the rows: by window and feature, and the counts."""
    windows = [(window.name, window.rows, window.features) for window in snapshot.windows]
    return windows, [feature.bin_rows for feature in snapshot.features], snapshot.rows_sampled


def same_numbers(monitor: Monitor, batches: Sequence[Sequence[Sequence[float]]]) -> bool:
    """Whether the monitor says of its windows exactly what it would, had the rows been given to it."""
    return bool(numbers(monitor.snapshot()) == numbers(expected(batches)))


def only(counts: Sequence[PayloadCounts]) -> PayloadCounts:
    """The counts of the one protocol that is spoken; they add up."""
    (count,) = counts
    assert count.way == "middleware"
    assert count.payloads == count.decoded + sum(count.undecodable.values()) + sum(count.dropped.values())
    return count


def dropped(counts: Sequence[PayloadCounts]) -> dict[str, int]:
    """Reasons for which something was dropped."""
    return {reason: payloads for reason, payloads in only(counts).dropped.items() if payloads}


def holds_nothing(middleware: Any) -> bool:
    """Whether all the room for bytes is free again."""
    for line in middleware._lines:
        line.settle()
        whole = line.intake._queue_bytes
        if not line.intake.reserve(whole):
            return False
        line.intake.give_back(whole)
    return True

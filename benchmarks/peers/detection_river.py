"""ADWIN and KSWIN of river on the streams of `detection_streams`: reads one JSON request, prints one answer.

They compare a stream with its own past, so the reference's rows come first. Run by `detection.py` in river's
environment.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from detection_streams import stream
from river import drift


def first_alarm(detector: Any, values: list[float], reference_rows: int) -> int | None:
    """Row after the reference at which the detector says yes for the first time; None if never.

    What it says while it is still being given the reference is its own affair: it goes on from there.
    """
    for row, value in enumerate(values):
        detector.update(value)
        if row >= reference_rows and detector.drift_detected:
            return row - reference_rows + 1
    return None


def rate(make: Callable[[], Any], request: dict[str, Any]) -> list[int]:
    """Alarms and rows over undrifted streams, each up to its first alarm."""
    alarms = rows = 0
    for r in range(request["streams"]):
        rng = np.random.default_rng((request["seed"], r))
        values = stream("none", rng, request["reference_rows"] + request["rows"], 0).tolist()
        found = first_alarm(make(), values, request["reference_rows"])
        alarms += found is not None
        rows += found or request["rows"]
    return [alarms, rows]


def delays(make: Callable[[], Any], request: dict[str, Any], change: str) -> list[int]:
    """Rows from the change to the alarm by stream; -1 before it, -2 none."""
    found = []
    for r in range(request["streams"]):
        rng = np.random.default_rng((request["seed"], r))
        before = request["reference_rows"] + request["before"]
        values = stream(change, rng, before, request["after"]).tolist()
        row = first_alarm(make(), values, request["reference_rows"])
        found.append(-2 if row is None else -1 if row <= request["before"] else row - request["before"])
    return found


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    made: dict[str, Callable[[float], Any]] = {
        "ADWIN": lambda level: drift.ADWIN(delta=level),
        "KSWIN": lambda level: drift.KSWIN(alpha=level, seed=1),
    }
    kind = made[request["detector"]]
    answer: dict[str, Any] = {"river": importlib.metadata.version("river")}
    if "levels" in request:
        answer["rates"] = [rate(lambda level=level: kind(level), request) for level in request["levels"]]
    else:
        make = lambda: kind(request["level"])  # noqa: E731
        answer["delays"] = {change: delays(make, request, change) for change in request["changes"]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

"""One contender's process: reads JSON commands on standard input, answers in JSON on standard output.

``python worker.py MODULE`` holds the contenders of ``peers/MODULE.py`` and the SciPy + NumPy baseline, all in
one process, so that a ratio never crosses a boundary of process, interpreter or library versions.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

# The answers keep their own descriptor: whatever a peer prints goes to standard error.
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from measure import timed  # noqa: E402

from peers import scipy_numpy  # noqa: E402

DISTRIBUTIONS = ("numpy", "scipy", "numba", "pandas", "driftgauge", "frouros", "evidently")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class Worker:
    """Prepared contenders by name."""

    def __init__(self, module: str) -> None:
        self.kinds: dict[str, Any] = dict(scipy_numpy.CONTENDERS)
        if module != "scipy_numpy":
            self.kinds |= importlib.import_module(f"peers.{module}").CONTENDERS
        self.contenders: dict[str, Any] = {}
        self.calls: dict[str, Any] = {}

    def prepare(self, reference: str, names: list[str]) -> list[str]:
        """Fit every contender on the reference rows in the file; their names."""
        values = np.load(reference)
        self.contenders = {name: kind(values, names) for name, kind in self.kinds.items()}
        return list(self.contenders)

    def case(self, case: str, live: str) -> dict[str, Any]:
        """Set up ``'rows'`` or ``'tick'`` with the live rows in the file; the values each contender gives."""
        values = np.load(live)
        self.calls = {}
        out: dict[str, Any] = {}
        for name, contender in self.contenders.items():
            if case == "tick":
                contender.hold(values)
                call = contender.tick
            else:
                call = lambda contender=contender: contender.rows(values)  # noqa: E731
            out[name] = call()
            self.calls[name] = call
        return out

    def step(self, skip: list[str], min_seconds: float) -> dict[str, float]:
        """Time each contender once, one after the other; nanoseconds per call."""
        times: dict[str, float] = {}
        for name, call in self.calls.items():
            if name in skip:
                continue
            first = timed(call)
            loops = int(min_seconds * 1e9 / max(first, 1.0))
            times[name] = timed(call, loops) if loops > 1 else first
        return times


def main() -> None:
    """Serve commands until standard input ends."""
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        command = json.loads(line)
        do = command.pop("do")
        answer = _versions() if do == "versions" else getattr(worker, do)(**command)
        ANSWERS.write(json.dumps(answer) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()

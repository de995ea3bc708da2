"""alibi-detect's online CVM and MMD on the streams of `detection_streams`: a JSON request in, an answer out.

Thresholds are those that it finds itself for the expected run time asked for. One reference and one set of
thresholds serve all streams, as finding them is most of the time. Run by `detection.py` in its environment.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever it prints goes to standard error
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from alibi_detect.cd import CVMDriftOnline, MMDDriftOnline  # noqa: E402
from detection_streams import CHANGES, pairs, stream  # noqa: E402


def made(request: dict[str, Any], *, joint: bool) -> Any:
    """A detector with its thresholds, on a reference of its own."""
    rng = np.random.default_rng(request["seed"])
    rows = request["reference_rows"]
    common = {"ert": float(request["run_rows"]), "n_bootstraps": request["bootstraps"], "verbose": False}
    if request["detector"] == "CVM":
        return CVMDriftOnline(
            stream("none", rng, rows, 0).astype(np.float32), window_sizes=request["windows"], **common
        )
    known = pairs("none", rng, rows, 0) if joint else stream("none", rng, rows, 0)[:, np.newaxis]
    return MMDDriftOnline(
        known.astype(np.float32), window_size=request["windows"][0], backend="tensorflow", **common
    )


def first_alarm(detector: Any, values: Any) -> int | None:
    """Row of the first alarm, from 1; None if never."""
    detector.reset_state() if hasattr(detector, "reset_state") else detector.reset()
    for row, value in enumerate(values):
        if detector.predict(value)["data"]["is_drift"]:
            return row + 1
    return None


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    answer: dict[str, Any] = {
        "alibi-detect": importlib.metadata.version("alibi-detect"),
        "tensorflow": importlib.metadata.version("tensorflow"),
        "delays": {},
    }
    detectors: dict[bool, Any] = {}
    for change in request["changes"]:
        joint = change not in CHANGES and change != "none"
        if joint not in detectors:
            detectors[joint] = made(request, joint=joint)
        found = []
        for r in range(request["streams"]):
            rng = np.random.default_rng((request["seed"], 1, r))
            before, after = request["before"], request["after"]
            values = (pairs if joint else stream)(change, rng, before, after).astype(np.float32)
            if not joint:
                values = values[:, np.newaxis]
            row = first_alarm(detectors[joint], values)
            found.append(-2 if row is None else -1 if row <= before else row - before)
        answer["delays"][change] = found
    json.dump(answer, ANSWERS)
    ANSWERS.flush()


if __name__ == "__main__":
    main()

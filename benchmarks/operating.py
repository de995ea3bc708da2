"""How often the drift score raises an alarm where nothing drifts: the streams of its test, at both effects.

    python benchmarks/operating.py [--smoke --folder DIR]

A tenth of the streams may raise one within a tenth of the budget. `tests/test_operating_characteristics.py`
asserts what this tabulates.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path

from measure import HERE, column, goal, options, save, table, versions

sys.path.insert(0, str(HERE.parent / "tests"))

from oc_streams import BROKEN, HEAVY, SCENARIOS, Outcome, alarms, model_alarms

from driftgauge.errors import TrainingDriftWarning

__all__ = ["main"]

PROMISED = 0.1
EFFECTS = (0.0, 0.01)


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/operating.json``."""
    return run(options(__doc__).parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    warnings.simplefilter("ignore", TrainingDriftWarning)  # season and AR(1) are drift to a short reference
    lines: list[list[object]] = []
    worst = 0.0
    scenarios = (*SCENARIOS, *HEAVY, BROKEN)
    for scenario in scenarios[:2] if chosen.smoke else scenarios:
        small = replace(scenario, streams=5, evaluations=1_000) if chosen.smoke else scenario
        found = [alarms(small, min_effect=effect) for effect in EFFECTS]
        lines.append(_line(scenario.name, f"{scenario.reference_rows:,}", found))
        if scenario is not BROKEN:
            worst = max(worst, *(outcome.share for outcome in found))
    models = 2 if chosen.smoke else 96
    for features in (20,) if chosen.smoke else (20, 100):
        for correlation in (0.0, 0.5, 0.95):
            found = [
                model_alarms(features, correlation, models=models, evaluations=2_000, min_effect=effect)
                for effect in EFFECTS
            ]
            lines.append(_line(f"{features} features, correlation {correlation:g}", "5,000", found))
            worst = max(worst, *(outcome.share for outcome in found))
    columns = [column("streams without drift"), column("reference rows")]
    for effect in EFFECTS:
        columns += [column(f"alarms at min_effect {effect:g}"), column("at most", "number")]
    note = (
        "Streams with an alarm within a tenth of the budget, of so many; at most: Clopper-Pearson upper "
        "bound of its chance, 95 %. A tenth is promised. Each stream has a reference of its own. Budget: "
        "50,000 evaluations of 20 rows; models of many features, virtual ones included: 2,000. References of "
        "AR(1), season and bursts have times. The last of the bursts has sizes of infinite variance: there "
        "the promise breaks, and rows should be sampled, or capped by whoever sends them."
    )
    what = "streams without drift with an alarm within a tenth of the budget, most of any kind but the one"
    return save(
        "operating",
        tables=[table("False alarms of the drift score", columns, lines, note)],
        goals=[goal(f"{what} known to break", 100 * PROMISED, 100 * worst, better="lower", unit="percent")],
        versions=versions("driftgauge", "numpy", "numba", "scipy"),
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


def _line(name: str, rows: str, found: list[Outcome]) -> list[object]:
    line: list[object] = [name, rows]
    for outcome in found:
        line += [f"{outcome.alarms} of {outcome.streams}", outcome.upper]
    return line


if __name__ == "__main__":
    print(main())  # noqa: T201

"""KS and PSI of 50 features, reference 10,000 rows: from rows, and as a tick; against named peers.

Each contender runs in its own environment, in one long-lived process that also holds the baseline. The
processes take a turn each, round after round; a ratio is baseline over contender within one process.

    python benchmarks/bench_peers.py [--smoke --folder DIR] [--rounds 15]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from data import CONTINUOUS, KINDS, fingerprint, names, table
from environments import PEERS, ensure, environ, interpreter
from measure import HERE, column, goal, median, options, save, versions
from measure import table as result_table
from numpy.typing import NDArray

BASELINE = "scipy + NumPy"
DEFAULTS = "scipy + NumPy, ks_2samp defaults"
OURS = "driftgauge"
FEWER = "driftgauge, no Wasserstein, no moments"
# A report takes seconds: five rounds of it say enough, and the other contenders need not wait for more.
ROUNDS_OF_SLOW = {"Evidently, report": 5}

Floats = NDArray[np.float64]
Key = tuple[str, str]  # environment, contender
Times = dict[Key, list[float]]
Values = dict[Key, dict[str, list[float]]]


class Worker:
    """A running ``peers/worker.py``."""

    def __init__(self, environment: str, module: str) -> None:
        python = interpreter(environment) if environment == OURS else ensure(environment)
        self.environment = environment
        self.process = subprocess.Popen(
            [str(python), str(HERE / "peers" / "worker.py"), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if environment == OURS else subprocess.DEVNULL,
            text=True,
            env=environ(),
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Send one command and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            said = (
                self.process.stderr.read()
                if self.process.stderr
                else "run benchmarks/peers/worker.py by hand"
            )
            message = f"the process of {self.environment!r} ended with status {self.process.wait()}: {said}"
            raise RuntimeError(message)
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def run_case(
    workers: list[Worker], case: str, live: Path, rounds: int, min_seconds: float
) -> tuple[Times, Values]:
    """Times of each contender, and the values that each gave."""
    values: Values = {}
    for worker in workers:
        for contender, value in worker.ask("case", case=case, live=str(live)).items():
            values[worker.environment, contender] = value
    times: Times = {key: [] for key in values}
    for step in range(rounds):
        skip = [name for name, most in ROUNDS_OF_SLOW.items() if step >= most]
        for worker in workers:
            for contender, nanoseconds in worker.ask("step", skip=skip, min_seconds=min_seconds).items():
                times[worker.environment, contender].append(nanoseconds)
    return times, values


def shown(keys: Values | Times, baselines: tuple[str, ...]) -> list[Key]:
    """The contenders of a table: of a peer's environment only the peer, the baselines are for ratios."""
    return [key for key in keys if key[0] == OURS or key[1] not in baselines]


def timing(title: str, times: Times, baselines: tuple[str, ...], *, headline: bool) -> dict[str, Any]:
    """A table of times, ratios to the baseline of the same process, and how much faster driftgauge is."""

    def ratio(key: Key) -> float:
        return median(times[key[0], BASELINE]) / median(times[key])

    ours = ratio((OURS, OURS))
    columns = [
        column("contender"),
        column("min", "ns"),
        column("median", "ns"),
        column("samples", "count"),
        column("scipy + NumPy took", "ratio"),
        column("driftgauge is faster by", "ratio"),
    ]
    rows = [
        [key[1], min(times[key]), median(times[key]), len(times[key]), ratio(key), ours / ratio(key)]
        for key in shown(times, baselines)
    ]
    note = (
        "Ratios of medians. The fifth column is the baseline's time over the contender's, both in the "
        "contender's own process; the sixth divides driftgauge's fifth by the contender's."
    )
    return result_table(title, columns, rows, note, headline=headline)


def agreement(title: str, values: Values, baselines: tuple[str, ...]) -> dict[str, Any]:
    """A table of how far each contender's values are from ours, at most over the features."""
    ours = values[OURS, OURS]
    columns = [
        column("contender"),
        column("KS: largest difference from driftgauge", "error"),
        column("p-value of KS: largest difference from scipy's", "error"),
        column("PSI: largest difference from driftgauge", "error"),
        column("median PSI", "number"),
        column("largest PSI", "number"),
    ]
    rows: list[list[Any]] = [[OURS, 0.0, None, 0.0, median(ours["psi"]), max(ours["psi"])]]
    for key in shown(values, baselines):
        if key[1] == OURS:
            continue
        theirs = values[key]
        ks = difference(ours["ks"], theirs["ks"]) if "ks" in theirs else None
        scipy = values[key[0], DEFAULTS]["ks_p_value"]
        p_value = difference(scipy, theirs["ks_p_value"]) if "ks_p_value" in theirs else None
        psi = theirs["psi"]
        rows.append([key[1], ks, p_value, difference(ours["psi"], psi), median(psi), max(psi)])
    note = (
        "A dash: not asked for or not to be had: Evidently's method 'ks' gives the p-value alone. PSI "
        "has no one definition: "
        "ours and the baselines' have ten quantile bins of the reference and half a row added to each; "
        "frouros has ten bins of one width over reference and live rows together, 2e-308 for an empty "
        "share; Evidently has Sturges' number of bins of equal width over both and puts 0.0001 or less in "
        "place of an empty share."
    )
    return result_table(title, columns, rows, note)


def difference(ours: list[float], theirs: list[float]) -> float:
    """Largest absolute difference over the features."""
    return float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))


def faster_than(what: str, target: float, times: Times) -> list[dict[str, Any]]:
    """The goal on a table of times, with all statistics and with fewer."""
    base = median(times[OURS, BASELINE])
    return [
        goal(
            f"{what}{how}: faster than scipy + NumPy",
            target,
            base / median(times[OURS, contender]),
            better="higher",
            unit="ratio",
        )
        for contender, how in ((OURS, ""), (FEWER, ", no Wasserstein and moments"))
    ]


class Report:
    """The cases that were run so far."""

    def __init__(self, workers: list[Worker], scratch: Path, rounds: int, min_seconds: float) -> None:
        self.workers = workers
        self.scratch = scratch
        self.rounds = rounds
        self.min_seconds = min_seconds
        self.baselines: tuple[str, ...] = ()
        self.tables: list[dict[str, Any]] = []
        self.goals: list[dict[str, Any]] = []
        self.fingerprints: dict[str, str] = {}
        self.times: dict[str, dict[str, list[float]]] = {}

    def stored(self, name: str, array: Floats) -> str:
        """Write the array where every process can read it; the path."""
        path = self.scratch / f"{name}.npy"
        np.save(path, array)
        self.fingerprints[name] = fingerprint(array)
        return str(path)

    def prepare(self, reference: str, features: int) -> None:
        """Let every contender fit the reference."""
        for worker in self.workers:
            self.baselines = tuple(worker.ask("prepare", reference=reference, names=names(features))[:3])

    def case(
        self, name: str, title: str, kind: str, live: str, workers: list[Worker], *, headline: bool
    ) -> tuple[Times, Values]:
        """Run one case and keep its table."""
        times, values = run_case(workers, kind, Path(live), self.rounds, self.min_seconds)
        self.tables.append(timing(title, times, self.baselines, headline=headline))
        self.times[name] = {" / ".join(key): samples for key, samples in times.items()}
        return times, values

    def rows(
        self, label: str, kinds: tuple[str, ...], features: int, reference_rows: int, live_rows: int
    ) -> None:
        """From raw rows."""
        reference = self.stored(f"reference_{label}", table(reference_rows, features, 1, kinds=kinds))
        live = self.stored(f"live_{label}", table(live_rows, features, 2, kinds=kinds, drift=0.3))
        self.prepare(reference, features)
        what = f"KS and PSI of {features} features from {live_rows:,} rows, {label} values"
        headline = label == "continuous"
        times, values = self.case(f"rows_{label}", what, "rows", live, self.workers, headline=headline)
        self.goals += faster_than(what, 20, times)
        self.tables.append(agreement(f"Do they agree? {label.capitalize()} values", values, self.baselines))
        ours = values[OURS, OURS]
        apart = max(difference(ours["ks"], found["ks"]) for found in values.values() if "ks" in found)
        what = f"KS, {label} values: largest difference from scipy and every contender that gives one"
        self.goals.append(goal(what, 1e-12, apart, better="lower", unit="error"))

    def ticks(self, features: int, lengths: tuple[int, ...]) -> None:
        """With the window full, on the reference that was prepared last."""
        took: dict[str, list[float]] = {OURS: [], FEWER: []}
        for place, length in enumerate(lengths):
            live = self.stored(f"window_{length}", table(length, features, 3, drift=0.3))
            what = f"A tick: KS and PSI of {features} features, the window holds {length:,} rows"
            # The longest takes the peers many seconds, and their part is told by then.
            workers = self.workers if place < 2 else self.workers[:1]
            times, _ = self.case(f"tick_{length}", what, "tick", live, workers, headline=place == 1)
            for contender, samples in took.items():
                samples.append(median(times[OURS, contender]))
            if place == 1:
                self.goals += faster_than(what, 200, times)
        for contender, (shortest, *_, longest) in took.items():
            what = f"{contender}: a tick with {lengths[-1]:,} rows in the window over one with {lengths[0]:,}"
            self.goals.append(goal(what, 1.25, longest / shortest, better="lower", unit="ratio"))


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/peers.json``."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-peers", action="store_true", help="only driftgauge, SciPy and NumPy")
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    features, reference_rows = (4, 300) if chosen.smoke else (50, 10_000)
    lengths = (200, 400) if chosen.smoke else (1_000, 10_000, 100_000)
    rounds, min_seconds = (2, 0.0) if chosen.smoke else (chosen.rounds, 0.01)
    workers = [Worker(OURS, "driftgauge_peer")]
    if not (chosen.smoke or chosen.no_peers):
        workers += [Worker(peer, f"{peer}_peer") for peer in PEERS]
    try:
        environments = {worker.environment: worker.ask("versions") for worker in workers}
        with tempfile.TemporaryDirectory() as scratch:
            report = Report(workers, Path(scratch), rounds, min_seconds)
            report.rows("continuous", CONTINUOUS, features, reference_rows, lengths[1])
            report.ticks(features, lengths)
            report.rows("tied", KINDS[4:], features, reference_rows, lengths[1])
    finally:
        for worker in workers:
            worker.close()
    found = versions("driftgauge", "numpy", "numba", "scipy")
    for environment, distributions in environments.items():
        if environment != OURS:
            found[environment] = distributions[environment]
            found |= {f"{name} beside {environment}": distributions[name] for name in ("numpy", "scipy")}
    return save(
        "peers",
        tables=report.tables,
        goals=report.goals,
        versions=found,
        raw={
            "environments": environments,
            "fingerprints": report.fingerprints,
            "times_nanoseconds": report.times,
        },
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

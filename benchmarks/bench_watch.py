"""What `@monitor.watch` adds to a call, against `prometheus_client.Histogram.observe()`; the thread's CPU.

python benchmarks/bench_watch.py [--smoke --folder DIR] [--rounds 200] [--seconds 5]
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from data import names, table
from measure import column, goal, options, save, versions
from measure import table as result_table
from prometheus_client import CollectorRegistry, Histogram

import driftgauge as dg

FEATURES = 20
BATCH = 50  # calls that one p50 sample takes the mean of; far fewer than the buffer holds
CALLS_A_SECOND = 10_000
FRAMES_A_SECOND = 1_000  # frames with text

Call = Callable[[Any], Any]


class Form:
    """One way to call a no-op predict: bare, watched, and its argument."""

    def __init__(self, bare: Call, watched: Call, argument: Any, rows: int = 1) -> None:
        self.bare = bare
        self.watched = watched
        self.argument = argument
        self.rows = rows
        self.means: dict[str, list[float]] = {"bare": [], "watched": []}
        self.singles: dict[str, list[int]] = {"bare": [], "watched": []}

    def take(self, batch: int) -> None:
        """One sample of everything: the mean of a batch of calls, and calls one at a time."""
        for name, call in (("bare", self.bare), ("watched", self.watched)):
            argument = self.argument
            for _ in range(
                batch
            ):  # a service calls one form again and again: caches and free memory are its own
                call(argument)
            start = perf_counter_ns()
            for _ in range(batch):
                call(argument)
            self.means[name].append((perf_counter_ns() - start) / batch)
            singles = self.singles[name]
            for _ in range(batch):
                start = perf_counter_ns()
                call(argument)
                singles.append(perf_counter_ns() - start)

    def added(self) -> tuple[float, float]:
        """Added time in nanoseconds: median of the batches' means, and 99th percentile of single calls.

        The bare call's median is taken off each, with it the cost of reading the clock.
        """
        p50 = float(np.median(self.means["watched"]) - np.median(self.means["bare"]))
        p99 = float(np.percentile(self.singles["watched"], 99) - np.median(self.singles["bare"]))
        return p50, p99


def mixed_row(row: Any) -> dict[str, Any]:
    """18 floats, a text and an integer: the usual input of a model that takes a frame."""
    floats = dict(zip(names(FEATURES), row.tolist(), strict=True))
    *_, text, integer = names(FEATURES)
    return {**floats, text: "abc"[int(abs(row[-2]) * 10) % 3], integer: int(row[-1] * 10)}


def forms(monitor: dg.Monitor) -> dict[str, Form]:
    """All forms, the ones that lose included."""
    row = table(1, FEATURES, 3)[0]
    record = dict(zip(names(FEATURES), row.tolist(), strict=True))
    frame = pd.DataFrame([record])

    def predict(data: Any) -> float:  # noqa: ARG001 - what it is given is what is measured
        return 0.5

    class Model:
        def predict(self, data: Any) -> float:  # noqa: ARG002
            return 0.5

        @monitor.watch
        def watched(self, data: Any) -> float:  # noqa: ARG002
            return 0.5

    model = Model()
    watched = monitor.watch(predict)
    found = {
        "array of 20": Form(predict, watched, row),
        "array of 1 x 20": Form(predict, watched, row[None]),
        "array of 1 x 20, float32": Form(predict, watched, row[None].astype(np.float32)),
        "array, `sample=0.01`": Form(predict, monitor.watch(sample=0.01)(predict), row),
        "array, a method": Form(model.predict, model.watched, row),
        "dict of 20": Form(predict, watched, record),
        "list of 20": Form(predict, watched, row.tolist()),
        "pandas, 1 row of numbers": Form(predict, monitor.watch(predict), frame),
        "pandas, 1 row of 18 floats, a text, an integer": Form(
            predict, monitor.watch(predict), pd.DataFrame([mixed_row(row)])
        ),
        "polars, 1 row": Form(predict, watched, pl.DataFrame([record])),
        "pyarrow, 1 row": Form(predict, watched, pa.Table.from_pylist([record])),
    }
    for rows in (32, 1_000):
        scores = np.full(rows, 0.5)

        def batch(data: Any, scores: Any = scores) -> Any:  # noqa: ARG001
            return scores

        found[f"array of {rows:,} x 20"] = Form(batch, monitor.watch(batch), table(rows, FEATURES, 4), rows)
    return found


def added_times(monitor: dg.Monitor, rounds: int, batch: int) -> tuple[list[list[Any]], dict[str, Any]]:
    """Rows of the table, and the raw figures."""
    histogram = Histogram(
        "latency_seconds", "A histogram as every service has one.", registry=CollectorRegistry()
    )
    # The single calls have the cost of reading the clock in them, the batches have not.
    clock = float(np.median([-(perf_counter_ns() - perf_counter_ns()) for _ in range(1_000)]))
    rows: list[list[Any]] = []
    raw: dict[str, Any] = {}
    observed: tuple[list[float], list[int]] = ([], [])
    # Form by form, each in turn with `observe`, as a service has one form only: what batches of 1,000
    # rows leave behind in the allocator made the next form 170 ns slower.
    for name, form in forms(monitor).items():
        observe = Form(histogram.observe, histogram.observe, 0.3)
        for _ in range(rounds):
            monitor.flush()  # outside the clock, so that no sample meets a full buffer
            observe.take(batch)
            form.take(max(1, min(batch, 2_000 // form.rows)))
        means, singles = observe.means["watched"], observe.singles["watched"]
        p50, p99 = float(np.median(means)), float(np.percentile(singles, 99)) - clock
        added_p50, added_p99 = form.added()
        rows.append([name, form.rows, added_p50, added_p99, added_p50 / p50, added_p99 / p99])
        raw[name] = {"p50": added_p50, "p99": added_p99, "observe_p50": p50, "observe_p99": p99}
        observed[0].extend(means)
        observed[1].extend(singles)
    p50, p99 = float(np.median(observed[0])), float(np.percentile(observed[1], 99)) - clock
    return [["prometheus_client `Histogram.observe()`", None, p50, p99, 1.0, 1.0], *rows], raw


def background(
    reference: dg.Reference, seconds: float, form: Callable[[Any], Any], calls_a_second: int
) -> tuple[float, int, int]:
    """CPU nanoseconds of the background thread by row at a rate of calls; rows taken and dropped."""
    monitor = dg.Monitor(reference)
    predict = monitor.watch(lambda data: 0.5)  # noqa: ARG005
    argument = form(table(1, FEATURES, 5)[0])
    for _ in range(500):
        predict(argument)
    monitor.flush()
    before = monitor.snapshot()
    (thread,) = (thread for thread in threading.enumerate() if thread is monitor._worker._thread)
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    start_cpu = time.clock_gettime_ns(clock)
    start = time.perf_counter()
    calls = 0
    while (elapsed := time.perf_counter() - start) < seconds:
        while calls < elapsed * calls_a_second:
            predict(argument)
            calls += 1
        time.sleep(0.0005)
    time.sleep(0.1)  # what is left is the thread's, too
    cpu = time.clock_gettime_ns(clock) - start_cpu
    after = monitor.snapshot()
    monitor.close()
    taken = after.rows_sampled - before.rows_sampled
    return cpu / max(1, taken), taken, sum(after.rows_dropped.values()) - sum(before.rows_dropped.values())


def main(arguments: list[str] | None = None) -> Path:
    """Run everything and write ``results/watch.json``."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    return run(parser.parse_args(arguments))


def run(chosen: argparse.Namespace) -> Path:
    """The benchmark itself."""
    labels = [*names(FEATURES), "score"]
    train = table(2_000 if chosen.smoke else 10_000, FEATURES + 1, 1)
    reference = dg.Reference.fit(train, names=labels, outputs=["score"])
    monitor = dg.Monitor(reference, rng=np.random.default_rng(6))
    monitor.warm_up()
    rows, raw = added_times(monitor, 3 if chosen.smoke else chosen.rounds, 10 if chosen.smoke else BATCH)
    snapshot = monitor.snapshot()
    monitor.close()
    dropped = sum(snapshot.rows_dropped.values())
    thread_rows = []
    seconds = 0.2 if chosen.smoke else chosen.seconds
    mixed = dg.Reference.fit(
        pd.DataFrame([{**mixed_row(row[:-1]), "score": row[-1]} for row in train]), outputs=["score"]
    )

    def mixed_frame(row: Any) -> Any:
        return pd.DataFrame([mixed_row(row)])

    def mixed_polars(row: Any) -> Any:
        return pl.DataFrame([mixed_row(row)])

    def mixed_arrow(row: Any) -> Any:
        return pa.Table.from_pylist([mixed_row(row)])

    shapes: list[tuple[str, dg.Reference, Callable[[Any], Any], int]] = [
        ("array of 20", reference, lambda row: row, CALLS_A_SECOND),
        (
            "dict of 20",
            reference,
            lambda row: dict(zip(labels, row.tolist(), strict=False)),
            CALLS_A_SECOND,
        ),
        (
            "pandas, 1 row of numbers",
            reference,
            lambda row: pd.DataFrame([row], columns=labels[:-1]),
            CALLS_A_SECOND,
        ),
        ("pandas, 1 row with text", mixed, mixed_frame, FRAMES_A_SECOND),
        ("polars, 1 row with text", mixed, mixed_polars, FRAMES_A_SECOND),
        ("pyarrow, 1 row with text", mixed, mixed_arrow, FRAMES_A_SECOND),
    ]
    for name, of, form, rate in shapes:
        cpu, taken, lost = background(of, seconds, form, rate)
        thread_rows.append([name, rate, taken, lost, cpu, cpu * rate / 1e9])
    note = (
        "Each in turn with `observe`, in one process, kernels compiled, the thread running. p50: median of "
        f"means of {BATCH} calls (fewer of large batches), less the bare call's; p99: of single calls, less "
        f"the bare call's median. Every row is recorded unless sampled out; {dropped:,} were dropped."
    )
    by_name = {row[0]: row for row in rows}
    return save(
        "watch",
        tables=[
            result_table(
                "Time that `@monitor.watch` adds to a call of a no-op predict, 20 features",
                [
                    column("form"),
                    column("rows a call", "count"),
                    column("added, p50", "ns"),
                    column("added, p99", "ns"),
                    column("p50 over `observe`", "ratio"),
                    column("p99 over `observe`", "ratio"),
                ],
                rows,
                note,
                headline=True,
            ),
            result_table(
                "CPU of the background thread, 20 inputs and a score",
                [
                    column("form"),
                    column("calls a second", "count"),
                    column("rows", "count"),
                    column("dropped", "count"),
                    column("CPU a row", "ns"),
                    column("cores", "number"),
                ],
                thread_rows,
                "The thread's own CPU clock: indexing, the window of 10,000 rows and the bins included.",
            ),
        ],
        goals=[
            goal(
                "`@monitor.watch` on 1 row x 20, array, p50 over one `observe()`",
                1.0,
                by_name["array of 20"][4],
                better="lower",
                unit="ratio",
            ),
            goal(
                "`@monitor.watch` on 1 row x 20, array, p50 over one `observe()`, far goal",
                0.5,
                by_name["array of 20"][4],
                better="lower",
                unit="ratio",
            ),
        ],
        versions=versions("driftgauge", "numpy", "numba", "pandas", "polars", "pyarrow", "prometheus_client"),
        raw=raw,
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

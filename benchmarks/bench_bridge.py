"""How many alerts a minute the bridge stores and decides on one core, beside two handlers that do less.

python benchmarks/bench_bridge.py [--smoke --folder DIR] [--rounds 9] [--posts 2000]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sqlite3
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from bridge_programs import PATH, PROGRAMS, processor_seconds, started
from measure import column, goal, median, options, save, table, versions

MODELS = 200
CONNECTIONS = 8
GROUP = 20
FORMS = {"1 new alert": 1, f"{GROUP} new alerts": GROUP}
NAMES = {
    "nothing": "bare aiohttp, only answers",
    "commits": "aiohttp and SQLite, a commit a post",
    "driftgauge": "driftgauge bridge",
}
_numbers = itertools.count()


def alert(number: int, model: str = "") -> dict[str, Any]:
    """A new alert about one of the models."""
    labels = {"alertname": "DriftgaugeFeatureDrift", "model": model or f"m{number % MODELS}"}
    return {
        "status": "firing",
        "labels": {
            **labels,
            "feature": f"f{number}",
            "kind": "input",
            "driftgauge_action": "retrain",
            "severity": "warning",
        },
        "annotations": {
            "description": "PSI over the last 6h is 1.34 (threshold 0.2).",
            "summary": "It drifted",
        },
        "startsAt": "2026-11-21T01:33:49.335Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"{number:016x}",
    }


def bodies(posts: int, size: int) -> list[bytes]:
    """So many messages, of alerts that nobody has seen."""
    return [
        json.dumps({"version": "4", "alerts": [alert(next(_numbers)) for _ in range(size)]}).encode()
        for _ in range(posts)
    ]


async def posted(port: int, messages: list[bytes]) -> tuple[float, list[float]]:
    """Seconds for all, and of each answer."""
    took: list[float] = []
    begun = time.perf_counter()
    async with aiohttp.ClientSession() as client:

        async def work() -> None:
            while messages:
                body = messages.pop()
                sent = time.perf_counter()
                async with client.post(f"http://127.0.0.1:{port}{PATH}", data=body) as answer:
                    await answer.read()
                    answer.raise_for_status()
                took.append(time.perf_counter() - sent)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return time.perf_counter() - begun, took


def behind(port: int, file: Path) -> float:
    """Seconds until an alert that is posted now is decided: by then all before it are."""
    number = next(_numbers)
    body = json.dumps({"version": "4", "alerts": [alert(number, f"last-{number}")]}).encode()
    begun = time.perf_counter()
    asyncio.run(posted(port, [body]))
    db = sqlite3.connect(file)
    while not db.execute("SELECT 1 FROM decisions WHERE model = ?", (f"last-{number}",)).fetchone():
        time.sleep(0.005)
    db.close()
    return time.perf_counter() - begun


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(rounds: int, posts: int) -> dict[str, Any]:
    """Rates, answers, processor time and lag by form and program, the programs in turn in each round."""
    import uvloop

    keys = ("rate", "p50", "slowest", "processor", "behind")
    found: dict[str, Any] = {form: {name: {key: [] for key in keys} for name in PROGRAMS} for form in FORMS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: _free_port() for name in PROGRAMS}
        running = {name: stack.enter_context(started(name, ports[name], folder)) for name in PROGRAMS}
        for form, size in FORMS.items():
            for turn in range(rounds + 1):
                for name, process in running.items():
                    messages = bodies(posts // size, size)
                    count = len(messages) * size
                    before = processor_seconds(process.pid)
                    took, answers = uvloop.run(posted(ports[name], messages))
                    lag = behind(ports[name], folder / "bridge.sqlite") if name == "driftgauge" else 0.0
                    used = processor_seconds(process.pid) - before
                    if turn:  # the first round warms up
                        kept = found[form][name]
                        kept["rate"].append(count / took * 60)
                        kept["p50"].append(float(np.median(answers)) * 1e9)
                        kept["slowest"].append(max(answers) * 1e9)
                        kept["processor"].append(used / count * 10_000)
                        kept["behind"].append(lag * 1e9)
        found["file_bytes"] = sum(each.stat().st_size for each in folder.glob("bridge.sqlite*"))
        found["alerts"] = next(_numbers)
    return found


def main(arguments: list[str] | None = None) -> Path:
    """Run, write the result and return its path."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--posts", type=int, default=2_000)
    chosen = parser.parse_args(arguments)
    rounds, posts = (1, 40) if chosen.smoke else (chosen.rounds, chosen.posts)
    found = measure(rounds, posts)
    rows = []
    for form in FORMS:
        for name in PROGRAMS:
            own = found[form][name]
            over = [a / b for a, b in zip(own["rate"], found[form]["commits"]["rate"], strict=True)]
            rows.append(
                [
                    form,
                    NAMES[name],
                    median(own["rate"]),
                    median(over),
                    median(own["p50"]),
                    max(own["slowest"]),
                    median(own["processor"]),
                    max(own["behind"]) if name == "driftgauge" else None,
                ]
            )
    single = found["1 new alert"]["driftgauge"]
    note = (
        f"{CONNECTIONS} connections, each program in a process held to one core, the clients on the others; "
        f"{MODELS} models, a route with a quorum and a dry run. An answer of the last two rows "
        "means that the alert is on disk (WAL, synchronous=FULL); the bridge also reads, checks and "
        "deduplicates alerts, decides and logs. The last column is how long after the last post an alert "
        f"that comes then is decided, at most. Medians of {rounds} rounds of {posts:,} alerts, programs in "
        f"turn. After {found['alerts'] // len(PROGRAMS):,} alerts the bridge's file had "
        f"{found['file_bytes'] / 1e6:.0f} MB. What it cannot show: a disk whose flushes are slower; they "
        "bound a commit a post more than the bridge."
    )
    return save(
        "bridge",
        tables=[
            table(
                "Alerts into the bridge",
                [
                    column("message"),
                    column("program"),
                    column("alerts a minute", "count"),
                    column("over a commit a post", "ratio"),
                    column("p50 of the answer", "ns"),
                    column("slowest answer", "ns"),
                    column("processor seconds for 10,000", "number"),
                    column("decided after", "ns"),
                ],
                rows,
                note,
                headline=True,
            )
        ],
        goals=[
            goal(
                "The bridge, alerts a minute on one core, one alert a message",
                10_000,
                median(single["rate"]),
                better="higher",
                unit="count",
            ),
            goal(
                "The same: how long after the last post all is decided, in s",
                1,
                max(single["behind"]) / 1e9,
                better="lower",
                unit="number",
            ),
        ],
        versions=versions("driftgauge", "aiohttp", "uvloop", "numpy"),
        raw={**found, "sqlite": sqlite3.sqlite_version},
        smoke=chosen.smoke,
        folder=chosen.folder,
    )


if __name__ == "__main__":
    print(main())  # noqa: T201

"""How many alerts a minute the bridge stores and decides on one core, and whether it falls behind.

The bridge runs as a process of its own, held to one core where the system can do that; this process posts as
Alertmanager does, one new alert a message, over eight connections, and then whole groups. Every answer means
that the alert was on disk. What it cannot show: a slower disk, whose flushes bound single messages more than
the core does.

    python benchmarks/bench_bridge.py [--alerts 20000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

SETTINGS = """
[server]
listen = "127.0.0.1:{port}"
[store]
path = "{folder}/bridge.sqlite"
[log]
level = "warning"
[[targets]]
name = "nowhere"
kind = "http"
url = "http://127.0.0.1:9/"
[[routes]]
name = "retrain"
match = {{ driftgauge_action = "retrain" }}
target = "nowhere"
group_wait = "0s"
quorum_features = 3
dry_run = true
"""
MODELS = 200
CONNECTIONS = 8


def alert(number: int) -> dict[str, Any]:
    """A new alert about one of the models."""
    labels = {"alertname": "DriftgaugeFeatureDrift", "model": f"m{number % MODELS}", "feature": f"f{number}"}
    return {
        "status": "firing",
        "labels": {**labels, "kind": "input", "driftgauge_action": "retrain", "severity": "warning"},
        "annotations": {
            "description": "PSI over the last 6h is 1.34 (threshold 0.2).",
            "summary": "It drifted",
        },
        "startsAt": "2026-11-21T01:33:49.335Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"{number:016x}",
    }


async def posted(url: str, bodies: list[bytes]) -> tuple[float, float]:
    """Seconds for all, and the slowest answer."""
    slowest = 0.0
    begun = time.perf_counter()
    async with aiohttp.ClientSession() as client:

        async def work() -> None:
            nonlocal slowest
            while bodies:
                body = bodies.pop()
                sent = time.perf_counter()
                async with client.post(f"{url}/api/v1/alerts", data=body) as answer:
                    await answer.read()
                    answer.raise_for_status()
                slowest = max(slowest, time.perf_counter() - sent)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return time.perf_counter() - begun, slowest


async def ready(url: str) -> None:
    """Wait until the bridge answers."""
    async with aiohttp.ClientSession() as client:
        while True:
            try:
                async with client.get(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """Of all threads of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alerts", type=int, default=20_000)
    parser.add_argument("--port", type=int, default=19_110)
    given = parser.parse_args()
    url = f"http://127.0.0.1:{given.port}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bridge.toml"
        file.write_text(SETTINGS.format(port=given.port, folder=folder))
        command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(file)]
        process = subprocess.Popen(command)
        try:
            asyncio.run(ready(url))
            if hasattr(os, "sched_setaffinity"):
                for thread in Path(f"/proc/{process.pid}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), {max(os.sched_getaffinity(0))})
            result: dict[str, Any] = {"alerts": given.alerts}
            for name, size, first in (("single", 1, 0), ("groups_of_20", 20, given.alerts)):
                numbers = range(first, first + given.alerts)
                bodies = [
                    json.dumps(
                        {"version": "4", "alerts": [alert(n) for n in numbers[at : at + size]]}
                    ).encode()
                    for at in range(0, given.alerts, size)
                ]
                before = processor_seconds(process.pid)
                took, slowest = asyncio.run(posted(url, bodies))
                used = processor_seconds(process.pid) - before
                result[name] = {
                    "alerts_a_minute": round(given.alerts / took * 60),
                    "slowest_answer_seconds": round(slowest, 3),
                    "processor_seconds_a_10000": round(used / given.alerts * 10_000, 2),
                }
            result["file_bytes"] = (Path(folder) / "bridge.sqlite").stat().st_size
        finally:
            process.terminate()
            process.wait()
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

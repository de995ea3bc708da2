"""The programs of `bench_bridge.py`: the bridge, a handler that only answers, one that commits every post.

python benchmarks/bridge_programs.py nothing|commits PORT FOLDER
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
from aiohttp import web

__all__ = ["PATH", "PROGRAMS", "on_one_core", "processor_seconds", "started"]

PATH = "/api/v1/alerts"
PROGRAMS = ("nothing", "commits", "driftgauge")
HERE = Path(__file__).resolve().parent
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


def _serve(name: str, port: int, folder: str) -> None:
    import uvloop

    db = sqlite3.connect(Path(folder) / f"{name}.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE posts (body BLOB)")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if name == "commits":
            db.execute("INSERT INTO posts VALUES (?)", (body,))
        return web.Response()

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.post(PATH, take), web.get("/-/ready", ready)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, loop=uvloop.new_event_loop())


@contextmanager
def started(name: str, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process of its own that answers at *port*."""
    if name == "driftgauge":
        file = folder / "bridge.toml"
        file.write_text(SETTINGS.format(port=port, folder=folder), encoding="utf-8")
        command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(file)]
    else:
        command = [sys.executable, str(Path(__file__)), name, str(port), str(folder)]
    with subprocess.Popen(command) as process:
        try:
            asyncio.run(_ready(process, f"http://127.0.0.1:{port}/-/ready"))
            on_one_core(process.pid)
            yield process
        finally:
            process.terminate()


async def _ready(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + 60
    async with aiohttp.ClientSession() as client:
        while time.monotonic() < end and process.poll() is None:
            with suppress(aiohttp.ClientError, OSError):
                async with client.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)
    message = f"{url} did not answer within a minute, or has ended"
    raise RuntimeError(message)


def on_one_core(pid: int) -> None:
    """Hold all threads of a process to the last core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {max(os.sched_getaffinity(0))})


def processor_seconds(pid: int) -> float:
    """Of all threads of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])

"""References, settings and running sidecars that the tests of this folder share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from services import until

from driftgauge import Reference
from driftgauge.sidecar.app import Sidecar, build
from driftgauge.sidecar.settings import SidecarSettings, load_settings

TOKEN = "open sesame"


def reference(
    seed: int = 1, *, model: str = "churn", version: str = "1", created_seconds: float = 1.6e9
) -> Reference:
    """A reference of one input; another *seed* gives another id."""
    rng = np.random.default_rng(seed)
    return Reference.fit(
        {"x": rng.normal(size=500)}, model=model, version=version, created_timestamp_seconds=created_seconds
    )


def settings_of(folder: Path, text: str = "", **environ: str) -> SidecarSettings:
    """Settings of a file with *text*, which serves on any port and drains at once."""
    file = folder / "driftgauge.toml"
    file.write_text(text, encoding="utf-8")
    quick = {
        "DRIFTGAUGE_SERVER__LISTEN": "127.0.0.1:0",
        "DRIFTGAUGE_SERVER__NOT_READY": "0",
        "DRIFTGAUGE_SERVER__DRAIN": "2s",
    }
    return load_settings(file, environ={**quick, **environ})


Talk = Callable[[Sidecar, aiohttp.ClientSession, str], Awaitable[Any]]


def while_running(settings: SidecarSettings, talk: Talk) -> Any:
    """What *talk* returns, given a sidecar that runs on this thread, a client and a URL."""

    async def story() -> Any:
        sidecar = build(settings)
        await sidecar.start()
        try:
            url = sidecar.places[0].rpartition(":")[0] + f":{sidecar.ports[0]}" if sidecar.ports else ""
            async with aiohttp.ClientSession() as client:
                return await talk(sidecar, client, url)
        finally:
            await sidecar.stop()

    return asyncio.run(story())


@dataclass
class Process:
    """A sidecar in a process of its own."""

    popen: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def events(self) -> list[str]:
        """The same, the sentences only."""
        return [line["event"] for line in self.lines()]

    @property
    def url(self) -> str:
        """Where it listens, once it does."""

        def look() -> str:
            assert self.popen.poll() is None, self.log.read_text(encoding="utf-8")
            found = [event for event in self.events() if event.startswith("listening on ")]
            return found[0].removeprefix("listening on ").split(", ")[0] if found else ""

        return str(until(look, "the sidecar to listen"))

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        """Status and body of an answer."""
        request = urllib.request.Request(self.url + path, data=body, headers={"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)


@contextmanager
def process(config: Path, log: Path, **environ: str) -> Iterator[Process]:
    """A sidecar in a process of its own, killed at the end if it still runs."""
    command = [sys.executable, "-m", "driftgauge", "sidecar", "--config", str(config)]
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ}
        )
        try:
            yield Process(popen, log)
        finally:
            popen.kill()
            popen.wait()

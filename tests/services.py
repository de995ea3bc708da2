"""Programs and services that tests run for real, and what they say when one is absent."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

_GIVEN_PORTS: set[int] = set()
ON_CI = os.environ.get("CI") == "true"
DEADLINE_SECONDS = 60  # what Prometheus may take to start or to scrape; it takes 1 to 3 on two idle cores


def unavailable(what: str) -> NoReturn:
    """Skip where a developer lacks something; fail on CI, where it is part of the promise."""
    if ON_CI:
        pytest.fail(what)
    pytest.skip(what)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus server that scrapes one target every second."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """Data of an API call."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """Value now of each series, by labels without those that scraping adds."""
        return {
            frozenset(
                (name, value) for name, value in series["metric"].items() if name not in ("instance", "job")
            ): (float(series["value"][1]))
            for series in self.get("query", query=expression)["result"]
        }

    def wait_for(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """Result of *expression* as soon as it has one."""
        return until(lambda: self.query(expression), f"{expression} to have a value")


def until(look: Callable[[], Any], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> Any:
    """First true value of *look*, which is asked ten times a second until the deadline."""
    end = time.monotonic() + deadline_seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    return pytest.fail(f"waited {deadline_seconds} s for {what}")


def free_port() -> int:
    """A loopback port that nothing listened on a moment ago, and that this process gives to nobody else.

    Below those that systems lend to clients, from 32,768 on: one of these may be somebody's connection by the
    time that a server binds it.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)  # others seed the module's own
        if port in _GIVEN_PORTS:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _GIVEN_PORTS.add(port)
        return port


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

"""A storm of alerts over a bridge that is killed again and again: exactly the runs that the brakes allow."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from bridge_cases import NOW, alert, posted
from fake_trainers import Trainer
from services import free_port, until

from driftgauge.bridge.store import Store

POSTS = 10_000
KILLS = 50
SETTINGS = """
[server]
listen = "127.0.0.1:{port}"
drain = "1s"
[store]
path = "{folder}/bridge.sqlite"
[retry]
first = "50ms"
follow = "50ms"
attempts = 1000
[log]
format = "text"
level = "warning"
[[targets]]
name = "training"
kind = "http"
url = "{url}"
idempotent = true
state_url = "{url}/{{id}}"
"""
ROUTE = """
[[routes]]
name = "{name}"
match = {{ driftgauge_action = "retrain" }}
match_regex = {{ model = "{name}-.*" }}
target = "training"
group_wait = "100ms"
{brakes}
"""
BRAKES = {
    "once": 'cooldown = "1d"',
    "often": 'cooldown = "0s"\nruns_per_day = 2',
    "enough": 'cooldown = "1d"\nquorum_features = 3',
    "few": 'cooldown = "1d"\nquorum_features = 9',
    "gone": 'cooldown = "0s"\nruns_per_day = 0',
    "asked": "approval = true",
    "dry": "dry_run = true",
}
ALLOWED = {"once": 1, "often": 2, "enough": 1}
MODELS = 6
FEATURES = 6


def posts_of(rng: random.Random) -> tuple[list[bytes], list[bytes]]:
    """Messages that must come first, and the storm."""
    first, storm = [], []
    models = [f"{kind}-{number}" for kind in BRAKES for number in range(MODELS)]
    for model in models:
        if model.startswith("gone"):  # their end is told before their beginning
            first += [posted(alert(model, f"f{n}", status="resolved")) for n in range(FEATURES)]
    while len(storm) + len(first) < POSTS:
        model = rng.choice(models)
        members = rng.sample(range(FEATURES), rng.randint(1, FEATURES))
        ends = model.startswith("once") and rng.random() < 0.2
        # f0 fires for ever, so that there is always something to train for. "often" ends and begins anew.
        began = NOW + (len(storm) * 8 // POSTS if model.startswith("often") else 0)
        storm.append(
            posted(
                *(
                    alert(model, f"f{n}", starts=began, status="resolved" if ends and n else "firing")
                    for n in members
                )
            )
        )
    return first, storm


class Storm:
    """Posts until each message was answered with 2xx, as Alertmanager does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.done = 0
        self.allowed = 0
        self.total = 0

    async def post(self, client: aiohttp.ClientSession, body: bytes) -> None:
        while True:
            try:
                async with client.post(self.url, data=body) as answer:
                    if answer.status == 200:
                        self.done += 1
                        return
                    assert answer.status >= 500, await answer.text()
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.05)

    async def work(self, client: aiohttp.ClientSession, posts: list[bytes]) -> None:
        while posts:
            if self.done >= self.allowed:
                await asyncio.sleep(0.01)
                continue
            await self.post(client, posts.pop())


@pytest.mark.slow
def test_a_storm_and_fifty_kills_start_exactly_the_runs_that_the_brakes_allow(tmp_path: Path) -> None:
    rng = random.Random(7)
    port = free_port()
    first, storm = posts_of(rng)
    log = (tmp_path / "log").open("ab")

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(tmp_path / "bridge.toml")]
        return subprocess.Popen(command, stdout=log, stderr=log)

    async def story(url: str) -> subprocess.Popen[bytes]:
        state = Storm(f"{url}/api/v1/alerts")
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as client:

            async def answers() -> None:
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    try:
                        async with client.get(f"{url}/-/ready") as answer:
                            if answer.status == 200:
                                return
                    except (aiohttp.ClientError, OSError, TimeoutError):
                        await asyncio.sleep(0.02)
                pytest.fail((tmp_path / "log").read_text())

            process = start()
            await answers()
            for body in first:
                await state.post(client, body)
            queue = storm[::-1]
            works = [asyncio.create_task(state.work(client, queue)) for _ in range(8)]
            for life in range(KILLS):
                state.allowed = POSTS * (life + 1) // (KILLS + 1)
                await asyncio.sleep(rng.uniform(0, 0.5))
                process.kill()
                process.wait()
                process = start()
                if rng.random() < 0.8:  # the others are killed while they start
                    await answers()
            state.allowed = POSTS
            await asyncio.gather(*works)
            assert state.done == POSTS
        return process

    with Trainer() as trainer:
        trainer.answers_after = lambda: rng.uniform(0, 0.05)
        text = SETTINGS.format(port=port, folder=tmp_path, url=trainer.url)
        text += "".join(ROUTE.format(name=name, brakes=brakes) for name, brakes in BRAKES.items())
        (tmp_path / "bridge.toml").write_text(text, encoding="utf-8")
        process = asyncio.run(story(f"http://127.0.0.1:{port}"))
        store = Store(tmp_path / "bridge.sqlite")
        expected = MODELS * sum(ALLOWED.values())
        try:
            until(lambda: len(store.runs("succeeded")) >= expected, f"{expected} runs to be over")
            time.sleep(1)  # what should not come had time to come
        finally:
            process.terminate()
            process.wait()
            log.close()
        kinds = Counter(payload["model"] for payload in trainer.payloads)
        assert kinds == {f"{kind}-{n}": runs for kind, runs in ALLOWED.items() for n in range(MODELS)}
        assert set(trainer.starts.values()) == {1}
        assert len(trainer.starts) == expected
        assert Counter(run.state for run in store.runs()) == {
            "succeeded": expected,
            "proposed": MODELS,
            "dry": MODELS,
        }
        said = Counter((entry.what, entry.brake) for entry in store.entries(limit=100_000))
        assert said["start", ""] == expected
        assert said["no", "quorum"] >= MODELS
        store.close()

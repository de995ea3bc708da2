"""A storm of alerts over a bridge that is killed again and again: exactly the runs that the brakes allow."""

from __future__ import annotations

import asyncio
import json
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
longest = "200ms"
follow = "100ms"
attempts = 1000
[log]
format = "text"
level = "error"
"""
TARGET = """
[[targets]]
name = "{name}"
kind = "http"
url = "{url}"
idempotent = {idempotent}
state_url = "{url}/{{id}}"
timeout = "300ms"
"""
ROUTE = """
[[routes]]
name = "{name}"
match = {{ driftgauge_action = "retrain" }}
match_regex = {{ model = "{name}-.*" }}
target = "{target}"
group_wait = "100ms"
{brakes}
"""
FREE = 'cooldown = "0s"\nruns_per_day = 0'
BRAKES = {
    "once": 'cooldown = "1d"',
    "often": 'cooldown = "0s"\nruns_per_day = 2',
    "enough": 'cooldown = "1d"\nquorum_features = 3',
    "few": 'cooldown = "1d"\nquorum_features = 9',
    "gone": FREE,
    "asked": "approval = true",
    "dry": "dry_run = true",
    "single": FREE,  # one alert, so one run, though no brake forbids a second
    "each": 'cooldown = "1s"\nruns_per_day = 0',  # as many runs as it takes, and each alert in one of them
    "unsure": FREE,  # one alert, and a target that starts whatever it is told
}
ALLOWED = {"once": 1, "often": 2, "enough": 1, "single": 1}
ALONE = ("single", "unsure")
MODELS = 15
"""Of each kind. They begin one after the other, so that runs are started under every kill."""
FEATURES = 6


def posts_of(rng: random.Random) -> tuple[list[bytes], list[bytes]]:
    """Messages that must come first, and the storm, in which each alert comes many times."""
    first = [
        posted(*(alert(f"gone-{number}", f"f{n}", status="resolved") for n in range(FEATURES)))
        for number in range(MODELS)
    ]
    last = [
        posted(
            *(
                alert(f"{kind}-{number}", f"f{n}", starts=NOW + 9 * (kind in ("often", "each")))
                for n in range(1 if kind in ALONE else FEATURES)
            )
        )
        for kind in BRAKES
        for number in range(MODELS)
    ]
    storm: list[bytes] = []
    count = POSTS - len(first) - len(last)
    for at in range(count):
        newest = MODELS * at // count
        kind = rng.choice([*BRAKES])
        model = f"{kind}-{newest if rng.random() < 0.7 else rng.randint(0, newest)}"
        members = [0] if kind in ALONE else rng.sample(range(FEATURES), rng.randint(1, FEATURES))
        ends = kind == "once" and rng.random() < 0.2
        began = NOW + (rng.randrange(4) if kind in ("often", "each") else 0)
        if kind == "each" and rng.random() < 0.2:
            began = NOW + 10 + at  # it comes once: were it lost, nothing would bring it again
        storm.append(
            posted(
                *(
                    alert(model, f"f{n}", starts=began, status="resolved" if ends and n else "firing")
                    for n in members
                )
            )
        )
    for at in range(0, count, 50):  # messages overtake each other
        some = storm[at : at + 50]
        rng.shuffle(some)
        storm[at : at + 50] = some
    return first, storm + last


class Storm:
    """Posts until each message was answered with 2xx, as Alertmanager does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.done = 0
        self.allowed = 0

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


async def story(
    rng: random.Random, first: list[bytes], storm: list[bytes], port: int, folder: Path
) -> subprocess.Popen[bytes]:
    """The storm, with a process killed and started 50 times; the last one lives."""
    url = f"http://127.0.0.1:{port}"
    state = Storm(f"{url}/api/v1/alerts")

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "driftgauge", "bridge", "serve", "-c", str(folder / "bridge.toml")]
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as client:

        async def answers() -> None:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    async with client.get(f"{url}/-/ready") as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, OSError, TimeoutError):
                    await asyncio.sleep(0.02)
            pytest.fail((folder / "log").read_text())

        process = start()
        try:
            await answers()
            for body in first:
                await state.post(client, body)
            queue = storm[::-1]
            works = [asyncio.create_task(state.work(client, queue)) for _ in range(8)]
            for life in range(KILLS):
                state.allowed = POSTS * (life + 1) // (KILLS + 1)
                await asyncio.sleep(rng.uniform(0, 0.6))
                process.kill()
                process.wait()
                process = start()
                if rng.random() < 0.8:  # the others are killed while they start
                    await answers()
            state.allowed = POSTS
            await asyncio.gather(*works)
            assert state.done == POSTS
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process


@pytest.mark.slow
def test_a_storm_and_fifty_kills_start_exactly_the_runs_that_the_brakes_allow(tmp_path: Path) -> None:
    rng = random.Random(7)
    moods = random.Random(8)

    def mood() -> int:
        """Mostly it works; it may be busy, or start the run and break off."""
        return moods.choices([200, 503, 0], [85, 10, 5])[0]

    def slowness() -> float:
        """Some answers come after nobody waits for them any more."""
        return moods.choices([moods.uniform(0, 0.2), 0.5], [95, 5])[0]

    with Trainer(moods=mood) as knowing, Trainer(knows_ids=False, moods=mood) as forgetful:
        knowing.answers_after = forgetful.answers_after = slowness
        port = free_port()
        text = SETTINGS.format(port=port, folder=tmp_path)
        text += TARGET.format(name="knowing", url=knowing.url, idempotent="true")
        text += TARGET.format(name="forgetful", url=forgetful.url, idempotent="false")
        for name, brakes in BRAKES.items():
            target = "forgetful" if name == "unsure" else "knowing"
            text += ROUTE.format(name=name, brakes=brakes, target=target)
        (tmp_path / "bridge.toml").write_text(text, encoding="utf-8")
        first, storm = posts_of(rng)
        process = asyncio.run(story(rng, first, storm, port, tmp_path))
        store = Store(tmp_path / "bridge.sqlite")

        told = {
            f"{each['fingerprint']}@{each['startsAt']}"
            for body in storm
            for each in json.loads(body)["alerts"]
            if each["labels"]["model"].startswith("each")
        }

        def trained_for() -> list[str]:
            with knowing.lock:
                runs = [each for each in knowing.payloads if each["route"] == "each"]
            return [key for each in runs for key in each["alert_keys"]]

        def arrived() -> bool:
            """As many runs of each route as there must be, or more."""
            routes = Counter(run.request.route for run in store.runs(limit=100_000))
            wanted = {**ALLOWED, "unsure": 1, "asked": 1, "dry": 1}
            enough = all(routes[name] >= MODELS * count for name, count in wanted.items())
            return enough and len(trained_for()) >= len(told)

        def settled() -> bool:
            """Nothing is under way, and nothing was for a second: what should not come had time to come."""
            for _ in range(10):
                if any(store.runs(state) for state in ("pending", "starting", "running")):
                    return False
                time.sleep(0.1)
            return True

        try:
            until(arrived, "all runs")
            until(settled, "the runs to be over")
        finally:
            process.terminate()
            process.wait()

    runs = store.runs(limit=100_000)
    entries = store.entries(limit=100_000)
    store.close()
    # The target started each run once, and it started what is written down, no more and no less.
    assert set(knowing.starts.values()) == {1}
    assert set(knowing.starts) == {run.id for run in runs if run.state == "succeeded"} - set(forgetful.starts)
    kinds = Counter(payload["model"] for payload in knowing.payloads)
    assert {model: count for model, count in kinds.items() if not model.startswith("each")} == {
        f"{kind}-{n}": count for kind, count in ALLOWED.items() for n in range(MODELS)
    }
    # Each alert is in one run, and in no other.
    trained = trained_for()
    assert sorted(trained) == sorted(told)
    # A target that cannot know ids never starts a run twice; where nobody can tell, a person is asked.
    unsure = [run for run in runs if run.request.route == "unsure"]
    assert len(unsure) == MODELS
    assert max(forgetful.starts.values()) == 1
    for run in unsure:
        assert run.state in ("succeeded", "dead")
        assert run.state == "dead" or forgetful.starts[run.id] == 1
        assert run.state == "succeeded" or "may have been started" in run.reason
    # What a brake held was not started, and each decision is in the log once.
    states = Counter((run.request.route, run.state) for run in runs if run.request.route in ("asked", "dry"))
    assert states == {("asked", "proposed"): MODELS, ("dry", "dry"): MODELS}
    said = Counter((entry.what, entry.brake) for entry in entries)
    assert said["start", ""] == len([run for run in runs if run.state in ("succeeded", "dead")])
    assert said["propose", ""] == said["no", "dry_run"] == MODELS
    assert said["no", "quorum"] >= MODELS

"""The bridge as a whole: posts in, runs out, over real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bridge_cases import alert, posted, settings_of
from fake_trainers import Trainer

from driftgauge.bridge.app import Bridge, build
from driftgauge.bridge.settings import BridgeSettings
from driftgauge.errors import ConfigError

Talk = Callable[[Bridge, aiohttp.ClientSession, str], Awaitable[Any]]
PATH = "/api/v1/alerts"


def while_running(settings: BridgeSettings, talk: Talk) -> Any:
    """What *talk* returns, given a bridge that runs on this thread, a client and a URL."""

    async def story() -> Any:
        bridge = build(settings, {})
        await bridge.start()
        try:
            async with aiohttp.ClientSession() as client:
                return await talk(bridge, client, f"http://127.0.0.1:{bridge.ports[0]}")
        finally:
            await bridge.stop()

    return asyncio.run(story())


async def soon(look: Callable[[], Any], what: str) -> Any:
    """First true value of *look*."""
    for _ in range(600):
        if found := look():
            return found
        await asyncio.sleep(0.05)
    return pytest.fail(f"waited for {what}")


async def states(client: aiohttp.ClientSession, url: str) -> list[str]:
    async with client.get(f"{url}/api/v1/runs") as answer:
        return [run["state"] for run in (await answer.json())["runs"]]


async def in_state(client: aiohttp.ClientSession, url: str, wanted: list[str]) -> None:
    found: list[str] = []
    for _ in range(600):
        found = await states(client, url)
        if found == wanted:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"runs are {found}, not {wanted}")


def test_an_alert_starts_a_run_and_a_copy_starts_none(tmp_path: Path) -> None:
    with Trainer() as trainer:

        async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
            async with client.post(url + PATH, data=posted(alert())) as answer:
                assert answer.status == 200
                assert await answer.json() == {"stored": {"new": 1}, "refused": {}}
            await soon(lambda: trainer.starts, "a run")
            async with client.post(url + PATH, data=posted(alert())) as answer:
                assert await answer.json() == {"stored": {"duplicate": 1}, "refused": {}}
            async with client.post(url + PATH, data=posted(alert(status="resolved"))) as answer:
                assert await answer.json() == {"stored": {"resolved": 1}, "refused": {}}
            await in_state(client, url, ["running"])
            async with client.get(f"{url}/metrics") as answer:
                text = await answer.text()
            assert 'driftgauge_bridge_alerts_received_total{outcome="duplicate"} 1.0' in text
            assert 'driftgauge_bridge_runs_total{outcome="started",target="training"} 1.0' in text
            assert "driftgauge_bridge_pending_runs 0.0" in text

        while_running(settings_of(tmp_path, trainer.url), talk)
        assert sum(trainer.starts.values()) == 1
        assert trainer.payloads[0]["model"] == "churn"
        assert [each["name"] for each in trainer.payloads[0]["features"]] == ["age"]


def test_what_fails_for_now_is_tried_again_with_the_same_id(tmp_path: Path) -> None:
    with Trainer() as trainer:
        trainer.script = [503, 429, 0]  # the third starts the run, and its answer is lost

        async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
            await client.post(url + PATH, data=posted(alert()))
            await in_state(client, url, ["running"])

        while_running(settings_of(tmp_path, trainer.url), talk)
        assert list(trainer.starts.values()) == [1]
        assert list(trainer.calls.values()) == [4]


def test_what_can_never_work_is_a_dead_letter_that_can_be_replayed(tmp_path: Path) -> None:
    from driftgauge.bridge import by_hand
    from driftgauge.bridge.store import Store

    settings = settings_of(tmp_path, "http://127.0.0.1:9")
    with Trainer() as trainer:
        settings = settings_of(tmp_path, trainer.url)
        trainer.script = [401]

        async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
            await client.post(url + PATH, data=posted(alert()))
            await in_state(client, url, ["dead"])
            other = Store(settings.store.path)
            (dead,) = other.runs("dead")
            assert by_hand.replay(other, dead.id[-6:], 1.0, "me").id == dead.id
            other.close()
            await in_state(client, url, ["running"])

        while_running(settings, talk)
        assert list(trainer.starts.values()) == [1]


def test_a_proposal_waits_for_a_person(tmp_path: Path) -> None:
    from driftgauge.bridge import by_hand
    from driftgauge.bridge.store import Store

    with Trainer() as trainer:
        settings = settings_of(tmp_path, trainer.url, more="approval = true\n")

        async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
            await client.post(url + PATH, data=posted(alert(), alert("fraud")))
            await in_state(client, url, ["proposed", "proposed"])
            assert not trainer.calls
            other = Store(settings.store.path)
            by_hand.approve(other, other.runs(model="churn")[0].id, 1.0, "me")
            by_hand.deny(other, other.runs(model="fraud")[0].id, 1.0, "me")
            with pytest.raises(ConfigError, match="only a proposed run"):
                by_hand.approve(other, other.runs(model="fraud")[0].id, 1.0, "me")
            other.close()
            await soon(lambda: trainer.starts, "the approved run")
            assert sorted(await states(client, url))[0] == "denied"

        while_running(settings, talk)
        assert [each["model"] for each in trainer.payloads] == ["churn"]


def test_two_bridges_never_share_a_file(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)

    async def talk(*_: Any) -> None:
        other = build(settings, {})
        with pytest.raises(ConfigError, match="another bridge works on"):
            await other.start()
        other._store.close()

    while_running(settings, talk)


def test_posts_from_elsewhere_need_the_token(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, DRIFTGAUGE_SERVER__TOKEN="open sesame", DRIFTGAUGE_SERVER__TOKEN_FOR="everything"
    )

    async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"Authorization": "Bearer open sesame"}, 200),
            ({"Authorization": aiohttp.encode_basic_auth("alertmanager", "open sesame")}, 200),
        ):
            async with client.post(
                url + PATH, data=posted(alert("m", status="resolved")), headers=headers
            ) as answer:
                assert answer.status == status

    while_running(settings, talk)


def test_messages_that_wait_to_be_stored_are_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    body = posted(*(alert(f"m{n}", driftgauge_action="none") for n in range(100)))
    settings = settings_of(tmp_path, DRIFTGAUGE_WEBHOOK__BODY_BYTES=str(len(body)))

    async def talk(bridge: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        goes_on = threading.Event()
        stuck = bridge.engine._on_store(lambda _: goes_on.wait(30))
        posts = [asyncio.create_task(client.post(url + PATH, data=body)) for _ in range(40)]
        waiting = asyncio.create_task(stuck)
        done: set[Any] = set()
        while len(done) < 40 - 16:
            done, _ = await asyncio.wait(posts, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.05)
        assert {each.result().status for each in done} == {503}
        goes_on.set()
        await waiting
        answers = await asyncio.gather(*posts)
        statuses = Counter(each.status for each in answers)
        assert set(statuses) == {200, 503}
        assert statuses[200] <= 16  # fewer where several arrive at a time
        async with client.post(url + PATH, data=body) as answer:
            assert await answer.json() == {"stored": {"duplicate": 100}, "refused": {}}

    while_running(settings, talk)


def test_what_cannot_be_stored_is_asked_for_again(tmp_path: Path) -> None:
    import sqlite3

    settings = settings_of(tmp_path)

    async def talk(bridge: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        real = bridge._store.put_alerts

        def full(*_: Any) -> Any:
            message = "database or disk is full"
            raise sqlite3.OperationalError(message)

        bridge._store.put_alerts = full  # type: ignore[method-assign]
        async with client.post(url + PATH, data=posted(alert())) as answer:
            assert answer.status == 503
            assert "Retry-After" in answer.headers
        async with client.get(f"{url}/metrics") as answer:
            text = await answer.text()
        assert 'driftgauge_bridge_alerts_received_total{outcome="not_stored"} 1.0' in text
        assert 'driftgauge_bridge_alerts_received_total{outcome="new"} 0.0' in text
        bridge._store.put_alerts = real  # type: ignore[method-assign]
        async with client.post(url + PATH, data=posted(alert())) as answer:
            assert await answer.json() == {"stored": {"new": 1}, "refused": {}}

    while_running(settings, talk)

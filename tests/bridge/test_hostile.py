"""Posts by somebody who means harm: nothing runs that the settings did not name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from bridge_cases import alert, posted, settings_of
from fake_trainers import Trainer
from test_app import PATH, in_state, while_running

from driftgauge.bridge.app import Bridge

EVIL = [
    "http://169.254.169.254/latest/meta-data",
    "{{ 7 * 7 }}{% for x in range(10**9) %}{% endfor %}",
    "m\r\nX-Evil: 1\r\n\r\nPOST /other HTTP/1.1",
    '", "target": "other", "url": "http://evil.example',
    "$(touch /tmp/evil); `id`; ../../etc/passwd",
    "\x00\x1b[31m\u202e",
    "'; DROP TABLE runs; --",
    "😀" * 200,
]


def test_labels_choose_no_target_no_url_and_no_header(tmp_path: Path) -> None:
    with Trainer() as trainer:
        settings = settings_of(
            tmp_path, trainer.url, more='payload = { model = "{{ model }}", id = "{{ run_id }}" }\n'
        )

        async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
            for number, evil in enumerate(EVIL):
                body = posted(
                    alert(evil, f"f{number}", target=evil, url=evil, webhook=evil, route=evil),
                    externalURL=evil,
                    receiver=evil,
                )
                async with client.post(url + PATH, data=body) as answer:
                    assert answer.status == 200
                    assert (await answer.json())["stored"] == {"new": 1}
            await in_state(client, url, ["running"] * len(EVIL))

        while_running(settings, talk)
        assert sorted(each["model"] for each in trainer.payloads) == sorted(EVIL)
        assert all(set(each) == {"model", "id"} for each in trainer.payloads)
        assert set(trainer.starts.values()) == {1}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"[" * 200_000, 400, "too_deep"),
        (b'{"alerts": 7}', 400, "wrong_shape"),
        (b"<xml/>", 400, "not_json"),
        (b"\x00\xff", 400, "not_utf8"),
        (b" " * (5 << 20), 413, "too_large"),
    ],
)
def test_what_is_no_message_is_refused_counted_and_harmless(
    tmp_path: Path, body: bytes, status: int, reason: str
) -> None:
    async def talk(bridge: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        try:
            async with client.post(url + PATH, data=body) as answer:
                assert answer.status == status
                assert (await answer.json(content_type=None))["reason"] == reason
        except aiohttp.ClientOSError:
            assert status == 413  # it was refused before it was read
        assert bridge.engine.received[reason] == 1
        async with client.post(url + PATH, data=posted(alert("m", status="resolved"))) as answer:
            assert answer.status == 200

    while_running(settings_of(tmp_path), talk)


def test_a_message_with_wrong_alerts_is_answered_with_200_or_it_would_come_for_ever(tmp_path: Path) -> None:
    made: list[Any] = [7, None, {}, [], {"labels": {"model": "m"}}, "x"]

    async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        async with client.post(url + PATH, data=json.dumps({"alerts": made})) as answer:
            assert answer.status == 200
            found = await answer.json()
            assert found["stored"] == {}
            assert sum(found["refused"].values()) == len(made)

    while_running(settings_of(tmp_path), talk)


def test_a_page_of_another_site_cannot_post(tmp_path: Path) -> None:
    async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        async with client.post(url + PATH, data=posted(alert()), headers=headers) as answer:
            assert answer.status == 403

    while_running(settings_of(tmp_path), talk)


def test_ten_thousand_models_cost_the_metrics_nothing(tmp_path: Path) -> None:
    async def talk(_: Bridge, client: aiohttp.ClientSession, url: str) -> None:
        async with client.get(f"{url}/metrics") as answer:
            await answer.text()
        for start in range(0, 2_000, 500):
            body = posted(*(alert(f"m{start + n}", driftgauge_action="none") for n in range(500)))
            async with client.post(url + PATH, data=body) as answer:
                assert answer.status == 200
        async with client.get(f"{url}/metrics") as answer:
            assert len((await answer.text()).splitlines()) < 40

    while_running(settings_of(tmp_path), talk)

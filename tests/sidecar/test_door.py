"""Connections to the main listener: how many, and how long they may be silent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sidecar_cases import settings_of, while_running

from driftgauge.sidecar import app
from driftgauge.sidecar.door import Door

ASKED = b"GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n"


async def _connected(port: int, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


async def _answered(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    await reader.readexactly(len(b"healthy\n"))
    return head


def test_more_connections_than_allowed_are_refused_until_one_goes(tmp_path: Path) -> None:
    async def talk(sidecar: Any, _: Any, __: str) -> None:
        (port,) = sidecar.ports
        first = await _connected(port, ASKED)
        second = await _connected(port, ASKED)
        assert (await _answered(first[0])).startswith(b"HTTP/1.1 200 ")
        await _answered(second[0])
        refused = await _connected(port)
        assert (await asyncio.wait_for(refused[0].read(), 20)).startswith(b"HTTP/1.1 503 ")
        first[1].write(ASKED)
        await _answered(first[0])  # those who are in go on
        first[1].close()
        while len(sidecar._door.server.connections) == 2:
            await asyncio.sleep(0.01)
        third = await _connected(port, ASKED)
        assert (await _answered(third[0])).startswith(b"HTTP/1.1 200 ")
        for _, writer in (second, refused, third):
            writer.close()

    while_running(settings_of(tmp_path, "[server]\nmax_connections = 2"), talk)


@pytest.mark.parametrize("sent", [b"", b"GET /-/healthy HTTP/1.1\r\nHost: "], ids=["nothing", "half a head"])
def test_whoever_asks_nothing_is_sent_away_and_whoever_asked_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(app, "Door", lambda most: Door(most, first_seconds=0.3))

    async def talk(sidecar: Any, _: Any, __: str) -> None:
        (port,) = sidecar.ports
        asked = await _connected(port, ASKED)
        await _answered(asked[0])
        silent = await _connected(port, sent)
        assert await asyncio.wait_for(silent[0].read(), 20) == b""
        asked[1].write(ASKED)  # older than the other
        await _answered(asked[0])
        assert not sidecar._door._silent
        for _, writer in (asked, silent):
            writer.close()

    while_running(settings_of(tmp_path), talk)


def test_connections_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    async def talk(sidecar: Any, _: Any, __: str) -> None:
        for _ in range(50):
            _, writer = await _connected(sidecar.ports[0])
            writer.close()
            await writer.wait_closed()
            while sidecar._door.server.connections:
                await asyncio.sleep(0.001)
        assert len(sidecar._door._silent) <= 5

    while_running(settings_of(tmp_path, "[server]\nmax_connections = 5"), talk)

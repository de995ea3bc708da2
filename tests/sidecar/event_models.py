"""Models, listeners and events for the tests of the sink, the tee, ingest and files."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from driftgauge import Reference
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.settings import SidecarSettings
from driftgauge.snapshot import PayloadCounts, Snapshot

RECORDED = Path(__file__).parents[1] / "protocols" / "payloads"
DEADLINE_SECONDS = 20


def reference(model: str = "fraud", *, inputs: bool = True, outputs: bool = True) -> Reference:
    rng = np.random.default_rng(3)
    columns: dict[str, Any] = {}
    if inputs:
        columns |= {"age": rng.normal(40, 10, 500), "amount": rng.normal(50, 20, 500)}
    if outputs:
        columns["fraud"] = rng.integers(0, 2, 500).astype(float)
    return Reference.fit(columns, outputs=["fraud"] if outputs else [], model=model)


@contextlib.contextmanager
def models(
    folder: Path, *references: Reference, settings: dict[str, Any] | None = None
) -> Iterator[ModelRegistry]:
    """A registry of *references*, default one called ``fraud`` with two inputs and an output."""
    there = folder / "references"
    there.mkdir(exist_ok=True)
    for each in references or (reference(),):
        each.save(there / f"{each.model}.reference")
    found = SidecarSettings(
        models_folder=str(there), **{"defaults": {"min_rows": 1, "budget": ""}, **(settings or {})}
    )
    registry = ModelRegistry(found)
    registry.reload()
    try:
        yield registry
    finally:
        registry.close()


def snapshot(registry: ModelRegistry, model: str = "") -> Snapshot:
    """What is known of a model, what waits included."""
    handle = registry.get(model)
    assert handle is not None
    assert handle.drain(DEADLINE_SECONDS)
    return handle.snapshot()


def payloads(registry: ModelRegistry, model: str = "") -> PayloadCounts:
    """The counts of the one way that there is; they add up."""
    (counts,) = snapshot(registry, model).payloads
    assert counts.payloads == counts.decoded + sum(counts.undecodable.values()) + sum(counts.dropped.values())
    return counts


def dropped(counts: PayloadCounts) -> dict[str, int]:
    return {reason: count for reason, count in counts.dropped.items() if count}


def window(registry: ModelRegistry, model: str = "") -> dict[str, tuple[int, float | None, float]]:
    """Rows of the window, mean and share of missing values, by feature."""
    found = snapshot(registry, model).windows[0]
    return {each.name: (found.rows, each.mean, each.missing_ratio) for each in found.features}


@dataclass
class Other:
    """The sink that the user had before."""

    statuses: list[int] = field(default_factory=list)
    seconds: float = 0.0
    url: str = ""
    events: list[tuple[tuple[tuple[bytes, bytes], ...], bytes]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(self.seconds)
        self.events.append((request.raw_headers, body))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@contextlib.asynccontextmanager
async def other_sink(**how: Any) -> AsyncIterator[Other]:
    other = Other(**how)
    async with listening([web.post("/their/sink", other.take)]) as url:
        other.url = url + "/their/sink"
        yield other


@contextlib.asynccontextmanager
async def listening(
    routes: list[web.RouteDef], *, uds: Path | None = None, port: int = 0
) -> AsyncIterator[str]:
    """An HTTP server on a free port, and on a Unix socket."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        if uds is not None:
            await web.UnixSite(runner, str(uds)).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def soon(look: Callable[[], Any], what: str) -> Any:
    """First true value of *look*."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        await asyncio.sleep(0.02)
    return pytest.fail(f"waited {DEADLINE_SECONDS} s for {what}")


Posts = Callable[..., Awaitable[int]]


@contextlib.asynccontextmanager
async def posting(url: str) -> AsyncIterator[Posts]:
    """A client as Go's: what it is given and nothing added."""
    skipped = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
    async with aiohttp.ClientSession(skip_auto_headers=skipped) as session:

        async def post(path: str, headers: Any, body: bytes) -> int:
            async with session.post(url + path, headers=headers, data=body) as answer:
                await answer.read()
                return answer.status

        yield post


def recorded_event(half: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a logger's POST."""
    text = (RECORDED / "kserve" / f"ce_logger_{half}.http").read_bytes()
    head, _, body = text.partition(b"\n\n")
    lines = [line.split(": ", 1) for line in head.decode().splitlines()[1:]]
    return [(name, value) for name, value in lines if name != "Host"], body


def event(
    half: str, body: bytes, id_: str = "7", kind: str = "application/json", **attributes: str
) -> tuple[dict[str, str], bytes]:
    """A binary event, as KServe's logger sends them."""
    headers = {
        "Ce-Id": id_,
        "Ce-Specversion": "1.0",
        "Ce-Type": f"org.kubeflow.serving.inference.{half}",
        "Ce-Source": "http://localhost:9081/",
        "Content-Type": kind,
    }
    return headers | {f"Ce-{name.title()}": value for name, value in attributes.items()}, body

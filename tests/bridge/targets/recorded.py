"""A server on loopback that expects exactly the requests it was told, and answers each as it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from aiohttp import ClientSession, DummyCookieJar, web

from driftgauge.bridge.targets import Feature, RunRequest, Target, target_class

Result = TypeVar("Result")

RUN = RunRequest(
    run_id="driftgauge-fraud-0123456789ab",
    key="0123456789ab" + "0" * 52,
    route="fraud",
    target="trainer",
    model="fraud",
    reference_id="ref-1",
    features=(Feature("age", "input", "DriftgaugeFeatureDrifted", 0.41, "age has moved"),),
    window="24h",
    dashboard="https://grafana.example.com/d/drift",
    alert_keys=("a032df54591bc2cd@2026-11-21T01:33:49.335Z",),
    started_seconds=1_795_224_829.0,
)
PAYLOAD = {"model": "fraud", "features": ["age"], "score": 0.41}
TOKEN = "t0ken-that-nobody-may-see"


@dataclass(frozen=True)
class Exchange:
    """A request as it must come, and its answer. A status of 0 loses the answer, -1 gives none in time."""

    method: str
    path: str
    status: int = 200
    answer: Any = None
    body: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)


class Recorded:
    """What came that was not expected, and what was expected and did not come."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self.left = list(exchanges)
        self.wrong: list[str] = []
        self.seen: list[web.BaseRequest] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(request)
        if not self.left:
            self.wrong.append(f"{request.method} {request.raw_path} was not expected")
            return web.Response(status=500)
        wanted = self.left.pop(0)
        self._compare("request", f"{request.method} {request.raw_path}", f"{wanted.method} {wanted.path}")
        for name, value in wanted.headers.items():
            self._compare(f"header {name}", request.headers.get(name), value)
        if wanted.form is not None:
            self._compare("form", dict(parse_qsl(body.decode(), keep_blank_values=True)), dict(wanted.form))
        else:
            self._compare("body", json.loads(body) if body else None, wanted.body)
            if body:
                self._compare("type", request.content_type, "application/json")
        if wanted.status <= 0:
            if wanted.status < 0:
                await asyncio.sleep(30)
            assert request.transport is not None
            request.transport.abort()
        raw = wanted.answer if isinstance(wanted.answer, bytes) else json.dumps(wanted.answer).encode()
        if wanted.answer is None:
            raw = b""
        headers = {"Content-Type": "application/json"} | {
            name: value.replace("URL", self.url) for name, value in wanted.answer_headers.items()
        }
        return web.Response(status=max(wanted.status, 200), body=raw, headers=headers)

    def _compare(self, what: str, got: Any, wanted: Any) -> None:
        if got != wanted:
            self.wrong.append(f"{what}: got {got!r}, wanted {wanted!r}")


@asynccontextmanager
async def serving(exchanges: Sequence[Exchange]) -> AsyncIterator[Recorded]:
    recorded = Recorded(exchanges)
    runner = web.ServerRunner(web.Server(recorded.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    recorded.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield recorded
    finally:
        await runner.cleanup()


def made(kind: str, settings: Mapping[str, Any]) -> Target:
    """A target of a kind with settings as they stand in the file."""
    found = target_class(kind)
    maker: Any = found
    return maker(found.settings.model_validate(settings))  # type: ignore[no-any-return]


def play(
    kind: str,
    settings: Mapping[str, Any],
    exchanges: Sequence[Exchange],
    story: Callable[[Target, ClientSession], Awaitable[Result]],
) -> Result:
    """What *story* gives of a target at a server that expects *exchanges*, each of which must come."""

    async def whole() -> Result:
        async with serving(exchanges) as recorded, ClientSession(cookie_jar=DummyCookieJar()) as session:
            given = {
                name: value.replace("URL", recorded.url) if isinstance(value, str) else value
                for name, value in settings.items()
            }
            try:
                return await story(made(kind, given), session)
            finally:
                assert not recorded.wrong
                assert not recorded.left, "these requests were expected and did not come"

    return asyncio.run(whole())

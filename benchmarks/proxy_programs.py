"""The programs of `bench_proxy.py` and `soak.py`: a model server, two proxies, and clients that load them.

python benchmarks/proxy_programs.py upstream|aiohttp|driftgauge [URL]   # prints its port
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

__all__ = ["FEATURES", "PATH", "Load", "asked", "load", "request_of", "started"]

FEATURES = 20
PATH = "/v1/models/bench:predict"
HERE = Path(__file__).resolve().parent


def request_of(rows: int, path: str = PATH) -> bytes:
    """A request of KServe V1 with so many rows, as it goes over the wire."""
    values = np.random.default_rng(5).normal(size=(rows, FEATURES)).round(6).tolist()
    body = json.dumps({"instances": values}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: model.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


class _Messages(asyncio.Protocol):
    """Counts whole messages that have a length, which all of these have."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._kept = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._kept + data
        while True:
            at = data.find(b"\r\n\r\n")
            end = at + 4 + (_length(data[:at]) if at >= 0 else 0)
            if at < 0 or len(data) < end:
                self._kept = data
                return
            message, data = data[:end], data[end:]
            self.message(message, at)

    def message(self, message: bytes, head: int) -> None:
        raise NotImplementedError


class Upstream(_Messages):
    """A model server that does nothing but answer each row with a score."""

    answers: ClassVar[dict[int, bytes]] = {}

    def message(self, message: bytes, head: int) -> None:
        rows = message.count(b"[", head) - 1
        answer = self.answers.get(rows)
        if answer is None:
            body = json.dumps({"predictions": np.random.default_rng(6).uniform(size=rows).tolist()}).encode()
            answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
                body
            )
            answer = self.answers[rows] = answer + body
        self.transport.write(answer)


async def _serve_upstream(_: str) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.Event().wait()


async def _serve_aiohttp(upstream: str) -> None:
    """The least that a proxy of aiohttp can be: no middleware, whole bodies, one pool of connections."""
    from aiohttp import ClientSession, TCPConnector, web

    hop = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
    session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else None
        headers = [(key, value) for key, value in request.headers.items() if key.lower() not in hop]
        async with session.request(
            request.method, upstream + request.raw_path, data=body, headers=headers, allow_redirects=False
        ) as answer:
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in hop}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    server = await asyncio.get_running_loop().create_server(web.Server(handle), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await asyncio.Event().wait()


async def _serve_driftgauge(upstream: str) -> None:
    import resource

    from driftgauge import Monitor, Reference
    from driftgauge._payload_intake import Intake
    from driftgauge.protocols import decoder
    from driftgauge.sidecar.proxy import SWITCH_SECONDS
    from driftgauge.sidecar.proxy_server import Proxy, connector

    rng = np.random.default_rng(5)
    train: dict[str, Any] = {f"feature_{place:02d}": rng.normal(size=10_000) for place in range(FEATURES)}
    train["score"] = rng.uniform(size=10_000)
    monitor = Monitor(Reference.fit(train, outputs=["score"]))
    monitor.warm_up()
    sys.setswitchinterval(SWITCH_SECONDS)  # as the sidecar does
    intake = Intake(monitor, decoder("kserve_v1"), "proxy")
    proxy = Proxy(connector(upstream), lambda _, path: intake if path == PATH else None)
    print(await proxy.start("127.0.0.1", 0), flush=True)  # noqa: T201
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):  # each line asks what has come so far
        drained = await loop.run_in_executor(None, intake.drain, 30.0)
        counts = intake.counts()
        snapshot = await loop.run_in_executor(None, monitor.snapshot)
        told = {
            "drained": drained,
            "payloads": counts.payloads,
            "decoded": counts.decoded,
            "dropped": counts.dropped,
            "undecodable": counts.undecodable,
            "rows": snapshot.rows,
            "connections": proxy.connections,
            "cpu_seconds": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        }
        print(json.dumps(told), flush=True)  # noqa: T201


class Load(_Messages):
    """A client on one connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, times: list[float]) -> None:
        super().__init__()
        self._request = request
        self._times = times
        self._sent = 0.0
        self.stopped = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self.transport.write(self._request)

    def message(self, message: bytes, head: int) -> None:
        self._times.append(time.perf_counter() - self._sent)
        if not message.startswith(b"HTTP/1.1 200 "):
            raise ValueError(message[:head])
        if not self.stopped:
            self._ask()


async def load(port: int, request: bytes, clients: int, seconds: float) -> tuple[list[float], float]:
    """Seconds that each answer took, of so many clients for so long; and the time it all took."""
    times: list[float] = []
    loop = asyncio.get_running_loop()
    begun = loop.time()
    made = [
        await loop.create_connection(lambda: Load(request, times), "127.0.0.1", port) for _ in range(clients)
    ]
    await asyncio.sleep(seconds)
    for _, client in made:
        client.stopped = True
    took = loop.time() - begun
    for transport, _ in made:
        transport.close()
    return times, took


def asked(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What driftgauge's proxy has counted, once nothing waits any more."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


@contextmanager
def started(name: str, upstream: str = "") -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A program of this file, in a process of its own: its port and the process."""
    command = [sys.executable, str(HERE / "proxy_programs.py"), name, upstream]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


if __name__ == "__main__":
    import uvloop

    SERVE = {"upstream": _serve_upstream, "aiohttp": _serve_aiohttp, "driftgauge": _serve_driftgauge}
    uvloop.run(SERVE[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else ""))

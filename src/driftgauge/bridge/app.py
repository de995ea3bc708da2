"""The bridge as a process: listens, and starts and stops the engine."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from driftgauge.bridge.engine import Engine
from driftgauge.bridge.http import BridgeApi
from driftgauge.bridge.settings import BridgeSettings
from driftgauge.bridge.store import Store
from driftgauge.bridge.wiring import wire
from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.sidecar.auth import Guard
from driftgauge.sidecar.door import Door
from driftgauge.sidecar.http import guarded
from driftgauge.sidecar.listener import Tls, open_sites

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Bridge", "build", "run"]

KEEP_ALIVE_SECONDS: Final = 75.0

_log = logging.getLogger("driftgauge.bridge")


class Bridge:
    """Everything of one process. Made by `build`; `start` and `stop` on one event loop.

    Parameters
    ----------
    engine : Engine
    store : Store
    """

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine = engine
        self.settings = engine.wiring.settings
        self.why_not_ready = "starting"
        """Empty when it is ready."""
        self.places: list[str] = []
        """Where it listens, for people."""
        self.ports: list[int] = []
        self._store = store
        server = self.settings.server
        self._guard = Guard(server)
        self._tls = (
            Tls("server", server.tls_certificate, server.tls_key, server.tls_client_ca)
            if server.tls_certificate
            else None
        )
        self._door = Door(server.max_connections)
        self._servers: list[asyncio.AbstractServer] = []
        self._runner: web.AppRunner | None = None
        self._lock: IO[bytes] | None = None

    async def start(self) -> None:
        """Take up what was left, and listen.

        Raises
        ------
        ConfigError
            The file is another bridge's, or a place to listen is taken.
        """
        from aiohttp import web

        server, webhook = self.settings.server, self.settings.webhook
        self._lock = _lock(self._store.path)
        middlewares = [self._door.middleware(), guarded(self._guard)]
        app = web.Application(middlewares=middlewares, client_max_size=webhook.body_bytes)
        try:
            app.add_routes(BridgeApi(self.engine, lambda: self.why_not_ready).routes())
        except (RuntimeError, ValueError) as error:
            message = f"webhook.path {webhook.path!r} cannot be had: {error}; give another"
            raise ConfigError(message) from error
        app.on_response_prepare.append(_sign)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            max_line_size=server.max_header_bytes,
            max_field_size=server.max_header_bytes,
            shutdown_timeout=server.drain,
        )
        try:
            await self.engine.start()
            await self._runner.setup()
            self._door.server = self._runner.server
            self._servers, self.places, self.ports = await open_sites(self._door, server, self._tls)
        except BaseException:
            await self.stop()
            raise
        self.why_not_ready = ""
        _log.info("listening on %s", ", ".join(self.places))

    async def stop(self) -> None:
        """Take nothing new, finish what has begun, and end; nothing is lost by ending early."""
        self.why_not_ready = "stopping"
        for each in self._servers:
            each.close()
        self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.engine.stop(self.settings.server.drain)
        self._store.close()
        if f"unix:{self.settings.server.uds}" in self.places:
            with contextlib.suppress(OSError):
                Path(self.settings.server.uds).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def serve(self) -> None:
        """Start, and go on until SIGTERM or SIGINT; SIGHUP reads token and certificate again."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        loop.add_signal_handler(signal.SIGHUP, self._refresh)
        await self.start()
        await asked.wait()
        _log.info("stopping")
        await self.stop()
        _log.info("stopped")

    def _refresh(self) -> None:
        self._guard.refresh()
        if self._tls is not None:
            try:
                self._tls.refresh()
            except ConfigError as error:
                _log.error("%s; the certificate before it stays in force", error)


def _lock(path: Path) -> IO[bytes]:
    """Held as long as this process lives: two bridges on one file would call targets twice."""
    place = path.with_name(f"{path.name}.lock")
    try:
        file = place.open("ab")
    except OSError as error:
        message = f"{str(place)!r} cannot be written: {error.strerror}; give store.path a folder of this user"
        raise ConfigError(message) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        message = f"another bridge works on {str(path)!r}; stop it, or give this one a store.path of its own"
        raise ConfigError(message) from error
    return file


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "driftgauge"


def build(settings: BridgeSettings, environ: Mapping[str, str] = os.environ) -> Bridge:
    """A bridge as *settings* say, not started.

    Parameters
    ----------
    settings : BridgeSettings
    environ : mapping of str to str
        Where secrets of targets are looked up.

    Raises
    ------
    ConfigError
        Something in the settings cannot be used.
    MissingExtraError
        A package is not installed.
    """
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        message = "the bridge needs aiohttp; pip install driftgauge[bridge]"
        raise MissingExtraError(message) from error
    wiring = wire(settings, environ)
    store = Store(settings.store.path)
    return Bridge(Engine(wiring, store), store)


def run(settings: BridgeSettings) -> None:
    """Runs a bridge in this process until a signal ends it."""
    from driftgauge.sidecar.app import _loop_factory

    bridge = build(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(bridge.serve())

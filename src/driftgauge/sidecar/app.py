"""The sidecar as a whole: starts and stops everything in order, and turns signals into that.

On SIGTERM, in Kubernetes' order: ``/-/ready`` says 503, for `not_ready` seconds nothing else changes, so that
whoever balances load has time to see it; then nothing new is taken and what has begun may end within `drain`
seconds; then everything that waits is counted, windows are saved, and the process ends. A second signal, or
Ctrl-C, leaves out the waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.sidecar.api_description import description
from driftgauge.sidecar.auth import Guard
from driftgauge.sidecar.door import Door
from driftgauge.sidecar.http import Api, guarded
from driftgauge.sidecar.listener import Tls, open_sites
from driftgauge.sidecar.models import Change, ModelRegistry
from driftgauge.sidecar.page import page_routes
from driftgauge.sidecar.settings import SidecarSettings
from driftgauge.sidecar.telemetry import telemetry_of
from driftgauge.sidecar.upkeep import compiled, guarded_call, look_for_ever, save_for_ever
from driftgauge.sidecar.ways import Way, ways_of

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Sidecar", "build", "run"]

KEEP_ALIVE_SECONDS: Final = 75.0
LINGER_SECONDS: Final = 5.0
# Traffic does not wait longer than this for references that are read, from a slow disk say.
LOAD_SECONDS: Final = 10.0
COUNT_SECONDS: Final = 2.0

_log = logging.getLogger("driftgauge.sidecar")


class Sidecar:
    """Everything of one process. Made by `build`; `start` and `stop` on one event loop.

    Parameters
    ----------
    settings : SidecarSettings
    registry : ModelRegistry
    ways : sequence of Way
    """

    def __init__(self, settings: SidecarSettings, registry: ModelRegistry, ways: Sequence[Way]) -> None:
        self.settings = settings
        self.registry = registry
        self.ways = tuple(ways)
        self.why_not_ready = "starting"
        """Empty when it is ready."""
        self.places: list[str] = []
        """Where the main surface is, for people."""
        self.ports: list[int] = []
        """TCP ports of the main listener."""
        server = settings.server
        self._guard = Guard(server)
        self._tls = (
            Tls("server", server.tls_certificate, server.tls_key, server.tls_client_ca)
            if server.tls_certificate
            else None
        )
        self._door = Door(server.max_connections)
        self._telemetry = telemetry_of(settings.otel, registry)
        self._servers: list[asyncio.AbstractServer] = []
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._started: list[Way] = []
        # Threads of their own: saving must not wait behind reloading, nor either of them behind scrapes.
        self._saver = ThreadPoolExecutor(1, "driftgauge-save")
        self._loader = ThreadPoolExecutor(1, "driftgauge-load")

    # ------------------------------------------------------------------ start

    async def start(self) -> None:
        """Listen, load the models, start the ways in.

        Raises
        ------
        ConfigError
            A place to listen is taken, or a way in cannot be had. What had started is stopped.
        """
        try:
            await self._listen()
            loop = asyncio.get_running_loop()
            loading = loop.run_in_executor(self._loader, self.registry.reload)
            await asyncio.wait([loading], timeout=LOAD_SECONDS)
            if not loading.done():
                _log.warning("models take long to load; traffic does not wait for them")
            if self._telemetry is not None:
                await loop.run_in_executor(None, self._telemetry.begin)
            for way in self.ways:
                self._started.append(way)
                await way.start()
            self._tasks = [
                loop.create_task(self._get_ready(loading)),
                loop.create_task(look_for_ever(self.settings.reload.interval, self.reload)),
            ]
            if self.settings.state.directory:
                saving = save_for_ever(self.settings.state.save_interval, self._save)
                self._tasks.append(loop.create_task(saving))
        except BaseException:
            await self.stop(0)
            raise

    async def _listen(self) -> None:
        from aiohttp import web

        server, limits = self.settings.server, self.settings.limits
        middlewares = [self._door.middleware(), guarded(self._guard)]
        app = web.Application(middlewares=middlewares, client_max_size=limits.body_bytes)
        app.add_routes(Api(self.registry, self, self.reload, lambda: description(self.ways)).routes())
        app.add_routes(page_routes(self.registry))
        app.on_response_prepare.append(_sign)
        for way in self.ways:
            try:
                app.add_routes(way.routes())
            except (RuntimeError, ValueError) as error:
                message = (
                    f"a path of {type(way).__name__} cannot be had: {error}; give sink.path or ingest.path "
                    "another value"
                )
                raise ConfigError(message) from error
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,  # events are forwarded as they came, and decoders hold the limits
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=server.max_header_bytes,
            max_field_size=server.max_header_bytes,
            shutdown_timeout=server.drain,
        )
        await self._runner.setup()
        self._door.server = self._runner.server
        self._servers, self.places, self.ports = await open_sites(self._door, server, self._tls)
        _log.info("listening on %s", ", ".join(self.places))

    async def _get_ready(self, loading: asyncio.Future[Any]) -> None:
        """Compile before traffic comes, and then say that it may."""
        await asyncio.wait([loading])
        if loading.exception() is not None:
            _log.error("models could not be loaded", exc_info=loading.exception())
        if not await compiled():
            _log.warning("kernels are not compiled; NumPy counts meanwhile, more slowly")
        if self.why_not_ready == "starting":
            self.why_not_ready = ""
            models = ", ".join(self.registry.names()) or "none"
            _log.info("ready; models: %s", models)

    # ------------------------------------------------------------------ meanwhile

    async def reload(self, *, again: bool = True) -> Change:
        """Read references, certificate and token again, all of them or those that look changed."""
        self._guard.refresh()
        if self._tls is not None:
            try:
                self._tls.refresh()
            except ConfigError as error:
                _log.error("%s; the certificate before it stays in force", error)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader, lambda: self.registry.reload(again=again))

    def _save(self) -> Any:
        return asyncio.get_running_loop().run_in_executor(self._saver, self.registry.save)

    # ------------------------------------------------------------------ stop

    async def stop(self, drain_seconds: float | None = None) -> None:
        """Take nothing new, finish what has begun, count, save, end.

        Parameters
        ----------
        drain_seconds : float, optional
            Default ``server.drain``.
        """
        loop = asyncio.get_running_loop()
        drain = self.settings.server.drain if drain_seconds is None else drain_seconds
        end = loop.time() + drain
        self.why_not_ready = "stopping"
        # What has a port of its own takes nothing new; what is posted here still has somebody who takes it.
        apart = [way for way in self._started if not way.routes()]
        await self._stop_ways(apart, drain)
        for server in self._servers:
            server.close()
        self._door.close()
        if self._runner is not None:
            self._runner._shutdown_timeout = max(0.0, end - loop.time())
            await self._runner.cleanup()
            self._runner = None
        rest = [way for way in self._started if way not in apart]
        await self._stop_ways(rest, max(1.0, end - loop.time()))
        self._started = []
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.to_thread(self._end)
        self._saver.shutdown(wait=False)
        self._loader.shutdown(wait=False)
        if f"unix:{self.settings.server.uds}" in self.places:  # or it is the socket of another process
            self._remove_socket()

    def _end(self) -> None:
        """Count what waits, tell it, save it."""
        if self._telemetry is not None:
            self.registry.drain(COUNT_SECONDS)
            self._telemetry.close()
        self.registry.close()

    async def _stop_ways(self, ways: Sequence[Way], drain_seconds: float) -> None:
        results = await asyncio.gather(*(way.stop(drain_seconds) for way in ways), return_exceptions=True)
        for way, result in zip(ways, results, strict=True):
            if isinstance(result, Exception):
                _log.error("%s did not stop in order", type(way).__name__, exc_info=result)

    def _remove_socket(self) -> None:
        from pathlib import Path

        with contextlib.suppress(OSError):
            Path(self.settings.server.uds).unlink(missing_ok=True)

    async def serve(self) -> None:
        """Start, and go on until SIGTERM or SIGINT; SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        asked, hurry = asyncio.Event(), asyncio.Event()
        reloads: set[asyncio.Task[None]] = set()

        def end(number: signal.Signals) -> None:
            _log.info("%s: stopping", number.name)
            if asked.is_set() or number is signal.SIGINT:
                hurry.set()
            asked.set()

        def again() -> None:
            task = loop.create_task(guarded_call(self.reload, "reloading"))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end, number)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, again)
        await self.start()
        await asked.wait()
        self.why_not_ready = "stopping"
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), self.settings.server.not_ready)
        _log.info("draining, at most %g s", self.settings.server.drain)
        hurry.clear()
        stopping = loop.create_task(self.stop())
        hurrying = loop.create_task(hurry.wait())
        await asyncio.wait([stopping, hurrying], return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if not stopping.done():
            _log.warning("stopping at once; open requests are cut off")
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await asyncio.to_thread(self._end)
        elif (error := stopping.exception()) is not None:
            raise error
        _log.info("stopped")


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "driftgauge"  # and not the versions of Python and aiohttp


def build(settings: SidecarSettings) -> Sidecar:
    """A sidecar as *settings* say, not started.

    Parameters
    ----------
    settings : SidecarSettings

    Raises
    ------
    ConfigError
        A file or an address in the settings cannot be used.
    MissingExtraError
        A package is not installed.
    """
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        message = "the sidecar needs aiohttp; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    registry = ModelRegistry(settings)
    return Sidecar(settings, registry, ways_of(settings, registry))


def run(settings: SidecarSettings) -> None:
    """Runs a sidecar in this process until a signal ends it."""
    sidecar = build(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(sidecar.serve())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # it is not made for Windows
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory

"""The ways in that settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.settings import SidecarSettings

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Way", "ways_of"]


class Way(Protocol):
    """A way for rows to come in."""

    def routes(self) -> list[web.RouteDef]:
        """What it answers on the main listener, which hands bodies over as they came, not decompressed."""
        ...

    async def start(self) -> None:
        """Begin. Called once, on the event loop."""
        ...

    async def stop(self, drain_seconds: float) -> None:
        """Take nothing new, and finish what has begun within so many seconds.

        One with routes is stopped when the main listener is closed, so that nothing comes after.
        """
        ...


def ways_of(settings: SidecarSettings, models: ModelRegistry) -> list[Way]:
    """Every way that is turned on, made and not started; ConfigError where one cannot be."""
    ways: list[Way] = []
    if settings.proxy.listen:
        from driftgauge.sidecar.proxy import ProxyWay

        ways.append(ProxyWay(settings.proxy, settings.routes, models))
    if settings.sink.path:
        from driftgauge.sidecar.sink import SinkWay

        ways.append(SinkWay(settings.sink, models))
    if settings.ingest.path:
        from driftgauge.sidecar.ingest import IngestWay

        ways.append(IngestWay(settings.ingest, models))
    if settings.files:
        from driftgauge.sidecar.files import FilesWay

        ways.append(FilesWay(settings.files, models))
    return ways

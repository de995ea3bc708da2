"""The status page as a route of the sidecar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from driftgauge.errors import MissingExtraError
from driftgauge.sidecar.page_render import Asked, headers, status_page
from driftgauge.snapshot import Snapshot

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Snapshots", "page_routes"]

MOST_WAITING: Final = 16


class Snapshots(Protocol):
    """Anything that has a snapshot of every model; the sidecar's registry is one."""

    def snapshots(self) -> Sequence[Snapshot]:
        """What is known now, one a model."""


def page_routes(registry: Snapshots, *, clock: Callable[[], float] = time.time) -> list[web.RouteDef]:
    """Routes of the status page: ``GET /`` with ``?model=``, ``version=``, ``window=`` and ``refresh=on``.

    Parameters
    ----------
    registry : Snapshots
        Where it has ``troubles()``, the sentences that gives are shown above the models.
    clock : callable
        Seconds since the epoch.

    Raises
    ------
    MissingExtraError
        aiohttp or jinja2 is not installed.

    Notes
    -----
    A page is made in a thread, one at a time: readers in a hurry wait for each other, the proxy for none.
    When 16 wait already, the next is told to come back.
    """
    try:
        from aiohttp import web
    except ImportError as error:
        message = "the status page needs aiohttp; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    one_at_a_time = asyncio.Lock()
    waiting = 0

    def made(asked: Asked) -> bytes:
        troubles: Callable[[], Sequence[str]] = getattr(registry, "troubles", list)
        text = status_page(registry.snapshots(), asked, now_seconds=clock(), troubles=troubles())
        return text.encode("utf-8", "replace")

    async def page(request: web.Request) -> web.Response:
        nonlocal waiting
        asked = Asked.of(request.query)
        if waiting >= MOST_WAITING:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "1"})
        waiting += 1
        try:
            async with one_at_a_time:
                body = await asyncio.to_thread(made, asked)
        finally:
            waiting -= 1
        return web.Response(
            body=body, content_type="text/html", charset="utf-8", headers=headers(refresh=asked.refresh)
        )

    return [web.get("/", page)]

"""Argo Events: a POST to an EventSource of type webhook, for a Sensor to act on.

The event source answers before anything runs and tells nothing about it, so a run is not followed. Where
the Sensor names what it makes by ``body.run_id``, a repeated event makes nothing new: say so with
``idempotent = true``, and an event whose answer was lost is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Caller, bearer
from driftgauge.bridge.targets.payloads import without_braces
from driftgauge.bridge.targets.settings import TokenSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["ArgoEvents", "ArgoEventsSettings"]


class ArgoEventsSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "argo_events"``. `token` is what the event source's authSecret holds."""

    idempotent: bool = Field(
        default=False, description="whether the Sensor names what it makes by body.run_id"
    )


class ArgoEvents:
    """Posts an event. The payload is its body, and ``run_id`` is in it."""

    name: ClassVar[str] = "argo_events"
    settings: ClassVar[type[BaseModel]] = ArgoEventsSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: ArgoEventsSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Post the event; see `driftgauge.bridge.targets.Target`."""
        body = {**without_braces(payload), "run_id": run.run_id}
        await self._call(session, "POST", json_body=body, headers=bearer(self._settings), starts=True)
        return Started()

    async def find(self, _: ClientSession, __: RunRequest) -> Started | Literal[False] | None:
        """False where a repeated event does no harm; nobody can tell otherwise."""
        return False if self._settings.idempotent else None

    async def state(self, _: ClientSession, __: str) -> RunState | None:
        """None: an event source tells nothing."""
        return None

"""Prefect 3, a server or Prefect Cloud.

The run id is the ``idempotency_key``: Prefect answers 201 for a new flow run and 200 with the same one for
a known key. 409 is what Prefect says of parameters that the flow does not take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, basic
from driftgauge.bridge.targets.payloads import pick
from driftgauge.bridge.targets.settings import BasicSettings, Url

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Prefect", "PrefectSettings"]

BAD: Final = ("FAILED", "CRASHED", "CANCELLED", "CANCELLING")


class PrefectSettings(BasicSettings):
    """``[[targets]]`` with ``kind = "prefect"``. `token` is a key of Prefect Cloud."""

    url: Url = Field(default="http://127.0.0.1:4200/api", description="of the API, as PREFECT_API_URL")
    deployment: str = Field(min_length=1, description="flow/deployment, or the deployment's id")
    tags: tuple[str, ...] = Field(default=("driftgauge",), description="given to the flow run")


class Prefect:
    """Runs a deployment. The payload gives the flow's parameters."""

    name: ClassVar[str] = "prefect"
    settings: ClassVar[type[BaseModel]] = PrefectSettings
    idempotent: ClassVar[bool] = True

    def __init__(self, settings: PrefectSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Create the flow run; see `driftgauge.bridge.targets.Target`."""
        deployment = await self._deployment(session)
        body = {
            "name": run.run_id,
            "parameters": dict(payload),
            "idempotency_key": run.run_id,
            "tags": list(self._settings.tags),
            "state": {"type": "SCHEDULED"},
        }
        answer = await self._ask(
            session, "POST", "deployments", deployment, "create_flow_run", json_body=body, starts=True
        )
        found = str(pick(answer.body, "id"))
        if not found:
            message = (
                f"what answers {answer.status} at {self._settings.url} is not Prefect's API; look at url"
            )
            raise Permanent(message)
        return Started(found, self._page(found), already=answer.status == 200)

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The flow run by its key."""
        body = {"flow_runs": {"idempotency_key": {"any_": [run.run_id]}}, "limit": 1}
        answer = await self._ask(session, "POST", "flow_runs", "filter", json_body=body)
        found = str(pick(answer.body, "0", "id"))
        return Started(found, self._page(found), already=True) if found else False

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        answer = await self._ask(session, "GET", "flow_runs", external_id, also=(404,))
        if answer.status == 404:
            return "unknown"
        state = pick(answer.body, "state_type")
        return "succeeded" if state == "COMPLETED" else "failed" if state in BAD else "running"

    async def _deployment(self, session: ClientSession) -> str:
        flow, slash, name = self._settings.deployment.partition("/")
        if not slash:
            try:
                return str(UUID(flow))
            except ValueError:
                message = f"deployment must be flow/deployment or its id, got {flow!r}"
                raise Permanent(message) from None
        answer = await self._ask(session, "GET", "deployments", "name", flow, name)
        return str(pick(answer.body, "id"))

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        return await self._call(session, method, *path, headers=basic(self._settings), **more)

    def _page(self, flow_run: str) -> str:
        url = self._settings.url
        return f"{url.removesuffix('/api')}/runs/flow-run/{flow_run}" if url.endswith("/api") else ""

"""Kubeflow Pipelines 2 (``/apis/v2beta1``).

Pipelines takes no id for a run, so the run id is its display name, by which a run of an earlier call is
found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, bearer, settled
from driftgauge.bridge.targets.payloads import pick, without_braces
from driftgauge.bridge.targets.settings import TokenSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Kubeflow", "KubeflowSettings"]

STATES: Final[Mapping[str, RunState]] = {
    "SUCCEEDED": "succeeded",
    "SKIPPED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "failed",
}


class KubeflowSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "kubeflow"``; `url` as http://ml-pipeline.kubeflow:8888 or https://HOST/pipeline."""

    pipeline_id: str = Field(min_length=1, description="id of the pipeline")
    pipeline_version_id: str = Field(default="", description="id of its version; empty for the newest")
    experiment_id: str = Field(default="", description="id of the experiment; empty for the default one")
    service_account: str = Field(default="", description="that it runs as; empty for the default one")


class Kubeflow:
    """Creates a run of a pipeline. The payload gives its parameters."""

    name: ClassVar[str] = "kubeflow"
    settings: ClassVar[type[BaseModel]] = KubeflowSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: KubeflowSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Create the run; see `driftgauge.bridge.targets.Target`."""
        own = self._settings
        version = {"pipeline_id": own.pipeline_id, "pipeline_version_id": own.pipeline_version_id}
        body = {
            "display_name": run.run_id,
            "description": f"started by driftgauge, route {run.route}",
            "pipeline_version_reference": {name: value for name, value in version.items() if value},
            "runtime_config": {"parameters": without_braces(payload)},
        }
        more = {"experiment_id": own.experiment_id, "service_account": own.service_account}
        body |= {name: value for name, value in more.items() if value}
        answer = await self._ask(session, "POST", json_body=body, starts=True)
        found = str(pick(answer.body, "run_id"))
        if not found:
            message = f"what answers {answer.status} at {own.url} is not Kubeflow Pipelines; look at url"
            raise Permanent(message)
        return Started(found, self._page(found))

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its display name."""
        same = {"operation": "EQUALS", "key": "display_name", "string_value": run.run_id}
        query = {"filter": json.dumps({"predicates": [same]}), "page_size": "1"}
        if self._settings.experiment_id:
            query["experiment_id"] = self._settings.experiment_id

        async def look() -> Started | None:
            answer = await self._ask(session, "GET", query=query)
            found = str(pick(answer.body, "runs", "0", "run_id"))
            return Started(found, self._page(found), already=True) if found else None

        return await settled(look)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        answer = await self._ask(session, "GET", external_id, also=(404,))
        return STATES.get(pick(answer.body, "state"), "running") if answer.status != 404 else "unknown"

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        place = ("apis", "v2beta1", "runs", *path)
        return await self._call(session, method, *place, headers=bearer(self._settings), **more)

    def _page(self, run: str) -> str:
        return f"{self._settings.url}/#/runs/details/{run}"

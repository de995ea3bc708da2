"""Argo Workflows: a Workflow from a template, by the Argo server.

The run id is the name of the Workflow, and a second one of the same name is refused with 409.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, Retryable, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, bearer
from driftgauge.bridge.targets.payloads import pick, texts, without_braces
from driftgauge.bridge.targets.settings import TokenSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["ArgoWorkflows", "ArgoWorkflowsSettings"]

STATES: Final[Mapping[str, RunState]] = {"Succeeded": "succeeded", "Failed": "failed", "Error": "failed"}
LABEL: Final = "driftgauge.io/run-id"


class ArgoWorkflowsSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "argo_workflows"``. `token` is of a service account."""

    namespace: str = Field(min_length=1, description="where the template is and the Workflow will be")
    template: str = Field(min_length=1, description="its name")
    template_kind: str = Field(
        default="WorkflowTemplate",
        pattern="WorkflowTemplate|ClusterWorkflowTemplate|CronWorkflow",
        description="WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow",
    )
    service_account: str = Field(default="", description="that it runs as; empty for the template's")


class ArgoWorkflows:
    """Submits a template. The payload gives its parameters, each as text."""

    name: ClassVar[str] = "argo_workflows"
    settings: ClassVar[type[BaseModel]] = ArgoWorkflowsSettings
    idempotent: ClassVar[bool] = True

    def __init__(self, settings: ArgoWorkflowsSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Submit the template; see `driftgauge.bridge.targets.Target`."""
        options = {
            "name": run.run_id,
            "labels": f"{LABEL}={run.run_id}",
            "parameters": [f"{name}={value}" for name, value in texts(payload, without_braces).items()],
        }
        if self._settings.service_account:
            options["serviceAccount"] = self._settings.service_account
        body = {
            "namespace": self._settings.namespace,
            "resourceKind": self._settings.template_kind,
            "resourceName": self._settings.template,
            "submitOptions": options,
        }
        answer = await self._ask(session, "POST", "submit", json_body=body, also=(409,), starts=True)
        already = answer.status == 409
        if already and await self.state(session, run.run_id) == "unknown":
            message = f"Argo answered 409, but {self._settings.namespace} has no Workflow {run.run_id}"
            raise Retryable(message)
        if not already and pick(answer.body, "metadata", "name") != run.run_id:
            message = (
                f"what answers {answer.status} at {self._settings.url} is not an Argo server; look at url"
            )
            raise Permanent(message)
        return Started(run.run_id, self._page(run.run_id), already)

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The Workflow by its name."""
        if await self.state(session, run.run_id) == "unknown":
            return False
        return Started(run.run_id, self._page(run.run_id), already=True)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        query = {"fields": "status.phase"}  # without the nodes, which are megabytes of a large Workflow
        answer = await self._ask(session, "GET", external_id, query=query, also=(404,))
        if answer.status == 404:
            return "unknown"
        return STATES.get(pick(answer.body, "status", "phase"), "running")

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        place = ("api", "v1", "workflows", self._settings.namespace, *path)
        return await self._call(session, method, *place, headers=bearer(self._settings), **more)

    def _page(self, name: str) -> str:
        return f"{self._settings.url}/workflows/{quote(self._settings.namespace, safe='')}/{name}"

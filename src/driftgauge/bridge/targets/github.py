"""GitHub Actions, by ``repository_dispatch`` or ``workflow_dispatch``.

GitHub takes no id for a run, so a second dispatch is a second run. With ``run_name = true`` the bridge finds
the run of an earlier dispatch by its title; the workflow must then have as its ``run-name``
``${{ inputs.run_id }}``, or ``${{ github.event.client_payload.run_id }}``, alone or between blanks. A run is
listed some seconds after its dispatch, so it is looked for again half a minute later. Without it, a dispatch
whose answer was lost is not repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, bearer, settled
from driftgauge.bridge.targets.payloads import pick, texts
from driftgauge.bridge.targets.settings import TokenSettings, Url

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["GithubRepository", "GithubRepositorySettings", "GithubWorkflow", "GithubWorkflowSettings"]

KEYS: Final = 10  # top-level keys of a client_payload
LISTED_SECONDS: Final = (
    30.0  # until a dispatched run is in the list; it took 2 to 10 s when people measured it
)
BAD: Final = ("failure", "cancelled", "timed_out", "startup_failure", "action_required", "stale", "skipped")


class _GithubSettings(TokenSettings):
    url: Url = Field(
        default="https://api.github.com", description="of the API; of a server https://HOST/api/v3"
    )
    repository: str = Field(pattern=r"[\w.-]+/[\w.-]+", description="owner/name")
    run_name: bool = Field(default=False, description="whether the workflow's run-name holds the run id")
    api_version: str = Field(default="2022-11-28", description="value of X-GitHub-Api-Version")


class GithubRepositorySettings(_GithubSettings):
    """``[[targets]]`` with ``kind = "github_repository"``, token with contents:write, actions:read."""

    event_type: str = Field(
        default="driftgauge-retrain", min_length=1, max_length=100, description="what the workflow listens to"
    )


class GithubWorkflowSettings(_GithubSettings):
    """``[[targets]]`` with ``kind = "github_workflow"``; the token needs actions:write."""

    workflow: str = Field(min_length=1, description="file name such as retrain.yml, or its number")
    ref: str = Field(default="main", min_length=1, description="branch or tag")
    run_id_input: str = Field(default="run_id", description="input that gets the run id; empty for none")
    return_run_details: bool = Field(
        default=True, description="whether to ask for the run's number; false for servers before 3.21"
    )


class _Github:
    def __init__(self, settings: _GithubSettings) -> None:
        self._shared = settings
        self._call = Caller(settings)
        self._path = ("repos", *settings.repository.split("/"))

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": self._shared.api_version,
            **bearer(self._shared),
        }
        return await self._call(session, method, *self._path, *path, headers=headers, **more)

    async def _dispatch(self, session: ClientSession, *path: str, body: Any) -> Answer:
        return await self._ask(session, "POST", *path, "dispatches", json_body=body, starts=True)

    async def _listed(self, session: ClientSession, run_id: str, event: str, *path: str) -> Any:
        """The newest run whose title holds *run_id*; None where no such run is listed."""
        query = {"event": event, "per_page": "100"}
        answer = await self._ask(session, "GET", "actions", *path, "runs", query=query)
        for each in pick(answer.body, "workflow_runs", default=[]):
            if run_id in str(pick(each, "display_title")).split():
                return each
        return None


def _state(run: Any) -> RunState:
    if pick(run, "status") != "completed":
        return "running"
    return "failed" if pick(run, "conclusion") in BAD else "succeeded"


class GithubRepository(_Github):
    """Sends an event to a repository, for its workflows with ``on: repository_dispatch``."""

    name: ClassVar[str] = "github_repository"
    settings: ClassVar[type[BaseModel]] = GithubRepositorySettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: GithubRepositorySettings) -> None:
        super().__init__(settings)
        self._settings = settings

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Send the event; see `driftgauge.bridge.targets.Target`."""
        sent = {"run_id": run.run_id, **payload}
        if len(sent) > KEYS:
            sent = {"run_id": run.run_id, "model": run.model, "run": dict(payload)}
        body = {"event_type": self._settings.event_type, "client_payload": sent}
        await self._dispatch(session, body=body)
        return Started(run.run_id if self._settings.run_name else "")

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its title."""
        if not self._settings.run_name:
            return None

        async def look() -> Started | None:
            found = await self._listed(session, run.run_id, "repository_dispatch")
            return Started(run.run_id, str(pick(found, "html_url")), already=True) if found else None

        return await settled(look, LISTED_SECONDS)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        if not external_id:
            return None
        found = await self._listed(session, external_id, "repository_dispatch")
        return _state(found) if found else "unknown"


class GithubWorkflow(_Github):
    """Runs one workflow that has ``on: workflow_dispatch``. The payload gives its inputs, each as text."""

    name: ClassVar[str] = "github_workflow"
    settings: ClassVar[type[BaseModel]] = GithubWorkflowSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: GithubWorkflowSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._workflow = ("workflows", settings.workflow)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Dispatch the workflow; see `driftgauge.bridge.targets.Target`."""
        inputs = texts(payload)
        if self._settings.run_id_input:
            inputs[self._settings.run_id_input] = run.run_id
        body: dict[str, Any] = {"ref": self._settings.ref, "inputs": inputs}
        if self._settings.return_run_details:
            body["return_run_details"] = True
        answer = await self._dispatch(session, "actions", *self._workflow, body=body)
        number = str(pick(answer.body, "workflow_run_id"))
        by_title = run.run_id if self._settings.run_name else ""
        return Started(number or by_title, str(pick(answer.body, "html_url")))

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its title."""
        if not self._settings.run_name:
            return None

        async def look() -> Started | None:
            found = await self._listed(session, run.run_id, "workflow_dispatch", *self._workflow)
            return (
                Started(str(pick(found, "id")), str(pick(found, "html_url")), already=True) if found else None
            )

        return await settled(look, LISTED_SECONDS)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        if not external_id:
            return None
        if not external_id.isdecimal():
            found = await self._listed(session, external_id, "workflow_dispatch", *self._workflow)
            return _state(found) if found else "unknown"
        answer = await self._ask(session, "GET", "actions", "runs", external_id, also=(404,))
        return "unknown" if answer.status == 404 else _state(answer.body)

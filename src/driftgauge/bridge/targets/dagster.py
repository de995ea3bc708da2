"""Dagster, by GraphQL.

Dagster takes no id for a run from outside, so the run carries it in the tag ``driftgauge/run_id``. A run is
in Dagster's storage before the launch is answered, so that what an earlier call launched is found by its
tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, Retryable, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Caller, settled, words
from driftgauge.bridge.targets.payloads import pick
from driftgauge.bridge.targets.settings import HeaderName, TokenSettings, Url

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Dagster", "DagsterSettings"]

TAG: Final = "driftgauge/run_id"
LAUNCH: Final = (
    "mutation L($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename"
    " ... on LaunchRunSuccess { run { runId status } }"
    " ... on RunConfigValidationInvalid { errors { message } }"
    " ... on Error { message } } }"
)
FIND: Final = (
    "query F($t: [ExecutionTag!]) { runsOrError(filter: {tags: $t}, limit: 1) { __typename"
    " ... on Runs { results { runId } } ... on PythonError { message } } }"
)
STATE: Final = (
    "query S($r: ID!) { runOrError(runId: $r) { __typename"
    " ... on Run { status } ... on PythonError { message } } }"
)
STATES: Final[Mapping[str, RunState]] = {"SUCCESS": "succeeded", "FAILURE": "failed", "CANCELED": "failed"}


class DagsterSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "dagster"``. `token` is a user token of Dagster+."""

    url: Url = Field(
        default="http://127.0.0.1:3000", description="of the webserver; of Dagster+ with deployment"
    )
    token_header: HeaderName = Field(default="Dagster-Cloud-Api-Token", description="header of the token")
    location: str = Field(min_length=1, description="code location")
    repository: str = Field(default="__repository__", min_length=1, description="repository in it")
    job: str = Field(min_length=1, description="name of the job")


class Dagster:
    """Launches a job. The payload is its run configuration."""

    name: ClassVar[str] = "dagster"
    settings: ClassVar[type[BaseModel]] = DagsterSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: DagsterSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Launch the job; see `driftgauge.bridge.targets.Target`."""
        tags = {TAG: run.run_id, "driftgauge/model": run.model, "driftgauge/route": run.route}
        selector = {
            "repositoryLocationName": self._settings.location,
            "repositoryName": self._settings.repository,
            "jobName": self._settings.job,
        }
        params = {
            "selector": selector,
            "runConfigData": dict(payload),
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in tags.items() if value]
            },
        }
        found = await self._ask(session, LAUNCH, {"p": params}, "launchRun", starts=True)
        kind = pick(found, "__typename")
        if kind == "LaunchRunSuccess":
            run_id = str(pick(found, "run", "runId"))
            return Started(run_id, f"{self._settings.url}/runs/{run_id}")
        errors = [str(pick(each, "message")) for each in pick(found, "errors", default=[])]
        told = words("; ".join(errors) or str(pick(found, "message")))
        message = f"Dagster did not launch {self._settings.job}: {kind}, {told}"
        if kind == "PythonError":
            raise Retryable(message, maybe_started=True)
        raise Permanent(message)

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its tag."""
        tags = [{"key": TAG, "value": run.run_id}]

        async def look() -> Started | None:
            found = await self._ask(session, FIND, {"t": tags}, "runsOrError")
            if pick(found, "__typename") != "Runs":
                message = f"Dagster did not list runs: {words(str(pick(found, 'message')))}"
                raise Retryable(message)
            run_id = str(pick(found, "results", "0", "runId"))
            return Started(run_id, f"{self._settings.url}/runs/{run_id}", already=True) if run_id else None

        return await settled(look)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        found = await self._ask(session, STATE, {"r": external_id}, "runOrError")
        kind = pick(found, "__typename")
        if kind == "RunNotFoundError":
            return "unknown"
        if kind != "Run":
            message = f"Dagster did not show the run: {words(str(pick(found, 'message')))}"
            raise Retryable(message)
        return STATES.get(pick(found, "status"), "running")

    async def _ask(
        self, session: ClientSession, query: str, variables: Any, field: str, starts: bool = False
    ) -> Any:
        token = self._settings.the_token()
        headers = {self._settings.token_header: token} if token else {}
        body = {"query": query, "variables": variables}
        answer = await self._call(session, "POST", "graphql", json_body=body, headers=headers, starts=starts)
        found = pick(answer.body, "data", field, default=None)
        if found is None:
            errors = [str(pick(each, "message")) for each in pick(answer.body, "errors", default=[])]
            told = words("; ".join(errors)) or "it is not GraphQL; look at url"
            message = f"Dagster at {self._settings.url} refused the query: {told}"
            raise Permanent(message)
        return found

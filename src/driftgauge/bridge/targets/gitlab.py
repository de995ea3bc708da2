"""GitLab CI, by a pipeline trigger token.

GitLab takes no id for a pipeline. With ``pipeline_name = true`` and a ``token`` that may read the API the
bridge finds the pipeline of an earlier call by its name; ``.gitlab-ci.yml`` must then have ``workflow:
{name: $DRIFTGAUGE_RUN_ID}``. Variables are given as ``$$`` where they hold ``$``, so that a label cannot
name another variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field, SecretStr

from driftgauge.bridge.targets import Permanent, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, settled
from driftgauge.bridge.targets.payloads import RUN_ID, pick, texts, without_dollars
from driftgauge.bridge.targets.secrets import one_line
from driftgauge.bridge.targets.settings import TokenSettings, Url

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Gitlab", "GitlabSettings"]

VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BAD: Final = ("failed", "canceled", "canceling", "skipped")


class GitlabSettings(TokenSettings):
    """``[[targets]]`` with ``kind = "gitlab"``. `token` (read_api) is for following the pipeline."""

    url: Url = Field(default="https://gitlab.com", description="of the server")
    project: str = Field(min_length=1, description="group/name, or its number")
    ref: str = Field(default="main", min_length=1, description="branch or tag")
    trigger_token: SecretStr = Field(min_length=1, description="the trigger token")
    pipeline_name: bool = Field(default=False, description="whether workflow:name holds the run id")


class Gitlab:
    """Triggers a pipeline. The payload gives its variables, and ``DRIFTGAUGE_RUN_ID`` is one."""

    name: ClassVar[str] = "gitlab"
    settings: ClassVar[type[BaseModel]] = GitlabSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: GitlabSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)
        self._path = ("api", "v4", "projects", settings.project)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Trigger the pipeline; see `driftgauge.bridge.targets.Target`."""
        variables = texts(payload, without_dollars) | {RUN_ID: run.run_id}
        wrong = [name for name in variables if not VARIABLE.fullmatch(name)]
        if wrong:
            message = (
                f"payload has {wrong[0]!r}, no name of a variable; use letters, digits and _ in its template"
            )
            raise Permanent(message)
        token = one_line(self._settings.trigger_token, "trigger_token")
        body = {"token": token, "ref": self._settings.ref, "variables": variables}
        answer = await self._call(
            session, "POST", *self._path, "trigger", "pipeline", json_body=body, starts=True
        )
        number = str(pick(answer.body, "id"))
        if not number:
            message = "GitLab answered without the number of a pipeline; is url a GitLab server?"
            raise Permanent(message)
        return Started(number, str(pick(answer.body, "web_url")))

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The pipeline by its name."""
        if not self._settings.pipeline_name:
            return None
        if not self._settings.the_token():
            return None

        async def look() -> Started | None:
            answer = await self._read(session, query={"name": run.run_id, "per_page": "1"})
            found = pick(answer.body, "0", default=None) if answer else None
            return (
                Started(str(pick(found, "id")), str(pick(found, "web_url")), already=True) if found else None
            )

        return await settled(look)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it; None without a token."""
        answer = await self._read(session, external_id, also=(404,))
        if answer is None:
            return None
        if answer.status == 404:
            return "unknown"
        status = pick(answer.body, "status")
        return "succeeded" if status == "success" else "failed" if status in BAD else "running"

    async def _read(self, session: ClientSession, *path: str, **more: Any) -> Answer | None:
        token = self._settings.the_token()
        if not token:
            return None
        headers = {"PRIVATE-TOKEN": token}
        return await self._call(session, "GET", *self._path, "pipelines", *path, headers=headers, **more)

"""Jenkins, by ``buildWithParameters`` and an API token, which needs no crumb.

Jenkins takes no id for a build, and says only which place in its queue a build has. The job must have a
parameter ``DRIFTGAUGE_RUN_ID``, by which the build of an earlier call is found: Jenkins drops parameters
that a job does not name, and then nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, basic, settled
from driftgauge.bridge.targets.payloads import RUN_ID, pick, texts
from driftgauge.bridge.targets.settings import BasicSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Jenkins", "JenkinsSettings"]

ITEM: Final = re.compile(r"/queue/item/(\d+)/?$")
GIVEN: Final = "actions[parameters[name,value]]"
JOB: Final = (
    f"property[parameterDefinitions[name]],builds[number,url,building,result,queueId,{GIVEN}]{{0,100}}"
)
QUEUE: Final = f"items[id,url,{GIVEN}]"


class JenkinsSettings(BasicSettings):
    """``[[targets]]`` with ``kind = "jenkins"``. `username` and, as `password`, the user's API token."""

    job: str = Field(min_length=1, description="folder/name")


class Jenkins:
    """Builds a job. The payload gives its parameters, each as text, and ``DRIFTGAUGE_RUN_ID`` is one."""

    name: ClassVar[str] = "jenkins"
    settings: ClassVar[type[BaseModel]] = JenkinsSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: JenkinsSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)
        self._job = tuple(part for name in settings.job.strip("/").split("/") for part in ("job", name))

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Put the build in the queue; see `driftgauge.bridge.targets.Target`."""
        form = texts(payload) | {RUN_ID: run.run_id}
        # Old servers redirect to the place in the queue in place of answering 201.
        answer = await self._ask(
            session, "POST", *self._job, "buildWithParameters", form=form, also=(302, 303), starts=True
        )
        found = ITEM.search(answer.headers.get("Location", ""))
        return Started(found[1], f"{self._settings.url}/queue/item/{found[1]}/") if found else Started()

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The build by its parameter, in the queue or among the last hundred."""
        names: list[Any] = []

        async def look() -> Started | None:
            queue = await self._ask(session, "GET", "queue", "api", "json", query={"tree": QUEUE})
            job = await self._read_job(session)
            for kind in pick(job, "property", default=[]):
                names.extend(pick(each, "name") for each in pick(kind, "parameterDefinitions", default=[]))
            for each in (*pick(queue.body, "items", default=[]), *pick(job, "builds", default=[])):
                if _run_id(each) == run.run_id:
                    number = str(pick(each, "queueId") or pick(each, "id"))
                    return Started(number, str(pick(each, "url")), already=True)
            return None

        found = await settled(look)
        return found if found or RUN_ID in names else None

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        if not external_id:
            return None
        for each in pick(await self._read_job(session), "builds", default=[]):
            if str(pick(each, "queueId")) == external_id:
                if pick(each, "building", default=False) or not pick(each, "result"):
                    return "running"
                return "succeeded" if pick(each, "result") == "SUCCESS" else "failed"
        # An item stays in the queue's memory for five minutes after its build has begun.
        item = ("queue", "item", external_id, "api", "json")
        answer = await self._ask(session, "GET", *item, query={"tree": "cancelled"}, also=(404,))
        if answer.status == 404:
            return "unknown"
        return "failed" if pick(answer.body, "cancelled", default=False) else "running"

    async def _read_job(self, session: ClientSession) -> Any:
        return (await self._ask(session, "GET", *self._job, "api", "json", query={"tree": JOB})).body

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        return await self._call(session, method, *path, headers=basic(self._settings), **more)


def _run_id(item: Any) -> str:
    for action in pick(item, "actions", default=[]):
        for each in pick(action, "parameters", default=[]):
            if pick(each, "name") == RUN_ID:
                return str(pick(each, "value"))
    return ""

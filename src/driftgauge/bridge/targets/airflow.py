"""Airflow 3 (``/api/v2``) and Airflow 2 (``/api/v1``).

The run id is the ``dag_run_id``, and Airflow refuses a second run of the same id with 409. As Airflow says
409 for other conflicts too, the run is then looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, Retryable, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Answer, Caller, basic, bearer
from driftgauge.bridge.targets.payloads import pick
from driftgauge.bridge.targets.secrets import one_line
from driftgauge.bridge.targets.settings import BasicSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Airflow", "Airflow2", "AirflowSettings"]

STATES: Final[Mapping[str, RunState]] = {
    "queued": "running",
    "running": "running",
    "success": "succeeded",
    "failed": "failed",
}


class AirflowSettings(BasicSettings):
    """``[[targets]]`` with ``kind = "airflow"``, for Airflow 3, or ``"airflow2"``. `token` is a JWT."""

    dag: str = Field(min_length=1, description="id of the DAG")


class _Airflow:
    version: ClassVar[str]
    idempotent: ClassVar[bool] = True

    def __init__(self, settings: AirflowSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)
        self._runs = ("api", self.version, "dags", settings.dag, "dagRuns")

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Trigger the DAG; see `driftgauge.bridge.targets.Target`."""
        note = f"started by driftgauge, route {run.route}"
        body = {"dag_run_id": run.run_id, "conf": dict(payload), "note": note, **self._more()}
        answer = await self._ask(session, "POST", json_body=body, also=(409,), starts=True)
        already = answer.status == 409
        if already and await self.state(session, run.run_id) == "unknown":
            message = f"Airflow answered 409, but {self._settings.dag} has no run {run.run_id}"
            raise Retryable(message)
        if not already and pick(answer.body, "dag_run_id") != run.run_id:
            message = (
                f"what answers {answer.status} at {self._settings.url} is not Airflow's API; look at url"
            )
            raise Permanent(message)
        return Started(run.run_id, self._page(run.run_id), already)

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its id."""
        if await self.state(session, run.run_id) == "unknown":
            return False
        return Started(run.run_id, self._page(run.run_id), already=True)

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it."""
        answer = await self._ask(session, "GET", external_id, also=(404,))
        return STATES.get(pick(answer.body, "state"), "running") if answer.status != 404 else "unknown"

    async def _ask(self, session: ClientSession, method: str, *path: str, **more: Any) -> Answer:
        headers = await self._headers(session)
        return await self._call(session, method, *self._runs, *path, headers=headers, **more)

    async def _headers(self, session: ClientSession) -> dict[str, str]:
        raise NotImplementedError

    def _more(self) -> dict[str, Any]:
        return {}

    def _page(self, run_id: str) -> str:
        raise NotImplementedError


class Airflow(_Airflow):
    """Triggers a DAG of Airflow 3. The payload is its ``conf``."""

    name: ClassVar[str] = "airflow"
    settings: ClassVar[type[BaseModel]] = AirflowSettings
    version: ClassVar[str] = "v2"

    async def _headers(self, session: ClientSession) -> dict[str, str]:
        if not self._settings.username:
            return bearer(self._settings)
        password = one_line(self._settings.password, "password")
        body = {"username": self._settings.username, "password": password}
        answer = await self._call(session, "POST", "auth", "token", json_body=body)
        token = str(pick(answer.body, "access_token"))
        if not token.isprintable() or not token:
            message = f"{self._settings.url}/auth/token gave no token; give token in place of username"
            raise Permanent(message)
        return {"Authorization": f"Bearer {token}"}

    def _more(self) -> dict[str, Any]:
        return {"logical_date": None}  # Airflow 3 answers 422 without it

    def _page(self, run_id: str) -> str:
        return f"{self._settings.url}/dags/{quote(self._settings.dag, safe='')}/runs/{run_id}"


class Airflow2(_Airflow):
    """Triggers a DAG of Airflow 2. The payload is its ``conf``."""

    name: ClassVar[str] = "airflow2"
    settings: ClassVar[type[BaseModel]] = AirflowSettings
    version: ClassVar[str] = "v1"

    async def _headers(self, _: ClientSession) -> dict[str, str]:
        return basic(self._settings)

    def _page(self, run_id: str) -> str:
        return f"{self._settings.url}/dags/{quote(self._settings.dag, safe='')}/grid?dag_run_id={run_id}"

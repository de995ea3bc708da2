"""Any HTTP endpoint that takes JSON.

Each request carries the run id in ``Idempotency-Key``. An endpoint that keeps to it is one where
``idempotent = true``; at any other, a request whose answer was lost is not sent again.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, Field, field_validator, model_validator

from driftgauge.bridge.targets import Permanent, RunRequest, RunState, Started
from driftgauge.bridge.targets.calls import Caller, basic
from driftgauge.bridge.targets.payloads import pick
from driftgauge.bridge.targets.settings import BasicSettings, Url

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Http", "HttpEndpointSettings"]


class HttpEndpointSettings(BasicSettings):
    """``[[targets]]`` with ``kind = "http"``."""

    url: Url = Field(description="that the payload is sent to")
    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="HTTP method")
    idempotent: bool = Field(
        default=False, description="whether a repeated Idempotency-Key starts nothing new"
    )
    id_key: str = Field(default="", description="where the run's id is in the answer, such as 'run.id'")
    url_key: str = Field(default="", description="where the link for people is in the answer")
    state_url: str = Field(default="", description="asked for the state; {id} is the run's id, or our run id")
    state_key: str = Field(default="state", description="where the state is in that answer")
    succeeded: tuple[str, ...] = Field(default=("succeeded", "success"), description="states of a good end")
    failed: tuple[str, ...] = Field(
        default=("failed", "failure", "error", "cancelled", "canceled"), description="states of a bad end"
    )

    @field_validator("state_url")
    @classmethod
    def _with_id(cls, url: str) -> str:
        if not url:
            return url
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(url) if name is not None]
        except ValueError:
            names = ["?"]
        if names != ["id"] or "{id}" in url.partition("://")[2].partition("/")[0]:
            message = "must be a URL with {id} once, in its path, such as 'https://host/runs/{id}'"
            raise ValueError(message)
        return url

    @model_validator(mode="after")
    def _same_place(self) -> Self:
        # The token goes there too.
        if self.state_url and _origin(self.state_url) != _origin(self.url):
            message = "state_url must have the scheme, host and port of url, as it is sent the same token"
            raise ValueError(message)
        return self


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0]}".lower()


class Http:
    """Sends the payload as JSON."""

    name: ClassVar[str] = "http"
    settings: ClassVar[type[BaseModel]] = HttpEndpointSettings
    idempotent: ClassVar[bool] = False

    def __init__(self, settings: HttpEndpointSettings) -> None:
        self._settings = settings
        self._call = Caller(settings)

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Send the payload; see `driftgauge.bridge.targets.Target`."""
        own = self._settings
        headers = {"Idempotency-Key": run.run_id, **basic(own)}
        answer = await self._call(
            session, own.method, json_body=dict(payload), headers=headers, also=(409,), starts=True
        )
        already = answer.status == 409
        found = str(pick(answer.body, *own.id_key.split("."))) if own.id_key else run.run_id
        if own.id_key and not found and not already:
            message = f"{own.url} answered {answer.status} without {own.id_key}; look at id_key"
            raise Permanent(message)
        link = str(pick(answer.body, *own.url_key.split("."))) if own.url_key else ""
        return Started(found, link, already)

    async def find(self, _: ClientSession, __: RunRequest) -> Started | Literal[False] | None:
        """False where a repeated request does no harm; nobody can tell otherwise."""
        return False if self._settings.idempotent else None

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it; None without `state_url`."""
        own = self._settings
        if not own.state_url or external_id in ("", ".", ".."):
            return None
        url = own.state_url.replace("{id}", quote(external_id, safe=""))
        answer = await self._call.to(session, "GET", url, headers=basic(own), also=(404,))
        if answer.status == 404:
            return "unknown"
        state = str(pick(answer.body, *own.state_key.split(".")))
        return "succeeded" if state in own.succeeded else "failed" if state in own.failed else "running"

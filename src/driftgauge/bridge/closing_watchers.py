"""Who has a reference in force: sidecars, which are told to reload, or a Prometheus that scrapes monitors."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from driftgauge.bridge.records import NotYet
from driftgauge.bridge.settings_closing import ClosingSettings
from driftgauge.bridge.targets import TargetError
from driftgauge.bridge.targets.calls import Caller, bearer
from driftgauge.bridge.targets.payloads import pick
from driftgauge.bridge.targets.settings import HttpSettings, TokenSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["InForce", "PrometheusWatcher", "Sidecars", "Watcher", "watcher_of"]

AGAIN_SECONDS: Final = 60.0  # a reload reads every file of every model anew


@dataclass(frozen=True, slots=True)
class InForce:
    """A model as one who watches it says.

    Parameters
    ----------
    where : str
        Who says so, for people.
    reference_id : str
    created_seconds : float
        When that reference was made; 0 where it is not told.
    rows : float
        Rows that were compared with it.
    score : float or None
        The drift score; None while it has not been looked at.
    """

    where: str
    reference_id: str
    created_seconds: float = 0.0
    rows: float = 0.0
    score: float | None = None


class Watcher(Protocol):
    """Those who watch a model."""

    async def look(self, session: ClientSession, model: str) -> tuple[list[InForce], str]:
        """What each says, and what is wrong with those who say nothing; empty for nothing."""
        ...

    async def reload(self, session: ClientSession, *, in_turn: bool) -> None:
        """Have the references read again; *in_turn*: but not more often than once a minute."""
        ...


def watcher_of(settings: ClosingSettings) -> Watcher | None:
    """Those that *settings* name; None for nobody."""
    if settings.sidecars:
        return Sidecars(settings)
    return PrometheusWatcher(settings) if settings.prometheus else None


class Sidecars:
    """Every sidecar that is named; all of them must have a reference in force.

    Parameters
    ----------
    settings : ClosingSettings
    """

    def __init__(self, settings: ClosingSettings) -> None:
        self._each = [
            TokenSettings(
                url=url,
                ca_file=settings.ca_file,
                timeout=settings.request_timeout,
                token=settings.token,
                token_file=settings.token_file,
            )
            for url in settings.sidecars
        ]
        self._calls = [Caller(each) for each in self._each]
        self._asked = -math.inf

    async def look(self, session: ClientSession, model: str) -> tuple[list[InForce], str]:
        """What each says; see `Watcher`."""
        answers = await asyncio.gather(
            *(self._of(session, number, model) for number in range(len(self._each)))
        )
        return [each for each in answers if isinstance(each, InForce)], "; ".join(
            each for each in answers if isinstance(each, str)
        )

    async def _of(self, session: ClientSession, number: int, model: str) -> InForce | str:
        own = self._each[number]
        try:
            answer = await self._calls[number](
                session, "GET", "api", "v1", "state", query={"model": model}, headers=bearer(own), also=(404,)
            )
        except TargetError as error:
            return error.reason
        for each in pick(answer.body, "models", default=[]) if answer.status == 200 else ():
            if pick(each, "model") == model:
                evaluated = pick(each, "drift_evaluations", default=0)
                return InForce(
                    own.url,
                    str(pick(each, "reference", "reference_id")),
                    _number(pick(each, "reference", "created_timestamp_seconds")) or 0.0,
                    _number(pick(each, "rows")) or 0.0,
                    _number(pick(each, "drift_score")) if evaluated else None,
                )
        return f"the sidecar {own.url} has no model {model[:80]!r}"

    async def reload(self, session: ClientSession, *, in_turn: bool) -> None:
        """Have all read their references again; see `Watcher`."""
        now = time.monotonic()
        if in_turn and now - self._asked < AGAIN_SECONDS:
            return
        self._asked = now
        # 500: another model's reference could not be read; what is in force is looked at anyway.
        calls = zip(self._calls, self._each, strict=True)
        done = await asyncio.gather(
            *(call(session, "POST", "-", "reload", headers=bearer(own), also=(500,)) for call, own in calls),
            return_exceptions=True,
        )
        for each in done:
            if isinstance(each, TargetError):
                message = f"a sidecar does not reload: {each.reason}"
                raise NotYet(message) from each
            if isinstance(each, BaseException):
                raise each


class PrometheusWatcher:
    """What a Prometheus has scraped of those who watch a model in their own process; it reloads nothing.

    Parameters
    ----------
    settings : ClosingSettings
    """

    def __init__(self, settings: ClosingSettings) -> None:
        self._query = settings.score_query
        own = HttpSettings(
            url=settings.prometheus, ca_file=settings.ca_file, timeout=settings.request_timeout
        )
        self._call = Caller(own)

    async def look(self, session: ClientSession, model: str) -> tuple[list[InForce], str]:
        """One for each reference that is in force somewhere; see `Watcher`."""
        name = model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        of_model = f'{{model="{name}"}}'
        by_id = f"max by (reference_id) (driftgauge_reference_info{of_model})"
        try:
            infos = await self._ask(session, by_id)
            made = await self._ask(session, f"min(driftgauge_reference_created_timestamp_seconds{of_model})")
            rows = await self._ask(session, f"sum(driftgauge_rows_total{of_model})")
            score = await self._ask(session, self._query.replace("{model}", name))
        except TargetError as error:
            return [], error.reason
        created, count = (next((number for _, number in each), 0.0) for each in (made, rows))
        found = next((number for _, number in score), None)
        told = [
            InForce("Prometheus", str(labels.get("reference_id", "")), created, count, found)
            for labels, _ in infos
        ]
        return told, "" if told else f"Prometheus knows nobody who watches {model[:80]!r}"

    async def _ask(self, session: ClientSession, query: str) -> list[tuple[Mapping[str, str], float]]:
        answer = await self._call(session, "GET", "api", "v1", "query", query={"query": query})
        found: list[tuple[Mapping[str, str], float]] = []
        for series in pick(answer.body, "data", "result", default=[]):
            number = _number(pick(series, "value", "1"))
            if number is not None:
                found.append((dict(pick(series, "metric", default={})), number))
        return found

    async def reload(self, session: ClientSession, *, in_turn: bool) -> None:
        """Nothing: who watches in its own process takes a new reference with a new model."""


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None

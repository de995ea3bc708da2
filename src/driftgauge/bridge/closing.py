"""Closing the loop: a new reference is there, sidecars have it in force, the drift score is read again.

==================================  =========================================================================
what is asked, in this order        what is waited for
==================================  =========================================================================
the place, where one is named       a reference that is not the one before the run
the sidecars, or the Prometheus     all have that reference in force; sidecars are told to reload
the same                            `rows` rows with it and one evaluation, for at most `settle`
==================================  =========================================================================

Nothing is kept here that matters: each look asks everything anew, and what was before the run stands in
the store. A reference is new when its id is another; where the id before the run could not be had, when it
was made after the run was decided.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from driftgauge.bridge.closing_places import Place, Seen, place_of
from driftgauge.bridge.closing_watchers import InForce, Watcher, watcher_of
from driftgauge.bridge.records import Facts, NotYet, Run
from driftgauge.bridge.settings_closing import ClosingSettings

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Closings", "closer"]

BEFORE_SECONDS: Final = 8.0  # a run is not held back for long by somebody who does not answer


@dataclass(frozen=True, slots=True)
class _Closing:
    settings: ClosingSettings
    place: Place | None
    watcher: Watcher | None


class Closings:
    """What is known about closing, by model. See `driftgauge.bridge.records.Closer`.

    Parameters
    ----------
    settings : sequence of ClosingSettings
    clock : callable, optional
        Seconds, for `settle`.
    """

    def __init__(
        self, settings: Sequence[ClosingSettings], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._by_model = {each.model: _Closing(each, place_of(each), watcher_of(each)) for each in settings}
        self._clock = clock
        self._in_force_since: dict[str, float] = {}

    def knows(self, model: str) -> bool:
        """Whether there is a table for it."""
        return model in self._by_model or "*" in self._by_model

    def _of(self, model: str) -> _Closing:
        return self._by_model.get(model) or self._by_model["*"]

    async def before(self, session: ClientSession, run: Run) -> Facts:
        """The reference that lies at the place, or is in force, and the largest drift score; never NotYet."""
        own, model = self._of(run.request.model), run.request.model
        told, seen = await asyncio.gather(
            _told_before(session, own, model), _seen_before(session, own, model)
        )
        reference = next((each.reference_id for each in told if each.reference_id), "")
        if seen is not None and seen.reference_id:
            reference = seen.reference_id
        return Facts(reference or run.request.reference_id, _worst(told))

    async def after(self, session: ClientSession, run: Run) -> Facts:
        """The model with its new reference in force.

        Raises
        ------
        NotYet
        """
        own, model = self._of(run.request.model), run.request.model
        seen = None
        if own.place is not None:
            seen = await own.place.look(session, model)
            if not _new(run, seen.reference_id, seen.created_seconds):
                message = f"{seen.where} still has the reference before the run"
                raise NotYet(message)
        if own.watcher is None:
            return Facts("" if seen is None else seen.reference_id or seen.where)
        told = await self._in_force(session, own.watcher, run, seen)
        return self._scored(own.settings, run, told)

    async def _in_force(
        self, session: ClientSession, watcher: Watcher, run: Run, seen: Seen | None
    ) -> list[InForce]:
        """What all say, once each has the new reference in force."""
        model = run.request.model
        told, lacking = await watcher.look(session, model)
        if lacking or not all(_is(run, each, seen) for each in told):
            # Where a place shows that there is something to load, at once; else now and then.
            await watcher.reload(session, in_turn=seen is None)
            told, lacking = await watcher.look(session, model)
        if lacking:
            raise NotYet(lacking)
        for each in told:
            if not _is(run, each, seen):
                wanted = "" if seen is None or not seen.reference_id else f", not {seen.reference_id[:12]}"
                message = f"{each.where} has the reference {each.reference_id[:12]} in force{wanted}"
                raise NotYet(message)
        return told

    def _scored(self, how: ClosingSettings, run: Run, told: Sequence[InForce]) -> Facts:
        """The facts, when there are rows enough or they were waited for long enough."""
        facts = Facts(told[0].reference_id, _worst(told))
        rows = sum(each.rows for each in told)
        if rows >= how.rows and (facts.score is not None or not how.rows):
            self._in_force_since.pop(run.id, None)
            return facts
        since = self._in_force_since.setdefault(run.id, self._clock())
        if self._clock() - since >= how.settle:
            del self._in_force_since[run.id]
            return facts
        waited = f"{rows:g} of {how.rows} rows" if rows < how.rows else "no evaluation"
        message = f"the reference {facts.reference_id[:12]} is in force; {waited} so far for its drift score"
        raise NotYet(message, facts)


async def _told_before(session: ClientSession, own: _Closing, model: str) -> list[InForce]:
    if own.watcher is None:
        return []
    try:
        async with asyncio.timeout(BEFORE_SECONDS):
            return (await own.watcher.look(session, model))[0]
    except TimeoutError:
        return []


async def _seen_before(session: ClientSession, own: _Closing, model: str) -> Seen | None:
    if own.place is None:
        return None
    try:
        async with asyncio.timeout(BEFORE_SECONDS):
            return await own.place.look(session, model)
    except (NotYet, TimeoutError):
        return None


def _new(run: Run, reference_id: str, created_seconds: float) -> bool:
    if run.before.reference_id and reference_id:
        # An alert may tell the first digits only.
        return not reference_id.startswith(run.before.reference_id)
    return created_seconds > run.created_seconds


def _is(run: Run, told: InForce, seen: Seen | None) -> bool:
    """Whether what is in force is what lies at the place or, where that says nothing, is new."""
    if seen is not None and seen.reference_id:
        return told.reference_id == seen.reference_id
    return _new(run, told.reference_id, told.created_seconds)


def _worst(told: Sequence[InForce]) -> float | None:
    scores = [each.score for each in told if each.score is not None and not math.isnan(each.score)]
    return max(scores, default=None)


def closer(settings: Sequence[ClosingSettings]) -> Closings:
    """What closes loops as *settings* say."""
    return Closings(settings)

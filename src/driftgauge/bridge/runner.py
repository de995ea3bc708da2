"""What becomes of a run after it was decided: started, followed, closed.

Before a target is called the run is written down as 'starting', and what the target answered is written after
it. A process that is killed between the two finds the run as 'starting' and calls again: a target that
knows run ids says that it has it already. Of a target that does not, `find` tells whether the first call
arrived; where nobody can tell, the run becomes a dead letter that a person may replay, because a second
training by mistake is worse than one that a person starts.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from driftgauge.bridge.records import Entry, Facts, NotYet, Run, State
from driftgauge.bridge.store import Store
from driftgauge.bridge.targets import Permanent, Retryable, Started, Target
from driftgauge.bridge.wiring import Wiring

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Runner"]

FACTS_SECONDS: Final = 10.0
UNKNOWN_SECONDS: Final = 300.0  # a system may list a run later than it takes it
LONGEST_RETRY_AFTER_SECONDS: Final = 6 * 3600.0

_log = logging.getLogger("driftgauge.bridge")

OnStore = Callable[..., Awaitable[Any]]


class Runner:
    """Takes one step with one run at a time.

    Parameters
    ----------
    wiring : Wiring
    on_store : async callable
        Calls a function of a `Store` on the store's thread.
    clock : callable
        Unix time.
    counted : callable
        Told target and outcome of each change.
    rng : random.Random
        For the jitter of pauses.
    """

    def __init__(
        self,
        wiring: Wiring,
        on_store: OnStore,
        clock: Callable[[], float],
        counted: Callable[[str, str], None],
        rng: random.Random,
    ) -> None:
        self._wiring = wiring
        self._on_store = on_store
        self._clock = clock
        self._counted = counted
        self._rng = rng

    async def step(self, session: ClientSession, run: Run) -> None:
        """Do what *run* waits for, and write down what came of it."""
        if run.state == "proposed":
            await self._change(run, "denied", "nobody approved it in time")
        elif run.state in ("pending", "starting"):
            await self._start(session, run)
        elif run.state == "running":
            await self._follow(session, run)
        elif run.state == "closing":
            await self._close(session, run)

    # ------------------------------------------------------------------ start

    async def _start(self, session: ClientSession, run: Run) -> None:
        route = self._wiring.route(run.request.route)
        target = self._wiring.targets.get(run.request.target)
        if route is None or target is None:
            await self._change(run, "dead", "its route or target is no longer in the settings")
            return
        try:
            payload = self._wiring.payloads[run.request.route].fill(run.request)
        except Exception as error:  # whatever a template can do
            await self._change(run, "dead", f"its payload cannot be filled in: {type(error).__name__}")
            return
        doubtful = run.state == "starting"
        before = run.before
        if run.attempts == 0:
            before = await self._facts_before(session, run)
        marked = await self._change(
            run, "starting", run.reason, attempts=run.attempts + 1, before=before, quiet=True
        )
        if marked is None:
            return
        outcome = await self._call(
            session, target, marked, payload, unsure=doubtful and not target.idempotent
        )
        if isinstance(outcome, Started):
            now = self._clock()
            await self._change(
                marked,
                "running",
                "it was there already" if outcome.already else "",
                external_id=outcome.external_id,
                url=outcome.url,
                started_seconds=now,
                next_seconds=now + self._wiring.settings.retry.follow,
            )
        elif isinstance(outcome, Permanent):
            await self._give_up(marked, outcome.reason, doubtful=doubtful)
        else:
            # Where a target that knows ids is called again, nobody has looked for the first call.
            doubtful = outcome.maybe_started or (doubtful and target.idempotent)
            await self._later(marked, outcome, doubtful=doubtful)

    async def _call(
        self, session: ClientSession, target: Target, run: Run, payload: dict[str, Any], *, unsure: bool
    ) -> Started | Permanent | Retryable:
        import aiohttp

        maybe = False
        try:
            async with asyncio.timeout(self._wiring.settings.retry.timeout):
                if unsure:
                    found = await target.find(session, run.request)
                    if found is None:
                        return Permanent(
                            "it may have been started before; look there, then replay or deny it"
                        )
                    if found:
                        return found
                maybe = True
                return await target.start(session, run.request, payload)
        except (Permanent, Retryable) as error:
            if not maybe and isinstance(error, Retryable):
                return Retryable(error.reason, error.retry_after_seconds, maybe_started=True)
            return error
        except aiohttp.ClientConnectorError as error:
            return Retryable(f"no connection: {type(error).__name__}", maybe_started=unsure and not maybe)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Retryable(f"no answer: {type(error).__name__}", maybe_started=True)
        except Exception as error:
            _log.exception("target %s failed", run.request.target)
            return Retryable(f"the target has a fault: {type(error).__name__}", maybe_started=True)

    async def _later(self, run: Run, error: Retryable, *, doubtful: bool) -> None:
        """Try again, or give up: 'starting' keeps in mind that the run may be there."""
        how = self._wiring.settings.retry
        if run.attempts >= how.attempts:
            hint = "; it may have been started" if doubtful else ""
            reason = f"{error.reason}; given up after {run.attempts} calls{hint}"
            await self._give_up(run, reason, doubtful=doubtful)
            return
        pause = min(how.longest, how.first * 2.0 ** min(run.attempts - 1, 60)) * self._rng.uniform(0.5, 1.5)
        asked = min(error.retry_after_seconds or 0.0, LONGEST_RETRY_AFTER_SECONDS)
        await self._change(
            run,
            "starting" if doubtful else "pending",
            error.reason,
            next_seconds=self._clock() + max(pause, asked),
            what="retry",
        )

    async def _give_up(self, run: Run, reason: str, *, doubtful: bool) -> None:
        """A dead letter. One that may have been started has a time for that, so that brakes count it."""
        started = self._clock() if doubtful else run.started_seconds
        await self._change(run, "dead", reason, started_seconds=started)

    async def _facts_before(self, session: ClientSession, run: Run) -> Facts:
        closer = self._wiring.closer
        if closer is None or not closer.knows(run.request.model):
            return Facts(run.request.reference_id)
        try:
            async with asyncio.timeout(FACTS_SECONDS):
                return await closer.before(session, run)
        except Exception:
            _log.warning(
                "the drift score of %s before the run is not known", run.request.model, exc_info=True
            )
            return Facts(run.request.reference_id)

    # ------------------------------------------------------------------ follow

    async def _follow(self, session: ClientSession, run: Run) -> None:
        target = self._wiring.targets.get(run.request.target)
        closer = self._wiring.closer
        closable = closer is not None and closer.knows(run.request.model)
        now = self._clock()
        again = now + self._wiring.settings.retry.follow
        overdue = now > run.started_seconds + self._timeout(run)
        state = None
        if target is not None and run.external_id:
            try:
                async with asyncio.timeout(self._wiring.settings.retry.timeout):
                    state = await target.state(session, run.external_id)
            except Exception as error:
                _log.warning("the state of %s cannot be had: %s", run.id, type(error).__name__)
                state = "running"
        if state == "succeeded":
            done: State = "closing" if closable else "succeeded"
            await self._change(run, done, "", next_seconds=now)
        elif state == "failed":
            await self._change(run, "failed", "the target says so")
        elif state == "unknown" and now > run.started_seconds + UNKNOWN_SECONDS:
            await self._change(run, "failed", "the target knows no such run")
        elif state is None and closable:
            await self._change(run, "closing", "the target tells no states", next_seconds=now)
        elif overdue:
            reason = "not over in time" if state else "the target tells no states"
            await self._change(run, "failed" if state else "ended", reason)
        else:
            await self._change(run, "running", run.reason, next_seconds=again, quiet=True)

    async def _close(self, session: ClientSession, run: Run) -> None:
        closer = self._wiring.closer
        if closer is None or not closer.knows(run.request.model):
            await self._change(run, "ended", "nothing says any more where its reference appears")
            return
        now = self._clock()
        after, reason = None, run.reason
        overdue = now > run.changed_seconds + self._patience(run.request.model)
        try:
            after = await closer.after(session, run)
        except NotYet as waits:
            reason = waits.reason
            after = waits.facts if overdue else None
        except Exception as error:
            _log.warning("whether %s has had its effect cannot be seen", run.id, exc_info=True)
            reason = f"it cannot be seen: {type(error).__name__}"
        if after is not None:
            await self._change(run, "succeeded", _told(run.before, after), after=after)
        elif overdue:
            await self._change(run, "failed", f"no new reference in time; {reason}".removesuffix("; "))
        else:
            again = now + self._wiring.settings.retry.follow
            await self._change(run, "closing", reason, next_seconds=again, quiet=True)

    def _patience(self, model: str) -> float:
        """How long a closing run of *model* waits, in seconds."""
        timeouts = {each.model: each.timeout for each in self._wiring.settings.closings}
        return timeouts.get(model, timeouts.get("*", 0.0))

    def _timeout(self, run: Run) -> float:
        route = self._wiring.route(run.request.route)
        return 0.0 if route is None else route.settings.timeout

    # ------------------------------------------------------------------ write down

    async def _change(
        self, run: Run, state: State, reason: str, *, quiet: bool = False, what: str = "", **more: Any
    ) -> Run | None:
        """The run as it now is; None when another process has changed it meanwhile."""
        now = self._clock()
        changed = run.changed_seconds if state == run.state else now
        new = replace(run, state=state, reason=reason, changed_seconds=changed, **more)
        entry = Entry(
            seconds=now,
            what=what or state,
            model=run.request.model,
            route=run.request.route,
            reason=reason,
            run_id=run.id,
        )

        def write(store: Store) -> bool:
            with store.writing():
                current = store.run(run.id)
                if current is None or current.state != run.state:
                    return False
                store.put_run(new)
                if not quiet:
                    store.log(entry)
            return True

        if not await self._on_store(write):
            return None
        if not quiet:
            self._counted(run.request.target, "started" if state == "running" else what or state)
            _log.info("%s is %s%s", run.id, what or state, f": {reason}" if reason else "")
        return new


def _told(before: Facts, after: Facts) -> str:
    """What has come of a run, for people."""
    scores = [
        f"{facts.score:.3g} {when}"
        for facts, when in ((before, "before"), (after, "after"))
        if facts.score is not None
    ]
    reference = f"reference {after.reference_id} is in force" if after.reference_id else ""
    score = f"drift score {', '.join(scores)}" if scores else ""
    return "; ".join(filter(None, [reference, score]))

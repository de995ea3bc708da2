"""The worker: what is posted is stored, what is stored is decided, what is decided is started.

Nothing is kept in memory that matters: after a kill the file says all. A message is answered when its
transaction is written; messages that wait share one. One loop then reads the file, decides for each model
with something new, and takes a step with each run that is due. Deciding and writing the run down are one
transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from driftgauge.bridge.alerts import Alert
from driftgauge.bridge.deciding import Decider
from driftgauge.bridge.families import BridgeSnapshot
from driftgauge.bridge.records import Run
from driftgauge.bridge.runner import Runner
from driftgauge.bridge.store import Store
from driftgauge.bridge.wiring import Wiring

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Engine", "TooManyWaiting"]

IDLE_SECONDS: Final = 1.0
PACE_SECONDS: Final = 0.05  # between two looks, so that what comes meanwhile is decided together
DECIDED_AT_A_TIME: Final = 10  # models of one transaction: messages are written between two of them
PRUNE_SECONDS: Final = 600.0
MOST_PRUNED: Final = 5_000
RUN_OUTCOMES: Final = ("started", "succeeded", "failed", "ended", "dead")

_log = logging.getLogger("driftgauge.bridge")

Answer = TypeVar("Answer")


class TooManyWaiting(Exception):  # noqa: N818 - answered with 503
    """So many messages wait to be written that no more are taken."""


class Engine:
    """Everything but HTTP. `start` and `stop` on one event loop.

    Parameters
    ----------
    wiring : Wiring
    store : Store
    clock : callable, optional
        Unix time.
    rng : random.Random, optional
    """

    def __init__(
        self,
        wiring: Wiring,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.wiring = wiring
        # What has not happened yet is told as 0: the increase of a counter that begins at 1 is lost.
        self.received: Counter[str] = Counter(dict.fromkeys(("new", "not_stored", "queue_full"), 0))
        self._outcomes: Counter[tuple[str, str]] = Counter(
            {(target, outcome): 0 for target in wiring.targets for outcome in RUN_OUTCOMES}
        )
        self._decider = Decider(wiring)
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "driftgauge-store")
        self._runner = Runner(wiring, self._on_store, clock, self._count, rng or random.Random())
        self._waiting: list[tuple[Sequence[Alert], asyncio.Future[Counter[str]]]] = []
        self._posted, self._wake = asyncio.Event(), asyncio.Event()
        self._dirty: set[str] = set()
        self._busy: set[str] = set()
        self._version = -1
        self._tasks: list[asyncio.Task[None]] = []
        self._steps: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None

    # ------------------------------------------------------------------ messages

    async def post(self, alerts: Sequence[Alert]) -> Counter[str]:
        """Store alerts, and say what they were, once they are safe.

        Raises
        ------
        TooManyWaiting
        sqlite3.Error
            They could not be stored.
        """
        if len(self._waiting) >= self.wiring.settings.webhook.waiting:
            raise TooManyWaiting
        done: asyncio.Future[Counter[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((alerts, done))
        self._posted.set()
        return await done

    async def _write_for_ever(self) -> None:
        while True:
            await self._posted.wait()
            self._posted.clear()
            batch, self._waiting = self._waiting, []
            now = self._clock()
            messages = [each for each, _ in batch]
            try:
                outcomes, models = await self._on_store(partial(_put, messages, now))
            except Exception as error:
                _log.exception("%d messages could not be stored", len(batch))
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
                continue
            for (_, done), outcome in zip(batch, outcomes, strict=True):
                self.received.update(outcome)
                if not done.done():
                    done.set_result(outcome)
            if models:
                self._dirty |= models
                self._wake.set()

    async def _on_store(self, function: Callable[[Store], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, self._store)

    # ------------------------------------------------------------------ the loop

    async def start(self) -> None:
        """Begin, with whatever an earlier process left."""
        import aiohttp

        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.wiring.settings.retry.timeout),
        )
        loop = asyncio.get_running_loop()
        works = (self._write_for_ever, self._look_for_ever, self._prune_for_ever)
        self._tasks = [loop.create_task(work()) for work in works]

    async def stop(self, drain_seconds: float = 5.0) -> None:
        """End: calls that were made may be answered meanwhile; the rest is taken up at the next start."""
        writer, others = self._tasks[:1], self._tasks[1:]
        await _ended(others)
        if self._steps:
            await asyncio.wait(self._steps, timeout=drain_seconds)
        await _ended([*self._steps])
        await _ended(writer)
        self._tasks = []
        if self._session is not None:
            await self._session.close()
        await asyncio.to_thread(self._thread.shutdown)

    async def _look_for_ever(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._look()
            except Exception:
                _log.exception("looking at what is stored failed; it is tried again")
                await asyncio.sleep(IDLE_SECONDS)
            took = time.monotonic() - begun
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):  # wait_for may swallow that we are cancelled
                    await self._wake.wait()
            self._wake.clear()
            # Deciding reads all that fires of a model, 2 ms for 100 alerts. It takes half of a core at most,
            # however much fires, so that what is posted can always be stored.
            await asyncio.sleep(max(PACE_SECONDS, took))

    async def _look(self) -> None:
        now = self._clock()
        version = await self._on_store(Store.changed_by_others)
        if version != self._version:  # at the start, and when the command line has written
            self._dirty |= await self._on_store(Store.models_firing)
            self._version = version
        self._dirty |= {model for model, when in self._decider.again.items() if when <= now}
        models, self._dirty = sorted(self._dirty), set()
        while models:
            some = models[:DECIDED_AT_A_TIME]
            try:
                await self._on_store(partial(_decide, self._decider, some, now, self._busy))
            except BaseException:
                self._dirty |= set(models)
                raise
            del models[:DECIDED_AT_A_TIME]
        most = self.wiring.settings.retry.at_a_time
        free = most - len(self._busy)
        if free > 0:
            due = await self._on_store(lambda store: store.runs_due(self._clock(), most))
            for run in [each for each in due if each.id not in self._busy][:free]:
                self._busy.add(run.id)
                step = asyncio.get_running_loop().create_task(self._step(run))
                self._steps.add(step)
                step.add_done_callback(self._steps.discard)

    async def _step(self, run: Run) -> None:
        assert self._session is not None
        try:
            await self._runner.step(self._session, run)
        except Exception:
            _log.exception("a step with %s failed; it is tried again", run.id)
            await asyncio.sleep(IDLE_SECONDS)
        finally:
            self._busy.discard(run.id)
            self._dirty.add(run.request.model)
            self._wake.set()

    async def _prune_for_ever(self) -> None:
        own = self.wiring.settings.store
        alerts, runs = max(own.retention, own.stale_after), max(own.runs, self._decider.look_back_seconds)
        while True:
            try:
                now = self._clock()
                gone = await self._on_store(partial(_prune, now - alerts, now - runs, own.most_rows))
            except Exception:
                _log.exception("old alerts could not be taken away")
                gone = 0
            await asyncio.sleep(PACE_SECONDS if gone >= MOST_PRUNED else PRUNE_SECONDS)

    # ------------------------------------------------------------------ what is told

    def _count(self, target: str, outcome: str) -> None:
        self._outcomes[target, outcome] += 1

    async def snapshot(self) -> BridgeSnapshot:
        """For the metrics."""
        (waiting, oldest, dead), last = await self._on_store(
            lambda store: (store.pending(), store.last_success())
        )
        return BridgeSnapshot(
            runs=dict(self._outcomes),
            suppressed=dict(self._decider.suppressed),
            alerts=dict(self.received),
            pending_runs=waiting,
            oldest_pending_seconds=oldest,
            last_success_seconds=last,
            dead_letters=dead,
        )

    async def runs(self, limit: int = 100) -> list[Run]:
        """The newest runs."""
        return await self._on_store(lambda store: store.runs(limit=limit))


def _put(
    messages: Sequence[Sequence[Alert]], now: float, store: Store
) -> tuple[list[Counter[str]], set[str]]:
    return store.put_alerts(messages, now)


def _decide(decider: Decider, models: Sequence[str], now: float, busy: Collection[str], store: Store) -> None:
    decider.decide(store, models, now, busy)


def _prune(alerts_before: float, runs_before: float, most_rows: int, store: Store) -> int:
    return store.prune(alerts_before, runs_before, most_rows)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""Starting exactly once, where the target helps and where it does not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from bridge_cases import NOW, alert, held, route, settings_of

from driftgauge.bridge import by_hand
from driftgauge.bridge.decide import DAY_SECONDS, decide
from driftgauge.bridge.deciding import Decider
from driftgauge.bridge.engine import Engine
from driftgauge.bridge.records import Closer, Entry, Facts, NotYet, Run, State
from driftgauge.bridge.runner import Runner
from driftgauge.bridge.settings import ClosingSettings
from driftgauge.bridge.store import Store
from driftgauge.bridge.targets import Permanent, Retryable, RunRequest, RunState, Started
from driftgauge.bridge.wiring import Wiring, wire
from driftgauge.errors import ConfigError


class Scripted:
    """A target that does what it is told, one thing a call."""

    name: ClassVar[str] = "scripted"
    settings: ClassVar[Any] = None
    idempotent: ClassVar[bool] = False

    def __init__(self, *script: Any, found: Started | Literal[False] | None = None) -> None:
        self.script = list(script)
        self.found = found
        self.told: RunState | None = "running"
        self.asked: Counter[str] = Counter()

    async def start(self, _: Any, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        self.asked["start"] += 1
        assert payload["run_id"] == run.run_id
        step = self.script.pop(0) if self.script else Started("x")
        if isinstance(step, BaseException):
            raise step
        return step

    async def state(self, *_: Any) -> RunState | None:
        self.asked["state"] += 1
        return self.told

    async def find(self, *_: Any) -> Started | Literal[False] | None:
        self.asked["find"] += 1
        return self.found


class Knowing(Scripted):
    """The same, and it knows run ids."""

    idempotent: ClassVar[bool] = True


class Closing:
    """Has the new reference after some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def knows(self, model: str) -> bool:
        return model == "churn"

    async def before(self, *_: Any) -> Facts:
        return Facts("old", 1.4)

    async def after(self, *_: Any) -> Facts:
        self.looks -= 1
        if self.looks:
            reason = "it is not there"
            raise NotYet(reason)
        return Facts("new", 0.1)


class World:
    """A run, a runner and a clock that a test sets."""

    def __init__(
        self, folder: Path, target: Scripted, state: State = "pending", closer: Closer | None = None
    ) -> None:
        settings = settings_of(folder)
        if closer is not None:
            settings = settings.model_copy(
                update={"closings": (ClosingSettings(reference="here", timeout=50),)}
            )
            wiring = replace(
                wire(settings.model_copy(update={"closings": ()}), {}), settings=settings, closer=closer
            )
        else:
            wiring = wire(settings, {})
        self.wiring: Wiring = replace(wiring, targets={"training": target})
        self.store = Store(settings.store.path)
        self.now = NOW
        self.counted: Counter[str] = Counter()
        decided = decide(route(), [held(alert())], (), (), NOW)
        assert decided.run is not None
        self.id = decided.run.run_id
        self.store.add_run(Run(request=decided.run, state=state, created_seconds=NOW, changed_seconds=NOW))

    def step(self) -> Run:
        """One step with the run, and what it then is."""

        async def on_store(function: Any) -> Any:
            return function(self.store)

        def count(_: str, outcome: str) -> None:
            self.counted[outcome] += 1

        runner = Runner(self.wiring, on_store, lambda: self.now, count, random.Random(1))
        asyncio.run(runner.step(None, self.run))  # type: ignore[arg-type]
        return self.run

    @property
    def run(self) -> Run:
        found = self.store.run(self.id)
        assert found is not None
        return found


def test_a_run_is_written_down_before_its_target_is_called(tmp_path: Path) -> None:
    target = Scripted(KeyboardInterrupt())  # as near to kill -9 as one process comes
    world = World(tmp_path, target)
    with pytest.raises(KeyboardInterrupt):
        world.step()
    assert (world.run.state, world.run.attempts) == ("starting", 1)


@pytest.mark.parametrize(
    ("error", "waits_as"),
    [
        (Retryable("503"), "pending"),
        (Retryable("lost", maybe_started=True), "starting"),
        (TimeoutError(), "starting"),
        (ValueError(), "starting"),
    ],
)
def test_a_target_that_knows_ids_is_simply_asked_again(
    tmp_path: Path, error: Exception, waits_as: State
) -> None:
    target = Knowing(error, Started("x", already=True))
    world = World(tmp_path, target)
    assert world.step().state == waits_as
    assert world.step().state == "running"
    assert target.asked == {"start": 2}


@pytest.mark.parametrize("target", [Knowing, Scripted])
def test_a_run_that_may_be_there_is_never_called_not_started(tmp_path: Path, target: type[Scripted]) -> None:
    later = [Retryable("no connection")] * 11
    world = World(tmp_path, target(Retryable("lost", maybe_started=True), *later, found=None))
    assert world.step().state == "starting"
    with pytest.raises(ConfigError, match="must be stopped there"):
        by_hand.deny(world.store, world.id, NOW, "me")
    while world.step().state == "starting":
        pass
    assert "may have been started" in world.run.reason
    other = [held(alert(feature="income"))]
    assert decide(route(), other, (), [world.run], NOW + 60).brake == "cooldown"
    assert decide(route(cooldown=0, runs_per_day=1), other, (), [world.run], NOW + 60).brake == "runs_per_day"


def test_a_run_that_surely_was_not_started_holds_nothing_back(tmp_path: Path) -> None:
    world = World(tmp_path, Knowing(Permanent("401")))
    world.step()
    assert decide(route(), [held(alert(feature="income"))], (), [world.run], NOW).verdict == "start"


def test_after_a_crash_nobody_starts_twice_where_nobody_can_tell(tmp_path: Path) -> None:
    target = Scripted(found=None)
    world = World(tmp_path, target, state="starting")
    assert world.step().state == "dead"
    assert "may have been started" in world.run.reason
    assert target.asked == {"find": 1}


def test_after_a_crash_a_run_that_is_there_is_found(tmp_path: Path) -> None:
    target = Scripted(found=Started("77"))
    world = World(tmp_path, target, state="starting")
    assert (world.step().state, world.run.external_id) == ("running", "77")
    assert target.asked == {"find": 1}


def test_after_a_crash_a_run_that_is_not_there_is_started(tmp_path: Path) -> None:
    target = Scripted(found=False)
    world = World(tmp_path, target, state="starting")
    assert world.step().state == "running"
    assert target.asked == {"find": 1, "start": 1}


def test_a_call_that_surely_did_not_arrive_is_repeated_without_asking(tmp_path: Path) -> None:
    target = Scripted(Retryable("429", 40.0))
    world = World(tmp_path, target)
    assert world.step().state == "pending"
    assert world.run.next_seconds == NOW + 40
    assert world.step().state == "running"
    assert target.asked == {"start": 2}


def test_a_run_that_cannot_be_started_is_given_up(tmp_path: Path) -> None:
    world = World(tmp_path, Knowing(*[Retryable("503")] * 12))
    for _ in range(11):
        assert world.step().state == "pending"
    assert world.step().state == "dead"
    assert "given up after 12 calls" in world.run.reason


def test_what_is_refused_is_refused_for_good(tmp_path: Path) -> None:
    world = World(tmp_path, Scripted(Permanent("401")))
    assert (world.step().state, world.run.reason) == ("dead", "401")


@pytest.mark.parametrize(
    ("told", "later", "state"),
    [
        ("running", 1, "running"),
        ("running", 90_000, "failed"),
        ("succeeded", 1, "succeeded"),
        ("failed", 1, "failed"),
        ("unknown", 1, "running"),
        ("unknown", 400, "failed"),
        (None, 1, "running"),
        (None, 90_000, "ended"),
    ],
)
def test_a_run_is_followed(tmp_path: Path, told: RunState | None, later: float, state: State) -> None:
    target = Scripted()
    world = World(tmp_path, target)
    world.step()
    target.told = told
    world.now += later
    assert world.step().state == state


@pytest.mark.parametrize("told", ["succeeded", None])
def test_the_loop_is_closed_when_the_new_reference_is_in_force(tmp_path: Path, told: RunState | None) -> None:
    target = Scripted()
    world = World(tmp_path, target, closer=Closing(2))
    target.told = told
    assert [world.step().state for _ in range(4)] == ["running", "closing", "closing", "succeeded"]
    assert (world.run.before, world.run.after) == (Facts("old", 1.4), Facts("new", 0.1))
    assert world.run.reason == "reference new is in force; drift score 1.4 before, 0.1 after"


def test_a_reference_that_never_comes_is_a_failure(tmp_path: Path) -> None:
    target = Scripted()
    world = World(tmp_path, target, closer=Closing(1_000))
    target.told = "succeeded"
    world.step()
    world.step()
    world.now += 51
    run = world.step()
    assert (run.state, run.reason) == ("failed", "no new reference in time; it is not there")


def test_what_a_person_did_meanwhile_stays(tmp_path: Path) -> None:
    world = World(tmp_path, Scripted())
    stale = world.run
    world.store.put_run(replace(stale, state="denied"))
    target = world.wiring.targets["training"]
    run = Runner(world.wiring, _at_once(world.store), lambda: NOW, lambda *_: None, random.Random(1))
    asyncio.run(run.step(None, stale))  # type: ignore[arg-type]
    assert world.run.state == "denied"
    assert target.asked == {}  # type: ignore[attr-defined]


def _at_once(store: Store) -> Any:
    async def on_store(function: Any) -> Any:
        return function(store)

    return on_store


@pytest.mark.parametrize(("setting", "state"), [("go_on", "proposed"), ("drop_waiting", "denied")])
def test_resolved_alerts_cancel_nothing_unless_the_user_says_so(
    tmp_path: Path, setting: str, state: str
) -> None:
    settings = settings_of(tmp_path, more=f'approval = true\nwhen_resolved = "{setting}"\n')
    store, decider = Store(settings.store.path), Decider(wire(settings, {}))
    store.put_alerts([[alert()]], NOW)
    decider.decide(store, ["churn"], NOW, ())
    assert [run.reason for run in store.runs()] == ["1 alert; a person must approve"]
    store.put_alerts([[alert(status="resolved")]], NOW)
    decider.decide(store, ["churn"], NOW + 1, ())
    assert [run.state for run in store.runs()] == [state]


def test_a_no_is_written_once_until_something_changes(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, more="quorum_features = 3\n")
    store, decider = Store(settings.store.path), Decider(wire(settings, {}))
    for number in range(3):
        store.put_alerts([[alert(feature=f"f{number}")]], NOW)
        for second in range(5):
            decider.decide(store, ["churn"], NOW + second, ())
    assert [(each.what, each.brake) for each in store.entries()] == [
        ("no", "quorum"),
        ("no", "quorum"),
        ("start", ""),
    ]
    assert +decider.suppressed == {"quorum": 2}  # those that held


def test_a_dry_run_leaves_its_alerts_to_a_real_one(tmp_path: Path) -> None:
    dry = settings_of(tmp_path, more="dry_run = true\n")
    store = Store(dry.store.path)
    store.put_alerts([[alert()]], NOW)
    for _ in range(3):
        Decider(wire(dry, {})).decide(store, ["churn"], NOW, ())
    assert [run.state for run in store.runs()] == ["dry"]
    Decider(wire(settings_of(tmp_path), {})).decide(store, ["churn"], NOW, ())
    assert sorted(run.state for run in store.runs()) == ["dry", "pending"]


def test_brakes_read_no_older_runs_than_they_ask_for(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, more='cooldown = "3d"\n')
    store, decider = Store(settings.store.path), Decider(wire(settings, {}))
    for day in range(400):
        decided = decide(route(), [held(alert(starts=NOW - day * DAY_SECONDS))], (), (), NOW)
        assert decided.run is not None
        run = Run(request=decided.run, state="failed", created_seconds=NOW - 1 - day * DAY_SECONDS)
        store.add_run(replace(run, state="running") if day == 300 else run)
    read: list[int] = []
    runs_of = store.runs_of

    def counted(model: str, since_seconds: float) -> list[Run]:
        found = runs_of(model, since_seconds)
        read.append(len(found))
        return found

    store.runs_of = counted  # type: ignore[method-assign]
    store.put_alerts([[alert(starts=NOW + 1)]], NOW + 1)
    decider.decide(store, ["churn"], NOW + 1, ())
    assert read == [4]  # three days of them, and the one that is not over
    assert [each.brake for each in store.entries()] == ["single_flight"]


def test_runs_at_a_target_that_is_down_do_not_hold_back_those_of_another(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    for number in range(20):
        decided = decide(route(), [held(alert(f"m{number}"))], (), (), NOW)
        assert decided.run is not None
        # The older they are, the later they were tried.
        store.add_run(
            Run(request=decided.run, state="pending", created_seconds=NOW + number, next_seconds=NOW - number)
        )
    assert [run.request.model for run in store.runs_due(NOW, 3)] == ["m19", "m18", "m17"]


def test_what_is_too_old_goes_while_the_bridge_works(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    keeps, runs = settings.store.retention, settings.store.runs
    store = Store(settings.store.path)
    old = [alert(f"m{n % 9}", f"f{n}", starts=NOW, driftgauge_action="none") for n in range(12_000)]
    store.put_alerts([old], NOW)
    for number, state in enumerate(("succeeded", "proposed")):
        decided = decide(route(), [held(alert(f"old-{number}"))], (), (), NOW)
        assert decided.run is not None
        run = Run(request=decided.run, state=state, created_seconds=NOW, changed_seconds=NOW)  # type: ignore[arg-type]
        store.add_run(replace(run, next_seconds=NOW + 9 * runs), covers="retrain")
        store.log(Entry(seconds=NOW, what="start", model=run.request.model))
    store.put_alerts([[alert("young", driftgauge_action="none")]], NOW + keeps)
    now = NOW + keeps + 1

    async def story() -> None:
        nonlocal now
        engine = Engine(wire(settings, {}), store, clock=lambda: now)
        await engine.start()
        try:

            async def gone(query: str, left: int) -> None:
                for _ in range(600):
                    count = await engine._on_store(lambda store: store._db.execute(query).fetchone()[0])
                    if count == left:
                        return
                    await asyncio.sleep(0.05)
                pytest.fail(f"{query} is {count}, not {left}")

            # More than one piece, and the next does not wait for ten minutes.
            await gone("SELECT count(*) FROM alerts", 1)
            await gone("SELECT count(*) FROM decisions", 0)
            await gone("SELECT count(*) FROM covered", 0)
            assert len(await engine.runs()) == 2
            now = NOW + runs + 1
        finally:
            await engine.stop()
        again = Engine(wire(settings, {}), store, clock=lambda: now)
        await again.start()
        try:
            for _ in range(600):
                if [run.state for run in await again.runs()] == ["proposed"]:
                    return
                await asyncio.sleep(0.05)
            pytest.fail("the old run stays")
        finally:
            await again.stop()

    asyncio.run(story())

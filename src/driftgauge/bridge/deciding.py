"""Decisions as they are written down: each with its reason, and the run in the same transaction."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from driftgauge.bridge.decide import BRAKES, DAY_SECONDS, Decision, Route, decide, run_id
from driftgauge.bridge.records import Entry, Run
from driftgauge.bridge.store import Store
from driftgauge.bridge.wiring import Wiring

__all__ = ["Decider"]


class Decider:
    """Decides for models. A "no" is written down once, until its brake or its alerts change.

    Parameters
    ----------
    wiring : Wiring
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self.suppressed: Counter[str] = Counter(dict.fromkeys(BRAKES, 0))
        """How often each brake held."""
        self.again: dict[str, float] = {}
        """When to decide again for a model although nothing has changed."""
        self._told: dict[tuple[str, str], tuple[str, bytes]] = {}
        # Reading all runs that are kept takes longer the longer a model is watched.
        self.look_back_seconds: float = max(
            [DAY_SECONDS, *(route.settings.cooldown for route in wiring.routes)]
        )
        """Brakes ask for no older run."""

    def decide(self, store: Store, models: Sequence[str], now: float, busy: Collection[str]) -> None:
        """Decide for *models* in one transaction, and write down what was decided.

        Runs that are *busy* are being started and are left alone.
        """
        since = now - self.look_back_seconds
        counted: Counter[str] = Counter()
        again: dict[str, float | None] = {}
        told = dict(self._told)
        with store.writing():
            for model in models:
                firing = store.firing(model, now - self._wiring.settings.store.stale_after)
                times = []
                for route in self._wiring.routes:
                    if route.settings.when_resolved == "drop_waiting":
                        _drop_waiting(store, route, model, {each.alert.key for each in firing}, busy, now)
                    covers = _covers(route)
                    runs = store.runs_of(model, since)
                    decision = decide(route, firing, store.covered(covers, model), runs, now)
                    if decision.again_seconds is not None:
                        times.append(decision.again_seconds)
                    _apply(store, route, model, decision, now, told, counted)
                again[model] = min(times, default=None)
        # Only what is written counts.
        self._told = told
        self.suppressed.update(counted)
        for model, when in again.items():
            if when is None:
                self.again.pop(model, None)
            else:
                self.again[model] = when


def _apply(
    store: Store,
    route: Route,
    model: str,
    decision: Decision,
    now: float,
    told: dict[tuple[str, str], tuple[str, bytes]],
    counted: Counter[str],
) -> None:
    place = (route.settings.name, model)
    if decision.verdict in ("nothing", "wait"):
        if decision.verdict == "nothing":
            told.pop(place, None)
        return
    keys = hashlib.sha256("\n".join(decision.alert_keys).encode()).digest()
    if decision.verdict == "no" and told.get(place) == (decision.brake, keys):
        return
    told[place] = (decision.brake, keys)
    request = decision.run
    brake, reason = decision.brake, decision.reason
    if request is not None:
        within = route.settings.approval_within
        if decision.verdict == "no":  # a dry run: kept apart, so that a real one may follow
            key = hashlib.sha256(f"dry {request.key}".encode()).hexdigest()
            run = Run(request=replace(request, key=key, run_id=run_id(model, key)), state="dry")
        elif decision.verdict == "propose":
            run = Run(request=request, state="proposed", reason=reason, next_seconds=now + within)
        else:
            run = Run(request=request, state="pending", next_seconds=now)
        run = replace(run, created_seconds=now, changed_seconds=now)
        if not store.add_run(run, covers=_covers(route)):
            reason = f"{request.run_id} is there already"
    if decision.verdict == "no":
        counted[brake] += 1
    store.log(
        Entry(
            seconds=now,
            what=decision.verdict,
            model=model,
            route=route.settings.name,
            brake=brake,
            reason=reason,
            run_id="" if request is None else request.run_id,
            alert_keys=decision.alert_keys,
        )
    )


def _drop_waiting(
    store: Store, route: Route, model: str, firing: set[str], busy: Collection[str], now: float
) -> None:
    for run in store.runs_of(model, now):
        waits = run.state in ("proposed", "pending") and run.request.route == route.settings.name
        if waits and run.id not in busy and not firing & set(run.request.alert_keys):
            reason = "its alerts have resolved"
            store.put_run(replace(run, state="denied", reason=reason, changed_seconds=now))
            store.log(
                Entry(
                    seconds=now,
                    what="denied",
                    model=model,
                    route=route.settings.name,
                    reason=reason,
                    run_id=run.id,
                )
            )


def _covers(route: Route) -> str:
    """What alerts are covered for: a dry run leaves them open for a real one."""
    return f"{route.settings.name} (dry)" if route.settings.dry_run else route.settings.name

"""What a person does to runs, from the command line: on the same file as the bridge, in one transaction each.

The bridge notices within a second. Nothing here calls a target.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from driftgauge.bridge.decide import run_id
from driftgauge.bridge.records import Entry, Run
from driftgauge.bridge.store import Store
from driftgauge.errors import ConfigError

__all__ = ["approve", "deny", "replay"]

REPLAYED_ANEW: Final = frozenset({"succeeded", "failed", "ended", "denied"})


def approve(store: Store, name: str, now_seconds: float, who: str) -> Run:
    """Let a proposal be started. The brakes are not asked again: a person has decided.

    Raises
    ------
    ConfigError
        There is no such run, or it waits for nobody.
    """
    with store.writing():
        run = _find(store, name)
        if run.state != "proposed":
            message = f"{run.id} is {run.state}, only a proposed run can be approved"
            raise ConfigError(message)
        return _write(store, run, "pending", "approved", f"approved by {who}", now_seconds)


def deny(store: Store, name: str, now_seconds: float, who: str) -> Run:
    """Refuse a proposal, or a run that surely has not been started; its alerts start no other run.

    Raises
    ------
    ConfigError
        There is no such run, or it cannot be stopped here any more.
    """
    with store.writing():
        run = _find(store, name)
        if run.state not in ("proposed", "pending", "dead"):
            message = f"{run.id} is {run.state}; a run that was handed to its target must be stopped there"
            raise ConfigError(message)
        return _write(store, run, "denied", "denied", f"denied by {who}", now_seconds)


def replay(store: Store, name: str, now_seconds: float, who: str) -> Run:
    """Start again: a dead letter with the same id, a run that is over as a new run with an id of its own.

    A target that got the first call of a dead letter all the same knows the id, where it knows ids at all.

    Raises
    ------
    ConfigError
        There is no such run, or it is not over.
    """
    with store.writing():
        run = _find(store, name)
        if run.state == "dead":
            return _write(store, run, "pending", "replayed", f"replayed by {who}", now_seconds)
        if run.state not in REPLAYED_ANEW:
            message = f"{run.id} is {run.state}; only a run that is over can be replayed"
            raise ConfigError(message)
        number = 1
        while True:
            key = hashlib.sha256(f"replay {number} {run.request.key}".encode()).hexdigest()
            fresh = run_id(run.request.model, key)
            if store.run(fresh) is None:
                break
            number += 1
        request = replace(run.request, key=key, run_id=fresh, started_seconds=now_seconds)
        new = Run(
            request=request,
            state="pending",
            reason=f"{run.id} replayed by {who}",
            next_seconds=now_seconds,
            created_seconds=now_seconds,
            changed_seconds=now_seconds,
        )
        store.add_run(new)
        _log(store, new, "replayed", now_seconds)
        return new


def _find(store: Store, name: str) -> Run:
    """The run of this id, or the only one whose id ends so."""
    found = store.run(name)
    if found is not None:
        return found
    near = [run for run in store.runs() if run.id.endswith(name)] if len(name) >= 4 else []
    if len(near) == 1:
        return near[0]
    what = "several runs end" if near else "no run is called or ends"
    message = f"{what} in {name!r}; see driftgauge bridge list"
    raise ConfigError(message)


def _write(store: Store, run: Run, state: str, what: str, reason: str, now: float) -> Run:
    new = replace(
        run,
        state=state,  # type: ignore[arg-type]
        reason=reason,
        attempts=0,
        next_seconds=now,
        changed_seconds=now,
    )
    store.put_run(new)
    _log(store, new, what, now)
    return new


def _log(store: Store, run: Run, what: str, now: float) -> None:
    request = run.request
    store.log(
        Entry(
            seconds=now,
            what=what,
            model=request.model,
            route=request.route,
            reason=run.reason,
            run_id=run.id,
            alert_keys=request.alert_keys,
        )
    )

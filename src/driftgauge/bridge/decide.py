"""The brakes: whether a run may start. Pure: alerts, earlier runs and the time in, a decision out.

An alert starts at most one run of a route. Those that fire and have had none are open; when the first of
them is `group_wait` old, all of them together ask for one run, and the brakes are asked in this order:

==================  ======================================================================================
`quorum`            too few inputs, outputs or performance alerts fire; one of the three suffices
`single_flight`     a run of this model is not over, or waits for approval
`cooldown`          the last run of this model is too young; one that a person denied counts as well, and a
                    dead letter that may have been started
`runs_per_day`      so many runs of this model were started within 24 hours
`quiet_hours`       it is the wrong time
`dry_run`           it would be started
==================  ======================================================================================

A brake that holds is asked again when it may let go, so nothing is lost: an alert that still fires when
the cooldown is over starts its run then. All brakes but `quorum` count every run of the model, whatever its
route. A clock that was put right leaves runs of a time to come: one counts if it is as near as one of the
past would have to be, so that a clock which was a year ahead does not stop training for a year.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

from driftgauge.bridge.alerts import Alert, time_text
from driftgauge.bridge.hours import QuietHours, quiet_until
from driftgauge.bridge.records import IN_FLIGHT, Run
from driftgauge.bridge.settings import RouteSettings
from driftgauge.bridge.targets import Feature, RunRequest

__all__ = ["BRAKES", "DAY_SECONDS", "Decision", "Held", "Route", "decide", "request_of", "run_key"]

BRAKES: Final = ("cooldown", "dry_run", "quiet_hours", "quorum", "runs_per_day", "single_flight")
DAY_SECONDS: Final = 86_400.0
MOST_FEATURES: Final = 1_000
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Held:
    """An alert as the store has it.

    Parameters
    ----------
    alert : Alert
    received_seconds : float
        When it first came.
    """

    alert: Alert
    received_seconds: float


@dataclass(frozen=True, slots=True)
class Route:
    """A route with its patterns and hours read. Made by `Route.of`."""

    settings: RouteSettings
    patterns: Mapping[str, re.Pattern[str]] = field(repr=False)
    quiet: tuple[QuietHours, ...]
    zone: tzinfo

    @classmethod
    def of(cls, settings: RouteSettings) -> Route:
        """Of its settings."""
        return cls(
            settings,
            {label: re.compile(pattern) for label, pattern in settings.match_regex.items()},
            tuple(QuietHours.read(text) for text in settings.quiet_hours),
            ZoneInfo(settings.time_zone),
        )

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels may start a run."""
        return all(labels.get(name, "") == value for name, value in self.settings.match.items()) and all(
            pattern.fullmatch(labels.get(name, "")) for name, pattern in self.patterns.items()
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done for a model and a route.

    Parameters
    ----------
    verdict : str
        ``'start'``, ``'propose'``, ``'no'``; ``'wait'`` while others may join, ``'nothing'`` where none is
        open.
    brake : str
        One of `BRAKES` for ``'no'``, else empty.
    reason : str
        For people.
    alert_keys : tuple of str
        The open alerts, sorted.
    run : RunRequest or None
        What is to be started, proposed, or would be with the brake `dry_run`.
    again_seconds : float or None
        When to ask again although no alert and no run has changed.
    """

    verdict: Literal["start", "propose", "no", "wait", "nothing"]
    brake: str = ""
    reason: str = ""
    alert_keys: tuple[str, ...] = ()
    run: RunRequest | None = None
    again_seconds: float | None = None


def decide(
    route: Route, firing: Sequence[Held], covered: Collection[str], runs: Sequence[Run], now_seconds: float
) -> Decision:
    """Whether a run of *route* may start for a model.

    Parameters
    ----------
    route : Route
    firing : sequence of Held
        All alerts of the model that fire, those that the route does not take too: they count for the quorum
        and say what moved.
    covered : collection of str
        Keys of alerts that have had a run of this route.
    runs : sequence of Run
        Of the model, of all routes.
    now_seconds : float

    Returns
    -------
    Decision
    """
    how = route.settings
    open_ = [each for each in firing if each.alert.key not in covered and route.takes(each.alert.labels)]
    if not open_:
        return Decision("nothing")
    keys = tuple(sorted(each.alert.key for each in open_))
    received = min(each.received_seconds for each in open_)
    ready = received + how.group_wait
    if received <= now_seconds < ready:
        return Decision("wait", "", "others may join", keys, again_seconds=ready)

    def no(brake: str, reason: str, again_seconds: float | None = None) -> Decision:
        return Decision("no", brake, reason, keys, again_seconds=again_seconds)

    if lacking := _lacking(route, firing):
        return no("quorum", lacking)
    counted = [run for run in runs if how.dry_run or run.state != "dry"]
    flying = [run for run in counted if run.state in IN_FLIGHT]
    if flying:
        return no("single_flight", f"{flying[0].id} is {flying[0].state}")
    cooling = [run for run in counted if run.state != "dead" or not run.never_started]
    cooling = [run for run in cooling if _near(run, now_seconds, how.cooldown)]
    if cooling:
        last = max(cooling, key=lambda run: run.created_seconds)
        over = last.created_seconds + how.cooldown
        return no("cooldown", f"{last.id} is younger than {how.cooldown:g} s", over)
    started = sorted(
        run.created_seconds
        for run in counted
        if _near(run, now_seconds, DAY_SECONDS) and (not run.never_started or run.state == "dry")
    )
    if how.runs_per_day and len(started) >= how.runs_per_day:
        reason = f"{len(started)} runs within 24 h, {how.runs_per_day} may be"
        return no("runs_per_day", reason, started[-how.runs_per_day] + DAY_SECONDS)
    quiet = quiet_until(route.quiet, now_seconds, route.zone)
    if quiet is not None:
        return no("quiet_hours", f"until {time_text(quiet)}", quiet)
    run = request_of(route, open_, firing, now_seconds)
    if how.dry_run:
        return Decision("no", "dry_run", f"{run.run_id} would be started", keys, run)
    alerts = f"{len(keys)} alert{'s' if len(keys) > 1 else ''}"
    if how.approval:
        return Decision("propose", "", f"{alerts}; a person must approve", keys, run)
    return Decision("start", "", alerts, keys, run)


def request_of(
    route: Route, opened: Sequence[Held], firing: Sequence[Held], now_seconds: float
) -> RunRequest:
    """The run that the alerts *opened* ask for; what moved is told by all that fire."""
    newest = max(opened, key=lambda held: (held.alert.starts_seconds, held.alert.fingerprint)).alert
    keys = sorted(held.alert.key for held in opened)
    model = newest.model
    key = run_key(route.settings.target, model, keys)
    moved = sorted(
        (_feature(held.alert) for held in firing),
        key=lambda each: (each.score is None, -(each.score or 0.0), each.kind, each.name, each.alert),
    )
    links = [newest, *(held.alert for held in opened)]
    return RunRequest(
        run_id=run_id(model, key),
        key=key,
        route=route.settings.name,
        target=route.settings.target,
        model=model,
        model_version=newest.labels.get("model_version", ""),
        reference_id=newest.labels.get("reference_id", ""),
        features=tuple(moved[:MOST_FEATURES]),
        window=newest.labels.get("window", ""),
        dashboard=next((link for each in links if (link := _link(each))), ""),
        alert_keys=tuple(keys),
        started_seconds=now_seconds,
    )


def run_key(target: str, model: str, alert_keys: Sequence[str]) -> str:
    """SHA-256 over what a run is for: the same alerts, model and target have the same key."""
    digest = hashlib.sha256()
    for part in (target, model, *sorted(alert_keys)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()


def run_id(model: str, key: str) -> str:
    """A name of at most 63 characters that every system takes, whatever the model is called.

    Examples
    --------
    >>> run_id("Churn / EU; rm -rf", "0123456789abcdef")
    'driftgauge-churn-eu-rm-rf-0123456789ab'
    """
    name = _NOT_IN_A_NAME.sub("-", model.lower()).strip("-")[:39].strip("-") or "model"
    return f"driftgauge-{name}-{key[:12]}"


def _near(run: Run, now_seconds: float, seconds: float) -> bool:
    return run.created_seconds - seconds < now_seconds < run.created_seconds + seconds


def _lacking(route: Route, firing: Sequence[Held]) -> str:
    """What the quorum lacks; empty where it is reached or not asked for."""
    how = route.settings
    wanted = {
        "input": how.quorum_features,
        "output": how.quorum_outputs,
        "performance": how.quorum_performance,
    }
    if not any(wanted.values()):
        return ""
    found: dict[str, set[str]] = {kind: set() for kind in wanted}
    for held in firing:
        labels = held.alert.labels
        kind = labels.get("kind", "") or ("input" if labels.get("feature") else "")
        if kind in found:
            found[kind].add(labels.get("feature", "") or labels.get("alertname", ""))
    if any(number and len(found[kind]) >= number for kind, number in wanted.items()):
        return ""
    parts = [f"{len(found[kind])} of {number} of kind {kind}" for kind, number in wanted.items() if number]
    return ", ".join(parts)


def _feature(alert: Alert) -> Feature:
    return Feature(
        name=alert.labels.get("feature", ""),
        kind=alert.labels.get("kind", ""),
        alert=alert.labels.get("alertname", ""),
        score=_number(alert.annotations.get("score") or alert.annotations.get("value") or ""),
        words=alert.annotations.get("description") or alert.annotations.get("summary") or "",
    )


def _number(text: str) -> float | None:
    try:
        found = float(text[:32])
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def _link(alert: Alert) -> str:
    link = alert.annotations.get("dashboard_url", "")
    safe = link.startswith(("http://", "https://")) and not any(ord(each) <= 32 for each in link)
    return link if safe else ""

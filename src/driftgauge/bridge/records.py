"""What is kept about runs, and what closing a loop is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from driftgauge.bridge.targets import RunRequest

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["IN_FLIGHT", "NEVER_STARTED", "Closer", "Entry", "Facts", "NotYet", "Run", "State"]

State = Literal[
    "proposed",  # waits for a person
    "pending",  # is to be started, and surely has not been
    "starting",  # a call was made or is being made; whether it arrived is not known
    "running",  # the target has it
    "closing",  # it has succeeded, or nobody can tell; the new reference is waited for
    "succeeded",
    "failed",
    "ended",  # it was started, and what became of it nobody can tell
    "dead",  # it could not be started
    "denied",  # a person said no, or nobody said anything in time
    "dry",  # it would have been started
]

IN_FLIGHT: Final = frozenset({"proposed", "pending", "starting", "running", "closing"})
NEVER_STARTED: Final = frozenset({"dead", "denied", "dry"})


@dataclass(frozen=True, slots=True)
class Facts:
    """A model at a moment: its reference and its drift score, as far as they can be had."""

    reference_id: str = ""
    score: float | None = None


class NotYet(Exception):  # noqa: N818 - it says what is waited for
    """A run has not had its whole effect.

    Parameters
    ----------
    reason : str
        What is waited for, for people.
    facts : Facts or None
        Where the new reference is in force and only its drift score is waited for.
    """

    def __init__(self, reason: str, facts: Facts | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is kept.

    Parameters
    ----------
    request : RunRequest
    state : str
    reason : str
        Why it is in this state, for people.
    attempts : int
        Calls to start it.
    next_seconds : float
        When it is looked at again.
    created_seconds, changed_seconds, started_seconds : float
        When it was decided, when its state last changed, and when the target took it, or, of a dead letter,
        may have taken it (0: not yet, surely not).
    external_id, url : str
        As the target says.
    before, after : Facts
        The model when the run was decided and when it was complete.
    """

    request: RunRequest
    state: State
    reason: str = ""
    attempts: int = 0
    next_seconds: float = 0.0
    created_seconds: float = 0.0
    changed_seconds: float = 0.0
    started_seconds: float = 0.0
    external_id: str = ""
    url: str = ""
    before: Facts = Facts()
    after: Facts = Facts()

    @property
    def id(self) -> str:
        """`RunRequest.run_id`."""
        return self.request.run_id

    @property
    def never_started(self) -> bool:
        """Whether the target surely never had it."""
        return self.state in NEVER_STARTED and not (self.state == "dead" and self.started_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the audit log.

    Parameters
    ----------
    seconds : float
    what : str
        ``'start'``, ``'no'`` or ``'propose'`` for decisions, else what became of a run.
    model, route, brake, reason, run_id : str
    alert_keys : tuple of str
        The first of them.
    alerts : int
        How many there are.
    """

    seconds: float
    what: str
    model: str
    route: str = ""
    brake: str = ""
    reason: str = ""
    run_id: str = ""
    alert_keys: tuple[str, ...] = ()
    alerts: int = 0


class Closer(Protocol):
    """Looks whether a run has had its effect. What it raises is logged, and it is asked again later."""

    def knows(self, model: str) -> bool:
        """Whether there is anything to wait for: a place where the model's new reference appears."""
        ...

    async def before(self, session: ClientSession, run: Run) -> Facts:
        """The model before the run. Asked once, before it is started."""
        ...

    async def after(self, session: ClientSession, run: Run) -> Facts:
        """The model with its new reference in force.

        Asked every few seconds while the run is 'closing'; this is the place to ask sidecars to reload.

        Raises
        ------
        NotYet
        """
        ...

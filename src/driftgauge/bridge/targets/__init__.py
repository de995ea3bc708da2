"""Where runs are started: one small class for each system, behind one protocol.

A target is found by its kind: those that come with driftgauge by the table in `targets.built_in`, all others
by an entry point of the group ``driftgauge.targets`` that names a class. The engine calls `start` after the
run is written down, retries as the errors below say, and follows the run by `state`. A target has no memory
and never retries by itself: after a crash the engine calls `start` again with the same `RunRequest`, so
`run_id` is what a system that knows such ids is given (``dag_run_id``, ``idempotency_key``, a Job's name).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol, runtime_checkable

from driftgauge.errors import ConfigError, DriftgaugeError

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from pydantic import BaseModel

__all__ = [
    "GROUP",
    "Feature",
    "Permanent",
    "Retryable",
    "RunRequest",
    "RunState",
    "Started",
    "Target",
    "TargetError",
    "target_class",
    "target_kinds",
]

GROUP: Final = "driftgauge.targets"

RunState = Literal["running", "succeeded", "failed", "unknown"]
"""What a system says of a run; 'unknown' when it has no such run."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature whose alert fires.

    Parameters
    ----------
    name : str
        Empty for an alert about the model as a whole.
    kind : str
        ``'input'``, ``'output'``, or empty where the alert does not say.
    alert : str
        Name of the alert.
    score : float or None
        The number in the alert's annotation ``score`` or ``value``; None where there is none.
    words : str
        The alert's description, for people.
    """

    name: str
    kind: str = ""
    alert: str = ""
    score: float | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run that is to be started: everything that a target or a template may use.

    Parameters
    ----------
    run_id : str
        ``driftgauge-<model>-<12 hexadecimal digits>``; the same after a crash. Lower-case letters, digits and
        ``-``, at most 63 characters: it is a name for Kubernetes and a tag for everything else.
    key : str
        SHA-256 over target, model and alerts, hexadecimal.
    route, target : str
        Their names in the settings.
    model, model_version, reference_id, window : str
        As the labels of the alerts say; empty where they do not.
    features : tuple of Feature
        Those that moved, the largest score first.
    dashboard : str
        Link, from the alerts' annotations; empty where there is none.
    alert_keys : tuple of str
        ``fingerprint@startsAt`` of each alert.
    started_seconds : float
        When the run was decided, Unix time.
    """

    run_id: str
    key: str
    route: str
    target: str
    model: str
    model_version: str = ""
    reference_id: str = ""
    features: tuple[Feature, ...] = ()
    window: str = ""
    dashboard: str = ""
    alert_keys: tuple[str, ...] = ()
    started_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values: what a template sees, and the payload of a route without one."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Started:
    """What a system answered.

    Parameters
    ----------
    external_id : str
        What `Target.state` needs to find the run again; empty where the system names none.
    url : str
        Where a person can look at it; empty for nowhere.
    already : bool
        Whether it was started before by the same id, as 409 says.
    """

    external_id: str = ""
    url: str = ""
    already: bool = False


class TargetError(DriftgaugeError):
    """A run could not be started. `reason` is for people and holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Permanent(TargetError):  # noqa: N818 - it says what becomes of the run
    """Trying again would not help: wrong credentials, no such job, a payload that is refused."""


class Retryable(TargetError):  # noqa: N818 - it says what becomes of the run
    """It may work later.

    Parameters
    ----------
    reason : str
    retry_after_seconds : float or None
        What the system asked for, as ``Retry-After`` says.
    maybe_started : bool
        Whether the run may have been started all the same: the answer was lost, not the request. A target
        that is not `idempotent` is then not asked again unless `find` says that there is no such run.
    """

    def __init__(
        self, reason: str, retry_after_seconds: float | None = None, *, maybe_started: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.maybe_started = maybe_started


@runtime_checkable
class Target(Protocol):
    """A system that trains.

    A class is made with its validated settings and nothing else: ``Airflow(AirflowSettings(...))``. What
    escapes `start` of aiohttp's errors and time-outs counts as Retryable, with `maybe_started` unless no
    connection was made.
    """

    name: ClassVar[str]
    """Its kind, as in the settings: ``'airflow'``."""
    settings: ClassVar[type[BaseModel]]
    """What its table in the settings holds beside ``name`` and ``kind``. Secrets are ``SecretStr``: any value
    may be given as ``{ env = "NAME" }`` or ``{ file = "/path" }``, replaced before this model sees it."""
    idempotent: ClassVar[bool]
    """Whether `start` with the same `run_id` cannot start a second run."""

    async def start(self, session: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Start *run*. *payload* is what the route's template gave, or `RunRequest.as_dict`.

        Raises
        ------
        Permanent, Retryable
        """
        ...

    async def state(self, session: ClientSession, external_id: str) -> RunState | None:
        """What has become of it; None where the system cannot tell (the bridge then does not follow it)."""
        ...

    async def find(self, session: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run that an earlier call may have started; False if there is none, None if it cannot tell.

        Asked only where `idempotent` is False. A target that cannot look returns None.
        """
        ...


def target_kinds() -> tuple[str, ...]:
    """The kinds that there are, sorted."""
    found = {each.name for each in entry_points(group=GROUP)}
    return tuple(sorted(found | set(_built_in())))


def target_class(kind: str) -> type[Target]:
    """The class of a kind of target.

    Raises
    ------
    ConfigError
        There is none of this kind, or it cannot be loaded.
    """
    place = _built_in().get(kind)
    try:
        if place is not None:
            module, _, name = place.partition(":")
            known: type[Target] = getattr(import_module(module), name)
            return known
        for each in entry_points(group=GROUP):
            if each.name == kind:
                found: type[Target] = each.load()
                return found
    except (ImportError, AttributeError) as error:
        message = f"target kind {kind!r} cannot be loaded: {error}; is its package installed?"
        raise ConfigError(message) from error
    message = f"no target of kind {kind!r}; there are {', '.join(target_kinds()) or 'none'}"
    raise ConfigError(message)


def _built_in() -> Mapping[str, str]:
    from driftgauge.bridge.targets.built_in import BUILT_IN

    return BUILT_IN

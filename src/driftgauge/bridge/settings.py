"""What can be set: ``bridge.toml``, and an environment variable for every key, as for the sidecar.

A target's table holds what its kind asks for. In it any value may be ``{ env = "NAME" }`` or
``{ file = "/path" }``: the value is then that variable, or what the file holds, so that no secret stands
in the file of settings. In ``[[closings]]`` each secret may. Where runs are started is said here and
nowhere else: no alert can name a target or a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from driftgauge.bridge.alerts import AlertLimits
from driftgauge.bridge.hours import QuietHours
from driftgauge.bridge.settings_closing import ClosingSettings
from driftgauge.sidecar.settings import LogSettings, ServerSettings
from driftgauge.sidecar.settings_types import Bytes, Listen, Seconds, Section

__all__ = [
    "BridgeServer",
    "BridgeSettings",
    "ClosingSettings",
    "RetrySettings",
    "RouteSettings",
    "StoreSettings",
    "TargetTable",
    "WebhookSettings",
    "load_settings",
]


class BridgeServer(ServerSettings):
    """The listener: webhook, metrics, probes and the list of runs."""

    listen: Listen = Field(
        default="127.0.0.1:9110", description="host:port; empty for none, with uds; port 0 is any"
    )


class WebhookSettings(Section):
    """Where alerts are posted, and how large a message may be."""

    path: str = Field(default="/api/v1/alerts", pattern="/.*", description="path that alerts are posted to")
    body_bytes: Bytes = Field(default=AlertLimits().body_bytes, description="of one message")
    alerts: int = Field(default=AlertLimits().alerts, ge=1, description="of one message")
    waiting: int = Field(default=1_000, ge=1, description="messages that may wait to be written")

    def limits(self) -> AlertLimits:
        """What the reader holds."""
        return AlertLimits(body_bytes=self.body_bytes, alerts=self.alerts)


class StoreSettings(Section):
    """One SQLite file."""

    path: str = Field(default="driftgauge-bridge.sqlite", min_length=1, description="the file")
    retention: Seconds = Field(
        default=90 * 86_400.0, ge=86_400, description="how long alerts and the log stay"
    )
    most_rows: int = Field(
        default=1_000_000,
        ge=10_000,
        description="how many resolved alerts, and lines of the log, stay at most: 2 KB each",
    )
    runs: Seconds = Field(default=400 * 86_400.0, ge=86_400, description="how long runs that are over stay")
    stale_after: Seconds = Field(
        default=7 * 86_400.0, gt=0, description="a firing alert that is not sent again for so long is over"
    )


class RetrySettings(Section):
    """How runs are started and followed."""

    attempts: int = Field(default=12, ge=1, description="calls, after which a run is a dead letter")
    first: Seconds = Field(default=1.0, gt=0, description="pause after the first call; it doubles")
    longest: Seconds = Field(default=300.0, gt=0, description="longest pause, but for Retry-After")
    timeout: Seconds = Field(default=120.0, gt=0, description="time that a target has to start a run")
    follow: Seconds = Field(default=15.0, gt=0, description="how often a run's state is asked for")
    at_a_time: int = Field(default=8, ge=1, description="calls to targets at a time")


class TargetTable(Section):
    """A target: its name, its kind, and what the kind asks for."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1, max_length=100, description="what routes call it")
    kind: str = Field(min_length=1, description="such as 'airflow'; `driftgauge bridge check` lists them")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError) as error:
        message = "must be a time zone such as 'Europe/Berlin' or 'UTC'"
        raise ValueError(message) from error
    return name


def _hours(text: str) -> str:
    QuietHours.read(text)
    return text


class RouteSettings(Section):
    """Alerts that may start a run of one target, and the brakes."""

    name: str = Field(min_length=1, max_length=100, description="for the log and the metrics")
    match: dict[str, str] = Field(
        min_length=1, description="labels that an alert must have, and their values"
    )
    match_regex: dict[str, str] = Field(default={}, description="labels, and patterns of their whole values")
    target: str = Field(min_length=1, description="name of one of [[targets]]")
    payload: dict[str, Any] = Field(
        default={}, description="what the target is given; texts are Jinja templates. Empty for everything"
    )
    group_wait: Seconds = Field(
        default=30.0, description="time from a model's first alert to the decision, so that others can join"
    )
    cooldown: Seconds = Field(default=86_400.0, description="least time between two runs of a model")
    runs_per_day: int = Field(default=2, ge=0, description="runs of a model within 24 h; 0 for any number")
    quorum_features: int = Field(default=0, ge=0, description="inputs that must fire; 0 asks for none")
    quorum_outputs: int = Field(default=0, ge=0, description="or outputs that must fire")
    quorum_performance: int = Field(default=0, ge=0, description="or alerts about performance")
    quiet_hours: tuple[Annotated[str, AfterValidator(_hours)], ...] = Field(
        default=(), description="when nothing is started, such as '22:00-06:00' or 'sat-sun 00:00-24:00'"
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="of the quiet hours")
    approval: bool = Field(default=False, description="whether a person must approve each run")
    approval_within: Seconds = Field(
        default=7 * 86_400.0, gt=0, description="a run that nobody approves within it is denied"
    )
    dry_run: bool = Field(default=False, description="decide and log, and start nothing")
    when_resolved: Literal["go_on", "drop_waiting"] = Field(
        default="go_on", description="what becomes of a run that has not been started when its alerts resolve"
    )
    timeout: Seconds = Field(default=86_400.0, gt=0, description="how long a run may take")

    @field_validator("match_regex")
    @classmethod
    def _patterns(cls, given: dict[str, str]) -> dict[str, str]:
        for label, pattern in given.items():
            try:
                re.compile(pattern)
            except re.error as error:
                message = f"must be patterns; {label} is not one: {error}"
                raise ValueError(message) from error
        return given


class BridgeSettings(Section):
    """Everything that can be set.

    Examples
    --------
    >>> settings = load_settings(None, environ={"DRIFTGAUGE_STORE__PATH": "/var/lib/bridge.sqlite"})
    >>> settings.store.path, settings.server.listen
    ('/var/lib/bridge.sqlite', '127.0.0.1:9110')
    """

    server: BridgeServer = BridgeServer()
    webhook: WebhookSettings = WebhookSettings()
    store: StoreSettings = StoreSettings()
    retry: RetrySettings = RetrySettings()
    targets: tuple[TargetTable, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    closings: tuple[ClosingSettings, ...] = ()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _together(self) -> Self:
        for what, names in (
            ("targets", [each.name for each in self.targets]),
            ("routes", [each.name for each in self.routes]),
            ("closings", [each.model for each in self.closings]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                message = f"{what} has {twice[0]!r} twice; give each a name of its own"
                raise ValueError(message)
        known = {each.name for each in self.targets}
        for route in self.routes:
            if route.target not in known:
                there = ", ".join(map(repr, sorted(known))) or "none"
                message = f"route {route.name!r} has no target {route.target!r}; there are: {there}"
                raise ValueError(message)
        return self


def load_settings(path: str | PathLike[str] | None, *, environ: Mapping[str, str]) -> BridgeSettings:
    """Settings from a file and the environment; targets are read by `targets_of`.

    Parameters
    ----------
    path : str or path, optional
        Of a TOML file; None for the environment only.
    environ : mapping of str to str

    Raises
    ------
    ConfigError
        When a key or a value is wrong; the message names each, and what would do.
    """
    from driftgauge.sidecar.settings_sources import read_settings

    return read_settings(BridgeSettings, path, environ)

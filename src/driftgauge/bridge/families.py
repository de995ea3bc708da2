"""The bridge's own metrics: one list, and their samples of a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from driftgauge._family import Sample, label_text

__all__ = ["FAMILIES", "BridgeFamily", "BridgeSnapshot", "samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSnapshot:
    """What the bridge knows of itself.

    Parameters
    ----------
    runs : mapping of (target, outcome) to int
    suppressed : mapping of brake to int
    alerts : mapping of outcome to int
    pending_runs, dead_letters : int
    oldest_pending_seconds, last_success_seconds : float or None
        Unix time; None where there is none.
    """

    runs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    suppressed: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
    pending_runs: int = 0
    oldest_pending_seconds: float | None = None
    last_success_seconds: float | None = None
    dead_letters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeFamily:
    """One metric of the bridge: what an exporter needs of a `driftgauge.catalogue.Family`."""

    prometheus_name: str
    prometheus_unit: str = ""
    instrument: str = "gauge"
    labels: tuple[str, ...] = ()
    help: str
    read: Callable[[BridgeSnapshot], Iterator[Sample]] = field(repr=False)


def _by(labels: tuple[str, ...], attribute: str) -> Callable[[BridgeSnapshot], Iterator[Sample]]:
    def read(snapshot: BridgeSnapshot) -> Iterator[Sample]:
        for key, count in sorted(getattr(snapshot, attribute).items()):
            values = (key,) if isinstance(key, str) else key
            yield dict(zip(labels, map(label_text, values), strict=True)), count

    return read


def _one(attribute: str) -> Callable[[BridgeSnapshot], Iterator[Sample]]:
    def read(snapshot: BridgeSnapshot) -> Iterator[Sample]:
        value = getattr(snapshot, attribute)
        if value is not None:
            yield {}, value

    return read


def _counter(name: str, labels: tuple[str, ...], attribute: str, help: str) -> BridgeFamily:
    return BridgeFamily(
        prometheus_name=f"driftgauge_bridge_{name}_total",
        instrument="counter",
        labels=labels,
        help=help,
        read=_by(labels, attribute),
    )


def _gauge(name: str, attribute: str, help: str, unit: str = "") -> BridgeFamily:
    return BridgeFamily(
        prometheus_name=f"driftgauge_bridge_{name}", prometheus_unit=unit, help=help, read=_one(attribute)
    )


FAMILIES: Final = (
    _counter("alerts_received", ("outcome",), "alerts", "Alerts that were posted, by what they were"),
    _counter("runs", ("target", "outcome"), "runs", "What became of runs, by target; a run has several"),
    _counter("suppressed", ("brake",), "suppressed", "Decisions against a run, by the brake that held"),
    _gauge("pending_runs", "pending_runs", "Runs that wait to be started or approved"),
    _gauge(
        "oldest_pending_timestamp_seconds",
        "oldest_pending_seconds",
        "When the oldest run that waits was decided",
        "seconds",
    ),
    _gauge("last_success_timestamp_seconds", "last_success_seconds", "When a run last succeeded", "seconds"),
    _gauge("dead_letters", "dead_letters", "Runs that could not be started and wait for a replay"),
)


def samples(snapshot: BridgeSnapshot) -> Iterator[tuple[BridgeFamily, list[Sample]]]:
    """Every family that has samples, in order."""
    for family in FAMILIES:
        found = list(family.read(snapshot))
        if found:
            yield family, found

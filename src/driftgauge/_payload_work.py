"""What is done with payloads that waited: decode them one by one, count their rows many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from driftgauge._payload_batch import Batch, joinable
from driftgauge.protocols import Decoder, Exchange, Message, Names, Undecodable, decode_exchange
from driftgauge.reference import Reference

__all__ = ["Item", "Outcome", "Target", "work_off"]

BATCH_ROWS: Final = 20_000  # 20 features take 3 MB: a batch must not be what makes memory grow
TIME_STEP_SECONDS: Final = 1.0  # rows further apart are counted with times of their own

Observe = Callable[..., None]


class Item(NamedTuple):
    """A payload that waits: two halves to decode, or columns."""

    request: Message | None
    response: Message | None
    columns: Exchange | None
    now_seconds: float | None
    size: int


class Target(NamedTuple):
    """Where rows go: the monitor's `observe`, and what its reference calls its features."""

    observe: Observe
    names: Names
    numeric: frozenset[str]

    @classmethod
    def of(cls, reference: Reference, observe: Observe) -> Target:
        """The target of a monitor of *reference*."""
        numeric = frozenset(each.name for each in reference.features if each.dtype == "numeric")
        return cls(observe, Names.of(reference), numeric)


@dataclass(slots=True)
class Outcome:
    """What became of payloads."""

    decoded: int = 0
    undecodable: Counter[str] = field(default_factory=Counter)
    without_outputs: Counter[str] = field(default_factory=Counter)
    details: dict[str, str] = field(default_factory=dict)
    """By reason, for the log: what was wrong with the first, without its values."""


class _Run:
    """Rows that are counted together, as they happened at about one time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._clear()

    def _clear(self) -> None:
        _, names, numeric = self._target
        self._inputs = Batch(names.inputs, numeric)
        self._outputs = Batch(names.outputs, numeric)
        self._rows = 0
        self._payloads = 0
        self._since: float | None = None
        self._now: float | None = None

    def add(self, exchange: Exchange, now_seconds: float | None) -> int:
        """Take the rows of an exchange. How many payloads have been counted by this."""
        counted = 0
        if self._payloads and not self._belongs(now_seconds):
            counted = self.count()
        if not self._payloads:
            self._since = now_seconds
        self._now = now_seconds
        self._inputs.add(exchange.inputs, exchange.rows)
        self._outputs.add(exchange.outputs, exchange.rows)
        self._rows += exchange.rows
        self._payloads += 1
        return counted + (self.count() if self._rows >= BATCH_ROWS else 0)

    def _belongs(self, now_seconds: float | None) -> bool:
        if now_seconds is None or self._since is None:
            return now_seconds is self._since
        return abs(now_seconds - self._since) < TIME_STEP_SECONDS

    def count(self) -> int:
        """Have the monitor count all rows. How many payloads they came in."""
        payloads, now = self._payloads, self._now
        inputs, outputs = self._inputs.columns(), self._outputs.columns()
        self._clear()
        if payloads:
            self._target.observe(inputs, outputs or None, now_seconds=now)
        return payloads


def work_off(items: Sequence[Item], decoder: Decoder | None, target: Target) -> Outcome:
    """Decode *items* and have their rows counted. Never raises; each item is in exactly one count."""
    outcome = Outcome()
    run = _Run(target)
    for item in items:
        try:
            found = item.columns or _decoded(item, decoder, target.names)
            if isinstance(found, Undecodable):
                outcome.undecodable[found.reason] += 1
                outcome.details.setdefault(found.reason, found.detail)
                continue
            if found.notes:
                outcome.without_outputs[found.notes[1]] += 1
                outcome.details.setdefault(
                    f"response {found.notes[1]}", "its rows are counted without outputs"
                )
            now = found.seconds if item.now_seconds is None else item.now_seconds
            if item.columns is not None and not _joinable(found, target.names):
                target.observe(found.inputs, found.outputs, now_seconds=now)
                outcome.decoded += 1
                continue
            outcome.decoded += run.add(found, now)
        except Exception as error:
            _failed(outcome, error)
    try:
        outcome.decoded += run.count()
    except Exception as error:
        _failed(outcome, error)
    lost = len(items) - outcome.decoded - outcome.undecodable.total()
    outcome.undecodable["internal_error"] += lost
    return outcome


def _failed(outcome: Outcome, error: Exception) -> None:
    # The type only: a message may hold values. How many are lost is what is missing at the end.
    outcome.details.setdefault("internal_error", type(error).__name__)


def _joinable(exchange: Exchange, names: Names) -> bool:
    return joinable(_wanted(exchange.inputs, names.inputs), exchange.rows) and joinable(
        _wanted(exchange.outputs or {}, names.outputs), exchange.rows
    )


def _wanted(columns: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: columns[name] for name in names if name in columns}


def _decoded(item: Item, decoder: Decoder | None, names: Names) -> Exchange | Undecodable:
    if decoder is None:
        return Undecodable("internal_error", "there is no decoder")
    if item.request is not None:
        return decode_exchange(decoder, item.request, item.response, names)
    # Of a reference with outputs only the request is not needed.
    answer = item.response or Message(b"")
    return decode_exchange(decoder, answer, answer, names)

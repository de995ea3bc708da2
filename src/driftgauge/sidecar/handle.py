"""One model of a sidecar: the monitor in force, and the ways that rows come to it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from driftgauge._payload_intake import Intake
from driftgauge._payload_sources import add_payloads
from driftgauge.budget import one_false_alert
from driftgauge.monitor import Monitor
from driftgauge.protocols import Decoder, decoder
from driftgauge.reference import Reference
from driftgauge.sidecar.settings import LimitSettings, ModelSettings, SidecarSettings
from driftgauge.sidecar.settings_types import window_of
from driftgauge.snapshot import Crossing, PayloadCounts, Snapshot

__all__ = ["ModelHandle", "Watched"]

# Windows of time empty and evidence is weighed without a new row, so an idle model is saved as well, rarely.
IDLE_SAVE_SECONDS: Final = 60.0

_log = logging.getLogger("driftgauge.sidecar.models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How a model is watched: its own settings, with those of ``[defaults]`` where it has none."""

    windows: tuple[str, ...]
    budget: str
    evaluate_every: str
    min_effect: float
    sample: float
    min_rows: int
    weights: dict[str, float]
    shared_directory: Path | None

    @classmethod
    def of(cls, name: str, model: ModelSettings, settings: SidecarSettings) -> Watched:
        """How the model *name* is watched."""
        own = model.model_dump(exclude={"reference", "name"}, exclude_none=True)
        shared = settings.shared.directory
        return cls(
            **{**settings.defaults.model_dump(), **own},
            shared_directory=Path(shared) / name if shared else None,
        )

    def monitor(self, reference: Reference, clock: Callable[[], float]) -> Monitor:
        """A monitor of *reference*; ConfigError where settings and reference do not go together."""
        budget = one_false_alert(per=self.budget, evaluate_every=self.evaluate_every) if self.budget else None
        return Monitor(
            reference,
            windows=[window_of(text) for text in self.windows],
            sample=self.sample,
            budget=budget,
            min_effect=self.min_effect,
            weights=self.weights or None,
            min_rows=self.min_rows,
            clock=clock,
            shared_directory=self.shared_directory,
        )


class ModelHandle:
    """What the ways in hold: it stays while monitors come and go.

    Parameters
    ----------
    name : str
        The label `model`.
    monitor : Monitor
    limits : LimitSettings
    path : str
        Of the reference.
    attached : mapping of str to bytes
        What ways in had saved with the windows.
    """

    def __init__(
        self, name: str, monitor: Monitor, limits: LimitSettings, path: str, attached: Mapping[str, bytes]
    ) -> None:
        self.name = name
        self.path = path
        self._limits = limits
        self._monitor = monitor
        self._attached = dict(attached)
        self._takers: dict[str, Callable[[], bytes]] = {}
        self._intakes: dict[tuple[str, str, str, float, Decoder | None], Intake] = {}
        self._errors: Counter[str] = Counter()
        self._observed = 0
        self._saved: tuple[int, float] = (-1, 0.0)
        self._listeners: tuple[Callable[[Crossing], object], ...] = ()
        self._heard: Callable[[], None] | None = None
        self._lock = threading.Lock()
        monitor.count_payloads(self._payloads)

    def __repr__(self) -> str:
        return f"<ModelHandle {self.name!r}: {self._monitor!r}>"

    @property
    def monitor(self) -> Monitor:
        """The monitor in force. It changes when the reference does, so ask each time."""
        return self._monitor

    @property
    def reference(self) -> Reference:
        """The reference in force."""
        return self._monitor.reference

    def intake(
        self,
        way: str,
        protocol: str,
        *,
        columns: bool = False,
        own: Decoder | None = None,
        mapping: Mapping[str, Any] | None = None,
        sample: float = 1.0,
    ) -> Intake:
        """The intake of a way and a protocol, made when first asked for. It follows the monitor in force.

        Parameters
        ----------
        way : str
            One of `WAYS`.
        protocol : str
            One of `driftgauge.protocols.PROTOCOLS`; with *columns*, what counters are to call it.
        columns : bool
            Rows come as columns only, so nothing is to be decoded.
        own : Decoder, optional
            Of a way that brings one; *protocol* is what counters call it. Another one has another intake.
        mapping : mapping, optional
            For the protocol ``'mapping'``.
        sample : float
            Probability that a payload is looked into.

        Raises
        ------
        ConfigError
            When one of them is wrong.
        """
        key = (way, protocol, repr(sorted((mapping or {}).items())), sample, own)
        with self._lock:
            if key not in self._intakes:
                limits = self._limits.of_payloads()
                if own is None and not columns:
                    own = decoder(protocol, limits=limits, mapping=mapping or None)
                self._intakes[key] = Intake(
                    self._monitor,
                    own,
                    way,
                    protocol=protocol,
                    queue_payloads=self._limits.queue_payloads,
                    queue_bytes=self._limits.queue_bytes,
                    sample=sample,
                )
            return self._intakes[key]

    def observe(self, inputs: Any, outputs: Any = None, *, now_seconds: float | None = None) -> None:
        """Count rows at once, in the calling thread. See `Monitor.observe`."""
        self._observed += 1
        self._monitor.observe(inputs, outputs, now_seconds=now_seconds)

    def attach(self, name: str, take: Callable[[], bytes]) -> bytes | None:
        """Have what *take* returns saved with the windows of each moment, and say what was saved last.

        For a way in that goes on from where it stopped: its place then agrees with the rows that the saved
        windows hold. *take* is called just before the windows are copied, on the thread that saves.
        """
        with self._lock:
            self._takers[name] = take
            return self._attached.get(name)

    def attached(self) -> dict[str, bytes]:
        """What ways in want saved now."""
        with self._lock:
            takers = dict(self._takers)
            kept = dict(self._attached)  # of ways that have not begun yet
        for name, take in takers.items():
            try:
                kept[name] = take()
            except Exception:  # of a way that is broken; windows are saved all the same
                self.count_error("state")
                _log.exception("what %r wants saved with model %r cannot be had", name, self.name)
        return kept

    def snapshot(self, now_seconds: float | None = None) -> Snapshot:
        """What is known now, with the payloads of all ways in."""
        found = self._monitor.snapshot(now_seconds)
        errors = dict(found.internal_errors)
        for stage, count in list(self._errors.items()):
            errors[stage] = errors.get(stage, 0) + count
        return replace(found, model=self.name, internal_errors=errors)

    def _payloads(self) -> tuple[PayloadCounts, ...]:
        with self._lock:
            counts = [intake.counts() for intake in self._intakes.values()]
        return add_payloads(sorted(counts, key=lambda each: (each.way, each.protocol)))

    def listen(self, listener: Callable[[Crossing], object]) -> Callable[[], None]:
        """Have *listener* told of scores that cross 1, whichever monitor is in force, until stopped."""
        with self._lock:
            if not self._heard:  # a monitor nobody listens to compares nothing
                self._heard = self._monitor.listen(self._tell)
            self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    def _tell(self, crossing: Crossing) -> None:
        named = replace(crossing, model=self.name)
        for listener in self._listeners:
            listener(named)

    def count_error(self, stage: str) -> None:
        """Count what went wrong outside the monitor: ``reload`` or ``state``."""
        self._errors[stage] += 1

    # ------------------------------------------------------------------ for the registry

    def switch(self, monitor: Monitor, path: str, attached: Mapping[str, bytes]) -> None:
        """Have *monitor* in force; when this returns, no intake gives the one before a row any more."""
        with self._lock:
            intakes = list(self._intakes.values())
            self._monitor = monitor
            self.path = path
            self._saved = (-1, 0.0)
            for name, content in attached.items():
                self._attached.setdefault(name, content)
            if self._heard:
                self._heard()
                self._heard = monitor.listen(self._tell)
            monitor.count_payloads(self._payloads)
            for intake in intakes:
                intake.switch(monitor)
        for intake in intakes:
            intake.drain(1.0)

    def mark(self) -> int:
        """Grows with the rows that have come."""
        with self._lock:
            return self._observed + sum(intake.counts().decoded for intake in self._intakes.values())

    def changed(self) -> bool:
        """Whether there is something to save."""
        mark, when = self._saved
        return self.mark() != mark or time.monotonic() - when >= IDLE_SAVE_SECONDS

    def saved(self, mark: int) -> None:
        """The windows are saved as they were when `mark` gave *mark*."""
        self._saved = (mark, time.monotonic())

    def drain(self, timeout_seconds: float) -> bool:
        """Have all that waits counted. Whether it was, in time."""
        end = time.monotonic() + timeout_seconds
        with self._lock:
            intakes = list(self._intakes.values())
        return min((intake.drain(max(0.0, end - time.monotonic())) for intake in intakes), default=True)

    def close(self) -> None:
        """End its threads."""
        with self._lock:
            intakes = list(self._intakes.values())
        for intake in intakes:
            intake.close()
        self._monitor.close()

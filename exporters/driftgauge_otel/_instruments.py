"""Observable instruments of every family, read from one snapshot a collection."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.sdk.metrics.view import View

from driftgauge.catalogue import CATALOGUE, Family, Labels, Sample, samples
from driftgauge.snapshot import Snapshot

__all__ = [
    "CARDINALITY_LIMIT",
    "DEFAULT_LIMIT",
    "SCOPE",
    "Instruments",
    "SnapshotSource",
    "failure_of",
    "give_up_turn",
    "has_turn",
    "scope_version",
    "views",
]

SCOPE: Final = "driftgauge"

DEFAULT_LIMIT: Final = 2_000
"""Attribute sets of an instrument that the SDK keeps apart; it lumps all others together."""

CARDINALITY_LIMIT: Final = 1_000_000
"""What we set in its place: 10,000 features of 100 bins. Nothing is allocated until it is used."""

_log = logging.getLogger("driftgauge")

COUNTERS: Final = frozenset(family.otel_name for family in CATALOGUE if family.instrument == "counter")

TURN: Final = "otel"
"""Under which name one of the processes of a shared directory reports for all."""

Failed = Callable[[BaseException], None]
Series = tuple[str, ...]


class SnapshotSource(Protocol):
    """Anything that has a snapshot to export; a `driftgauge.Monitor` is one.

    Where it has ``count_error(stage, error)`` it is told of failures, and where it has ``listen(listener,
    trace=…)`` its crossings are sent as events. Where ``is_shared`` is true, ``has_turn(name)`` says whether
    this process reports for all, and ``give_up_turn(name)`` ends that.
    """

    def snapshot(self) -> Snapshot:
        """What is known now."""


class TooManySeriesError(Exception):
    """A family has more series than the provider keeps apart."""


def failure_of(source: SnapshotSource) -> Failed:
    """Where failures of the exporter are counted: with the source's internal errors, where it counts any."""
    count = getattr(source, "count_error", None)
    return partial(count, "export") if callable(count) else lambda _: None


def has_turn(source: SnapshotSource) -> bool:
    """Whether this process is to report *source*; where several have counted together, one of them does."""
    asked = getattr(source, "has_turn", None)
    return bool(asked(TURN)) if callable(asked) else True


def give_up_turn(source: SnapshotSource) -> None:
    """Let another process report."""
    give_up = getattr(source, "give_up_turn", None)
    if callable(give_up):
        give_up(TURN)


def scope_version() -> str | None:
    """Version of driftgauge, as it is installed."""
    try:
        return version("driftgauge")
    except PackageNotFoundError:
        return None


def views(cardinality_limit: int = CARDINALITY_LIMIT) -> list[View]:
    """Views for a MeterProvider of your own: without them the SDK lumps series above 2,000 an instrument.

    Parameters
    ----------
    cardinality_limit : int
        Give the same to `register`.

    Examples
    --------
    >>> from opentelemetry.sdk.metrics import MeterProvider
    >>> provider = MeterProvider(views=views(), shutdown_on_exit=False)
    """
    return [View(meter_name=SCOPE, aggregation_cardinality_limit=cardinality_limit)]


class Reading:
    """One monitor, and what it said when the collection began.

    Where its snapshots are of several processes, it is read in the one of them whose turn it is: each of them
    would report the rows of all.
    """

    def __init__(self, source: SnapshotSource, *, carried: bool) -> None:
        self._source = source
        self.failed = failure_of(source)
        self._carried = carried
        self._had_turn = not getattr(source, "is_shared", False)
        self._before: dict[str, dict[Series, tuple[int, int]]] = {}
        self.found: dict[str, list[Sample]] = {}
        if not self._had_turn and carried:
            self.read()  # what was counted until now may have been reported, by whoever had the turn

    def read(self) -> None:
        """Have what is known now."""
        self.found = {}
        try:
            if not has_turn(self._source):
                return
            found = {family.otel_name: list(found) for family, found in samples(self._source.snapshot())}
        except Exception as error:
            self.failed(error)
            return
        if self._carried:
            if not self._had_turn:
                self._leave_out(found)
            found = {name: self._going_on(name, each) for name, each in found.items()}
        self._had_turn = True
        self.found = found

    def _leave_out(self, found: dict[str, list[Sample]]) -> None:
        """Count from here: who reads differences was told all this, by another process or in another life."""
        for name in COUNTERS & found.keys():
            self._before[name] = {tuple(labels.values()): (int(n), -int(n)) for labels, n in found[name]}

    def _going_on(self, name: str, found: list[Sample]) -> list[Sample]:
        if name not in COUNTERS:
            return found
        before = self._before.setdefault(name, {})
        return [(labels, _carry(before, labels, int(value))) for labels, value in found]


class Instruments:
    """Instruments of one provider: an observable gauge or counter for each family of the catalogue.

    Parameters
    ----------
    provider : MeterProvider
    cardinality_limit : int
        How many series of an instrument the provider keeps apart. Above it series are left out and that is
        counted as an error: the SDK would add them up.
    carried : bool
        Whether a counter that begins anew, at `Monitor.reset`, goes on from where it was. A reader of
        differences needs it, one of totals sees that it fell.
    scope : str, optional
        Version of the instrumentation scope; default that of driftgauge.
    attributes : mapping, optional
        Of the instrumentation scope.

    Notes
    -----
    A provider takes the callbacks of an instrument once, and of a second one of the same name none: so all
    monitors of a provider are read here.

    The SDK asks instrument after instrument; the first that is asked twice begins the next collection, so
    that all values are of one moment and an evaluation is made once, whichever of them a view drops. It locks
    collections of one provider against each other.
    """

    def __init__(
        self,
        provider: MeterProvider,
        *,
        cardinality_limit: int = DEFAULT_LIMIT,
        carried: bool = True,
        scope: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.limit = cardinality_limit
        self._carried = carried
        self._readings: tuple[Reading, ...] = ()
        self._told = False
        self._asked: set[str] = set()
        self._known: dict[str, set[Series]] = {}
        meter = provider.get_meter(SCOPE, scope_version() if scope is None else scope, attributes=attributes)
        for family in CATALOGUE:
            counts = family.instrument == "counter"
            create = meter.create_observable_counter if counts else meter.create_observable_gauge
            create(
                family.otel_name,
                callbacks=[partial(self._observe, family)],
                unit=family.unit,
                description=family.help,
            )
            self._asked.add(family.otel_name)

    def add(self, source: SnapshotSource) -> Callable[[], None]:
        """Report *source* too, until what is returned is called."""
        reading = Reading(source, carried=self._carried)
        self._readings = (*self._readings, reading)

        def remove() -> None:
            self._readings = tuple(each for each in self._readings if each is not reading)

        return remove

    def _observe(self, family: Family, _: CallbackOptions) -> Iterable[Observation]:
        readings = self._readings
        name = family.otel_name
        if name in self._asked:
            self._asked.clear()
            for reading in readings:
                reading.read()
        self._asked.add(name)
        found = [sample for reading in readings for sample in reading.found.get(name, ())]
        found = self._within_limit(family, found)
        if family.instrument == "gauge":
            # The SDK refuses infinities, with a line in the log for each.
            return [Observation(float(value), labels) for labels, value in found if math.isfinite(value)]
        return [Observation(int(value), labels) for labels, value in found]

    def _within_limit(self, family: Family, found: list[Sample]) -> list[Sample]:
        """Samples that the provider keeps apart.

        It never forgets a series: causes that come and go add up, and so do those of each model version.
        """
        known = self._known.setdefault(family.otel_name, set())
        kept = []
        for sample in found:
            key = tuple(sample[0].values())
            if key in known or len(known) < self.limit:
                known.add(key)
                kept.append(sample)
        if len(kept) < len(found):
            self._left_out(family, len(known) + len(found) - len(kept))
        return kept

    def _left_out(self, family: Family, series: int) -> None:
        message = (
            f"{family.otel_name} has had {series:,} series and the MeterProvider keeps {self.limit:,} apart: "
            f"the others are left out; make it with views=driftgauge_otel.views() and say so to register()"
        )
        if not self._told:
            self._told = True
            _log.warning(message)
        for reading in self._readings:
            reading.failed(TooManySeriesError(message))


def _carry(before: dict[Series, tuple[int, int]], labels: Labels, value: int) -> int:
    """The count, plus what it had reached whenever it began anew."""
    key = tuple(labels.values())
    last, base = before.get(key, (0, 0))
    if value < last:
        base += last
    before[key] = (value, base)
    return base + value

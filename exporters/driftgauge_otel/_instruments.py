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
    "scope_version",
    "views",
]

SCOPE: Final = "driftgauge"

DEFAULT_LIMIT: Final = 2_000
"""Attribute sets of an instrument that the SDK keeps apart; it lumps all others together."""

CARDINALITY_LIMIT: Final = 1_000_000
"""What we set in its place: 10,000 features of 100 bins. Nothing is allocated until it is used."""

_log = logging.getLogger("driftgauge")

Failed = Callable[[BaseException], None]
Series = tuple[str, ...]


class SnapshotSource(Protocol):
    """Anything that has a snapshot to export; a `driftgauge.Monitor` is one.

    Where it has ``count_error(stage, error)`` it is told of failures, and where it has ``listen(listener,
    trace=…)`` its crossings are sent as events.
    """

    def snapshot(self) -> Snapshot:
        """What is known now."""


class TooManySeriesError(Exception):
    """A family has more series than the provider keeps apart."""


def failure_of(source: SnapshotSource) -> Failed:
    """Where failures of the exporter are counted: with the source's internal errors, where it counts any."""
    count = getattr(source, "count_error", None)
    return partial(count, "export") if callable(count) else lambda _: None


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


class Instruments:
    """Instruments of one provider: an observable gauge or counter for each family of the catalogue.

    Parameters
    ----------
    source : SnapshotSource
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
    The SDK asks instrument after instrument; the first that is asked twice begins the next collection, so
    that all values are of one moment and an evaluation is made once, whichever of them a view drops. It locks
    collections of one provider against each other.
    """

    def __init__(
        self,
        source: SnapshotSource,
        provider: MeterProvider,
        *,
        cardinality_limit: int = DEFAULT_LIMIT,
        carried: bool = True,
        scope: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        self._source = source
        self._failed = failure_of(source)
        self._limit = cardinality_limit
        self._carried = carried
        self._open = True
        self._told = False
        self._found: dict[str, list[Sample]] = {}
        self._asked: set[str] = set()
        self._infos: dict[str, set[Series]] = {}
        self._before: dict[str, dict[Series, tuple[int, int]]] = {}
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

    def close(self) -> None:
        """Have no more values: the provider reports nothing of these instruments from now on."""
        self._open = False

    def _observe(self, family: Family, _: CallbackOptions) -> Iterable[Observation]:
        if not self._open:
            return []
        name = family.otel_name
        if name in self._asked:
            self._asked.clear()
            self._read()
        self._asked.add(name)
        found = self._within_limit(family, self._found.get(name, []))
        if family.instrument == "gauge":
            # The SDK refuses infinities, with a line in the log for each.
            return [Observation(float(value), labels) for labels, value in found if math.isfinite(value)]
        if not self._carried:
            return [Observation(int(value), labels) for labels, value in found]
        before = self._before.setdefault(name, {})
        return [Observation(_carry(before, labels, int(value)), labels) for labels, value in found]

    def _read(self) -> None:
        self._found = {}
        try:
            self._found = {family.otel_name: found for family, found in samples(self._source.snapshot())}
        except Exception as error:
            self._failed(error)

    def _within_limit(self, family: Family, found: list[Sample]) -> list[Sample]:
        """Samples that the provider keeps apart. It never forgets a series, so those of infos add up."""
        if family.shape != "info" or len(found) > self._limit:
            kept = found[: self._limit]
        else:
            known = self._infos.setdefault(family.otel_name, set())
            kept = []
            for sample in found:
                key = tuple(sample[0].values())
                if key in known or len(known) < self._limit:
                    known.add(key)
                    kept.append(sample)
        if len(kept) < len(found):
            self._left_out(family, len(found))
        return kept

    def _left_out(self, family: Family, series: int) -> None:
        message = (
            f"{family.otel_name} has {series:,} series and the MeterProvider keeps {self._limit:,} apart: "
            f"the others are left out; make it with views=driftgauge_otel.views() and say so to register()"
        )
        if not self._told:
            self._told = True
            _log.warning(message)
        self._failed(TooManySeriesError(message))


def _carry(before: dict[Series, tuple[int, int]], labels: Labels, value: int) -> int:
    """The count, plus what it had reached whenever it began anew."""
    key = tuple(labels.values())
    last, base = before.get(key, (0, 0))
    if value < last:
        base += last
    before[key] = (value, base)
    return base + value

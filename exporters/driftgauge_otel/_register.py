"""Instruments and events on providers that the host has already."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry import _logs, metrics
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider

from driftgauge.errors import ConfigError
from driftgauge.snapshot import Crossing
from driftgauge_otel._events import add_span_event, record_of, trace_here
from driftgauge_otel._instruments import (
    DEFAULT_LIMIT,
    SCOPE,
    Instruments,
    SnapshotSource,
    give_up_turn,
    has_turn,
    scope_version,
)

__all__ = ["Registration", "register"]


class Registration:
    """What `register` made.

    Notes
    -----
    A child process counts from 0 while the provider it inherited remembers what its parent had reached: under
    delta it would report a negative number. So after a fork the child has instruments of its own, in a scope
    with the attribute ``driftgauge.fork`` beside its name, and the inherited ones say nothing.
    """

    def __init__(
        self,
        source: SnapshotSource,
        meter_provider: MeterProvider,
        logger_provider: LoggerProvider,
        cardinality_limit: int,
    ) -> None:
        self._source = source
        self._provider = meter_provider
        self._limit = cardinality_limit
        self._logger = logger_provider.get_logger(SCOPE, scope_version())
        self._remove = self._add()
        listen = getattr(source, "listen", None)
        self._stop: Any = None if listen is None else listen(self._tell, trace=trace_here)
        _all.add(self)

    def _add(self) -> Callable[[], None]:
        is_global = self._provider is metrics.get_meter_provider()
        made = _made.get(self._provider) or (_of_global[0] if is_global and _of_global else None)
        if made is None:
            attributes = {"driftgauge.fork": str(_forks[0])} if _forks[0] else None
            made = Instruments(self._provider, cardinality_limit=self._limit, attributes=attributes)
            _made[self._provider] = made
            if is_global:
                _of_global[:] = [made]
        made.limit = min(made.limit, self._limit)
        return made.add(self._source)

    def _tell(self, crossing: Crossing) -> None:
        add_span_event(crossing)
        if has_turn(self._source):
            self._logger.emit(record_of(crossing, time.time_ns()))

    def close(self) -> None:
        """Report nothing more. The providers are the host's and stay as they are."""
        self._remove()
        if self._stop is not None:
            self._stop()
        give_up_turn(self._source)
        _all.discard(self)

    def after_fork_in_child(self) -> None:
        """Begin anew, in a child process."""
        self._remove()
        self._remove = self._add()


def register(
    monitor: SnapshotSource,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    *,
    cardinality_limit: int = DEFAULT_LIMIT,
) -> Registration:
    """Have providers of the host report *monitor*: its metrics, and an event whenever a score crosses 1.

    Parameters
    ----------
    monitor : SnapshotSource
        A `driftgauge.Monitor`, or anything with ``snapshot()``.
    meter_provider : MeterProvider, optional
        Default: the global one. Make it with `views`, or series above 2,000 a family are left out.
    logger_provider : LoggerProvider, optional
        For events. Default: the global one.
    cardinality_limit : int
        What the provider keeps apart: the SDK's 2,000, or what was given to `views`. All monitors that are
        registered with a provider count towards it together, with the least that was said.

    Returns
    -------
    Registration
        With ``close()``.

    Raises
    ------
    ConfigError
        When the limit is not a number of series.

    Examples
    --------
    >>> from opentelemetry.sdk.metrics import MeterProvider
    >>> from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    >>> from driftgauge.snapshot import ReferenceInfo, Snapshot
    >>> from driftgauge_otel import CARDINALITY_LIMIT, views
    >>> class Quiet:
    ...     def snapshot(self):
    ...         return Snapshot(
    ...             model="churn", model_version="3", timestamp_seconds=1.7e9, evaluation_seconds=0.0,
    ...             reference=ReferenceInfo(reference_id="ab12", created_timestamp_seconds=1.6e9, rows=500),
    ...             features=(), windows=(), rows=0, rows_sampled=0, rows_sampled_out=0,
    ...         )
    >>> reader = InMemoryMetricReader()
    >>> provider = MeterProvider([reader], views=views(), shutdown_on_exit=False)
    >>> registration = register(Quiet(), provider, cardinality_limit=CARDINALITY_LIMIT)
    >>> metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    >>> metrics[-1].name, metrics[-1].data.data_points[0].value
    ('driftgauge.reference_rows', 500.0)

    Notes
    -----
    Counters never fall here, for the provider may report differences: what `Monitor.reset` forgets goes on
    being counted.
    """
    if not (isinstance(cardinality_limit, int) and cardinality_limit >= 1):
        message = f"cardinality_limit must be a whole number of at least 1, got {cardinality_limit!r}"
        raise ConfigError(message)
    meters = metrics.get_meter_provider() if meter_provider is None else meter_provider
    loggers = _logs.get_logger_provider() if logger_provider is None else logger_provider
    return Registration(monitor, meters, loggers, cardinality_limit)


_all: set[Registration] = set()
_made: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()
_of_global: list[Instruments] = []  # of the global provider, or of what stands in for it until one is set
_forks = [0]


def _after_fork_in_child() -> None:
    _forks[0] += 1
    _made.clear()
    _of_global.clear()
    for registration in list(_all):
        registration.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

"""Instruments and events on providers that the host has already."""

from __future__ import annotations

import os
import time
from typing import Any

from opentelemetry import _logs, metrics
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider

from driftgauge.errors import ConfigError
from driftgauge.snapshot import Crossing
from driftgauge_otel._events import add_span_event, record_of, trace_here
from driftgauge_otel._instruments import DEFAULT_LIMIT, SCOPE, Instruments, SnapshotSource, scope_version

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
        self._forks = 0
        self._instruments = self._made()
        listen = getattr(source, "listen", None)
        self._stop: Any = None if listen is None else listen(self._tell, trace=trace_here)
        _all.add(self)

    def _made(self) -> Instruments:
        attributes = {"driftgauge.fork": str(self._forks)} if self._forks else None
        limit = self._limit
        return Instruments(self._source, self._provider, cardinality_limit=limit, attributes=attributes)

    def _tell(self, crossing: Crossing) -> None:
        add_span_event(crossing)
        self._logger.emit(record_of(crossing, time.time_ns()))

    def close(self) -> None:
        """Report nothing more. The providers are the host's and stay as they are."""
        self._instruments.close()
        if self._stop is not None:
            self._stop()
        _all.discard(self)

    def after_fork_in_child(self) -> None:
        """Begin anew, in a child process."""
        self._instruments.close()
        self._forks += 1
        self._instruments = self._made()


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
        What the provider keeps apart: the SDK's 2,000, or what was given to `views`.

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


def _after_fork_in_child() -> None:
    for registration in list(_all):
        registration.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

"""What one process sends with: providers of our own, made when they are first needed."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter, ObservableGauge
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from driftgauge.snapshot import Crossing, Snapshot
from driftgauge_otel._events import record_of
from driftgauge_otel._instruments import (
    CARDINALITY_LIMIT,
    SCOPE,
    Instruments,
    SnapshotSource,
    failure_of,
    scope_version,
)
from driftgauge_otel._senders import Target, Together, log_exporter, metric_exporter

__all__ = ["COLLECT_MILLISECONDS", "Pipeline", "resource_of"]

COLLECT_MILLISECONDS: Final = 60_000  # an evaluation of 10,000 features takes seconds on a busy machine


def resource_of(given: Mapping[str, str], snapshot: Snapshot, *, forked: bool) -> Resource:
    """What the numbers are of: as given, else ``OTEL_RESOURCE_ATTRIBUTES``, else the model and its version.

    Each process has an instance id of its own, for two that share one would be added up as one: a child
    process of one that was given an id has its process number behind it.
    """
    said = Resource.create(dict(given))
    attributes = dict(said.attributes)
    if str(attributes.get("service.name", "")).startswith("unknown_service"):
        attributes["service.name"] = snapshot.model
    attributes.setdefault("service.version", snapshot.model_version)
    known = given.get("service.instance.id") or OTELResourceDetector().detect().attributes.get(
        "service.instance.id"
    )
    attributes["service.instance.id"] = str(uuid.uuid4()) if known is None else known
    if known is not None and forked:
        attributes["service.instance.id"] = f"{known}-{os.getpid()}"
    return Resource(attributes, said.schema_url)


class Pipeline:
    """A meter provider and, for events, a logger provider; nothing of it runs by itself.

    Parameters
    ----------
    source : SnapshotSource
    target : Target
    attributes : mapping of str to str
        Of the resource.
    events : bool
    forked : bool
        Whether this is a child process.
    """

    def __init__(
        self,
        source: SnapshotSource,
        target: Target,
        attributes: Mapping[str, str],
        *,
        metrics: bool,
        events: bool,
        forked: bool,
    ) -> None:
        failed = failure_of(source)
        resource = resource_of(attributes, source.snapshot(), forked=forked)
        self._reader: PeriodicExportingMetricReader | None = None
        self._logs: LoggerProvider | None = None
        self._ended = False
        if metrics:
            # An endless interval: the reader has no thread, and so none that a child process inherits.
            self._reader = PeriodicExportingMetricReader(
                metric_exporter(target, failed),
                export_interval_millis=math.inf,
                cardinality_limits={ObservableCounter: CARDINALITY_LIMIT, ObservableGauge: CARDINALITY_LIMIT},
            )
            self.meter_provider = MeterProvider([self._reader], resource=resource, shutdown_on_exit=False)
            carried = target.temporality == "delta"
            instruments = Instruments(
                self.meter_provider, cardinality_limit=CARDINALITY_LIMIT, carried=carried
            )
            self._remove = instruments.add(source)
        if events:
            self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
            self._logs.add_log_record_processor(Together(log_exporter(target, failed)))
            self._logger = self._logs.get_logger(SCOPE, scope_version())

    def send_metrics(self) -> None:
        """Collect and export, in this thread."""
        if self._reader is not None:
            self._reader.collect(timeout_millis=COLLECT_MILLISECONDS)

    def send_events(self, crossings: Iterable[Crossing]) -> None:
        """Export them in one request, in this thread."""
        if self._logs is not None:
            for crossing in crossings:
                self._logger.emit(record_of(crossing, time.time_ns()))
            self._logs.force_flush()

    def shutdown(self) -> None:
        """End; an export that tries again in another thread gives up. The second time does nothing."""
        ended, self._ended = self._ended, True
        if self._reader is not None and not ended:
            self._remove()
            self.meter_provider.shutdown()
        if self._logs is not None and not ended:
            self._logs.shutdown()

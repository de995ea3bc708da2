"""Metrics and events of a monitor to an OTLP endpoint, from one daemon thread."""

from __future__ import annotations

import atexit
import math
import os
import threading
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from driftgauge.errors import ConfigError
from driftgauge.snapshot import Crossing
from driftgauge_otel._events import add_span_event, trace_here
from driftgauge_otel._instruments import SnapshotSource, failure_of, give_up_turn, has_turn
from driftgauge_otel._pipeline import Pipeline
from driftgauge_otel._presets import endpoint_of, protocol_of, temporality_of
from driftgauge_otel._senders import Target

__all__ = ["Exporter", "start"]

CLOSE_SECONDS: Final = 2.0
DEFAULT_INTERVAL_SECONDS: Final = 60.0  # OpenTelemetry's
EVENTS_WAITING: Final = 1_000
LONGEST_WAIT_SECONDS: Final = 86_400.0  # no lock of Python waits 300 years


class Exporter:
    """Sends what a monitor has to say every so many seconds, and its crossings at once; `start` makes one.

    Notes
    -----
    All of OpenTelemetry happens in one daemon thread: a collector that is slow or absent holds up that thread
    and nothing else. After a fork the child begins with a pipeline of its own: another instance id, counts
    from 0, a connection of its own.
    """

    def __init__(
        self,
        source: SnapshotSource,
        target: Target,
        interval_seconds: float,
        attributes: Mapping[str, str],
        *,
        metrics: bool,
        events: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._interval_seconds = interval_seconds
        self._attributes = attributes
        self._metrics = metrics
        listen = getattr(source, "listen", None) if events else None
        self._events = listen is not None
        self._failed = failure_of(source)
        self._forked = False
        self._begin()
        self._stop: Any = None if listen is None else listen(self._tell, trace=trace_here)
        _all.add(self)

    def _begin(self) -> None:
        """Have a thread and nothing to send; the pipeline is made by the thread, when there is."""
        self._pipeline: Pipeline | None = None
        self._waiting: deque[Crossing] = deque(maxlen=EVENTS_WAITING)
        self._sending = threading.Lock()
        self._bell = threading.Event()
        self._closed = False
        self._sends_last = True
        self._thread = threading.Thread(target=self._run, name="driftgauge-otel", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = monotonic() + self._interval_seconds
        closing = False
        if getattr(self._source, "is_shared", False):
            self._send(metrics=False)  # differences are counted from when this process was there
        while not closing:
            self._bell.wait(min(max(0.0, due - monotonic()), LONGEST_WAIT_SECONDS))
            self._bell.clear()
            closing = self._closed  # looked at once: what closes during the sending is sent once more
            is_due = monotonic() >= due
            if is_due:
                due = monotonic() + self._interval_seconds
            if not closing or self._sends_last:
                self._send(metrics=closing or is_due)
        self._end()

    def _send(self, *, metrics: bool) -> None:
        try:
            with self._sending:
                if self._pipeline is None:
                    self._pipeline = Pipeline(
                        self._source,
                        self._target,
                        self._attributes,
                        metrics=self._metrics,
                        events=self._events,
                        forked=self._forked,
                    )
                self._pipeline.send_events([self._waiting.popleft() for _ in range(len(self._waiting))])
                if metrics:
                    self._pipeline.send_metrics()
        except Exception as error:
            self._failed(error)

    def _end(self) -> None:
        try:
            if self._pipeline is not None:
                self._pipeline.shutdown()
        except Exception as error:
            self._failed(error)
        give_up_turn(self._source)

    def _tell(self, crossing: Crossing) -> None:
        add_span_event(crossing)
        if not has_turn(self._source):
            return  # another process of the shared directory tells of it
        if len(self._waiting) == EVENTS_WAITING:
            self._failed(OverflowError())
        self._waiting.append(crossing)
        self._bell.set()

    def flush(self) -> None:
        """Send everything now, in the calling thread, and return when the SDK is done with it.

        Takes up to ``OTEL_EXPORTER_OTLP_TIMEOUT`` a request, 10 s, where nobody answers. Failures are
        counted, not raised.
        """
        if not self._closed:
            self._send(metrics=True)

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Send once more and end, in at most *timeout_seconds*; the end of the process calls this.

        With 0 seconds nothing more is sent.
        """
        self.begin_to_close(sends_last=timeout_seconds > 0)
        self.end_within(timeout_seconds)

    def begin_to_close(self, *, sends_last: bool = True) -> None:
        """Have the thread send once more, unless told not to, and end; nobody waits for it here."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        _all.discard(self)
        self._sends_last = sends_last
        self._closed = True
        self._bell.set()

    def end_within(self, timeout_seconds: float) -> None:
        """Wait at most so long for the thread, and have what it still tries given up."""
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            self._end()  # what tries again gives up

    def __enter__(self) -> Exporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork_in_child(self) -> None:
        """Begin anew, in a child process."""
        # Kept, and never shut down: taking a connection apart that the parent uses would wait for the parent.
        _inherited.append(self._pipeline)
        self._forked = True
        self._begin()


def start(
    monitor: SnapshotSource,
    endpoint: str | None = None,
    *,
    protocol: str | None = None,
    preset: str | None = None,
    temporality: str | None = None,
    headers: Mapping[str, str] | None = None,
    interval_seconds: float | None = None,
    timeout_seconds: float | None = None,
    resource: Mapping[str, str] | None = None,
    events: bool = True,
) -> Exporter:
    """Send metrics of *monitor* to an OTLP endpoint, and an event whenever a drift score crosses 1.

    What is not given here is as the ``OTEL_*`` variables say: endpoint, headers, certificates, compression,
    timeout, interval, service name and resource attributes, temporality, protocol.

    Parameters
    ----------
    monitor : SnapshotSource
        A `driftgauge.Monitor`, or anything with ``snapshot()``.
    endpoint : str, optional
        ``'http://collector:4317'`` for gRPC, or the part before ``/v1/metrics`` for HTTP. Default: this host.
    protocol : 'grpc' or 'http/protobuf', optional
        Default: the variables', else the preset's, else HTTP, which survives forks.
    preset : str, optional
        ``'prometheus'``, ``'datadog'``, ``'newrelic'`` or ``'elastic'``: temporality and protocol that they
        take, see `PRESETS`.
    temporality : 'cumulative' or 'delta', optional
        Of counters, in place of the preset's. Default: the variable's, else cumulative.
    headers : mapping of str to str, optional
        Such as ``{'api-key': …}``.
    interval_seconds : float, optional
        At least 0.1. Default: ``OTEL_METRIC_EXPORT_INTERVAL``, else 60.
    timeout_seconds : float, optional
        For one request with all its further tries. Default: the variables', else 10.
    resource : mapping of str to str, optional
        Attributes such as ``deployment.environment.name``. ``service.name`` and ``service.version`` are those
        of the model where nobody says, ``service.instance.id`` is new in each process.
    events : bool
        Whether crossings are sent as log records. Spans in progress have them as events in any case.

    Returns
    -------
    Exporter
        With ``flush()`` and ``close()``; a context manager.

    Raises
    ------
    ConfigError
        When a setting is none of those that there are.

    Examples
    --------
    >>> import numpy as np
    >>> import driftgauge as dg
    >>> monitor = dg.Monitor(dg.Reference.fit({"age": np.arange(100.0)}))
    >>> exporter = dg.exporter("otel").start(monitor, preset="datadog", interval_seconds=30)
    >>> exporter.close(timeout_seconds=0)

    Notes
    -----
    In a server that forks workers, start it in the worker where you can. What was started before the fork
    goes on in the child by itself. gRPC promises nothing of a child whose parent was sending; HTTP has no
    such state, hence the default.

    The SDK keeps 2,000 series an instrument apart and lumps the others; here it keeps 1,000,000. A request
    has at most 5,000 points, which fits the 4 MiB of a Collector.
    """
    environ = os.environ
    target = Target(
        protocol=protocol_of(protocol, preset, environ),
        logs_protocol=protocol_of(protocol, preset, environ, "LOGS"),
        temporality=temporality_of(temporality, preset, environ),
        endpoint=endpoint_of(endpoint),
        headers=headers,
        timeout_seconds=_seconds("timeout_seconds", timeout_seconds),
    )
    return Exporter(
        monitor,
        target,
        _seconds("interval_seconds", interval_seconds) or _interval_of(environ),
        dict(resource or {}),
        metrics=environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() != "none",
        events=events and environ.get("OTEL_LOGS_EXPORTER", "").strip().lower() != "none",
    )


def _seconds(name: str, given: float | None) -> float | None:
    if given is None or (isinstance(given, int | float) and 0.1 <= given < math.inf):
        return given
    message = f"{name} must be at least 0.1 and finite, got {given!r}"
    raise ConfigError(message)


def _interval_of(environ: Mapping[str, str]) -> float:
    """Seconds between exports, by OpenTelemetry's variable."""
    said = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip()
    try:
        milliseconds = float(said) if said else 1e3 * DEFAULT_INTERVAL_SECONDS
    except ValueError:
        milliseconds = math.nan
    if not 100 <= milliseconds < math.inf:
        message = f"OTEL_METRIC_EXPORT_INTERVAL must be at least 100 milliseconds, got {said!r}"
        raise ConfigError(message)
    return milliseconds / 1e3


_all: set[Exporter] = set()
_inherited: list[Pipeline | None] = []


def _close_all() -> None:
    exporters = list(_all)
    end = monotonic() + CLOSE_SECONDS  # of all together: a process may have one for each of its models
    for exporter in exporters:
        exporter.begin_to_close()
    for exporter in exporters:
        exporter.end_within(max(0.0, end - monotonic()))


def _after_fork_in_child() -> None:
    for exporter in list(_all):
        exporter.after_fork_in_child()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

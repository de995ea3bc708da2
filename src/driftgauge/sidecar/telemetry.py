"""OTLP out of a sidecar: an exporter for each model, as models come and go.

It is no way in: it is stopped last, when all that came is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from driftgauge.errors import DriftgaugeError
from driftgauge.exporters import exporter
from driftgauge.sidecar.models import ModelHandle, ModelRegistry
from driftgauge.sidecar.settings import OtelSettings
from driftgauge.snapshot import Crossing, Snapshot

__all__ = ["Telemetry", "telemetry_of"]

CLOSE_SECONDS: Final = 2.0  # for all models together

_log = logging.getLogger("driftgauge.sidecar")


class Source:
    """A model as an exporter wants it: what it knows of the monitor in force."""

    def __init__(self, handle: ModelHandle) -> None:
        self._handle = handle

    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self._handle.snapshot()

    def listen(self, listener: Callable[[Crossing], object], **_: Any) -> Callable[[], None]:
        """Have *listener* hear of crossings. There is no trace: who asks the model is in another process."""
        return self._handle.listen(listener)

    def count_error(self, stage: str, error: BaseException) -> None:
        """Count what went wrong, and log the first of its kind."""
        self._handle.monitor.count_error(stage, error)

    @property
    def is_shared(self) -> bool:
        """Whether there is a shared directory."""
        return self._handle.monitor.is_shared

    def has_turn(self, name: str) -> bool:
        """Whether this process reports for all of a shared directory."""
        return self._handle.monitor.has_turn(name)

    def give_up_turn(self, name: str) -> None:
        """Let another process report."""
        self._handle.monitor.give_up_turn(name)


class Telemetry:
    """The exporters of all models. *start* makes one of a source.

    Parameters
    ----------
    start : callable
    models : ModelRegistry
    """

    def __init__(self, start: Callable[[Source], Any], models: ModelRegistry) -> None:
        self._start = start
        self._models = models
        self._lock = threading.Lock()
        self._exporters: dict[str, tuple[ModelHandle, Any]] = {}
        self._closed = False

    def begin(self) -> None:
        """Have an exporter for each model that there is, and for those that come."""
        self._models.on_change(self._follow)
        self._follow()

    def _follow(self) -> None:
        with self._lock:
            if self._closed:
                return
            there = {handle.name: handle for handle in self._models}
            for name, (handle, gone) in list(self._exporters.items()):
                if there.get(name) is not handle:
                    del self._exporters[name]
                    gone.close()
            for name, handle in there.items():
                if name not in self._exporters:
                    try:
                        self._exporters[name] = handle, self._start(Source(handle))
                    except DriftgaugeError as error:  # of a variable, say: rows are counted all the same
                        _log.error("model %r is not sent over OTLP: %s", name, error)

    def close(self) -> None:
        """Send what is counted, once more, and end."""
        with self._lock:
            self._closed = True
            exporters = [made for _, made in self._exporters.values()]
            self._exporters = {}
        end = time.monotonic() + CLOSE_SECONDS
        for made in exporters:
            made.begin_to_close()
        for made in exporters:
            made.end_within(max(0.0, end - time.monotonic()))


def telemetry_of(settings: OtelSettings, models: ModelRegistry) -> Telemetry | None:
    """As *settings* say, not begun; None where nothing is to be sent.

    Raises
    ------
    ConfigError
        When the endpoint is none.
    MissingExtraError
        Without the extra.
    """
    if not settings.endpoint:
        return None
    otel = exporter("otel")
    endpoint = otel.endpoint_of(settings.endpoint)  # here and not at the first model: it is wrong for all

    def start(source: Source) -> Any:
        return otel.start(
            source,
            endpoint,
            protocol=settings.protocol or None,
            preset=settings.preset or None,
            interval_seconds=settings.interval or None,
            events=settings.events,
        )

    return Telemetry(start, models)

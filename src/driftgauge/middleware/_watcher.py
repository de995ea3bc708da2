"""What both middlewares are made of: routes, and an intake for each protocol that they speak."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from driftgauge._paths import path_pattern
from driftgauge._payload_intake import Intake
from driftgauge._payload_sources import add_payloads
from driftgauge.errors import ConfigError
from driftgauge.middleware._exchange import Exchange, Line
from driftgauge.middleware._routes import Route, check_routes
from driftgauge.protocols import Limits, decoder
from driftgauge.snapshot import PayloadCounts

if TYPE_CHECKING:
    from driftgauge.monitor import Monitor

__all__ = ["Watcher"]

QUEUE_PAYLOADS: Final = 1_000
QUEUE_BYTES: Final = 64 << 20
DEFAULT_LIMITS: Final = Limits()


class Watcher:
    """The application, and the exchanges of it that are watched. See the middlewares for the parameters."""

    def __init__(
        self,
        app: Any,
        monitor: Monitor,
        routes: Iterable[Route],
        *,
        limits: Limits = DEFAULT_LIMITS,
        queue_payloads: int = QUEUE_PAYLOADS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        if not callable(app):
            message = f"app must be an application that can be called, got {app!r}"
            raise ConfigError(message)
        if not callable(getattr(monitor, "count_payloads", None)):
            message = f"monitor must be a Monitor, got {monitor!r}; make one with Monitor(reference)"
            raise ConfigError(message)
        self.app = app
        self._found: list[tuple[frozenset[str], re.Pattern[str], Line]] = []
        lines: list[tuple[Route, Line]] = []
        reference = monitor.reference
        for route in check_routes(routes):
            spoken = (route.protocol, route.mapping, route.sample)
            line = next((line for known, line in lines if _spoken(known) == spoken), None)
            if line is None:
                reader = decoder(route.protocol, limits=limits, mapping=route.mapping)
                intake = Intake(
                    monitor,
                    reader,
                    "middleware",
                    queue_payloads=queue_payloads,
                    queue_bytes=queue_bytes,
                    sample=route.sample,
                )
                line = Line(
                    intake,
                    limits,
                    # Captured data holds both halves in one: then the request is wanted for the outputs too.
                    wants_request=bool(reference.inputs) or reader.both_halves,
                    wants_response=bool(reference.outputs) and not reader.both_halves,
                )
                lines.append((route, line))
            self._found.append((frozenset(route.methods), path_pattern(route.path), line))
        self._lines = [line for _, line in lines]
        monitor.count_payloads(self.payloads)

    def begin(self, method: str, path: str) -> Exchange | None:
        """The exchange of a request; None when no route has it, or it is not looked into."""
        for methods, pattern, line in self._found:
            if method in methods and pattern.fullmatch(path):
                return line.begin(path)
        return None

    def payloads(self) -> tuple[PayloadCounts, ...]:
        """What became of the exchanges so far: one value for each protocol."""
        for line in self._lines:
            line.settle()
        return add_payloads(line.intake.counts() for line in self._lines)

    def drain(self, timeout_seconds: float) -> bool:
        """Decode and count, now and here, all exchanges whose answers are complete. Whether that is done."""
        done = True
        for line in self._lines:
            done = line.intake.drain(timeout_seconds) and done
        return done

    def close(self) -> None:
        """Count what waits and end the threads, as the end of the process does. The application goes on."""
        for line in self._lines:
            line.intake.close()


def _spoken(route: Route) -> tuple[Any, ...]:
    return route.protocol, route.mapping, route.sample

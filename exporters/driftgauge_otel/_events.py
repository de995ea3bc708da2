"""A crossing as a log record and a span event, with the names that `exporters/README.md` lists."""

from __future__ import annotations

from typing import Final

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from driftgauge.snapshot import Crossing

__all__ = ["EVENT", "add_span_event", "attributes_of", "record_of", "trace_here"]

EVENT: Final = "driftgauge.drift.crossing"


def attributes_of(crossing: Crossing) -> dict[str, str | float]:
    """What is known of a crossing; names that would be empty are left out.

    Examples
    --------
    >>> crossing = Crossing(
    ...     model="churn", model_version="3", reference_id="9f86", window="1h", feature="age",
    ...     kind="input", direction="up", score=1.25, cause="location_up", cell="", words="location +0.4 sd",
    ...     onset_timestamp_seconds=None, timestamp_seconds=1.7e9, trace=None,
    ... )
    >>> attributes_of(crossing)["driftgauge.feature.name"], body_of(crossing)
    ('age', 'drift of age: score 1.25 is above 1 (location +0.4 sd)')
    """
    values: dict[str, str | float | None] = {
        "driftgauge.model.name": crossing.model,
        "driftgauge.model.version": crossing.model_version,
        "driftgauge.reference.id": crossing.reference_id,
        "driftgauge.feature.name": crossing.feature,
        "driftgauge.feature.kind": crossing.kind,
        "driftgauge.window.name": crossing.window,
        "driftgauge.statistic": "drift_score",
        "driftgauge.drift.score": crossing.score,
        "driftgauge.drift.direction": crossing.direction,
        "driftgauge.drift.cause": crossing.cause if crossing.cause != "none" else "",
        "driftgauge.drift.cell": crossing.cell,
        "driftgauge.drift.onset_timestamp": crossing.onset_timestamp_seconds,
    }
    return {name: _carried(value) for name, value in values.items() if value is not None and value != ""}


def _carried(value: str | float) -> str | float:
    """Text that UTF-8 can carry."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def body_of(crossing: Crossing) -> str:
    """One line for people."""
    what = crossing.feature or f"model {crossing.model}"
    words = f" ({crossing.words})" if crossing.words else ""
    where = "above 1" if crossing.direction == "up" else "back at 1 or below"
    return str(_carried(f"drift of {what}: score {crossing.score:.3g} is {where}{words}"))


def trace_here() -> tuple[str, str] | None:
    """Trace and span of what this thread or coroutine works on, in hexadecimal, if it is sampled."""
    here = trace.get_current_span().get_span_context()
    if not (here.is_valid and here.trace_flags.sampled):
        return None
    return trace.format_trace_id(here.trace_id), trace.format_span_id(here.span_id)


def record_of(crossing: Crossing, observed_nanoseconds: int) -> LogRecord:
    """Log record of a crossing, on the trace that it carries or on the current one."""
    return LogRecord(
        timestamp=round(crossing.timestamp_seconds * 1e9),
        observed_timestamp=observed_nanoseconds,
        context=_context_of(crossing),
        severity_number=SeverityNumber.WARN if crossing.direction == "up" else SeverityNumber.INFO,
        severity_text="WARN" if crossing.direction == "up" else "INFO",
        body=body_of(crossing),
        attributes=attributes_of(crossing),
        event_name=EVENT,
    )


def add_span_event(crossing: Crossing) -> None:
    """Tell the span that is being recorded in this thread, if there is one."""
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(EVENT, attributes_of(crossing), round(crossing.timestamp_seconds * 1e9))


def _context_of(crossing: Crossing) -> Context | None:
    if crossing.trace is None:
        return None
    trace_id, span_id = crossing.trace
    where = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(where))

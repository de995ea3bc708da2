"""Structured logs on standard error: one JSON object a line, or text for people. No values of rows.

Everything that driftgauge and aiohttp log by the standard library goes through here. Of an exception its
type and places are told and not its message, which may hold what a request held.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

from driftgauge.errors import DriftgaugeError, MissingExtraError

__all__ = ["set_up_logs"]

FRAMES: Final = 8


def set_up_logs(level: str, form: str, stream: TextIO | None = None) -> None:
    """Have all logs of this process written to *stream*, default standard error.

    Parameters
    ----------
    level : str
        ``'debug'``, ``'info'``, ``'warning'`` or ``'error'``.
    form : str
        ``'json'`` or ``'text'``.
    stream : text stream, optional
    """
    try:
        import structlog
    except ImportError as error:
        message = "the sidecar's logs need structlog; pip install driftgauge[sidecar]"
        raise MissingExtraError(message) from error
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_values,
    ]
    last: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=repr)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        keep_exc_info=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a full disk or a closed pipe must not print into it
    # numba tells each step of its compiler, asyncio each slow callback.
    for name in ("numba", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Type and places of an exception in place of the whole of it."""
    record = event.get("_record")
    found = event.pop("exc_info", None) or getattr(record, "exc_info", None)
    if record is not None:
        record.exc_info = record.exc_text = None
    if found is True:
        found = sys.exc_info()
    error = found if isinstance(found, BaseException) else found[1] if found else None
    if error is not None:
        event["error"] = str(error) if isinstance(error, DriftgaugeError) else type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
        event["places"] = [f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in frames]
    return event

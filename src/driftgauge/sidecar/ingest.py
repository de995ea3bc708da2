"""Rows that other processes post: JSON, NDJSON or Arrow IPC, over TCP or the Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from driftgauge.errors import MissingExtraError
from driftgauge.protocols import Limits, Message, Names
from driftgauge.protocols._reading import Unfit, content_type, open_body, parse_json
from driftgauge.sidecar.ingest_http import BodyRoom, message_of, problem, told
from driftgauge.sidecar.ingest_refused import Refusable, intake_of, refuse
from driftgauge.sidecar.ingest_rows import Observations, columns_of, rows_of_lines, side_of
from driftgauge.sidecar.openapi import ARROW_TYPES, JSON_TYPES, LINES_TYPES, ingest_openapi

if TYPE_CHECKING:
    from aiohttp import web

    from driftgauge.sidecar.models import ModelHandle, ModelRegistry
    from driftgauge.sidecar.settings import IngestSettings

__all__ = ["IngestWay", "read_observations"]

Answer = TypeVar("Answer")

_FORMS: Final = {
    **dict.fromkeys(JSON_TYPES, "json"),
    **dict.fromkeys(LINES_TYPES, "ndjson"),
    **dict.fromkeys(ARROW_TYPES, "arrow"),
}
_COUNTED: Final = {form: Refusable(name=form) for form in ("json", "ndjson", "arrow")}
IN_A_THREAD_BYTES: Final = 32 << 10  # parsed in 0.3 ms; a change of threads costs 0.1 ms
_STATUS: Final = {"too_large": 413, "queue_full": 503, "aborted": 408, "unsupported_content_type": 415}
_HELP: Final = {
    "too_large": "the body is larger than the limit; post it in parts",
    "queue_full": "rows come faster than they are counted; try again",
    "aborted": "the body did not arrive in time",
}


class IngestWay:
    """``POST /v1/observations``.

    Parameters
    ----------
    settings : IngestSettings
    models : ModelRegistry
    """

    def __init__(self, settings: IngestSettings, models: ModelRegistry) -> None:
        limits = models.settings.limits
        self._path = settings.path
        self._models = models
        self._limits = limits.of_payloads()
        self._room = BodyRoom(self._limits.body_bytes, limits.queue_bytes)
        self._parsing = asyncio.Semaphore(2)  # what is being parsed takes several times its bytes

    def routes(self) -> list[web.RouteDef]:
        """Of the main listener."""
        from aiohttp import web

        return [web.post(self._path, self._post)] if self._path else []

    def openapi(self) -> dict[str, Any]:
        """The part of the description that is about this."""
        return ingest_openapi(self._path)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self, drain_seconds: float) -> None:
        """Nothing to do: what was answered 202 is in the intake of its model."""

    async def _post(self, request: web.Request) -> web.Response:
        form = _FORMS.get(content_type({"content-type": request.headers.get("Content-Type", "")}))
        if form is None:
            known = ", ".join((*JSON_TYPES, *LINES_TYPES[:1], *ARROW_TYPES[:1]))
            return problem(415, "unsupported_content_type", f"Content-Type must be one of {known}")
        body = await self._room.read(request)
        if isinstance(body, str):
            return self._refused(request.query.get("model", ""), form, body, _HELP[body])
        message = message_of(request, body)
        # By bytes and not by rows: a thousand rows of a thousand features take the loop a second.
        large = len(body) > IN_A_THREAD_BYTES or form == "arrow" or "content-encoding" in message.headers
        with self._room.held(len(body)):
            async with self._parsing if large else contextlib.nullcontext():
                return await self._answer(message, form, request.query.get("model", ""), large=large)

    async def _answer(self, message: Message, form: str, asked: str, *, large: bool) -> web.Response:
        try:
            model, value = await _call(large, _parsed, message, form, self._limits)
        except Unfit as unfit:
            return self._refused(asked, form, unfit.reason, unfit.detail)
        if asked and model and asked != model:
            return self._refused(asked, form, "several_keys", "the body names another model than the query")
        model = model or asked
        handle = self._find(model)
        if handle is None:
            return problem(404, "unknown_model", self._which())
        names = Names.of(handle.reference)
        try:
            found = await _call(large, read_observations, value, form, names, self._limits)
        except Unfit as unfit:
            return self._refused(model, form, unfit.reason, unfit.detail)
        except MissingExtraError as error:
            return problem(501, "unsupported_content_type", str(error))
        intake = intake_of(handle, "ingest", _COUNTED[form])
        if not intake.offer_columns(found.inputs, found.outputs):
            return problem(503, "queue_full", _HELP["queue_full"], retry_seconds=1)
        return told(202, {"model": handle.name, "rows": found.rows, "missing_features": found.missing})

    def _find(self, model: str) -> ModelHandle | None:
        return self._models.get(model)  # of no name: the only one there is

    def _which(self) -> str:
        names = self._models.names()
        if not names:
            return "there are no models yet"
        return f"model must be one of {', '.join(map(repr, names))}; name it in the body or as ?model="

    def _refused(self, model: str, form: str, reason: str, detail: str) -> web.Response:
        """Tell whoever posted, and count it where the model is known."""
        handle = self._find(model)
        if handle is not None:
            intake = intake_of(handle, "ingest", _COUNTED[form])
            if reason in _HELP:
                intake.drop(reason)
            else:
                refuse(intake, reason, detail)
        return problem(
            _STATUS.get(reason, 400), reason, detail, retry_seconds=1 if reason == "queue_full" else 0
        )


async def _call(in_a_thread: bool, function: Callable[..., Answer], *arguments: Any) -> Answer:
    return await asyncio.to_thread(function, *arguments) if in_a_thread else function(*arguments)


@contextlib.contextmanager
def _unfit() -> Iterator[None]:
    """What a body may do to a parser besides, as a reason."""
    try:
        yield
    except RecursionError as error:
        raise Unfit(reason="too_deep", detail="values are nested too deep to be read at all") from error
    except MemoryError as error:
        raise Unfit(reason="too_large", detail="there is not enough memory to read it") from error


@_unfit()
def _parsed(message: Message, form: str, limits: Limits) -> tuple[str, Any]:
    """The model that the body names, or nothing, and its rows as yet without columns."""
    body = open_body(message, limits)
    if form == "arrow":
        return "", body
    if form == "ndjson":
        return "", rows_of_lines(body, limits)
    value = parse_json(body, limits)
    if type(value) is not dict:
        raise Unfit(reason="wrong_type", detail="the body is not an object with 'rows' or 'columns'")
    model = value.get("model", "")
    if type(model) is not str:
        raise Unfit(reason="wrong_type", detail="'model' is not a text")
    unknown = value.keys() - {"model", "rows", "columns"}
    if unknown:
        detail = "the body has another key than 'model', 'rows' and 'columns'"
        raise Unfit(reason="wrong_type", detail=detail)
    rows, columns = value.get("rows"), value.get("columns")
    if (rows is None) == (columns is None):
        reason = "missing_key" if rows is None else "several_keys"
        raise Unfit(reason=reason, detail="the body must have either 'rows' or 'columns'")
    if rows is not None and type(rows) is not list:
        raise Unfit(reason="wrong_type", detail="'rows' is not a list of objects")
    if columns is not None and (
        type(columns) is not dict or any(type(column) is not list for column in columns.values())
    ):
        raise Unfit(reason="wrong_type", detail="'columns' is not an object of lists")
    return model, columns if rows is None else rows


@_unfit()
def read_observations(value: Any, form: str, names: Names, limits: Limits) -> Observations:
    """Columns of a model's features.

    Raises
    ------
    Unfit
        When there are none, or they cannot be read.
    """
    side = side_of(names, limits)
    if form == "arrow":
        from driftgauge.sidecar.ingest_arrow import read_arrow

        return Observations(read_arrow(value, side), names)
    return Observations(columns_of(value, side), names)

"""The sink of a payload logger: takes CloudEvents, answers at once, looks into them later."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from driftgauge.protocols import Message, decoder
from driftgauge.sidecar.ingest_http import BodyRoom, headers_of, problem
from driftgauge.sidecar.ingest_refused import Refusable, intake_of, refuse
from driftgauge.sidecar.openapi import sink_openapi
from driftgauge.sidecar.pairing import Pairing
from driftgauge.sidecar.sink_events import Event, Unreadable, is_event, read_events
from driftgauge.sidecar.tee import Tee

if TYPE_CHECKING:
    from aiohttp import web

    from driftgauge._payload_intake import Intake
    from driftgauge.sidecar.models import ModelRegistry
    from driftgauge.sidecar.settings import SinkSettings

__all__ = ["SinkWay"]

TICK_SECONDS: Final = (
    0.05  # as the intakes: a thread that wakes for each event takes the answers' interpreter
)
POST_BYTES: Final = 1_000  # what a post takes beside its body
LOG_SECONDS: Final = 60.0
JOIN_SECONDS: Final = 5.0

_log = logging.getLogger("driftgauge.sidecar.sink")


@dataclass(frozen=True, slots=True)
class _Post:
    model: str
    headers: dict[str, str]
    body: bytes
    models: list[str] = field(default_factory=list)
    """Of its events, once they have been looked into."""


class SinkWay:
    """``POST /events``, and ``POST /events/NAME`` for the events of one model.

    Parameters
    ----------
    settings : SinkSettings
    models : ModelRegistry
    clock : callable
        Monotonic seconds, for halves that wait.

    Notes
    -----
    The answer is 200 and empty: KServe logs every other status as an error, and tries nothing again. What
    there is no room for is dropped and counted, and is forwarded all the same.
    """

    def __init__(
        self,
        settings: SinkSettings,
        models: ModelRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = models.settings.limits
        self._limits = limits.of_payloads()
        self._path = settings.path.rstrip("/")
        self._models = models
        self._decoder = Refusable(
            decoder(settings.protocol, limits=self._limits, mapping=settings.mapping or None)
        )
        self._model = settings.model
        self._sample = settings.sample
        self._unpaired = settings.unpaired
        self._clock = clock
        self._pairing = Pairing(
            seconds=settings.pair_seconds, halves=settings.pair_payloads, size_bytes=settings.pair_bytes
        )
        self._queue_events = limits.queue_payloads
        self._queue_bytes = limits.queue_bytes
        self._room = BodyRoom(self._limits.body_bytes, self._queue_bytes)
        self._tee: Tee | None = None
        if settings.tee:
            server = models.settings.server
            guarded = bool(server.token.get_secret_value() or server.token_file)
            self._tee = Tee(
                settings.tee,
                queue_events=self._queue_events,
                queue_bytes=self._queue_bytes,
                attempt_seconds=settings.tee_timeout,
                # A token that opens this sidecar is nobody else's business.
                leave_out=("authorization",) if guarded else (),
            )
        self._posts: deque[_Post] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """Of the main listener."""
        from aiohttp import web

        if not self._path:
            return []
        return [web.post(self._path, self._post), web.post(self._path + "/{model}", self._post)]

    def openapi(self) -> dict[str, Any]:
        """The part of the description that is about this."""
        return sink_openapi(self._path)

    async def start(self) -> None:
        """Begin to look into what comes, on a thread."""
        if self._tee is not None:
            await self._tee.start()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="driftgauge-sink", daemon=True)
        self._thread.start()

    async def stop(self, drain_seconds: float) -> None:
        """Look into what waits. Halves whose other half did not come have lost it."""
        import asyncio

        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, min(JOIN_SECONDS, drain_seconds))
            self._thread = None
        if self._working.acquire(timeout=0):  # else the thread is stuck, and halves are its own
            try:
                for half in self._pairing.everything():
                    self._lost(half.key[0], half.is_request, half.message)
            finally:
                self._working.release()
        if self._tee is not None:
            await self._tee.stop(drain_seconds)

    # ------------------------------------------------------------------ the answer

    async def _post(self, request: web.Request) -> web.Response:
        from aiohttp import web

        headers = headers_of(request)
        if not is_event(headers):
            detail = (
                "this takes CloudEvents: headers ce-id and ce-type, or application/cloudevents+json or "
                "application/cloudevents-batch+json"
            )
            return problem(415, "unsupported_content_type", detail)
        model = request.match_info.get("model", "") or self._model
        body = await self._room.read(request)
        if isinstance(body, str):
            self._drop(model or self._of(headers), body)
            if body == "queue_full":
                return problem(503, body, "too many events arrive at a time", retry_seconds=1)
            return problem(413 if body == "too_large" else 408, body, "the event did not arrive whole")
        post = _Post(model, headers, body)
        if self._tee is not None:
            self._tee.put(request.raw_headers, body, self._tell(post))
        if not self._queue(post):
            self._drop(model or self._of(headers), "queue_full")
        return web.Response()

    def _queue(self, post: _Post) -> bool:
        size = len(post.body) + POST_BYTES
        with self._lock:
            if len(self._posts) >= self._queue_events or self._bytes + size > self._queue_bytes:
                return False
            self._bytes += size
            self._posts.append(post)
        return True

    def _of(self, headers: dict[str, str]) -> str:
        """The model of an event in binary mode, which says so in its headers; of others it is not known."""
        name = headers.get("ce-inferenceservicename", "")
        return self._which(name, headers.get("ce-namespace", ""))

    def _which(self, service: str, namespace: str) -> str:
        """The model of a service; empty where there is none."""
        names = self._models.names()
        if len(names) == 1:
            return names[0]
        for name in (f"{namespace}/{service}", service):
            if name in names:
                return name
        return ""

    def _tell(self, post: _Post) -> Callable[[str], None]:
        """What counts the outcome of forwarding, with the first model that the post is about."""

        def tell(outcome: str) -> None:
            model = post.model or (post.models[0] if post.models else self._of(post.headers))
            intake = self._intake(model)
            if intake is not None:
                intake.forward(outcome)

        return tell

    # ------------------------------------------------------------------ behind it

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.work()
        self.work()

    def work(self) -> int:
        """Look into what waits now. How many posts that were. Never raises."""
        with self._working:
            posts = [self._posts.popleft() for _ in range(len(self._posts))]
            for post in posts:
                with self._lock:
                    self._bytes -= len(post.body) + POST_BYTES
                with contextlib.suppress(Exception):
                    for found in read_events(post.headers, post.body, self._limits):
                        self._look(post, found)
            with contextlib.suppress(Exception):
                for half in self._pairing.overdue(self._clock()):
                    self._lost(half.key[0], half.is_request, half.message)
        return len(posts)

    def _look(self, post: _Post, found: Event | Unreadable) -> None:
        model = post.model
        if isinstance(found, Unreadable):
            intake = None if found.reason == "unknown_type" else self._intake(model or self._which("", ""))
            if intake is None:
                self._ignore(found.reason, found.detail)
            else:
                refuse(intake, found.reason, found.detail)
            return
        model = model or self._which(found.service, found.namespace)
        handle = self._models.get(model) if model else None
        if handle is None:
            self._ignore(
                "unknown_model",
                "no model has the name of the event's inferenceservicename; post to PATH/NAME, "
                "or set sink.model",
            )
            return
        if not post.models:
            post.models.append(model)
        now = self._clock()
        key = (model, *found.key)
        if self._pairing.is_again(key, found.is_request, found.stamp, now):
            self._ignore("delivered_again", "a broker delivered an event twice")
            return
        reference = handle.reference
        if not (reference.inputs if found.is_request else reference.outputs):
            self._ignore("not_wanted", "the reference has no features of this half")
            return
        if not reference.outputs or not reference.inputs:
            half = found.message
            self._offer(model, half if found.is_request else None, None if found.is_request else half)
            return
        pair = self._pairing.add(key, found.is_request, found.message, now)
        if pair is not None:
            self._offer(model, pair.request, pair.response)

    def _lost(self, model: str, is_request: bool, message: Message) -> None:
        if is_request and self._unpaired == "inputs":
            self._offer(model, message, None)
        else:
            self._drop(model, "unpaired")

    def _offer(self, model: str, request: Message | None, response: Message | None) -> None:
        intake = self._intake(model)
        if intake is None:
            self._ignore("unknown_model", "the model went away while an event waited")
        else:
            intake.offer(request, response)

    def _drop(self, model: str, reason: str) -> None:
        intake = self._intake(model)
        if intake is None:
            self._ignore(reason, "an event was dropped before its model was known")
        else:
            intake.drop(reason)

    def _intake(self, model: str) -> Intake | None:
        handle = self._models.get(model) if model else None
        return None if handle is None else intake_of(handle, "sink", self._decoder, sample=self._sample)

    def _ignore(self, reason: str, detail: str) -> None:
        """Count an event that is of no model's payloads.

        It is ``'unknown_model'``, ``'unknown_type'``, ``'delivered_again'``, ``'not_wanted'``, or could not
        be read or had no room before its model was known.
        """
        self._models.count_stray("sink", reason)
        now = self._clock()
        if reason in ("delivered_again", "not_wanted"):
            return
        if now - self._told.get(reason, -math.inf) < LOG_SECONDS:
            return
        self._told[reason] = now
        _log.warning(
            "an event is not counted: %s (%s); further ones of this minute are not told", reason, detail
        )

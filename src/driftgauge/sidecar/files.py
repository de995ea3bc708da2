"""Files that grow, followed from where they stopped: NDJSON and SageMaker DataCapture."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from driftgauge.protocols import Decoder, Limits, Message, decoder
from driftgauge.sidecar.files_positions import places_from_bytes, places_to_bytes
from driftgauge.sidecar.files_sources import Source, source_of
from driftgauge.sidecar.follow import Chunk
from driftgauge.sidecar.ingest_refused import Refusable, intake_of
from driftgauge.sidecar.ingest_rows import NamedRows

if TYPE_CHECKING:
    from aiohttp import web

    from driftgauge._payload_intake import Intake
    from driftgauge.sidecar.models import ModelHandle, ModelRegistry
    from driftgauge.sidecar.settings import FileSettings

__all__ = ["FilesWay"]

ATTACHED_AS: Final = "files"
DRAIN_SECONDS: Final = 5.0
SHORTEST_POLL_SECONDS: Final = 0.01
GROUP_LINES: Final = 500  # counted in one call of the monitor

_log = logging.getLogger("driftgauge.sidecar.files")


class _Followed:
    """One ``[[files]]``."""

    def __init__(self, settings: FileSettings, limits: Limits) -> None:
        self.path = settings.path
        self.model = settings.model
        self.begin = settings.begin
        self.sample = settings.sample
        self.poll_seconds = max(SHORTEST_POLL_SECONDS, settings.poll)
        self.decoder = Refusable(_decoder_of(settings, limits))
        self.source: Source | None = None
        self.handle: ModelHandle | None = None
        self.next_look = 0.0


def _decoder_of(settings: FileSettings, limits: Limits) -> Decoder:
    if settings.format == "sagemaker_capture":
        return decoder("sagemaker_capture", limits=limits)
    if settings.protocol == "auto":
        return NamedRows(limits)
    return decoder(settings.protocol, limits=limits, mapping=settings.mapping or None)


class FilesWay:
    """Reads what is new in files, on one thread.

    Parameters
    ----------
    settings : sequence of FileSettings
        A line of ``ndjson`` is one object with the values of a row by name, inputs and outputs; with another
        `protocol`, it is what that decoder reads, for both halves.
    models : ModelRegistry

    Notes
    -----
    A file waits, so nothing of it is dropped for want of room: lines are read as fast as they are counted.
    How far it was read is saved with the windows of the model, in one step, so that after a kill the windows
    hold each line once; lines that are counted while the windows are being copied may be counted again.
    """

    def __init__(self, settings: Sequence[FileSettings], models: ModelRegistry) -> None:
        self._models = models
        self._limits = models.settings.limits.of_payloads()
        self._group_lines = min(GROUP_LINES, models.settings.limits.queue_payloads)
        self._group_bytes = models.settings.limits.queue_bytes // 2
        self._followed = [_Followed(each, self._limits) for each in settings]
        self._counting = threading.Lock()  # held while lines are counted of which the place does not tell yet
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def routes(self) -> list[web.RouteDef]:
        """None."""
        return []

    async def start(self) -> None:
        """Begin to read, on a thread."""
        if not self._followed:
            return
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="driftgauge-files", daemon=True)
        self._thread.start()

    async def stop(self, drain_seconds: float) -> None:
        """Stop reading. What is there and not read is read after the next start."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join, drain_seconds)
            if thread.is_alive():
                _log.warning("a file is still being read after %g s", drain_seconds)
                return
        for each in self._followed:
            if each.source is not None:
                each.source.close()

    # ------------------------------------------------------------------ on the thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            due = min(each.next_look for each in self._followed)
            self._stopping.wait(max(SHORTEST_POLL_SECONDS, due - time.monotonic()))

    def look(self) -> int:
        """Read what is new in files whose time it is. How many lines that were. Never raises."""
        lines = 0
        for each in self._followed:
            if self._stopping.is_set() or time.monotonic() < each.next_look:
                continue
            try:
                lines += self._read(each)
            except Exception as error:
                _log.warning("cannot follow %s: a %s", each.path, type(error).__name__)
            each.next_look = time.monotonic() + each.poll_seconds
        return lines

    def _read(self, each: _Followed) -> int:
        handle = self._models.get(each.model)
        if handle is None:
            return 0  # its model may come; until then nothing is read, so nothing is lost
        if handle is not each.handle:
            self._attach(each, handle)
        assert each.source is not None
        intake = intake_of(handle, "file", each.decoder, sample=each.sample)
        both_halves = each.decoder.both_halves
        lines = 0
        with contextlib.closing(each.source.new()) as chunks:
            chunk = self._next(chunks)
            while chunk is not None:
                with self._counting:
                    if not self._count(intake, chunk, both_halves=both_halves):
                        break
                    lines += len(chunk.lines)
                    if chunk.too_long:
                        intake.drop("too_large", chunk.too_long)
                    chunk = next(chunks, None)  # which moves the place behind the lines that were counted
        return lines

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        with self._counting:
            return next(chunks, None)

    def _count(self, intake: Intake, chunk: Chunk, *, both_halves: bool) -> bool:
        """Have the lines of a chunk counted, and wait until they are. False when we are to stop before."""
        waiting = size = 0
        for line in chunk.lines:
            if waiting >= self._group_lines or size + len(line) > self._group_bytes:
                if not self._drained(intake):
                    return False
                waiting = size = 0
            message = Message(line)
            intake.offer(message, None if both_halves else message)
            waiting += 1
            size += len(line) * (1 if both_halves else 2)
        return self._drained(intake)

    def _drained(self, intake: Intake) -> bool:
        while not intake.drain(DRAIN_SECONDS):
            if self._stopping.is_set():
                return False
        return True

    # ------------------------------------------------------------------ places

    def _attach(self, each: _Followed, handle: ModelHandle) -> None:
        """Follow from where it stopped when the windows of this model were saved."""
        saved = handle.attach(ATTACHED_AS, lambda: self._places(handle))
        places = None if saved is None else places_from_bytes(saved).get(each.path)
        if each.source is None:
            each.source = source_of(each.path, places, begin=each.begin)
        each.handle = handle

    def _places(self, handle: ModelHandle) -> bytes:
        """How far the files of a model were read. Waits for lines that are being counted."""
        # Not for ever: the thread that saves must not wait for a clock that is stuck.
        got = self._counting.acquire(timeout=DRAIN_SECONDS)
        try:
            return places_to_bytes(
                {
                    each.path: each.source.places()
                    for each in self._followed
                    if each.handle is handle and each.source is not None
                }
            )
        finally:
            if got:
                self._counting.release()

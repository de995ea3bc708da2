"""The way of undecoded payloads into a monitor: a bounded queue, and one thread that decodes in batches.

Every way in uses it: the proxy, the sink of a payload logger, ingest, files and the middleware. Whoever
offers pays for an append under a lock that is held for a few instructions. Decoding is put off and done in
batches: a thread that woke for each payload would take the interpreter from the one that answers, each time.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from driftgauge._buffer import Buffer
from driftgauge._life import look_after
from driftgauge._payload_work import Item, Outcome, Target, work_off
from driftgauge._worker import Worker
from driftgauge.errors import ConfigError
from driftgauge.protocols import Exchange, Message
from driftgauge.snapshot import PayloadCounts

if TYPE_CHECKING:
    from driftgauge.monitor import Monitor
    from driftgauge.protocols import Decoder

__all__ = ["DROP_REASONS", "WAYS", "Intake"]

WAYS: Final = ("proxy", "sink", "ingest", "file", "middleware")
DROP_REASONS: Final = (
    "aborted",
    "internal_error",
    "not_ok",
    "queue_full",
    "sampled_out",
    "too_large",
    "unfollowed",
    "unpaired",
)
"""Why a payload is not looked into. Nothing else is counted, so that the label is bounded."""

LOG_SECONDS: Final = 60.0
ITEM_BYTES: Final = 1_000  # what an exchange takes beside its bodies: two messages and their headers
CLOSE_SECONDS: Final = 1.0

_log = logging.getLogger("driftgauge.payloads")


class Intake:
    """Takes payloads as they come, decodes them on a thread of its own and has the monitor count their rows.

    Parameters
    ----------
    monitor : Monitor
    decoder : Decoder or None
        From `driftgauge.protocols.decoder`; None where rows come as columns only.
    way : str
        ``'proxy'``, ``'sink'``, ``'ingest'``, ``'file'`` or ``'middleware'``.
    protocol : str
        What counters call it; default the name of the decoder.
    queue_payloads, queue_bytes : int
        What may wait, bodies that are being copied included. Default 1,000 payloads and 64 MiB.
    sample : float
        Probability in [0, 1] that a payload is looked into.
    tick_seconds : float
        How often the queue is emptied while there is traffic; more often where it fills. Default 0.05.
    clock : callable
        Monotonic seconds, for the log: what cannot be decoded is told once a minute for each reason.
    rng : random.Random, optional

    Raises
    ------
    ConfigError
        When a parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge import Monitor, Reference
    >>> from driftgauge.protocols import Message, decoder
    >>> train = {"age": np.arange(20.0, 60.0), "score": np.linspace(0.0, 1.0, 40)}
    >>> monitor = Monitor(Reference.fit(train, outputs=["score"]), min_rows=1)
    >>> intake = Intake(monitor, decoder("kserve_v1"), "proxy")
    >>> intake.offer(Message(b'{"instances": [[33]]}'), Message(b'{"predictions": [0.5]}'))
    True
    >>> intake.drain(5.0), intake.counts().decoded, monitor.snapshot().rows
    (True, 1, 1)
    >>> intake.close()

    Notes
    -----
    `offer` neither blocks nor raises. In `counts` every payload that has left the queue is decoded,
    undecodable or dropped, exactly; its rows are then in the counters of the monitor. After a fork the child
    starts with an empty queue.
    """

    def __init__(
        self,
        monitor: Monitor,
        decoder: Decoder | None,
        way: str,
        *,
        protocol: str = "",
        queue_payloads: int = 1_000,
        queue_bytes: int = 64 << 20,
        sample: float = 1.0,
        tick_seconds: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        if way not in WAYS:
            message = f"way must be one of {', '.join(map(repr, WAYS))}, got {way!r}"
            raise ConfigError(message)
        if not 0 <= sample <= 1:
            message = f"sample must be in [0, 1], got {sample!r}"
            raise ConfigError(message)
        if queue_payloads < 1 or queue_bytes < 1:
            message = (
                f"queue_payloads and queue_bytes must be at least 1, got {queue_payloads!r}, {queue_bytes!r}"
            )
            raise ConfigError(message)
        self.way = way
        self.protocol = protocol or (decoder.name if decoder is not None else "columns")
        self._decoder = decoder
        self._queue_payloads = queue_payloads
        self._queue_bytes = queue_bytes
        self._sample = sample
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._rng = rng or random.Random()
        self._undecodable: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter(dict.fromkeys(("queue_full", "sampled_out"), 0))
        self._without_outputs: Counter[str] = Counter()
        self._forwarded: Counter[str] = Counter()
        self._decoded = 0
        self._told: dict[str, float] = {}
        self.switch(monitor)
        self._begin()
        look_after(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._bytes = 0
        self._buffer = Buffer(self._queue_payloads)
        self._worker = Worker(self, self._buffer, self._tick_seconds)
        self._buffer.ring = self._worker.ring

    def switch(self, monitor: Monitor) -> None:
        """Have *monitor* count from now on: what waits included."""
        self._target = Target.of(monitor.reference, monitor.observe)
        self._tell_others = monitor._tell_others

    # ------------------------------------------------------------------ in the path of answers

    def admit(self) -> bool:
        """Whether the next payload is to be looked into: sampled, and room for it. If not, it is counted.

        For ways in that save themselves the copy; `put` comes after.
        """
        if self._sample < 1 and self._rng.random() >= self._sample:
            self.drop("sampled_out")
            return False
        if len(self._buffer.ready) >= self._queue_payloads or self._bytes >= self._queue_bytes:
            self.drop("queue_full")
            return False
        return True

    def reserve(self, size: int) -> bool:
        """Claim room for *size* bytes that are being copied; False when there is none. Give it back."""
        with self._lock:
            if self._bytes + size > self._queue_bytes:
                return False
            self._bytes += size
            return True

    def give_back(self, size: int) -> None:
        """Free what `reserve` claimed."""
        with self._lock:
            self._bytes = max(0, self._bytes - size)  # a child of a fork has claimed nothing of its parent's

    def drop(self, reason: str, payloads: int = 1) -> None:
        """Count payloads that nobody will look into; *reason* is one of `DROP_REASONS`."""
        with self._lock:
            self._dropped[reason if reason in DROP_REASONS else "internal_error"] += payloads

    def forward(self, outcome: str) -> None:
        """Count a payload that was passed on; *outcome* is one of a few words."""
        with self._lock:
            self._forwarded[outcome] += 1

    def offer(
        self, request: Message | None, response: Message | None, now_seconds: float | None = None
    ) -> bool:
        """Have an exchange decoded and counted, soon. False when it is dropped, which is counted.

        Parameters
        ----------
        request, response : Message or None
            None where a half did not come. Without a request there are no inputs, so it is dropped as
            ``unpaired``, unless the reference has outputs only.
        now_seconds : float, optional
            When it happened, seconds since the epoch; default what the payload says, else now.
        """
        return self.admit() and self.put(request, response, now_seconds)

    def put(
        self, request: Message | None, response: Message | None, now_seconds: float | None = None
    ) -> bool:
        """`offer` of what `admit` has let in."""
        try:
            if request is None and (response is None or self._target.names.inputs):
                self.drop("unpaired")
                return False
            size = sum(len(half.body) for half in (request, response) if half is not None)
            return self._queue(Item(request, response, None, now_seconds, size + ITEM_BYTES))
        except Exception:
            self.drop("internal_error")
            return False

    def offer_columns(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None,
        now_seconds: float | None = None,
    ) -> bool:
        """Have rows counted that are columns already: one payload. False when they are dropped.

        Parameters
        ----------
        inputs, outputs : mapping of str to column
            Of one length; whoever offers them does not change them any more.
        now_seconds : float, optional
            When they happened; default now.
        """
        if not self.admit():
            return False
        try:
            columns = [*inputs.values(), *(outputs or {}).values()]
            rows = len(columns[0]) if columns else 0
            size = sum(getattr(column, "nbytes", 0) or 50 * len(column) for column in columns)
            exchange = Exchange(inputs, outputs, rows)
            return self._queue(Item(None, None, exchange, now_seconds, size + ITEM_BYTES))
        except Exception:
            self.drop("internal_error")
            return False

    def _queue(self, item: Item) -> bool:
        buffer = self._buffer
        with self._lock:
            full = len(buffer.ready) >= self._queue_payloads or self._bytes + item.size > self._queue_bytes
            if full:
                self._dropped["queue_full"] += 1
            else:
                self._bytes += item.size
                buffer.ready.append(item)
        if buffer.asleep:
            buffer.wake()
        return not full

    # ------------------------------------------------------------------ behind it

    def work(self) -> int:
        """Decode and count what waits now. How many payloads that were. Never raises."""
        with self._working:
            ready = self._buffer.ready
            items = [ready.popleft() for _ in range(len(ready))]
            if items:
                outcome = work_off(items, self._decoder, self._target)
                self._account(outcome, sum(item.size for item in items))
        if items:
            self._tell_others()  # of what no row came of, too: a wrong mapping must show
            self._tell(outcome)
        return len(items)

    def _account(self, outcome: Outcome, size: int) -> None:
        with self._lock:
            self._bytes -= size
            self._decoded += outcome.decoded
            self._undecodable.update(+outcome.undecodable)
            self._without_outputs.update(outcome.without_outputs)

    def _tell(self, outcome: Outcome) -> None:
        """Log what could not be decoded: one of each reason a minute, no values, no lock held."""
        for reason, detail in outcome.details.items():
            now = self._clock()
            if now - self._told.get(reason, -LOG_SECONDS) < LOG_SECONDS:
                continue
            self._told[reason] = now
            try:
                _log.warning(
                    "a payload that came by %s could not be read as %s: %s (%s); "
                    "further ones of this minute are only counted",
                    self.way,
                    self.protocol,
                    reason,
                    detail,
                )
            except Exception:  # the host's handler raises: nobody's business here
                self._buffer.errors["log"].one()

    def counts(self) -> PayloadCounts:
        """What became of the payloads so far."""
        with self._lock:
            undecodable, dropped = dict(self._undecodable), dict(self._dropped)
            decoded = self._decoded
            return PayloadCounts(
                way=self.way,
                protocol=self.protocol,
                payloads=decoded + sum(undecodable.values()) + sum(dropped.values()),
                decoded=decoded,
                undecodable=undecodable,
                dropped=dropped,
                without_outputs=dict(self._without_outputs),
                forwarded=dict(self._forwarded),
            )

    def drain(self, timeout_seconds: float) -> bool:
        """Decode and count all that waits, in the calling thread too. Whether nothing waits any more."""
        end = time.monotonic() + timeout_seconds
        while True:
            if not self._working.acquire(timeout=max(0.0, end - time.monotonic())):
                return False
            self._working.release()
            if not self._buffer.ready:
                return True
            if time.monotonic() >= end:
                return False
            self.work()

    def close(self) -> None:
        """Count what waits, as far as a second allows, and end the thread."""
        self._worker.stop(CLOSE_SECONDS)
        self.drain(CLOSE_SECONDS)

    def after_fork_in_child(self) -> None:
        """Begin anew in a child process: an empty queue, nothing counted, a thread of its own."""
        self._decoded = 0
        for counter in (self._undecodable, self._without_outputs, self._forwarded):
            counter.clear()
        self._dropped = Counter(dict.fromkeys(("queue_full", "sampled_out"), 0))
        self._rng = random.Random()
        self._begin()

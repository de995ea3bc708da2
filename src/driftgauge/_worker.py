"""The background thread of a monitor: started by the first row, asleep when there are none."""

from __future__ import annotations

import threading
import weakref
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from driftgauge._buffer import Buffer

__all__ = ["Worked", "Worker"]

SHORTEST_WAIT_SECONDS: Final = 0.001
QUIET_SECONDS: Final = 2.0  # after so long without a row the thread sleeps until it is woken


class Worked(Protocol):
    """What a worker works for."""

    def work(self) -> int:
        """Empty the buffer; the number of rows that were in it. Never raises."""


class Worker:
    """A daemon thread that calls ``work()`` every *tick_seconds*, more often while the buffer fills.

    Parameters
    ----------
    worked : Worked
        Held weakly: when nobody else holds it, the thread ends.
    buffer : Buffer
    tick_seconds : float

    Notes
    -----
    The bell is a `SimpleQueue`, whose ``put`` may be called from anywhere, a finaliser or a signal handler
    included; `threading.Event` may not. After `QUIET_SECONDS` without rows the thread waits for the bell;
    `Buffer.asleep` says so, and the next row rings.
    """

    def __init__(self, worked: Worked, buffer: Buffer, tick_seconds: float) -> None:
        self._buffer = buffer
        self._tick_seconds = tick_seconds
        self._bell: SimpleQueue[None] = SimpleQueue()
        bell = self._bell
        self._worked = weakref.ref(worked, lambda _: bell.put(None))
        self._stopped: list[bool] = []
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def ring(self) -> None:
        """Start the thread, or wake it."""
        if self._stopped:
            return
        if not self.alive:
            arguments = (self._worked, self._buffer, self._bell, self._stopped, self._tick_seconds)
            thread = threading.Thread(target=_run, args=arguments, name="driftgauge", daemon=True)
            thread.start()
            self._thread = thread  # not before: who stops us meanwhile, or after a failure, cannot join it
        self._bell.put(None)

    def stop(self, timeout_seconds: float) -> None:
        """Have the thread end, and wait for it at most so long."""
        self._stopped.append(True)
        self._bell.put(None)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds)


def _run(
    worked: weakref.ref[Worked],
    buffer: Buffer,
    bell: SimpleQueue[None],
    stopped: list[bool],
    tick_seconds: float,
) -> None:
    wait_seconds = tick_seconds
    quiet_seconds = 0.0
    while not stopped:
        alive = worked()
        if alive is None:
            return
        rows = alive.work()
        del alive  # or the thread would keep it while it waits
        if rows:
            quiet_seconds = 0.0
            if rows > buffer.buffer_rows // 2:
                wait_seconds = max(wait_seconds / 2, SHORTEST_WAIT_SECONDS)
            elif rows < buffer.buffer_rows // 8:
                wait_seconds = min(wait_seconds * 2, tick_seconds)
        else:
            quiet_seconds += wait_seconds
            wait_seconds = tick_seconds
        if quiet_seconds < QUIET_SECONDS:
            _wait(bell, wait_seconds)
            continue
        quiet_seconds = 0.0
        buffer.asleep.append(None)
        # A row that came before the sign was there has not rung: look again before sleeping.
        if buffer.ready:
            buffer.wake()
        _wait(bell, None)


def _wait(bell: SimpleQueue[None], seconds: float | None) -> None:
    try:
        bell.get(timeout=seconds)
        while True:
            bell.get_nowait()
    except Empty:
        pass

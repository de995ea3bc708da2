"""What a sidecar does beside its traffic: compiles once, looks for changed files, saves windows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from driftgauge import kernels

__all__ = ["compiled", "guarded_call", "look_for_ever", "save_for_ever"]

WARM_UP_SECONDS: Final = 120.0

_log = logging.getLogger("driftgauge.sidecar")


async def compiled() -> bool:
    """Compile, which takes 10 s of a core where nothing is on disk; whether that went well in time."""
    loop = asyncio.get_running_loop()
    compiling: asyncio.Future[bool] = loop.create_future()

    def end(well: bool) -> None:
        if not compiling.done():
            compiling.set_result(well)

    def work() -> None:
        try:
            kernels.warm_up()
            well = True
        except Exception:
            _log.exception("kernels could not be compiled")
            well = False
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, well)

    # A daemon and not one of asyncio's threads: whoever stops now does not wait for the compiler.
    threading.Thread(target=work, name="driftgauge-warm-up", daemon=True).start()
    try:
        return await asyncio.wait_for(compiling, WARM_UP_SECONDS)
    except TimeoutError:
        return False


async def guarded_call(call: Callable[[], Awaitable[Any]], what: str) -> None:
    """*call*, and a line in the log when it fails."""
    try:
        await call()
    except Exception:
        _log.exception("%s failed; it is tried again", what)


async def look_for_ever(interval_seconds: float, reload: Callable[..., Awaitable[Any]]) -> None:
    """Read what has changed, every so many seconds; 0 for never."""
    while interval_seconds:
        await asyncio.sleep(interval_seconds)
        await guarded_call(lambda: reload(again=False), "looking for changed references")


async def save_for_ever(interval_seconds: float, save: Callable[[], Awaitable[Any]]) -> None:
    """Save so often that what is lost by a kill came in within one interval.

    From the beginning of one save to the end of the next is a pause and two saves, so that is what the
    interval covers: a third for saves that take longer than the one before, and a tenth of it for rows that
    wait to be counted. Where saves take a quarter of the interval each, it is not held.
    """
    loop = asyncio.get_running_loop()
    took = 0.0
    while True:
        await asyncio.sleep(max(0.9 * interval_seconds - 3 * took, interval_seconds / 4))
        begun = loop.time()
        await guarded_call(save, "saving windows")
        took = loop.time() - begun

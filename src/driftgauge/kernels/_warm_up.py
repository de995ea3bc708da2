"""When the compiled kernels take over from the twins, also across threads and forks."""

from __future__ import annotations

import os
import threading
from types import ModuleType
from typing import Literal

from driftgauge.kernels import twins

__all__ = ["active", "compiled", "status", "warm_up"]

Status = Literal["numpy", "compiling", "numba", "unavailable"]

active: ModuleType = twins
_status: Status = "numpy"
_lock = threading.Lock()


def compiled() -> bool:
    """True when the compiled kernels serve."""
    return _status == "numba"


def status() -> Status:
    """Who serves: 'numpy', 'compiling' (still NumPy), 'numba', or 'unavailable' (NumPy for good).

    'unavailable' means that numba cannot be imported or cannot compile, or that this process was forked
    while another thread compiled.
    """
    return _status


def warm_up() -> None:
    """Compile all kernels and let them take over from the twins. From any thread, any number of times.

    Another thread's call waits until the compilation under way is done. Never raises: where numba cannot run,
    `status` says 'unavailable' and the twins go on serving.
    """
    global active, _status
    if _status in ("numba", "unavailable"):
        return
    with _lock:
        if _status != "numpy":
            return
        _status = "compiling"
        try:
            from driftgauge.kernels import _compiled
        except Exception:  # whatever keeps numba from working, the twins give the same numbers
            _status = "unavailable"
        else:
            # One assignment of one reference: a thread sees all twins or all compiled, nothing between.
            active = _compiled
            _status = "numba"


def _after_fork_in_child() -> None:
    global _lock, _status
    # The lock may be held by a thread that does not exist here, and so may numba's own, which cannot be
    # replaced: a child born during a compilation must never wait for either.
    _lock = threading.Lock()
    if _status == "compiling":
        _status = "unavailable"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

"""What a process does to all its monitors: forks with them, and ends."""

from __future__ import annotations

import atexit
import itertools
import os
import weakref
from typing import Protocol

__all__ = ["LookedAfter", "look_after"]


class LookedAfter(Protocol):
    """What has something to do when the process forks or ends."""

    def after_fork_in_child(self) -> None: ...
    def close(self) -> None: ...


# By age: what counts for a monitor is made after it, and has to count all before that tells others.
_all: weakref.WeakValueDictionary[int, LookedAfter] = weakref.WeakValueDictionary()
_age = itertools.count()


def look_after(monitor: LookedAfter) -> None:
    """Have *monitor* told of forks and of the end, for as long as somebody else holds it."""
    _all[next(_age)] = monitor


def _close_all() -> None:
    for monitor in reversed(list(_all.values())):
        monitor.close()


def _after_fork_in_child() -> None:
    for monitor in list(_all.values()):
        monitor.after_fork_in_child()


# A daemon thread that still runs while the interpreter is taken apart can crash it.
atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

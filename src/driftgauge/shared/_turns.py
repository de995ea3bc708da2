"""Whose turn it is to report what all processes of a shared directory have counted together.

Each of them knows the sum, so if each reported it to one place it would stand there as often as there are
processes. A turn is a lock on a file. The kernel gives it back whatever ends the process, and the next one
that asks has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["Turns"]


class Turns:
    """The turns that this process has, by name.

    Parameters
    ----------
    folder : Path
    failed : callable
        Told of errors, none of which leaves.
    """

    def __init__(self, folder: Path, failed: Callable[[BaseException], None]) -> None:
        self._folder = folder
        self._failed = failed
        self._files: dict[str, int] = {}

    def has(self, name: str) -> bool:
        """Whether this process has the turn *name*, which it takes where nobody has it."""
        file = self._files.get(name)
        try:
            if file is not None:
                if os.fstat(file).st_nlink:
                    return True
                self.give_up(name)  # somebody has tidied the folder up: others would not see our lock
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self._folder / f"turn-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            self._failed(error)
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return name in self._files  # which another thread has taken just now
        self._files[name] = file
        return True

    def give_up(self, name: str) -> None:
        """Let another process have it."""
        file = self._files.pop(name, None)
        if file is not None:
            with contextlib.suppress(OSError):
                # Closing alone would not do it: a child may have been forked meanwhile and have it open.
                fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)

    def after_fork_in_child(self) -> None:
        """Have no turn: those are the parent's, and closing its files here does not end them."""
        files, self._files = self._files, {}
        for file in files.values():
            with contextlib.suppress(OSError):
                os.close(file)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.after_fork_in_child()

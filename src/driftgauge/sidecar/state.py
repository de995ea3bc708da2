"""Window states on disk: whole or not at all, by model and reference, so that none is mistaken for another.

``<directory>/<model>/<reference id>/<number>/<window>.window``. A number is one save of all windows of a
model. It is written beside and then renamed, so that windows of one moment stay together; the two newest are
kept, and where the newest is damaged the one before is read. What belongs to another reference is left where
it is, until there are more than `keep` of them: an older reference that comes back finds its windows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote
from uuid import uuid4

from driftgauge.errors import DriftgaugeError

__all__ = ["Restored", "StateStore"]

TEMPORARY: Final = ".writing-"
ATTACHED: Final = ".attached"
ID_CHARS: Final = 16  # of 64: 64 bits tell references apart, and a path stays short
NAME_CHARS: Final = 100
NEWEST: Final = 2


class Restored:
    """What became of looking for a saved state: `notes` are for people, `attached` for the ways in."""

    def __init__(self) -> None:
        self.found = False
        self.attached: dict[str, bytes] = {}
        self.notes: list[str] = []


class StateStore:
    """The directory of window states. One process at a time saves to it.

    Parameters
    ----------
    directory : path
        Made when it is not there.
    keep : int
        States of other references that are kept, a model.
    """

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory = directory
        self._keep = keep
        self._lock: IO[bytes] | None = None

    def claim(self) -> bool:
        """Whether this process may save: no other one does. Asked before each save, so that it takes over."""
        if self._lock is not None:
            return True
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = (self.directory / ".lock").open("ab")
        try:
            # The kernel frees it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            return False
        self._lock = lock
        return True

    def release(self) -> None:
        """Let another process save."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def save(
        self, model: str, reference_id: str, write: Callable[[Path], None], attached: Mapping[str, bytes]
    ) -> None:
        """Save what *write* puts into a folder, and *attached*, as the newest state of model and reference.

        Raises
        ------
        OSError
            The disk is full or not writable; what was saved before is untouched.
        """
        folder = self._folder(model, reference_id)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{TEMPORARY}*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        temporary = folder / f"{TEMPORARY}{uuid4().hex}"
        try:
            temporary.mkdir()
            for name, content in attached.items():
                (temporary / f"{_file_name(name)}{ATTACHED}").write_bytes(content)
            write(temporary)
            _flush(temporary)
            numbers = _numbers(folder)
            temporary.rename(folder / str(max(numbers, default=0) + 1))
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _flush(folder)
        for number in numbers[NEWEST - 1 :]:
            shutil.rmtree(folder / str(number), ignore_errors=True)
        os.utime(folder)
        self._forget_old(folder)

    def load(self, model: str, reference_id: str, read: Callable[[Path], None]) -> Restored:
        """Have *read* take the newest state that it can, of model and reference. Never raises."""
        told = Restored()
        folder = self._folder(model, reference_id)
        for number in _numbers(folder):
            place = folder / str(number)
            try:
                read(place)
                told.attached = {
                    each.name.removesuffix(ATTACHED): each.read_bytes() for each in place.glob(f"*{ATTACHED}")
                }
            except (DriftgaugeError, OSError) as error:
                told.notes.append(f"a saved state of model {model!r} is left out: {error}")
            else:
                told.found = True
                return told
        others = [] if folder.exists() else self.others(model, reference_id)
        if others:
            told.notes.append(
                f"windows of model {model!r} begin empty: what is saved belongs to {_listed(others)}, and "
                f"the reference now is {reference_id[:ID_CHARS]}; it stays in {str(folder.parent)!r} for "
                "when that returns"
            )
        return told

    def others(self, model: str, reference_id: str) -> list[str]:
        """Beginnings of the ids of other references of *model* that have a state, newest first."""
        folder = self._folder(model, reference_id)
        return [each.name for each in _by_age(folder.parent) if each != folder]

    def _forget_old(self, folder: Path) -> None:
        others = [each for each in _by_age(folder.parent) if each != folder]
        for each in others[self._keep :]:
            shutil.rmtree(each, ignore_errors=True)

    def _folder(self, model: str, reference_id: str) -> Path:
        return self.directory / _file_name(model) / reference_id[:ID_CHARS]


def _file_name(name: str) -> str:
    """A name that is safe on disk, and another one for another name."""
    safe = quote(name, safe=" ").replace(".", "%2E")
    if len(safe) <= NAME_CHARS:
        return safe or "%"
    return f"{safe[:NAME_CHARS]}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _numbers(folder: Path) -> list[int]:
    """Numbers of the saves in *folder*, newest first."""
    with contextlib.suppress(OSError):
        return sorted((int(each.name) for each in folder.iterdir() if each.name.isdecimal()), reverse=True)
    return []


def _by_age(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(
            (each for each in folder.iterdir() if each.is_dir()),
            key=lambda each: each.stat().st_mtime_ns,
            reverse=True,
        )
    return []


def _listed(ids: list[str]) -> str:
    return f"reference {ids[0]}" if len(ids) == 1 else f"references {', '.join(ids)}"


def _flush(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can; the rename stands
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

"""What is new in a file, or in all files of a folder or of a pattern."""

from __future__ import annotations

import glob
import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final, Protocol

from driftgauge.sidecar.follow import LINE_BYTES, Chunk, Follower, Position

__all__ = ["Folder", "OneFile", "Source", "source_of"]

ENDINGS: Final = (".jsonl", ".ndjson", ".json", ".log")
"""Files of a folder that are read. Others may be compressed, or be written under another name first."""

MOST_GONE: Final = 10_000
LOG_SECONDS: Final = 60.0

_log = logging.getLogger("driftgauge.sidecar.files")

Place = tuple[str, Position]


class Source(Protocol):
    """Something that grows."""

    def new(self) -> Generator[Chunk]:
        """What is new now. What a chunk holds is done with when the next is asked for."""

    def places(self) -> list[Place]:
        """How far each file was read."""

    def close(self) -> None:
        """Let go of all files."""


def source_of(path: str, places: list[Place] | None, *, begin: str = "start") -> Source:
    """Follows *path*: a pattern where it has ``*``, ``?`` or ``[``, a folder where it is one, else a file.

    Parameters
    ----------
    path : str
    places : list, optional
        From the last time; None: there was none.
    begin : str
        Where to begin the first time: ``'start'``, or ``'end'`` to leave out what is there already.
    """
    if glob.has_magic(path) or path.endswith("/") or Path(path).is_dir():
        return Folder(path, places, begin=begin)
    return OneFile(path, places, begin=begin)


class _Teller:
    """Tells of trouble with files: each path once a minute at most."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def tell(self, path: str, error: OSError) -> None:
        now = time.monotonic()
        if now - self._told.get(path, -math.inf) >= LOG_SECONDS:
            if len(self._told) > MOST_GONE:
                self._told.clear()
            self._told[path] = now
            _log.warning("cannot read %s: %s", path, error.strerror or type(error).__name__)


class OneFile:
    """One path, whatever file is there, through renaming and cutting."""

    def __init__(self, path: str, places: list[Place] | None, *, begin: str = "start") -> None:
        self._follower = Follower(path, places[0][1] if places else None, line_bytes=LINE_BYTES)
        self._skip = places is None and begin == "end"
        self._teller = _Teller()
        self._done = self._follower.position

    def new(self) -> Generator[Chunk]:
        """What is new now."""
        try:
            if self._skip:
                self._follower.skip_to_end()
                self._skip = False
            yield from self._follower.chunks()
        except OSError as error:
            self._teller.tell(str(self._follower.path), error)

    def places(self) -> list[Place]:
        """How far it was read; nothing before it was there."""
        position = self._follower.position
        return [(str(self._follower.path), position)] if position.inode or not self._skip else []

    def close(self) -> None:
        """Let go of it."""
        self._follower.close()


class Folder:
    """All files of a folder, and of those in it; or of a pattern.

    Files are known by device and inode, so that one that is renamed is not read twice. Only those whose size
    or time changed are opened, and none stays open: there may be thousands.
    """

    def __init__(self, path: str, places: list[Place] | None, *, begin: str = "start") -> None:
        self._path = path
        self._known: dict[tuple[int, int], Place] = {}
        for place, position in places or ():
            self._known[position.device, position.inode] = (place, position)
        self._looks: dict[tuple[int, int], tuple[int, int]] = {}
        self._skip = places is None and begin == "end"
        self._teller = _Teller()

    def new(self) -> Generator[Chunk]:
        """What is new now, file by file in the order of their paths."""
        there = set()
        for path in self._paths():
            try:
                status = os.stat(path)  # noqa: PTH116 - thousands of them at each look
            except OSError:
                continue
            identity = (status.st_dev, status.st_ino)
            there.add(identity)
            look = (status.st_size, status.st_mtime_ns)
            if self._looks.get(identity) == look:
                continue
            _, position = self._known.get(identity, (path, None))
            follower = Follower(path, position, renames=False)
            try:
                if self._skip:
                    follower.skip_to_end()
                for chunk in follower.chunks():
                    yield chunk
                    self._known[identity] = (path, chunk.position)
                self._known[identity] = (path, follower.position)
                self._looks[identity] = look
            except OSError as error:
                self._teller.tell(path, error)
            finally:
                follower.close()
        if there:
            self._skip = False
            self._forget(there)

    def _forget(self, there: set[tuple[int, int]]) -> None:
        """Forget files that are gone, but not at once: a listing over a network may be incomplete."""
        gone = [identity for identity in self._known if identity not in there]
        for identity in gone[: max(0, len(gone) - MOST_GONE)]:
            del self._known[identity]
        for identity in [each for each in self._looks if each not in there]:
            del self._looks[identity]

    def _paths(self) -> list[str]:
        if glob.has_magic(self._path):
            found = glob.glob(self._path, recursive=True)  # noqa: PTH207 - Path.glob takes none that is absolute
            return sorted(path for path in found if Path(path).is_file())
        found = []
        walk: Callable[..., Iterator[tuple[str, list[str], list[str]]]] = os.walk
        for folder, folders, names in walk(self._path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [
                str(Path(folder, name))
                for name in names
                if name.endswith(ENDINGS) and not name.startswith(".")
            ]
        return sorted(found)

    def places(self) -> list[Place]:
        """How far each was read."""
        return list(self._known.values())

    def close(self) -> None:
        """None is open."""

"""A file that grows, read line by line from where it stopped the last time.

What may happen to it, and what is done:

====================  ==============================================================================
the last line         is read when its end is there; until then the position stays at its beginning
renamed, a new one    the old one is read to its end by the open handle, then the new one
renamed while away    it is found beside the new one by its device, inode and first bytes
cut to nothing        read from the beginning: it is shorter than the position
cut and written anew  read from the beginning: its first bytes, or those before the position, differ
a line too long       passed over to its end, and counted
====================  ==============================================================================

Nothing is locked and nothing watched: file systems in a cluster tell nobody, so a file is looked at.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["Chunk", "Follower", "Position"]

HEAD_BYTES: Final = 256  # two files of one inode begin alike only where their first lines are the same
TAIL_BYTES: Final = 256
CHUNK_BYTES: Final = 64 << 10  # what is read again after a kill is at most so much more than was not saved
LINE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading goes on, and how to know the file again.

    Parameters
    ----------
    device, inode : int
    offset : int
        Of the first byte that is not read, always the beginning of a line.
    head_bytes : int
        How many bytes `head` was made of.
    head, tail : str
        SHA-256 of the first bytes of the file, and of those before `offset`.
    """

    device: int = 0
    inode: int = 0
    offset: int = 0
    head_bytes: int = 0
    head: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, and the position behind them.

    Parameters
    ----------
    lines : tuple of bytes
        Without their ends; blank ones are left out.
    too_long : int
        Lines that were passed over.
    position : Position
    """

    lines: tuple[bytes, ...]
    too_long: int
    position: Position


class Follower:
    """Reads what is new in one file.

    Parameters
    ----------
    path : str or path
        Need not exist yet.
    position : Position, optional
        From the last time. None: it is new, and is read from its beginning.
    renames : bool
        Whether a file that was renamed is read to its end. Not in a folder where all files are read anyway.
    line_bytes, chunk_bytes : int
        A longer line is passed over; about so much is read at once.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> log = pathlib.Path(folder.name, "rows.ndjson")
    >>> _ = log.write_bytes(b'{"age": 33}\\n{"age"')
    >>> follower = Follower(log)
    >>> [chunk.lines for chunk in follower.chunks()]
    [(b'{"age": 33}',)]
    >>> _ = log.write_bytes(b'{"age": 33}\\n{"age": 51}\\n')
    >>> [chunk.lines for chunk in Follower(log, follower.position).chunks()]
    [(b'{"age": 51}',)]
    >>> follower.close()
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        position: Position | None = None,
        *,
        renames: bool = True,
        line_bytes: int = LINE_BYTES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.path = Path(path)
        self._renames = renames
        self.position = position or Position()
        self._line_bytes = line_bytes
        self._chunk_bytes = chunk_bytes
        self._file: BinaryIO | None = None
        self._skipping = False

    def skip_to_end(self) -> None:
        """Pass over the whole lines that are there now; for a first start that wants no history."""
        if not self._open():
            return
        file = self._file
        assert file is not None
        size = os.fstat(file.fileno()).st_size
        end = size
        while end > 0:  # back to the end of the last whole line
            start = max(0, end - self._chunk_bytes)
            found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        self.position = self._at(end)

    def chunks(self) -> Iterator[Chunk]:
        """What is new, to the end of the file and, where it was replaced, of those that came after it.

        `position` moves on when the next chunk is asked for, so that it never runs ahead of what was done.

        Raises
        ------
        OSError
            When the file cannot be read. A file that is not there is no error: it has nothing new.
        """
        while self._open():
            yield from self._rest()
            if not self._renames or not self._replaced():
                return
            yield from self._rest()  # what was written between the last look and the renaming
            self.close()
            self.position = Position()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._skipping = False

    # ------------------------------------------------------------------

    def _open(self) -> bool:
        """Have the file open that the position belongs to, or the one at the path. False when none is."""
        if self._file is None:
            try:
                # Opened first and then looked at: the path may be another file a moment later.
                self._file = self.path.open("rb", buffering=0)
            except FileNotFoundError:
                return False
            if self.position.inode and not self._is_the_one(self._file):
                renamed = self._find_renamed() if self._renames else None
                if renamed is not None:
                    self._file.close()
                    self._file = renamed
                else:
                    self.position = Position()
        elif not self._is_the_one(self._file):
            # Cut: the same file, but what was read of it is there no more.
            self.position = Position()
            self._skipping = False
        return True

    def _is_the_one(self, file: BinaryIO) -> bool:
        """Whether what was read is still in *file*, at the same place."""
        was, status = self.position, os.fstat(file.fileno())
        if not was.inode:
            return True
        if (was.device, was.inode) != (status.st_dev, status.st_ino) or status.st_size < was.offset:
            return False
        head, tail = self._marks(file, was.offset, was.head_bytes)
        return head == was.head and tail == was.tail

    def _find_renamed(self) -> BinaryIO | None:
        """The file that the position belongs to, under another name in the same folder."""
        with os.scandir(self.path.parent) as entries:
            same = [entry.path for entry in entries if entry.inode() == self.position.inode]
        for path in same:
            try:
                file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - it stays open
            except OSError:
                continue
            if self._is_the_one(file):
                return file
            file.close()
        return None

    def _replaced(self) -> bool:
        """Whether the path leads to another file than the one that is open."""
        assert self._file is not None
        try:
            there = os.stat(self.path)  # noqa: PTH116 - as fast as it gets, once a look
        except FileNotFoundError:
            return False  # renamed and nothing new yet: go on with what is open
        mine = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def _rest(self) -> Iterator[Chunk]:
        file = self._file
        assert file is not None
        offset = self.position.offset
        kept = b""
        while True:
            # Twice as much each time: a line of 16 MiB would be copied 256 times in blocks of 64 KiB.
            size = max(self._chunk_bytes, len(kept))
            block = os.pread(file.fileno(), size, offset + len(kept))
            if not block:
                return
            kept = kept + block if kept else block
            end = kept.rfind(b"\n") + 1
            if not end:
                if len(kept) <= self._line_bytes and not self._skipping:
                    continue
                # Let go of it: what waits in memory for the end of a line is bounded.
                self._skipping = True
                offset, kept = offset + len(kept), b""
                self.position = replace(self._at(offset), offset=offset)
                continue
            lines = kept[:end].split(b"\n")
            kept = kept[end:]
            offset += end
            too_long = 0
            if self._skipping:
                self._skipping, too_long = False, 1
                lines = lines[1:]
            whole = [line for line in lines if line.strip()]
            short = tuple(line for line in whole if len(line) <= self._line_bytes)
            position = self._at(offset)
            yield Chunk(short, too_long + len(whole) - len(short), position)
            self.position = position

    def _at(self, offset: int) -> Position:
        assert self._file is not None
        status = os.fstat(self._file.fileno())
        head_bytes = min(offset, HEAD_BYTES)
        head, tail = self._marks(self._file, offset, head_bytes)
        return Position(status.st_dev, status.st_ino, offset, head_bytes, head, tail)

    @staticmethod
    def _marks(file: BinaryIO, offset: int, head_bytes: int) -> tuple[str, str]:
        start = max(0, offset - TAIL_BYTES)
        return (
            _digest(os.pread(file.fileno(), head_bytes, 0)),
            _digest(os.pread(file.fileno(), offset - start, start)),
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]

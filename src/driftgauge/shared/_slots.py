"""The file of one process: what it says last, whole at every moment, and whether the process lives.

Two slots. A write goes into the slot that is not the newest and then into its record, so that a process which
is killed at any byte leaves the other slot whole; a record has a checksum over itself and its slot, so that a
reader never takes half of one. The process holds a lock on its file. The kernel gives the lock back whatever
ends the process, and works across containers that share a folder, where numbers of processes do not.

Written with `os.pwrite` and not through a memory map, though both change the same pages of memory: a write
to a map on a full disk ends the process with SIGBUS (measured on a full tmpfs, such as the 64 MB that Docker
gives /dev/shm), a `pwrite` is an OSError. It costs 36 µs more a megabyte, twice a second.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
from pathlib import Path
from typing import Final

__all__ = ["SlotFile", "is_alive", "read_newest"]

MAGIC: Final = b"dgwork1\n"
RECORD: Final = struct.Struct("<QQQ32s")  # generation, offset, length, checksum
RECORD_AT: Final = (64, 128)
DATA_AT: Final = 4_096
ROOM: Final = 1.25  # a slot that has become too small is made so much larger than what goes in
ATTEMPTS: Final = 8  # a reader that is overtaken by two writes looks again


class SlotFile:
    """The file of this process, open and locked. Not for two threads at once.

    Parameters
    ----------
    path : Path
        Must not exist. It has a whole slot from the moment that it has this name.
    payload : bytes

    Raises
    ------
    OSError
        The folder cannot be written to, or the disk is full.
    """

    def __init__(self, path: Path, payload: bytes) -> None:
        self.path = path
        self.generation = 0
        self._end = DATA_AT
        self._slots = [(DATA_AT, 0), (DATA_AT, 0)]  # offset, room
        draft = path.with_name(f".{path.name}.new")
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._put(MAGIC.ljust(DATA_AT, b"\0"), 0)
            self.write(payload)
            draft.rename(path)
        except BaseException:
            self.close()
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def write(self, payload: bytes) -> None:
        """Say something new. Where it raises OSError, readers have what was said before."""
        generation = self.generation + 1
        slot = generation % 2
        offset, room = self._slots[slot]
        if len(payload) > room:
            offset, room = self._end, int(len(payload) * ROOM) // DATA_AT * DATA_AT + DATA_AT
        self._put(payload, offset)
        self._put(_record(generation, offset, payload), RECORD_AT[slot])
        self._slots[slot] = offset, room
        self._end = max(self._end, offset + room)
        self.generation = generation

    def _put(self, data: bytes, offset: int) -> None:
        left = memoryview(data)
        while left:
            done = os.pwrite(self._file, left, offset)
            left, offset = left[done:], offset + done

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file, so that nobody reads it: what tidies up /tmp, say."""
        return self._file >= 0 and os.fstat(self._file).st_nlink == 0

    def close(self) -> None:
        """Give the file out of hand: what it says is then what a process said that is gone.

        After a fork the child calls this for the file of its parent, whose lock it shares and would hold on
        to. Closing does not unlock while the parent has the file open.
        """
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def _record(generation: int, offset: int, payload: bytes) -> bytes:
    return RECORD.pack(generation, offset, len(payload), _checksum(generation, offset, payload))


def _checksum(generation: int, offset: int, payload: bytes) -> bytes:
    digest = hashlib.sha256(struct.pack("<QQQ", generation, offset, len(payload)))
    digest.update(payload)
    return digest.digest()


def read_newest(path: Path, known: int = 0) -> tuple[int, bytes | None]:
    """Generation and payload of the newest whole slot of a file, whoever is writing meanwhile.

    Parameters
    ----------
    path : Path
    known : int
        A generation that the caller has; when there is no newer one, None is the payload.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        No slot is whole, or it is not a file of this kind.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for _ in range(ATTEMPTS):
            head = os.pread(file, DATA_AT, 0)
            if not head.startswith(MAGIC):
                message = f"{path.name} is no file of a driftgauge process, or of another version"
                raise ValueError(message)
            size = os.fstat(file).st_size
            records = sorted(RECORD.unpack_from(head.ljust(DATA_AT, b"\0"), at) for at in RECORD_AT)
            newest = records[-1][0]
            for generation, offset, length, checksum in reversed(records):
                if not DATA_AT <= offset <= offset + length <= size:
                    continue
                if generation == known > 0:
                    return known, None
                payload = os.pread(file, length, offset)
                if _checksum(generation, offset, payload) != checksum:
                    continue
                # The older one is what was said last only if nothing was said meanwhile: a writer that moves
                # its slot leaves the older one whole, and counters would go back for a moment.
                if generation == newest or os.pread(file, DATA_AT, 0) == head:
                    return generation, payload
    finally:
        os.close(file)
    message = f"no slot of {path.name} is whole"
    raise ValueError(message)


def is_alive(path: Path) -> bool:
    """Whether a process has the file open as its own. False as well when there is no file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that ask do not answer each other
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False

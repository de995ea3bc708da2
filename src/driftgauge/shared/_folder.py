"""The files of one reference in a shared directory: who is there, who has gone, and one lock for changes.

Several threads may read at once: nothing here is changed in place that another thread could find half done.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftgauge.errors import ConfigError
from driftgauge.shared._departed import Departed
from driftgauge.shared._packing import FORMAT
from driftgauge.shared._publication import Publication, Sizes
from driftgauge.shared._slots import is_alive, read_newest

__all__ = ["EVIDENCE", "Failed", "Folder", "Own", "Present"]

PROCESS: Final = ".dgw"
DEPARTED: Final = "departed.dgs"
LOCK: Final = "lock"
EVIDENCE: Final = "evidence-"

Failed = Callable[[BaseException], None]
Own = tuple[str, Publication] | None
"""Name of the file of this process, and what it says; None for a reader without rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Everybody at one moment: who is there, by the names of their files, and the sum of who has gone."""

    living: dict[str, Publication]
    departed: Departed


class Folder:
    """The files of one reference.

    Parameters
    ----------
    path : str or path
        Of the shared directory. Each reference, and each format, has a folder of its own in it: what was
        counted with another one is set aside, and is there when that comes back.
    sizes : Sizes
    failed : callable
        Told of errors, none of which leaves.

    Raises
    ------
    ConfigError
        When *path* is no path, or the folder cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], sizes: Sizes, failed: Failed) -> None:
        if not isinstance(path, (str, os.PathLike)) or not str(path):
            message = (
                f"shared_directory must be the path of a folder, got {path!r}; "
                "use one that all processes of the model share, such as '/run/driftgauge/churn'"
            )
            raise ConfigError(message)
        self.path = Path(path) / f"{sizes.reference_id[:16]}.{FORMAT}"
        self.sizes = sizes
        self.failed = failed
        self._known: dict[str, tuple[int, Publication]] = {}
        self._departed: tuple[tuple[int, ...], Departed] = ((), Departed.nobody(sizes))
        self._odd: set[str] = set()
        self._held: set[int] = set()
        self.refused = ""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"shared_directory must be a folder that this process can write to, got {os.fspath(path)!r}: "
                f"{error.strerror or error}; give all processes of the model one that they share"
            )
            raise ConfigError(message) from error

    def new_name(self) -> str:
        """For the file of a process. The number is for people: containers have the same numbers."""
        return f"{os.getpid()}-{secrets.token_hex(8)}{PROCESS}"

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Be the only one who changes the files of all; False where somebody else is just doing so."""
        try:
            file = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            # A reader may look at a folder that it must not write to; then others add up and weigh.
            if not isinstance(error, PermissionError) and error.errno != READ_ONLY:
                self.failed(error)
            self.refused = error.strerror or type(error).__name__
            yield False
            return
        self.refused = ""
        self._held.add(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held = False
        else:
            held = True
        try:
            yield held
        finally:
            if file in self._held:  # not after a fork in between, in the child
                self._held.discard(file)
                if held:
                    # Closing alone would not do it: a child may have been forked meanwhile and have it open.
                    fcntl.flock(file, fcntl.LOCK_UN)
                os.close(file)

    def after_fork_in_child(self) -> None:
        """Have nothing to do with the locks of the parent."""
        for file in list(self._held):
            self._held.discard(file)
            with contextlib.suppress(OSError):
                os.close(file)

    def present(self, own: Own = None) -> Present:
        """Everybody. What cannot be read counts as it was when it could be, so that no count goes down.

        The living are read before those who have gone: who goes in between is known by name there.
        """
        name, said = own or ("", None)
        listed = self.names()
        if listed is not None:
            for other in listed:
                if other != name:
                    self._read(other)
        departed, fresh = self.departed()
        gone = {*departed.names, name}
        self._odd &= set(listed or self._odd)
        for other in list(self._known):
            if other in gone or (fresh and listed is not None and other not in listed):
                self._known.pop(other, None)
        living = {other: known[1] for other, known in list(self._known.items()) if other not in gone}
        if said is not None:
            living[name] = said
        alike = {other: one for other, one in living.items() if one.epoch == departed.epoch}
        return Present(living=alike, departed=departed)

    def names(self) -> list[str] | None:
        """Names of the files of processes; None when the folder cannot be read."""
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(PROCESS))  # noqa: PTH208
        except OSError as error:
            self.failed(error)
            return None

    def _read(self, name: str) -> Publication | None:
        """What a process says last; None when that was never readable."""
        known = self._known.get(name)
        try:
            generation, payload = read_newest(self.path / name, known[0] if known else 0)
            if payload is not None:
                known = generation, Publication.of_bytes(payload, self.sizes)
                self._known[name] = known
        except FileNotFoundError:
            pass  # it was added to those who have gone, where it is found next
        except ValueError as error:
            if name not in self._odd:  # counted once, not at every look
                self._odd.add(name)
                self.failed(error)
        except OSError as error:
            self.failed(error)
        return known[1] if known else None

    def departed(self) -> tuple[Departed, bool]:
        """The sum of who has gone, and whether that is what its file says now."""
        stamp, known = self._departed
        path = self.path / DEPARTED
        try:
            now = stamp_of(path)
            if now != stamp:
                # An empty file is none yet: nobody has gone, and the directory was never reset.
                known = (
                    Departed.of_bytes(path.read_bytes(), self.sizes) if now else Departed.nobody(self.sizes)
                )
                self._departed = now, known
        except (OSError, ValueError) as error:
            self.failed(error)
            return known, False
        return known, True

    def put(self, name: str, data: bytes) -> None:
        """Replace a file; a reader sees the old one or the new one, whoever is killed meanwhile.

        Not flushed to the disk: that is for machines that lose power, and what a machine counted is then
        lost anyway.
        """
        draft = self.path / f".{name}.{secrets.token_hex(8)}.new"
        try:
            draft.write_bytes(data)
            draft.replace(self.path / name)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def add_up(self, own: Own, now_seconds: float) -> None:
        """Have the files of processes that are gone added up and removed. The lock is held.

        Killed after the sum is written and before the files are gone, the next one only removes them.
        """
        departed, fresh = self.departed()
        if not fresh:
            departed = self._restore(departed)
        listed = self.names()
        if listed is None:
            return
        dead: dict[str, Publication] = {}
        removed = []
        for name in listed:
            if (own is not None and name == own[0]) or is_alive(self.path / name):
                continue
            if name not in departed.names:
                said = self._read(name)  # after it died: this is its last word
                if said is None:
                    continue  # of another version, or damaged: not ours to remove
                dead[name] = said
            removed.append(name)
        if dead:
            everybody = self.present(own)
            living = [one for name, one in everybody.living.items() if name not in dead]
            self.put(DEPARTED, departed.with_processes(dead, living, now_seconds).to_bytes())
        for name in removed:
            (self.path / name).unlink(missing_ok=True)

    def _restore(self, departed: Departed) -> Departed:
        """Set a damaged sum aside, and go on with the one that was read last. OSError: it is not damaged."""
        path = self.path / DEPARTED
        try:
            return Departed.of_bytes(path.read_bytes(), self.sizes)
        except ValueError:
            path.replace(path.with_name(f"{DEPARTED}.{secrets.token_hex(4)}.damaged"))
            self.put(DEPARTED, departed.to_bytes())
            return departed

    def begin_anew(self) -> int:
        """Have nobody counted anything. The lock is held. The epoch from which on rows count."""
        epoch = self.departed()[0].epoch + 1
        self.put(DEPARTED, Departed.nobody(self.sizes, epoch).to_bytes())
        for weighed in self.evidence():
            weighed.unlink(missing_ok=True)
        return epoch

    def evidence(self) -> list[Path]:
        """Files of evidence: one for each budget that there ever was since the directory was reset."""
        return list(self.path.glob(f"{EVIDENCE}*"))


READ_ONLY: Final = 30  # errno of a file system that is mounted for reading only


def stamp_of(path: Path) -> tuple[int, ...]:
    """Changes whenever the file is replaced; empty when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size

"""One process among those that share a directory: what it says of itself, and what all say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Final

from driftgauge._window_specs import WindowSpec
from driftgauge._window_state import WindowState
from driftgauge.errors import ConfigError, StateError
from driftgauge.reference import Reference
from driftgauge.shared._folder import Folder, Own
from driftgauge.shared._merged import Merged, merged, merged_states, specs_of_all
from driftgauge.shared._publication import Publication, Sizes
from driftgauge.shared._slots import SlotFile
from driftgauge.shared._turns import Turns
from driftgauge.shared._weighing import SharedDetector, Weighing
from driftgauge.snapshot import DriftSnapshot

__all__ = ["Everybody", "Member"]

# Another process holds the lock for as long as an evaluation takes: 10 ms, a second with 1,000 features.
LOCK_ATTEMPTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Everybody:
    """The merged truth at one moment, and the evidence."""

    merged: Merged
    drift: DriftSnapshot | None


class Member:
    """A process that takes part, with rows of its own or as a reader.

    Parameters
    ----------
    path : str or path
        The shared directory.
    reference : Reference
    detector : SharedDetector or None
    failed : callable
        Told the stage and the error when something goes wrong; nothing is raised but where it says so.
    note : callable
        Told what people should know, with a key: once for each.
    pause : callable
        Waits a moment for a lock that somebody else has, `acknowledge` and `reset` only.

    Notes
    -----
    Calls of one thread at a time, but for `look` and those of a reader: nothing of their own is written to.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        reference: Reference,
        detector: object | None,
        failed: Callable[[str, BaseException], None],
        note: Callable[[str, str], None],
        pause: Callable[[float], None],
    ) -> None:
        state = {} if detector is None else _checked(detector).state()
        self._sizes = Sizes(
            reference.id,
            reference.layout.cells,
            reference.layout.bins,
            state["pending"].size if state else None,
            state["bucket_rows"].size if state else None,
        )
        self._failed = failed
        self._pause = pause
        self.folder = Folder(path, self._sizes, self._file_failed)
        self.turns = Turns(self.folder.path, self._file_failed)
        self._weighing = None
        if detector is not None:
            self._weighing = Weighing(
                self.folder,
                _checked(detector),
                lambda error: failed("detector", error),
                lambda text: note(f"shared/{text[:40]}", text),
            )
        self._file: SlotFile | None = None
        self.name = self.folder.new_name()

    def _file_failed(self, error: BaseException) -> None:
        self._failed("shared", error)

    @property
    def epoch(self) -> int:
        """How often the directory was reset: rows that were counted before are not counted any more."""
        return self.folder.departed()[0].epoch

    @property
    def removed(self) -> bool:
        """Whether somebody has removed the file of this process, and others no longer know what it said."""
        return self._file is not None and self._file.removed

    def publish(self, said: Publication) -> bool:
        """Have everybody know what this process says. False when the disk refuses; what was said stands."""
        try:
            if self.removed and self._file is not None:
                self._file.close()
                self._file = None
            if self._file is None:
                self.folder.path.mkdir(parents=True, exist_ok=True)  # whoever removed the file, may be all
                self._file = SlotFile(self.folder.path / self.name, said.to_bytes())
            else:
                self._file.write(said.to_bytes())
        except OSError as error:
            self._file_failed(error)
            return False
        return True

    def own(self, said: Publication | None) -> Own:
        """For those who ask for everybody."""
        return None if said is None else (self.name, said)

    def look(self, own: Own, now_seconds: float, *, add_up: bool = True) -> None:
        """Add up who has gone, unless told not to, and weigh the evidence if it is time."""
        try:
            if add_up:
                with self.folder.lock() as held:
                    if held:
                        self.folder.add_up(own, now_seconds)
            if self._weighing is not None:
                self._weighing.look(own, now_seconds)
        except Exception as error:
            self._file_failed(error)

    def weighed_anew(self, own: Own) -> DriftSnapshot | None:
        """The evidence, if somebody has weighed it since this was asked."""
        if self._weighing is None or not self._weighing.changed():
            return None
        return self._weighing.snapshot(self.folder.present(own))

    def everybody(self, own: Own, specs: Sequence[WindowSpec] | None, now_seconds: float) -> Everybody:
        """The merged truth. Without *specs*, in the windows that somebody has."""
        present = self.folder.present(own)
        chosen = specs_of_all(present) if specs is None else specs
        return Everybody(
            merged=merged(present, chosen, self._sizes, now_seconds),
            drift=None if self._weighing is None else self._weighing.snapshot(present),
        )

    def states(self, own: Own, specs: Sequence[WindowSpec] | None, now_seconds: float) -> list[WindowState]:
        """The merged windows as states; the first carries the evidence."""
        present = self.folder.present(own)
        chosen = specs_of_all(present) if specs is None else specs
        states = merged_states(present, chosen, self._sizes, now_seconds)
        if states and self._weighing is not None:
            states[0] = replace(states[0], evidence=self._weighing.state(present, now_seconds))
        return states

    def acknowledge(self, own: Own, now_seconds: float) -> None:
        """Have no evidence of all rows that have come, of all processes."""
        weighing = self._weighing
        if weighing is not None:
            self._alone(lambda: weighing.forget(own, now_seconds))

    def reset(self) -> None:
        """Have nobody counted anything."""
        self._alone(self.folder.begin_anew)

    def _alone(self, change: Callable[[], object]) -> None:
        """Make a change that people have asked for. StateError when that cannot be done."""
        why = "another process holds the lock"
        try:
            for _ in range(LOCK_ATTEMPTS):
                with self.folder.lock() as held:
                    if held:
                        change()
                        return
                if self.folder.refused:
                    why = self.folder.refused
                    break
                self._pause(0.05)
        except OSError as error:
            why = error.strerror or type(error).__name__
        message = f"the shared directory {str(self.folder.path)!r} could not be changed: {why}; try it again"
        raise StateError(message)

    def after_fork_in_child(self) -> None:
        """Be a process of its own, with a file of its own as soon as it has something to say."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self.turns.after_fork_in_child()
        self.folder.after_fork_in_child()
        self.name = self.folder.new_name()


def _checked(detector: object) -> SharedDetector:
    missing = [
        name
        for name in ("absorb", "evaluate", "restored", "snapshot", "state", "take")
        if not callable(getattr(detector, name, None))
    ]
    if missing:
        message = (
            f"with a shared directory, detector must weigh rows that other processes have counted, and "
            f"{type(detector).__name__} lacks {missing[0]}(); use the drift score, or budget=None for none"
        )
        raise ConfigError(message)
    return detector  # type: ignore[return-value]

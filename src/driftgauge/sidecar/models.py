"""The models of a sidecar: a monitor for each reference, changed while rows flow.

`ModelRegistry` is plain threads and files, no event loop: `reload` and `save` are called by whoever has the
time. One reference that cannot be read does not stop the others, and does not stop what was in force.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from driftgauge._payload_intake import Intake
from driftgauge.errors import DriftgaugeError
from driftgauge.reference import Reference
from driftgauge.sidecar.discovery import Candidate, Discovery
from driftgauge.sidecar.handle import ModelHandle, Watched
from driftgauge.sidecar.settings import SidecarSettings
from driftgauge.sidecar.state import StateStore
from driftgauge.snapshot import Snapshot

__all__ = ["Change", "Intake", "ModelHandle", "ModelRegistry"]

_log = logging.getLogger("driftgauge.sidecar.models")

CLOSE_SECONDS: Final = 2.0


class Change(dict[str, list[str]]):
    """Names of models by what a reload did to them: added, changed, failed, kept, removed."""


class ModelRegistry:
    """Every model by name.

    Parameters
    ----------
    settings : SidecarSettings
    clock : callable
        Seconds since the epoch, for monitors.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from driftgauge import Reference
    >>> from driftgauge.sidecar.settings import load_settings
    >>> folder = tempfile.mkdtemp()
    >>> Reference.fit({"age": np.arange(500.0)}, model="churn").save(f"{folder}/churn.reference")
    >>> registry = ModelRegistry(load_settings(None, environ={"DRIFTGAUGE_MODELS_FOLDER": folder}))
    >>> registry.reload()["added"], registry.names()
    (['churn'], ('churn',))
    >>> registry.get().observe({"age": np.arange(40.0)})
    >>> registry.snapshots()[0].rows
    40
    >>> registry.close()
    """

    def __init__(self, settings: SidecarSettings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self._models: dict[str, ModelHandle] = {}
        self._troubles: tuple[str, ...] = ()
        self._save_trouble = ""
        folder = Path(settings.models_folder) if settings.models_folder else None
        self._discovery = Discovery(settings.models, folder)
        keep = settings.state.keep
        self._store = StateStore(Path(settings.state.directory), keep) if settings.state.directory else None
        # Reloading reads files and compiles nothing, but it may take seconds; saving must not wait for it.
        self._reloading = threading.Lock()
        self._saving = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._strays: dict[str, Counter[str]] = {}
        self._straying = threading.Lock()

    # ------------------------------------------------------------------ for the ways in

    def names(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return tuple(sorted(self._models))

    def get(self, name: str = "") -> ModelHandle | None:
        """The model *name*; of no name, the only one there is. None when there is none such."""
        models = self._models  # replaced and never changed, so that no lock is needed here
        if name:
            return models.get(name)
        return next(iter(models.values())) if len(models) == 1 else None

    def __iter__(self) -> Iterator[ModelHandle]:
        return iter([self._models[name] for name in self.names()])

    def __len__(self) -> int:
        return len(self._models)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have *listener* called, on the thread that reloads, after models have come or gone."""
        self._listeners.append(listener)

    def count_stray(self, way: str, reason: str) -> int:
        """Count what came in and is of no model, so that no model's counters have it. How many by now.

        Parameters
        ----------
        way : str
        reason : str
            One of a few words.
        """
        with self._straying:
            counts = self._strays.setdefault(way, Counter())
            counts[reason] += 1
            return counts[reason]

    # ------------------------------------------------------------------ what there is to say

    def strays(self) -> dict[str, dict[str, int]]:
        """What `count_stray` has counted, by way and reason."""
        with self._straying:
            return {way: dict(counts) for way, counts in self._strays.items()}

    def snapshots(self, now_seconds: float | None = None) -> list[Snapshot]:
        """What is known now, one a model, by name."""
        return [handle.snapshot(now_seconds) for handle in self]

    def troubles(self) -> tuple[str, ...]:
        """What an operator should know, in sentences."""
        return (*self._troubles, *([self._save_trouble] if self._save_trouble else []))

    # ------------------------------------------------------------------ reload

    def reload(self, *, again: bool = False) -> Change:
        """Read what has changed, and have it in force. Never raises for what a file holds.

        Parameters
        ----------
        again : bool
            Read every file, also those that look as before.

        Returns
        -------
        Change
        """
        with self._reloading:
            found = self._discovery.look(again=again)
            change = Change(added=[], changed=[], failed=[], kept=[], removed=[])
            troubles = list(found.troubles)
            for candidate in found.failed:
                self._failed(candidate, change)
            models = dict(self._models)
            for name, candidate in sorted(found.models.items()):
                try:
                    what = self._put(models, name, candidate)
                except (DriftgaugeError, OSError, MemoryError) as error:
                    troubles.append(f"cannot watch model {name!r} with {str(candidate.path)!r}: {error}")
                    self._failed(candidate, change)
                else:
                    change[what].append(name)
            gone = {name: models.pop(name) for name in sorted(models) if name not in found.models}
            self._models = models
            for name, handle in gone.items():
                change["removed"].append(name)
                self._put_away(handle)
            self._tell(change, troubles)
        if change["added"] or change["removed"]:
            for listener in list(self._listeners):
                listener()
        return change

    def _put(self, models: dict[str, ModelHandle], name: str, candidate: Candidate) -> str:
        """Have *candidate* in force for *name*. What that did."""
        reference = candidate.reference
        assert reference is not None, "only what could be read is chosen"
        handle = models.get(name)
        if handle is not None and handle.reference.id == reference.id:
            return "kept"
        watched = Watched.of(name, candidate.settings, self.settings)
        monitor = watched.monitor(reference, self._clock)
        attached = self._restore(name, reference, monitor)
        if handle is None:
            models[name] = ModelHandle(name, monitor, self.settings.limits, str(candidate.path), attached)
            return "added"
        before = handle.monitor
        with self._saving:  # or a save could put the new windows under the id of the old reference
            handle.switch(monitor, str(candidate.path), attached)
            self._save_one(handle, before)
        before.close()
        return "changed"

    def _restore(self, name: str, reference: Reference, monitor: Any) -> dict[str, bytes]:
        if self._store is None or self.settings.shared.directory:
            return {}
        restored = self._store.load(name, reference.id, monitor.load_state)
        for note in restored.notes:
            _log.warning(note)
        if restored.found:
            _log.info("windows of model %r go on from what was saved", name)
        return restored.attached

    def _failed(self, candidate: Candidate, change: Change) -> None:
        change["failed"].append(str(candidate.path))
        for handle in self:
            if handle.path == str(candidate.path):
                handle.count_error("reload")

    def _tell(self, change: Change, troubles: list[str]) -> None:
        for what in ("added", "changed", "removed"):
            for name in change[what]:
                handle = self._models.get(name)
                reference = "" if handle is None else f", reference {handle.reference.id[:12]}"
                _log.info("model %r %s%s", name, what, reference)
        for trouble in troubles:
            if trouble not in self._troubles:
                _log.error(trouble)
        self._troubles = tuple(troubles)

    def _put_away(self, handle: ModelHandle) -> None:
        handle.drain(CLOSE_SECONDS)
        with self._saving:
            self._save_one(handle, handle.monitor)
        handle.close()

    # ------------------------------------------------------------------ state

    def save(self) -> bool:
        """Save the windows of every model that has new rows. False when that could not be done."""
        done = True
        with self._saving:
            for handle in list(self._models.values()):
                if handle.changed():
                    done = self._save_one(handle, handle.monitor) and done
        return done

    def _save_one(self, handle: ModelHandle, monitor: Any) -> bool:
        if self._store is None or self.settings.shared.directory:
            return True  # a shared directory is a saved state itself
        try:
            if not self._store.claim():
                self._cannot_save(handle, f"another process saves to {str(self._store.directory)!r}")
                return False
            mark = handle.mark()
            self._store.save(handle.name, monitor.reference.id, monitor.save_state, handle.attached())
        except (OSError, DriftgaugeError) as error:
            self._cannot_save(handle, str(error))
            return False
        handle.saved(mark)
        if self._save_trouble:
            _log.info("windows are saved again")
            self._save_trouble = ""
        return True

    def _cannot_save(self, handle: ModelHandle, why: str) -> None:
        handle.count_error("state")
        trouble = f"windows cannot be saved: {why}; rows since the last save are lost if this process ends"
        if trouble != self._save_trouble:
            _log.error(trouble)
            self._save_trouble = trouble

    def drain(self, timeout_seconds: float) -> bool:
        """Have everything counted that waits. Whether all was, in time."""
        end = time.monotonic() + timeout_seconds
        return min((handle.drain(max(0.0, end - time.monotonic())) for handle in self), default=True)

    def close(self) -> None:
        """Count what waits, save, and end all threads."""
        with self._reloading:
            self.drain(CLOSE_SECONDS)
            with self._saving:
                for handle in self._models.values():
                    self._save_one(handle, handle.monitor)
            for handle in self._models.values():
                handle.close()
            if self._store is not None:
                self._store.release()

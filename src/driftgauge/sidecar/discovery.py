"""Which references there are: those that settings name and those in a folder, read when they change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from driftgauge.errors import DriftgaugeError
from driftgauge.reference import Reference
from driftgauge.sidecar.settings import ModelSettings

__all__ = ["Candidate", "Discovery", "name_of"]

UNNAMED: Final = "model"  # what a reference is called whose maker gave no name
GONE_LOOKS: Final = 2  # a file that is replaced may be away for a moment

Signature = tuple[int, int, int]


@dataclass(slots=True)
class Candidate:
    """A reference file: what was last read from it, and what was wrong the last time."""

    path: Path
    settings: ModelSettings
    explicit: bool
    """Named in ``[[models]]``, and not found in the folder."""
    signature: Signature | None = None
    reference: Reference | None = None
    error: str = ""
    looked: bool = False
    missed: int = 0

    @property
    def name(self) -> str:
        """What the model is called."""
        return name_of(self.settings, self.reference, self.path) if self.reference is not None else ""


@dataclass(slots=True)
class Found:
    """What a look brought: the reference of each model, and what is wrong."""

    models: dict[str, Candidate] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    failed: list[Candidate] = field(default_factory=list)
    """Files that were read in this look and could not be."""


def name_of(settings: ModelSettings, reference: Reference, path: Path) -> str:
    """The name in the settings, else in the reference; where that has none, the name of the file."""
    named = reference.model if reference.model not in ("", UNNAMED) else path.stem
    return settings.name or named


class Discovery:
    """Looks at reference files and reads those that have changed.

    Parameters
    ----------
    models : sequence of ModelSettings
    folder : path or None
        Every reference in it is a model, unless *models* names it. Hidden files and folders are passed over.
    """

    def __init__(self, models: Sequence[ModelSettings], folder: Path | None) -> None:
        self._folder = folder
        self._candidates = {
            _real(Path(each.reference)): Candidate(Path(each.reference), each, explicit=True)
            for each in models
        }

    def look(self, *, again: bool = False) -> Found:
        """What there is now. Files that have not changed are not read again, unless *again*."""
        found = Found()
        self._look_into_folder(found)
        for candidate in list(self._candidates.values()):
            self._read(candidate, found, again=again)
        self._choose(found)
        return found

    def _look_into_folder(self, found: Found) -> None:
        if self._folder is None:
            return
        try:
            paths = sorted(
                path for path in self._folder.iterdir() if not path.name.startswith(".") and path.is_file()
            )
        except OSError as error:
            found.troubles.append(f"cannot look into models_folder {str(self._folder)!r}: {error.strerror}")
            return
        present = {_real(path) for path in paths}
        for path in paths:
            if path not in self._candidates and _real(path) not in self._candidates:
                self._candidates[path] = Candidate(path, ModelSettings(reference=str(path)), explicit=False)
        for key, candidate in list(self._candidates.items()):
            if candidate.explicit:
                continue
            candidate.missed = 0 if _real(candidate.path) in present else candidate.missed + 1
            if candidate.missed >= GONE_LOOKS:
                del self._candidates[key]

    def _read(self, candidate: Candidate, found: Found, *, again: bool) -> None:
        signature = _signature(candidate.path)
        if signature is None and not candidate.explicit:
            return  # on its way out
        if signature != candidate.signature or not candidate.looked or again:
            candidate.signature, candidate.looked = signature, True
            candidate.error = ""
            try:
                candidate.reference = Reference.load(candidate.path)
            except (DriftgaugeError, OSError, ValueError, MemoryError) as error:
                candidate.error = str(error) or type(error).__name__
                found.failed.append(candidate)
        if candidate.error:
            kept = "" if candidate.reference is None else "; the reference before it stays in force"
            found.troubles.append(f"cannot read reference {str(candidate.path)!r}: {candidate.error}{kept}")

    def _choose(self, found: Found) -> None:
        """One file a model: what settings name before what lies in the folder, and there the newest."""
        for candidate in sorted(self._usable(), key=_rank):
            taken = found.models.get(candidate.name)
            if taken is None:
                found.models[candidate.name] = candidate
            elif candidate.explicit:
                found.troubles.append(
                    f"{str(candidate.path)!r} and {str(taken.path)!r} are both called {candidate.name!r}; "
                    "give one of the two [[models]] a name"
                )

    def _usable(self) -> Iterator[Candidate]:
        return (each for each in self._candidates.values() if each.reference is not None)


def _rank(candidate: Candidate) -> tuple[bool, float, str]:
    created = 0.0 if candidate.reference is None else candidate.reference.created_timestamp_seconds
    return (not candidate.explicit, 0.0 if candidate.explicit else -created, str(candidate.path))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _signature(path: Path) -> Signature | None:
    """Changes when the file does, also behind a symbolic link, as Kubernetes mounts a ConfigMap."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None

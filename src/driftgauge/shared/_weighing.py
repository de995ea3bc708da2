"""One drift score for all processes: who is due first weighs the rows of all and writes the evidence down.

Nobody is in charge. A process that finds the evidence due takes the lock, reads how much everybody has
counted, gives the detector what was not in it yet, and replaces the file of the evidence. If it is killed on
the way, the lock is free and the old file stands: the next one weighs the same rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from driftgauge._schedule import Schedule
from driftgauge.budget import Budget
from driftgauge.cells import Counts
from driftgauge.errors import StateError
from driftgauge.shared._departed import Departed
from driftgauge.shared._folder import EVIDENCE, Failed, Folder, Own, Present, stamp_of
from driftgauge.shared._packing import pack, unpack
from driftgauge.shared._publication import Publication, Totals, add_totals
from driftgauge.snapshot import DriftSnapshot

__all__ = ["SharedDetector", "Weighing", "everything"]

KIND: Final = "evidence"
LARGEST: Final = 2**32 - 1  # rows in an e-cell that a detector takes at once


class SharedDetector(Protocol):
    """What a detector must be able to do to weigh the rows of several processes; `DriftScore` does."""

    @property
    def budget(self) -> Budget: ...
    def absorb(self, counts: Counts, bucket_rows: Totals, first_seconds: float) -> None: ...
    def take(self) -> tuple[Counts, Totals, float]: ...
    def evaluate(self, now_seconds: float) -> bool: ...
    def state(self) -> dict[str, NDArray[Any]]: ...
    def restored(self, state: dict[str, NDArray[Any]]) -> Self: ...
    def snapshot(self) -> DriftSnapshot: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weighed:
    """What the file of the evidence says.

    Parameters
    ----------
    epoch : int
        As in `Publication`.
    last_seconds : float
        When evidence was weighed last.
    ecell_rows, bucket_rows
        The rows that are in it, of all processes there ever were.
    rows : dict of name to int
        The same by process, of those that lived.
    state : dict of name to array
        Of the detector.
    """

    epoch: int
    last_seconds: float
    ecell_rows: Totals
    bucket_rows: Totals
    state: dict[str, NDArray[Any]]
    rows: dict[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """For its file."""
        header = {"epoch": self.epoch, "last_seconds": self.last_seconds, "rows": self.rows}
        held = {"ecell_rows": self.ecell_rows, "bucket_rows": self.bucket_rows}
        return pack(KIND, header, held | {f"state_{name}": array for name, array in self.state.items()})

    @classmethod
    def of_bytes(cls, data: bytes) -> Weighed:
        """What `to_bytes` gave; ValueError when it is another thing."""
        try:
            header, arrays = unpack(KIND, data)
            return cls(
                epoch=int(header["epoch"]),
                last_seconds=float(header["last_seconds"]),
                ecell_rows=arrays.pop("ecell_rows"),
                bucket_rows=arrays.pop("bucket_rows"),
                rows={str(name): int(rows) for name, rows in header["rows"].items()},
                state={name.removeprefix("state_"): array for name, array in arrays.items()},
            )
        except (AttributeError, KeyError, TypeError, OverflowError) as error:
            message = f"a part is missing or of another kind: {type(error).__name__}"
            raise ValueError(message) from error


class Weighing:
    """The evidence of all processes that share a folder and have the same budget and weights.

    Parameters
    ----------
    folder : Folder
    detector : SharedDetector
        Never given a row: what goes on from states is made from it.
    failed, note : callable
        Told of errors of the detector, and of what people should know.
    """

    def __init__(
        self, folder: Folder, detector: SharedDetector, failed: Failed, note: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._detector = detector.restored(detector.state())
        self._name = f"{EVIDENCE}{_settings(detector)}.dgs"
        self._failed = failed
        self._note = note
        self._schedule = Schedule(detector.budget.evaluate_seconds)
        self._read: tuple[tuple[int, ...], Weighed | None] = ((), None)
        self._told: tuple[Weighed | None, DriftSnapshot] | None = None
        self._asked: Weighed | None = None

    def look(self, own: Own, now_seconds: float) -> None:
        """Weigh what has come, if there is something, it is time, and nobody else is just doing it."""
        if self._current() is not None and not self._schedule.due(now_seconds):
            return
        with self._folder.lock() as held:
            if not held:
                return
            weighed = self._current()
            present = self._folder.present(own)
            if weighed is None:
                # Written down, or workers that live for less than the interval would never weigh.
                if everything(present)[1].any():
                    self._put(self._beginning(present, now_seconds))
            elif self._schedule.due(now_seconds):
                self._weigh(weighed, present, now_seconds)

    def _weigh(self, weighed: Weighed, present: Present, now_seconds: float) -> None:
        new, new_buckets = _since(weighed, present)
        if (new < 0).any() or (new_buckets < 0).any():
            # Files were taken away by hand. What is left cannot be told from what was weighed.
            self._note("files of processes are gone from the shared directory; their rows are not weighed")
            self._put(replace(self._nothing(present, now_seconds), state=weighed.state))
            return
        if not new_buckets.any():
            return
        try:
            detector = self._with_waiting(weighed, present)
            if not detector.evaluate(now_seconds):
                return  # too few rows: asked again when there are more
            state = detector.state()
        except Exception as error:
            self._failed(error)
            self._schedule.done(now_seconds)  # and not asked again before the next time
            return
        self._put(replace(self._nothing(present, now_seconds), state=state))

    def _with_waiting(self, weighed: Weighed, present: Present) -> SharedDetector:
        """The detector, and in it the rows that wait for an evaluation."""
        new, new_buckets = _since(weighed, present)
        first = min(
            (one.first_seconds(weighed.rows.get(name, 0)) for name, one in present.living.items()),
            default=math.inf,
        )
        detector = self._restored(weighed)
        detector.absorb(
            np.clip(new, 0, LARGEST).astype(np.uint32),
            np.maximum(new_buckets, 0),
            first if math.isfinite(first) else weighed.last_seconds,  # rows of one who has gone
        )
        return detector

    def changed(self) -> bool:
        """Whether the evidence is another than when this was asked last."""
        before, self._asked = self._asked, self._current()
        return self._asked is not before

    def forget(self, own: Own, now_seconds: float) -> None:
        """Have no evidence of all rows that have come. The lock is held."""
        self._put(self._nothing(self._folder.present(own), now_seconds))

    def snapshot(self, present: Present) -> DriftSnapshot | None:
        """What the evidence is; None when the detector fails to tell."""
        weighed = self._current()
        seen = 0 if weighed is None else int(weighed.bucket_rows.sum())
        waiting = max(0, int(everything(present)[1].sum()) - seen)
        told = self._told
        try:
            if told is None or told[0] is not weighed:
                told = weighed, (self._detector if weighed is None else self._restored(weighed)).snapshot()
                self._told = told
            return replace(told[1], pending_rows=waiting)
        except Exception as error:
            self._failed(error)
            return None

    def state(self, present: Present, now_seconds: float) -> dict[str, NDArray[Any]]:
        """State of the detector, the rows that wait included, as `WindowState.evidence` has it."""
        weighed = self._current()
        if weighed is None:
            weighed = self._beginning(present, now_seconds)
        return self._with_waiting(weighed, present).state()

    def _beginning(self, present: Present, now_seconds: float) -> Weighed:
        """No evidence yet, and all rows wait, except those that were weighed with other settings."""
        begun = self._nothing(present, now_seconds)
        if self._folder.evidence():
            return begun
        nobody = np.zeros_like(begun.ecell_rows), np.zeros_like(begun.bucket_rows)
        return replace(begun, ecell_rows=nobody[0], bucket_rows=nobody[1], rows={})

    def _nothing(self, present: Present, now_seconds: float) -> Weighed:
        """No evidence, and all rows that have come are in it."""
        ecell_rows, bucket_rows = everything(present)
        return Weighed(
            epoch=present.departed.epoch,
            last_seconds=now_seconds,
            ecell_rows=ecell_rows,
            bucket_rows=bucket_rows,
            rows={name: one.evidence_rows for name, one in present.living.items()},
            state=self._detector.state(),
        )

    def _restored(self, weighed: Weighed) -> SharedDetector:
        try:
            return self._detector.restored(dict(weighed.state))
        except StateError as error:  # of another version, say: no reason to stop
            self._note(f"shared evidence is left out, the drift score starts at 0: {error}")
            return self._detector.restored(self._detector.state())

    def _current(self) -> Weighed | None:
        """The evidence there is; None when none was gathered since the directory was reset."""
        weighed = self._weighed()
        if weighed is not None and weighed.epoch != self._folder.departed()[0].epoch:
            return None
        return weighed

    def _weighed(self) -> Weighed | None:
        """What the file says now; the schedule goes by it."""
        stamp, weighed = self._read
        path = self._folder.path / self._name
        try:
            now = stamp_of(path)
            if now != stamp:
                weighed = Weighed.of_bytes(path.read_bytes()) if now else None
                self._read = now, weighed
                if weighed is None:
                    self._schedule.clear()
                else:
                    self._schedule.done(weighed.last_seconds)
        except ValueError as error:
            self._read = now, None
            self._failed(error)
            return None
        except OSError as error:
            self._folder.failed(error)
        return weighed

    def _put(self, weighed: Weighed) -> None:
        self._folder.put(self._name, weighed.to_bytes())
        self._weighed()


def everything(present: Present) -> tuple[Totals, Totals]:
    """Rows by e-cell and by time bucket of all processes there ever were."""
    everybody: list[Publication | Departed] = [*present.living.values(), present.departed]
    return (
        add_totals([one.ecell_rows for one in everybody]),
        add_totals([one.bucket_rows for one in everybody]),
    )


def _since(weighed: Weighed, present: Present) -> tuple[Totals, Totals]:
    """Rows that are not in the evidence yet."""
    ecell_rows, bucket_rows = everything(present)
    return ecell_rows - weighed.ecell_rows, bucket_rows - weighed.bucket_rows


def _settings(detector: SharedDetector) -> str:
    """Equal for processes whose evidence is one: of the same alternatives, budget and shares."""
    told = (detector.budget, type(detector).__name__)
    digest = hashlib.sha256(repr(told).encode())
    for array in (detector.state().get("fingerprint"), getattr(detector, "shares", None)):
        digest.update(b"" if array is None else np.asarray(array).tobytes())
    return digest.hexdigest()[:12]

"""A reader without rows: a sidecar, a command, a test."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Final

from driftgauge._evaluate import DEFAULT_MIN_ROWS, evaluate
from driftgauge._settings import DEFAULT_BUDGET, DEFAULT_MIN_EFFECT, check_whole, detector_of, specs_of
from driftgauge._window_specs import WindowSpec
from driftgauge._window_state import WindowState
from driftgauge.budget import Budget
from driftgauge.detectors._settings import check_reference, shares_of_features
from driftgauge.reference import Reference
from driftgauge.shared._member import Member
from driftgauge.snapshot import Snapshot

__all__ = ["SharedDirectory"]

_log = logging.getLogger("driftgauge")


class SharedDirectory:
    """Reads what all processes of a model have counted, and counts nothing itself.

    Parameters
    ----------
    path : str or path
        The directory that the monitors were given as ``shared_directory``. It is made where there is none.
    reference : Reference
        The one of the monitors. What was counted with another one is set aside.
    windows : sequence of window specifications, optional
        Default: every window that one of the processes has.
    budget, min_effect, weights
        As in `driftgauge.Monitor`, and the same as there: another budget gathers evidence of its own.
    min_rows : int
        As in `driftgauge.Monitor`.
    clock : callable
        Seconds since the epoch.

    Raises
    ------
    ConfigError
        When a parameter is of a wrong type or out of its range, or the directory cannot be made.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from driftgauge import Monitor, Reference
    >>> reference = Reference.fit({"age": np.arange(20.0, 60.0)})
    >>> directory = tempfile.TemporaryDirectory()
    >>> worker = Monitor(reference, shared_directory=directory.name)
    >>> worker.observe({"age": np.full(300, 35.0)})
    >>> worker.close()
    >>> SharedDirectory(directory.name, reference).snapshot().windows[0].rows
    300
    >>> directory.cleanup()

    Notes
    -----
    A reader that may write to the directory helps with the rest: it adds up processes that have ended and
    weighs the evidence when nobody else does. From any thread.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        reference: Reference,
        windows: Sequence[WindowSpec] | None = None,
        *,
        budget: Budget | None = DEFAULT_BUDGET,
        min_effect: float = DEFAULT_MIN_EFFECT,
        weights: Mapping[str, float] | None = None,
        min_rows: int = DEFAULT_MIN_ROWS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_reference(reference)
        self.reference = reference
        self._specs = None if windows is None else specs_of(windows)
        self._min_rows = check_whole("min_rows", min_rows)
        self._clock = clock
        self._errors: Counter[str] = Counter()
        self._noted: set[str] = set()
        detector = detector_of(reference, budget, min_effect, weights, None)
        self._shares = shares_of_features(detector, len(reference.names))
        self._member = Member(path, reference, detector, self._failed, self._note, time.sleep)

    def __repr__(self) -> str:
        """Where it is, and of which model."""
        return f"<SharedDirectory {str(self._member.folder.path)!r} of {self.reference.model!r}>"

    def snapshot(self, now_seconds: float | None = None) -> Snapshot:
        """Everything that all processes have to say now.

        Parameters
        ----------
        now_seconds : float, optional
            Seconds since the epoch; default the clock.

        Returns
        -------
        Snapshot
            Counters never go down, whoever ends. Rows of a process count at most half a second after it has
            counted them.
        """
        now = self._now(now_seconds)
        self._member.look(None, now)
        everybody = self._member.everybody(None, self._specs, now)
        counters = everybody.merged.counters
        errors = Counter(counters.internal_errors)
        errors.update(self._errors)  # what this reader could not read
        return evaluate(
            self.reference,
            everybody.merged.windows,
            now_seconds=now,
            bin_rows=everybody.merged.bin_rows,
            counters=replace(counters, internal_errors=dict(errors)),
            min_rows=self._min_rows,
            drift=everybody.drift,
            shares=None if everybody.drift is None else self._shares,
        )

    def states(self, now_seconds: float | None = None) -> list[WindowState]:
        """The windows over all processes, to be saved or merged; the first carries the evidence."""
        return self._member.states(None, self._specs, self._now(now_seconds))

    def acknowledge(self, now_seconds: float | None = None) -> None:
        """Forget the evidence of drift, as `driftgauge.Monitor.acknowledge` does, for all processes.

        Raises
        ------
        StateError
            When the directory cannot be written to.
        """
        self._member.acknowledge(None, self._now(now_seconds))

    def reset(self) -> None:
        """Forget all rows and all evidence, of all processes, and count from 0 again.

        Raises
        ------
        StateError
            When the directory cannot be written to.
        """
        self._member.reset()

    def _now(self, now_seconds: float | None) -> float:
        now = float(self._clock() if now_seconds is None else now_seconds)
        return now if math.isfinite(now) else time.time()

    def _failed(self, stage: str, error: BaseException) -> None:
        self._errors[stage] += 1
        self._note(
            f"{stage}/{type(error).__name__}", f"{type(error).__name__} in a shared directory: {error}"
        )

    def _note(self, key: str, text: str) -> None:
        if key not in self._noted and len(self._noted) < MOST_NOTES:
            self._noted.add(key)
            _log.warning(text)


MOST_NOTES: Final = 100

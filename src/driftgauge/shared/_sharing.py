"""What an engine knows of its shared directory: when to speak, what to say, what all say together.

The engine holds its lock for sharing in every call but `due`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Final

import numpy as np

from driftgauge._evaluate import Counters
from driftgauge._frozen import Frozen
from driftgauge._window_specs import WindowSpec
from driftgauge._window_state import WindowState
from driftgauge.cells import Counts, Floats
from driftgauge.reference import Reference
from driftgauge.shared._member import Member
from driftgauge.shared._publication import Publication, Totals
from driftgauge.shared._turns import Turns
from driftgauge.snapshot import DriftSnapshot

__all__ = ["SPEAK_SECONDS", "Sharing"]

# What a process that is killed has not told is lost, so not longer; 1 ms twice a second with 50 features.
SPEAK_SECONDS: Final = 0.5

# A process that has ended counts as living until then, which shows in nothing: its rows stay all the same.
# Each look opens the files of all processes.
ADD_UP_SECONDS: Final = 5.0

# Publications since the last evaluation, two a second for a minute, and those that scrapes ask for.
ARRIVALS: Final = 256


class Sharing:
    """The part of one monitor in a shared directory.

    Parameters
    ----------
    path : str or path
    reference : Reference
    detector : Detector or None
    failed, note : callable
        As of `driftgauge._buffer.Buffer`.
    timer : callable
        Seconds, of any origin.

    Raises
    ------
    ConfigError
        When the directory cannot be used, or the detector cannot weigh for others.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        reference: Reference,
        detector: object | None,
        failed: Callable[[str, BaseException], None],
        note: Callable[[str, str], None],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._member = Member(path, reference, detector, failed, note, time.sleep)
        self._timer = timer
        self._started = False
        self.begin()

    def begin(self) -> None:
        """Have counted nothing: at the start, and in the child after a fork."""
        if self._started:
            self._member.after_fork_in_child()
        self._started = True
        self._spoke = self._added_up = -math.inf
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch = self._member.epoch
        self._last: Publication | None = None
        self._told = True
        self._begin_evidence()

    def _begin_evidence(self) -> None:
        self._ecell_rows: Totals = np.zeros(0, np.int64)
        self._bucket_rows: Totals = np.zeros(0, np.int64)
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=ARRIVALS)

    def due(self) -> bool:
        """Whether it is time to look what there is to say."""
        return self._timer() - self._spoke >= SPEAK_SECONDS

    def was_reset(self) -> bool:
        """Whether somebody has reset the directory. Then there is nothing that was said."""
        if self._member.epoch == self._epoch:
            return False
        self._begin_epoch()
        return True

    def is_news(self, counters: Counters) -> bool:
        """Whether there is something to say: rows that came or were dropped, or an error."""
        if self._last is None:
            return counters.rows > 0 or any(counters.internal_errors.values()) or bool(counters.payloads)
        return not self._told or counters != self._last.counters

    def say(
        self,
        windows: Iterable[WindowState],
        counters: Counters,
        bin_rows: Totals,
        taken: tuple[Counts, Totals, float] | None,
        newest_seconds: float,
    ) -> Publication:
        """All that this process has counted.

        Parameters
        ----------
        windows, counters, bin_rows, newest_seconds
            As in `Publication`.
        taken : tuple or None
            What the detector has taken in since the last time, from `DriftScore.take`.
        """
        if self._member.removed:
            self._begin_evidence()  # others have let go of these rows, and would weigh them again
        if taken is not None:
            counts, buckets, first_seconds = taken
            if not self._ecell_rows.size:
                self._ecell_rows = np.zeros(counts.size, np.int64)
                self._bucket_rows = np.zeros(buckets.size, np.int64)
            if math.isfinite(first_seconds):
                self._arrivals.append((float(self._bucket_rows.sum()), first_seconds))
            # new arrays: those that were said before are somebody else's
            self._ecell_rows = self._ecell_rows + counts
            self._bucket_rows = self._bucket_rows + buckets
        return Publication(
            epoch=self._epoch,
            newest_seconds=newest_seconds,
            windows=tuple(windows),
            counters=counters,
            bin_rows=bin_rows,
            ecell_rows=self._ecell_rows,
            bucket_rows=self._bucket_rows,
            arrivals=np.array(self._arrivals).reshape(-1, 2),
        )

    def publish(self, said: Publication) -> None:
        """Have everybody know."""
        self._last = said
        self._told = self._member.publish(said)

    def look(self, now_seconds: float) -> None:
        """Weigh the evidence if it is time, and now and then add up who has gone."""
        self._spoke = self._timer()
        add_up = self._spoke - self._added_up >= ADD_UP_SECONDS
        if add_up:
            self._added_up = self._spoke
        self._member.look(self._member.own(self._last), now_seconds, add_up=add_up)

    @property
    def turns(self) -> Turns:
        """Which of the processes reports for all."""
        return self._member.turns

    def weighed_anew(self) -> DriftSnapshot | None:
        """The evidence of all, if it was weighed since this was asked, by whichever process."""
        return self._member.weighed_anew(self._member.own(self._last))

    def freeze(self, specs: Sequence[WindowSpec], now_seconds: float, shares: Floats | None) -> Frozen:
        """All that all processes have counted, for an evaluation."""
        everybody = self._member.everybody(self._member.own(self._last), specs, now_seconds)
        return Frozen(
            now_seconds=now_seconds,
            views=everybody.merged.windows,
            bin_rows=everybody.merged.bin_rows,
            counters=everybody.merged.counters,
            drift=everybody.drift,
            shares=None if everybody.drift is None else shares,
        )

    def states(self, specs: Sequence[WindowSpec], now_seconds: float) -> list[WindowState]:
        """The windows of all processes; the first carries the evidence."""
        return self._member.states(self._member.own(self._last), specs, now_seconds)

    def acknowledge(self, now_seconds: float) -> None:
        """Have no evidence of all rows that have come. StateError when the folder cannot be changed."""
        self._member.acknowledge(self._member.own(self._last), now_seconds)

    def reset(self) -> None:
        """Have nobody counted anything. StateError when the folder cannot be changed."""
        self._member.reset()

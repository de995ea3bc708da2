"""When evidence of drift is weighed."""

from __future__ import annotations

__all__ = ["Schedule"]


class Schedule:
    """When evidence is weighed: at least so many seconds after the last time.

    Parameters
    ----------
    seconds : float

    Examples
    --------
    >>> schedule = Schedule(60)
    >>> [schedule.due(now) for now in (1_000.0, 1_030.0, 1_060.0)]
    [False, False, True]
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.clear()

    def clear(self) -> None:
        """Begin anew: the next time is the first."""
        self._last: float | None = None
        self._back: float | None = None

    def due(self, now_seconds: float) -> bool:
        """Whether evidence is to be weighed now. The first time only starts the schedule.

        A clock that was set back by more than the interval is believed when it has gone on from there for one
        interval. Until then it may be a second clock beside the first, rows with times of their own say, and
        going by both would weigh as often as the two are called in turn.
        """
        if self._last is None:
            self._last = now_seconds
        since = now_seconds - self._last
        if since >= -self._seconds:
            self._back = None
        elif self._back is None or now_seconds < self._back:
            self._back = now_seconds
        return since >= self._seconds or (
            self._back is not None and now_seconds - self._back >= self._seconds
        )

    def done(self, now_seconds: float) -> None:
        """Evidence was weighed."""
        self._last, self._back = now_seconds, None

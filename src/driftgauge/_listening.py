"""The door of a monitor through which others hear of its drift, and tell of their own failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from driftgauge._buffer import Buffer
from driftgauge._crossings import Listener, TraceSource

if TYPE_CHECKING:
    from driftgauge.shared._turns import Turns

__all__ = ["Listening"]


class Listening:
    """What of a monitor is for exporters and whoever else stands beside it."""

    _buffer: Buffer
    _turns: Turns | None = None

    def listen(self, listener: Listener, *, trace: TraceSource | None = None) -> Callable[[], None]:
        """Have *listener* told whenever a drift score crosses 1, in either direction.

        Parameters
        ----------
        listener : callable
            Given a `Crossing`, by the thread that noticed it: usually the background thread, else one that
            calls `observe`, `flush` or `snapshot`. What it raises is counted, ``listener``, and goes no
            further.
        trace : callable, optional
            Called about once a second in the thread of a watched call that is about to return: trace and span
            of the request there, in hexadecimal, or None. The last before an evaluation is the crossing's.

        Returns
        -------
        callable
            Has it told no more.

        Examples
        --------
        >>> import numpy as np
        >>> from driftgauge.monitor import Monitor
        >>> from driftgauge.reference import Reference
        >>> rng = np.random.default_rng(7)
        >>> monitor = Monitor(Reference.fit({"age": rng.normal(40, 10, 5_000)}))
        >>> stop = monitor.listen(lambda crossing: print(crossing.feature or "model", crossing.direction))
        >>> for minute in range(3):
        ...     monitor.observe({"age": rng.normal(60, 10, 500)}, now_seconds=60.0 * minute)
        model up
        age up
        >>> stop()

        Notes
        -----
        A watched call pays nothing for a listener. With *trace* one call a second does: 1 µs and what *trace*
        takes, 1.6 µs for the current span of OpenTelemetry (Python 3.11).
        """
        return self._buffer.crossings.listen(listener, trace)

    @property
    def is_shared(self) -> bool:
        """Whether snapshots are of all processes of a shared directory."""
        return self._turns is not None

    def has_turn(self, name: str) -> bool:
        """Whether it is for this process to report snapshots to *name*, for an exporter that pushes.

        Without a shared directory always. With one each process knows the sum of all, so one reports it: the
        first that asks, until it ends or calls `give_up_turn`.

        Parameters
        ----------
        name : str
            Of a kind of exporter, such as ``'otel'``; a part of a file's name.
        """
        return self._turns is None or self._turns.has(name)

    def give_up_turn(self, name: str) -> None:
        """Let another process of the shared directory report to *name*."""
        if self._turns is not None:
            self._turns.give_up(name)

    def count_error(self, stage: str, error: BaseException) -> None:
        """Count what went wrong beside the monitor, in an exporter say, among its internal errors.

        The first of its stage and type is logged, by type and place only.

        Parameters
        ----------
        stage : str
            ``'export'``, or another of the stages in ``driftgauge_internal_errors_total``.
        error : BaseException
        """
        self._buffer.failed(stage, error)

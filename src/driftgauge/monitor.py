"""Watching a model: what it is asked and what it answers, compared with its reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftgauge import kernels
from driftgauge._buffer import Buffer
from driftgauge._engine import Engine, unanswered
from driftgauge._evaluate import DEFAULT_MIN_ROWS, evaluate
from driftgauge._life import look_after
from driftgauge._settings import DEFAULT_BUDGET, DEFAULT_MIN_EFFECT, check_settings, detector_of
from driftgauge._watching import Watching
from driftgauge._worker import Worker
from driftgauge.budget import Budget
from driftgauge.errors import StateError
from driftgauge.reference import Reference
from driftgauge.sampling import Rate
from driftgauge.snapshot import PayloadCounts, Snapshot
from driftgauge.windows import WindowSpec, WindowState, rows

if TYPE_CHECKING:
    from driftgauge.detectors.protocol import Detector
    from driftgauge.shared._sharing import Sharing

__all__ = ["Monitor"]

DEFAULT_WINDOWS: Final = (rows(10_000),)
CLOSE_SECONDS: Final = 1.0


class Monitor(Watching):
    """Counts what a model sees and says in windows, and compares them with its reference.

    Parameters
    ----------
    reference : Reference
    windows : sequence of window specifications
        From `rows` and `duration`; at least one, each of its own name. Default: the last 10,000 rows.
    sample : float or Rate
        Probability in [0, 1] that a row is taken, or `rate`. Default 1.0: every row.
    budget : Budget or None
        How many false alerts are accepted, from `one_false_alert`. Default: one of the model in 90 days,
        evidence weighed every 60 s. None: no evidence is gathered and there is no drift score.
    min_effect : float
        Changes of at most this PSI are no drift: the drift score stays low however many rows have them. From
        0 to 1; default 0.01, a tenth of a standard deviation of the mean.
    weights : mapping of str to float, optional
        How much a feature matters, at least 0; 1 where a name is absent. Its share of the budget, so that
        drift of what matters is seen sooner. 0: its drift is not looked for.
    detector : Detector, optional
        In place of the drift score that the three settings above make: one of `driftgauge.detectors`, or
        your own, made for this reference. The monitor calls it from one thread at a time.
    min_rows : int
        Windows with fewer rows have no statistics. At least 1; default 100, see `evaluate`.
    buffer_rows : int
        One-row calls that may wait for the background thread; 16 times as many rows may wait in batches.
        Default 1,024: 8 KiB a feature, and at most 51,000 calls a second at a tick of 20 ms, by arithmetic.
    tick_seconds : float
        How often the background thread empties the buffer while there is traffic. In [0.001, 10]; default
        0.02.
    clock : callable
        Seconds since the epoch. Read once a tick, never by a watched call, except where `sample` is a rate.
        Where it raises or is not finite, the last good time stands in and an error ``clock`` is counted.
    rng : numpy.random.Generator, optional
        For sampling; a child process draws its own after a fork.
    shared_directory : str or path, optional
        Where the processes of one model on one host count together: the same folder for all of them, on a
        local disk or in memory. A snapshot of any of them is then that of all, see Notes. Default: none.

    Raises
    ------
    ConfigError
        When a parameter is of a wrong type or out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.reference import Reference
    >>> from driftgauge.windows import rows
    >>> rng = np.random.default_rng(7)
    >>> train = {"age": rng.normal(40, 10, 5_000), "score": rng.uniform(size=5_000)}
    >>> monitor = Monitor(Reference.fit(train, outputs=["score"]), windows=[rows(1_000)])
    >>> @monitor.watch
    ... def predict(X):
    ...     return X[:, 0] / 100
    >>> with monitor:
    ...     _ = predict(rng.normal(60, 10, (1_000, 1)))
    ...     age, score = monitor.snapshot().windows[0].features
    >>> age.psi > 1, round(age.shift)
    (True, 2)

    Notes
    -----
    A guest in the predict path. A watched call copies its row into a bounded buffer and returns; it takes no
    lock, reads no clock, wakes only a thread asleep for want of rows, and raises only what predict raised.
    `driftgauge._capture` tells how each form of data is kept safe. Everything else happens on one daemon
    thread, started by the first row: that call takes 0.4 ms longer, 16 ms (at worst 32) beside two busy
    threads (Python 3.11, 2 cores), unless `warm_up` has started it. After a fork the child starts with
    nothing counted, its own buffer and its own thread.

    Rows are accounted for exactly: offered = sampled out + sampled + dropped, dropped by reason:
    ``buffer_full``, ``predict_error``, ``shape_mismatch``, ``unsupported_type``, ``internal_error``.

    With a shared directory a process tells the others twice a second what it has counted, on the background
    thread. Windows are those of all processes together: `rows` each, and a duration of all. The rows of a
    process that has ended, also by ``kill -9``, stay until newer ones have taken their place; counters never
    go down; one drift score weighs the rows of all. What a process counted in its last half second is lost
    when it is killed, or ends by `os._exit` without `close`. So the directory is the saved state as well.
    """

    def __init__(
        self,
        reference: Reference,
        *,
        windows: Sequence[WindowSpec] = DEFAULT_WINDOWS,
        sample: float | Rate = 1.0,
        budget: Budget | None = DEFAULT_BUDGET,
        min_effect: float = DEFAULT_MIN_EFFECT,
        weights: Mapping[str, float] | None = None,
        detector: Detector | None = None,
        min_rows: int = DEFAULT_MIN_ROWS,
        buffer_rows: int = 1_024,
        tick_seconds: float = 0.02,
        clock: Callable[[], float] = time.time,
        rng: np.random.Generator | None = None,
        shared_directory: str | PathLike[str] | None = None,
    ) -> None:
        settings = (min_rows, buffer_rows, tick_seconds, clock, rng)
        self._specs = check_settings(reference, windows, *settings)
        super().__init__(reference, Buffer(buffer_rows), sample=sample, clock=clock, rng=rng)
        self._min_rows = min_rows
        self._tick_seconds = tick_seconds
        self._buffer.crossings.window = self._specs[0].name
        detector = detector_of(reference, budget, min_effect, weights, detector)
        self._shared = shared_directory is not None
        sharing = None if shared_directory is None else self._sharing(shared_directory, detector)
        self._turns = None if sharing is None else sharing.turns
        self._engine = Engine(reference, self._specs, self._buffer, clock, detector, sharing)
        self._direct = self._intake()
        self._direct.bounded = False
        self._start_worker()
        look_after(self)

    def _sharing(self, path: str | PathLike[str], detector: Detector | None) -> Sharing:
        """How to count together with the other processes of *path*."""
        from driftgauge.shared._sharing import Sharing

        return Sharing(path, self.reference, detector, self._buffer.failed, self._buffer.note)

    def _start_worker(self) -> None:
        """Make ready a thread, which the first row starts."""
        self._worker = Worker(self._engine, self._buffer, self._tick_seconds)
        self._buffer.ring = self._worker.ring
        self._buffer.asleep[:] = [None]

    def __repr__(self) -> str:
        """Model, version and windows."""
        names = ", ".join(spec.name for spec in self._specs)
        return f"<Monitor of {self.reference.model!r} version {self.reference.version!r}: {names}>"

    def observe(self, inputs: Any, outputs: Any = None, *, now_seconds: float | None = None) -> None:
        """Count rows that are at hand, at once and in the calling thread, whatever room the buffer has.

        Parameters
        ----------
        inputs
            Anything that a watched function may be given.
        outputs
            Anything that it may return for these rows. None: not recorded, the outputs count as missing.
        now_seconds : float, optional
            When they arrived, seconds since the epoch; default the monitor's clock.

        Notes
        -----
        Rows are sampled like watched ones. What cannot be read is counted as dropped and not raised.
        """
        begun = self._direct.take(inputs) if self.reference.inputs else self._direct.begin((), {})
        unknown = outputs is None and self.reference.inputs
        entry = begun and (unanswered(begun) if unknown else self._direct.complete(begun, outputs))
        self._engine.flush(now_seconds, [] if entry is None else [entry])
        self._tell_others()

    def _tell_others(self) -> None:
        """Have the thread tell other processes, if there are any, what has changed."""
        if self._shared:
            self._buffer.wake()

    def count_payloads(self, source: Callable[[], Iterable[PayloadCounts]]) -> None:
        """Have snapshots say what *source* counts: what came as bytes, and what became of it.

        With a shared directory they then are the sums over all processes, as the rows are.

        Parameters
        ----------
        source : callable
            Its counts only ever grow. Where it raises, they are what they were last.
        """
        self._engine.payloads.add(source)

    def flush(self, now_seconds: float | None = None) -> None:
        """Count every row of calls that have returned. When it is done, so are they."""
        self._engine.flush(now_seconds)

    def snapshot(self, now_seconds: float | None = None) -> Snapshot:
        """Everything there is to say now, the rows of all calls that have returned included.

        Parameters
        ----------
        now_seconds : float, optional
            Seconds since the epoch; default the monitor's clock.

        Returns
        -------
        Snapshot
            Rows add up in it: ``rows == rows_sampled_out + rows_sampled + sum(rows_dropped.values())``.

        Notes
        -----
        From any thread, while rows flow. Windows are copied under a lock that watched calls never take, and
        evaluated without it.
        """
        frozen = self._engine.freeze(now_seconds)
        return evaluate(
            self.reference,
            frozen.views,
            now_seconds=frozen.now_seconds,
            bin_rows=frozen.bin_rows,
            counters=frozen.counters,
            min_rows=self._min_rows,
            drift=frozen.drift,
            shares=frozen.shares,
        )

    def save_state(self, path: str | PathLike[str]) -> None:
        """Write what the windows hold to the directory *path*: one file a window, ``<name>.window``.

        Each file is a `WindowState` and written atomically; that of the first window has the evidence of
        drift too. Cumulative counters are in none: they start again with the process, as every Prometheus
        counter does. With a shared directory they are the windows of all processes.
        """
        states = self._engine.states()
        Path(path).mkdir(parents=True, exist_ok=True)
        for state in states:
            state.save(Path(path) / f"{state.name}.window")

    def load_state(self, path: str | PathLike[str]) -> None:
        """Have windows and evidence be what `save_state` wrote, and forget what they were.

        Evidence that was gathered with another budget, `min_effect` or `weights`, or none at all, is no
        error: the drift score starts at 0, and a warning is logged once.

        Raises
        ------
        ReferenceFileError
            When a file is damaged; FileNotFoundError when there is none for a window.
        StateError
            When a file belongs to another reference or window, or the monitor has a shared directory, which
            keeps what all its processes hold by itself. Nothing has changed then.
        """
        if self._shared:
            message = (
                "a shared directory keeps windows and evidence of all processes by itself, so there is "
                "nothing to load; use load_state with a monitor without shared_directory"
            )
            raise StateError(message)
        names = [f"{spec.name}.window" for spec in self._specs]
        self._engine.restore([WindowState.load(Path(path) / name) for name in names])

    def acknowledge(self) -> None:
        """Forget the evidence of drift: the alert was seen, gather it anew. Windows and counts stay.

        While the drift goes on, the drift score passes 1 again, about as soon as it did the first time. False
        alerts stay as rare as the budget says, however often this is called.
        """
        self._engine.acknowledge()

    def reset(self) -> None:
        """Forget all rows and all evidence, and count from 0 again."""
        self._engine.reset()

    def warm_up(self) -> None:
        """Compile the kernels and start the background thread: before traffic, so that no call pays for it.

        Threads do not outlive a fork, compiled kernels do: before one call `kernels.warm_up`, after it this.
        """
        kernels.warm_up()
        self._buffer.wake()

    def close(self) -> None:
        """Count what is waiting and end the background thread. Watched functions go on working.

        Rows that come after are counted by the next `flush` or `snapshot`, as far as the buffer has room.
        So are those that wait when the thread is stuck, in a clock say: it is given a second, and the state
        that it may have locked another. The end of the process calls this and is not held up longer.
        """
        self._worker.stop(CLOSE_SECONDS)
        self._engine.flush_within(CLOSE_SECONDS)
        if self._shared:
            self._engine.share(timeout_seconds=CLOSE_SECONDS)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def after_fork_in_child(self) -> None:
        """Begin anew, in a child process: nothing counted, an empty buffer, a thread of its own."""
        self._entered.after_fork_in_child()
        self._buffer.clear()
        for chosen in list(self._samplers):
            chosen.after_fork()
        self._engine.start()
        self._start_worker()

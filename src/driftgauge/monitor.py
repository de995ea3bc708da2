"""Watching a model: what it is asked and what it answers, compared with its reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, overload
from weakref import WeakSet

import numpy as np

from driftgauge import kernels
from driftgauge._arguments import Selector
from driftgauge._buffer import Buffer
from driftgauge._engine import Engine, check_settings, unanswered
from driftgauge._evaluate import DEFAULT_MIN_ROWS, evaluate
from driftgauge._intake import Intake
from driftgauge._life import look_after
from driftgauge._watch import Entered, wrap
from driftgauge._worker import Worker
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.sampling import Rate, Sampler, sampler
from driftgauge.snapshot import Snapshot
from driftgauge.windows import WindowSpec, WindowState, rows

__all__ = ["Monitor"]

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_WINDOWS: Final = (rows(10_000),)
CLOSE_SECONDS: Final = 1.0


class Monitor:
    """Counts what a model sees and says in windows, and compares them with its reference.

    Parameters
    ----------
    reference : Reference
    windows : sequence of window specifications
        From `rows` and `duration`; at least one, each of its own name. Default: the last 10,000 rows.
    sample : float or Rate
        Probability in [0, 1] that a row is taken, or `rate`. Default 1.0: every row.
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
    """

    def __init__(
        self,
        reference: Reference,
        *,
        windows: Sequence[WindowSpec] = DEFAULT_WINDOWS,
        sample: float | Rate = 1.0,
        min_rows: int = DEFAULT_MIN_ROWS,
        buffer_rows: int = 1_024,
        tick_seconds: float = 0.02,
        clock: Callable[[], float] = time.time,
        rng: np.random.Generator | None = None,
    ) -> None:
        settings = (min_rows, buffer_rows, tick_seconds, clock, rng)
        self._specs = check_settings(reference, windows, *settings)
        self.reference = reference
        self._sample = sample
        self._min_rows = min_rows
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._rng = rng
        self._samplers: WeakSet[Sampler] = WeakSet()
        self._buffer = Buffer(buffer_rows)
        self._entered = Entered(self._buffer)
        self._engine = Engine(reference, self._specs, self._buffer, clock)
        self._direct = self._intake()
        self._direct.bounded = False
        self._start_worker()
        look_after(self)

    def _start_worker(self) -> None:
        """Make ready a thread, which the first row starts."""
        self._worker = Worker(self._engine, self._buffer, self._tick_seconds)
        self._buffer.ring = self._worker.ring
        self._buffer.asleep[:] = [None]

    def __repr__(self) -> str:
        """Model, version and windows."""
        names = ", ".join(spec.name for spec in self._specs)
        return f"<Monitor of {self.reference.model!r} version {self.reference.version!r}: {names}>"

    @overload
    def watch(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def watch(
        self,
        function: None = None,
        /,
        *,
        sample: float | Rate | None = None,
        inputs: Selector | None = None,
        outputs: Selector | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def watch(
        self,
        function: Any = None,
        /,
        *,
        sample: float | Rate | None = None,
        inputs: Selector | None = None,
        outputs: Selector | None = None,
    ) -> Any:
        """The function, watched; as a decorator bare or with settings.

        Parameters
        ----------
        function : callable
            A function, coroutine function, generator function or asynchronous generator function; a method
            where it is defined, a bound method, a static or class method; any callable.
        sample : float or Rate, optional
            In place of the monitor's.
        inputs : callable or sequence of str, optional
            Called with the arguments of each call, it returns the data; or names of parameters of the
            function that are the inputs; or names of the columns of arrays, in their order. Default: the
            parameters that have the names of all inputs, if there are, else the first argument that looks
            like data, else arguments that have names of inputs, else as many scalars as there are inputs.
        outputs : callable or sequence of str, optional
            Called with the result, it returns the outputs; or the names of the parts of the result. Default:
            the result. A generator's result is what it has yielded: an item a row, or for one row the text of
            all items or the last item; a callable is given the list.

        Returns
        -------
        callable
            Of the same kind. What it returns and raises is what *function* returns and raises, the same
            object.

        Raises
        ------
        ConfigError
            At once, when a setting is out of its range or names what is not there.

        Notes
        -----
        A frame or dict is read by name, anything else by position. An input that a frame does not have counts
        as missing; columns that the reference does not have are passed over. Of calls of the same monitor
        inside each other, in one thread or coroutine, the outermost counts; those that it makes in other
        threads, of a pool say, count too. A call that raises is a drop, ``predict_error``.
        """
        if function is None:
            return lambda given: self._watched(given, sample=sample, inputs=inputs, outputs=outputs)
        return self._watched(function, sample=sample, inputs=inputs, outputs=outputs)

    def _watched(self, function: Any, **settings: Any) -> Any:
        if isinstance(function, staticmethod | classmethod):
            inner = self._watched(function.__func__, **settings)
            return type(function)(inner)
        if not callable(function):
            message = f"only what can be called is watched, got {function!r}; use observe() for rows at hand"
            raise ConfigError(message)
        intake = self._intake(function, **settings)
        watched = wrap(function, intake, self._entered)
        watched.__driftgauge_monitor__ = self  # type: ignore[attr-defined]  # alive as long as it is fed
        return watched

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
        now, views, bin_rows, counters = self._engine.freeze(now_seconds)
        return evaluate(
            self.reference,
            views,
            now_seconds=now,
            bin_rows=bin_rows,
            counters=counters,
            min_rows=self._min_rows,
        )

    def save_state(self, path: str | PathLike[str]) -> None:
        """Write what the windows hold to the directory *path*: one file a window, ``<name>.window``.

        Each file is a `WindowState` and written atomically. Cumulative counters are not in it: they start
        again with the process, as every Prometheus counter does.
        """
        states = self._engine.states()
        Path(path).mkdir(parents=True, exist_ok=True)
        for state in states:
            state.save(Path(path) / f"{state.name}.window")

    def load_state(self, path: str | PathLike[str]) -> None:
        """Have the windows hold what `save_state` wrote, and forget what was in them.

        Raises
        ------
        ReferenceFileError
            When a file is damaged; FileNotFoundError when there is none for a window.
        StateError
            When a file belongs to another reference or window. Nothing has changed then.
        """
        names = [f"{spec.name}.window" for spec in self._specs]
        self._engine.restore([WindowState.load(Path(path) / name) for name in names])

    def reset(self) -> None:
        """Forget all rows and count from 0 again."""
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

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _intake(
        self,
        function: Callable[..., Any] | None = None,
        *,
        sample: float | Rate | None = None,
        inputs: Selector | None = None,
        outputs: Selector | None = None,
    ) -> Intake:
        chosen = sampler(self._sample if sample is None else sample, rng=self._rng, clock=self._clock)
        if chosen is not None:
            self._samplers.add(chosen)
        features = [self.reference.feature(name) for name in self.reference.inputs]
        return Intake(
            self._buffer,
            self.reference.inputs,
            self.reference.outputs,
            numeric=all(feature.dtype == "numeric" for feature in features),
            sampler=chosen,
            inputs=inputs,
            outputs=outputs,
            function=function,
        )

    def after_fork_in_child(self) -> None:
        """Begin anew, in a child process: nothing counted, an empty buffer, a thread of its own."""
        self._entered.after_fork_in_child()
        self._buffer.clear()
        for chosen in list(self._samplers):
            chosen.after_fork()
        self._engine.start()
        self._start_worker()

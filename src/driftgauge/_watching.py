"""The doors of a monitor through which rows come: functions that are watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload
from weakref import WeakSet

import numpy as np

from driftgauge._arguments import Selector
from driftgauge._buffer import Buffer
from driftgauge._intake import Intake
from driftgauge._listening import Listening
from driftgauge._watch import Entered, wrap
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.sampling import Rate, Sampler, sampler

__all__ = ["Watching"]

P = ParamSpec("P")
R = TypeVar("R")


class Watching(Listening):
    """What of a monitor watches functions and puts their rows into a buffer.

    Parameters
    ----------
    reference : Reference
    buffer : Buffer
    sample, clock, rng
        See `driftgauge.Monitor`.
    """

    def __init__(
        self,
        reference: Reference,
        buffer: Buffer,
        *,
        sample: float | Rate,
        clock: Callable[[], float],
        rng: np.random.Generator | None,
    ) -> None:
        self.reference = reference
        self._buffer = buffer
        self._sample = sample
        self._clock = clock
        self._rng = rng
        self._samplers: WeakSet[Sampler] = WeakSet()
        self._entered = Entered(buffer)

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

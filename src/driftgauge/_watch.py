"""The wrappers around a predict function: what runs in the host's thread, for each of the kinds of function.

They all do the same. The outermost watched call of a monitor captures the inputs, calls the function, counts
and re-raises whatever it raises, captures the result and returns it. Calls inside that call pass through.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import ContextVar
from typing import Any, Final

import numpy as np

from driftgauge._buffer import Buffer
from driftgauge._capture import ATOMS, FLOAT32, FLOAT64
from driftgauge._intake import STREAM_ITEMS, Intake, Streamed

__all__ = ["Entered", "wrap"]

_ABSENT: Final = object()

# Coroutines that are inside a watched call. A task started in one inherits the context, and may outlive the
# call; so the entries are marks that are closed, not names.
_marks: ContextVar[tuple[_Mark, ...]] = ContextVar("driftgauge_marks", default=())


class _Mark:
    """One watched call of a coroutine."""

    __slots__ = ("buffer", "is_open")

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.is_open = True


class Entered:
    """Which threads are inside a watched call of one monitor.

    Notes
    -----
    A dict by thread number: look-up, insertion and removal take 70 ns together, where setting and resetting a
    context variable takes 120 and a `threading.local` 160 (Python 3.11). Coroutines need the context
    variable.
    """

    __slots__ = ("asynchronous", "buffer", "threads")

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        # A flag: empty until a coroutine function is watched; till then no coroutine is inside a call, and
        # nobody asks. A list, for the closures that look at it.
        self.asynchronous: list[bool] = []
        self.threads: dict[int, bool] = {}

    def in_coroutine(self) -> bool:
        """Whether a coroutine, from which this is called, is inside a watched call."""
        return any(mark.is_open and mark.buffer is self.buffer for mark in _marks.get())

    def after_fork_in_child(self) -> None:
        """Forget the threads that are not there any more."""
        me = threading.get_ident()  # the thread that forks goes on in the child, maybe inside a watched call
        for thread in list(self.threads):
            if thread != me:
                del self.threads[thread]


def wrap(function: Callable[..., Any], intake: Intake, entered: Entered) -> Callable[..., Any]:
    """The watched version of *function*, of the same kind."""
    kinds = (function, type(function).__call__)  # an instance is of the kind of its class's call
    if any(map(inspect.isasyncgenfunction, kinds)) or any(map(inspect.iscoroutinefunction, kinds)):
        entered.asynchronous[:] = [True]
    if any(map(inspect.isasyncgenfunction, kinds)):
        watched: Callable[..., Any] = _async_generator(function, intake, entered)
    elif any(map(inspect.isgeneratorfunction, kinds)):
        watched = _generator(function, intake, entered)
    elif any(map(inspect.iscoroutinefunction, kinds)):
        watched = _coroutine(function, intake, entered)
    else:
        watched = _plain(function, intake, entered)
    return functools.wraps(function)(watched)


def _plain(function: Callable[..., Any], intake: Intake, entered: Entered) -> Callable[..., Any]:
    """An ordinary function. A call with one array of one row is handled in place (see the benchmark).

    Every name below is a cell of this closure, every operation on what threads share is one C call, and the
    only allocations are the bytes of the row and the entry.
    """
    threads = entered.threads
    asynchronous, in_coroutine = entered.asynchronous, entered.in_coroutine
    ident = threading.get_ident
    array, float64, float32, absent, atoms = np.ndarray, FLOAT64, FLOAT32, _ABSENT, ATOMS
    shape_1d, shape_2d = intake.shapes
    begin, finish, abandon = intake.begin, intake.finish, intake.abandon
    buffer = intake.buffer
    ready, asleep, wake, limit = buffer.ready, buffer.asleep, buffer.wake, buffer.buffer_rows
    append, full = ready.append, buffer.dropped["buffer_full"].one
    failed_row = buffer.dropped["predict_error"].one
    plain_output = intake.plain_output
    one = intake.sampler.one if intake.sampler is not None else None
    sampled_out = buffer.sampled_out.one

    # Positional-only, so that the usual call packs and unpacks no tuple and finds `kwargs` empty: 45 ns in
    # place of 105. A call by keyword lands in `kwargs` and goes the long way.
    def watched(data: Any = absent, /, *args: Any, **kwargs: Any) -> Any:
        me = ident()
        if args or kwargs or data is absent:
            if data is not absent:
                args = (data, *args)
            return general(me, args, kwargs)
        if me in threads or (asynchronous and in_coroutine()):
            return function(data)
        raw: Any = None
        dtype: Any = None
        threads[me] = True
        try:
            try:
                # `tobytes` is the cheapest copy: 45 ns for 20 values, where `row[...] = data` into a row of a
                # preallocated array takes 87, `row[:] = data` 165, and a free list of rows 45 on top. And
                # float32 stays float32.
                if (
                    type(data) is array
                    and ((shape := data.shape) == shape_1d or shape == shape_2d)
                    # `==` for arrays that were pickled: their dtype is equal and another object.
                    and ((kind := data.dtype) is float64 or kind is float32 or kind in (float64, float32))
                ):
                    if one is not None and not one():
                        sampled_out()
                    elif len(ready) < limit:
                        raw, dtype = data.tobytes(), kind
                    else:
                        full()
                else:
                    raw = begin((data,), kwargs)
            except Exception as error:
                buffer.failed("capture", error)
                buffer.dropped["internal_error"].one()
            try:
                result = function(data)
            except BaseException:
                if dtype is not None:
                    failed_row()
                elif raw is not None:
                    abandon(raw)
                raise
            if dtype is not None:
                if plain_output and (type(result) is float or type(result) in atoms):
                    append((raw, dtype, result))
                    if asleep:
                        wake()
                else:
                    finish((raw, dtype), result)
            elif raw is not None:
                finish(raw, result)
        finally:
            del threads[me]
        return result

    def general(me: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if me in threads or (asynchronous and in_coroutine()):
            return function(*args, **kwargs)
        threads[me] = True
        try:
            begun = begin(args, kwargs)
            try:
                result = function(*args, **kwargs)
            except BaseException:
                if begun is not None:
                    abandon(begun)
                raise
            if begun is not None:
                finish(begun, result)
        finally:
            del threads[me]
        return result

    return watched


def _coroutine(function: Callable[..., Any], intake: Intake, entered: Entered) -> Callable[..., Any]:
    async def watched(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() in entered.threads or entered.in_coroutine():
            return await function(*args, **kwargs)
        begun = intake.begin(args, kwargs)
        mark = _Mark(intake.buffer)
        before = _marks.get()
        _marks.set((*before, mark))
        try:
            result = await function(*args, **kwargs)
        except BaseException:  # CancelledError too
            if begun is not None:
                intake.abandon(begun)
            raise
        finally:
            mark.is_open = False
            _marks.set(
                before
            )  # not reset(token): a coroutine may be closed in another context, where that raises
        if begun is not None:
            intake.finish(begun, result)
        return result

    return watched


class _Counted:
    """Counts a stream when it ends: as it is when the consumer leaves it too, not when it raises."""

    __slots__ = ("begun", "intake", "items")

    def __init__(self, intake: Intake, begun: Any, items: Streamed) -> None:
        self.intake = intake
        self.begun = begun
        self.items = items

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.begun is None:
            return
        if kind is None or issubclass(kind, GeneratorExit):
            self.intake.finish(self.begun, self.items)
        else:
            self.intake.abandon(self.begun)


def _generator(function: Callable[..., Any], intake: Intake, entered: Entered) -> Callable[..., Any]:
    """A generator function. Only its steps are inside: between two the consumer does as it likes."""

    def watched(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        threads = entered.threads
        if threading.get_ident() in threads or entered.in_coroutine():
            return (yield from function(*args, **kwargs))
        begun = intake.begin(args, kwargs)
        items = Streamed()
        source = None
        step: Callable[..., Any]
        given: tuple[Any, ...] = ()
        with _Counted(intake, begun, items):
            while True:
                me = threading.get_ident()
                outermost = me not in threads
                threads[me] = True
                try:
                    if source is None:
                        source = function(*args, **kwargs)
                        step = source.__next__
                    item = step(*given)
                except StopIteration as stop:
                    returned = stop.value
                    break
                finally:
                    if outermost:
                        del threads[me]
                if len(items) < STREAM_ITEMS:
                    items.append(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    source.close()
                    raise
                except BaseException as error:
                    step, given = source.throw, (error,)
                else:
                    step, given = (source.__next__, ()) if sent is None else (source.send, (sent,))
        return returned

    return watched


def _async_generator(function: Callable[..., Any], intake: Intake, entered: Entered) -> Callable[..., Any]:
    async def watched(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inside = threading.get_ident() in entered.threads or entered.in_coroutine()
        begun = None if inside else intake.begin(args, kwargs)
        items = Streamed()
        source = function(*args, **kwargs)
        step = source.__anext__()
        with _Counted(intake, begun, items):
            while True:
                mark = _Mark(intake.buffer)
                before = _marks.get()
                _marks.set((*before, mark))
                try:
                    item = await step
                except StopAsyncIteration:
                    break
                finally:
                    mark.is_open = False
                    _marks.set(before)
                if len(items) < STREAM_ITEMS:
                    items.append(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    await source.aclose()
                    raise
                except BaseException as error:
                    step = source.athrow(error)
                else:
                    step = source.asend(sent)

    return watched

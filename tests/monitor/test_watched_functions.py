"""Every kind of function can be watched, and none is changed by it."""

# ruff: noqa: ARG001, ARG002, ARG003, ARG004, ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from monitor_cases import NAMES, assert_adds_up, drops, errors, monitor_of, window_counts

from driftgauge.errors import ConfigError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference

ROW = np.array([0.1, -0.2, 0.3])


def scores(monitor: Monitor) -> list[str]:
    """Which outputs were recorded, as bins of the output that have rows."""
    feature = monitor.snapshot().features[-1]
    return [
        label for label, count in zip(feature.bin_labels, feature.bin_rows, strict=True) for _ in range(count)
    ]


def counted(reference: Reference, outputs: list[Any]) -> Any:
    data = {name: np.repeat(value, len(outputs)) for name, value in zip(NAMES, ROW, strict=True)}
    return reference.count({**data, "score": outputs})


# ---------------------------------------------------------------------- law


def test_the_result_is_the_object_that_predict_returned(numbers: Reference) -> None:
    answer = {"score": 0.5, "anything": object()}
    assert monitor_of(numbers).watch(lambda data: answer)(ROW) is answer


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_the_exception_is_the_object_that_predict_raised(numbers: Reference, error: BaseException) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(data: Any) -> Any:
        raise error

    for data, rows in (
        (ROW, 1),
        (ROW[None], 1),
        (dict(zip(NAMES, ROW, strict=True)), 1),
        (np.zeros((5, 3)), 5),
    ):
        with pytest.raises(type(error)) as caught:
            predict(data)
        assert caught.value is error
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        assert [entry.name for entry in caught.traceback][-1] == "predict"
        snapshot = monitor.snapshot()
        assert drops(snapshot) == {"predict_error": rows}
        monitor.reset()


def test_all_room_is_given_back_when_predict_raises(numbers: Reference) -> None:
    monitor = monitor_of(numbers, buffer_rows=2)

    @monitor.watch
    def predict(data: Any) -> Any:
        raise ValueError

    for _ in range(100):
        for data in (ROW, np.zeros((32, 3))):
            with pytest.raises(ValueError):  # noqa: PT011 - the message is not ours
                predict(data)
    assert drops(monitor.snapshot()) == {"predict_error": 100 * 33}


def test_what_describes_the_function_is_kept(numbers: Reference) -> None:
    def predict(data: Any, *, exact: bool = True) -> float:
        """Say it."""
        return 0.5

    watched = monitor_of(numbers).watch(predict)
    assert (watched.__name__, watched.__doc__) == ("predict", "Say it.")
    assert inspect.signature(watched) == inspect.signature(predict)
    assert watched.__wrapped__ is predict  # type: ignore[attr-defined]


def test_what_is_wrong_with_a_call_is_for_predict_to_say(numbers: Reference) -> None:
    @monitor_of(numbers).watch
    def predict(data: Any) -> float:
        return 0.5

    for args, kwargs in (((), {}), ((ROW, ROW), {}), ((ROW,), {"data": ROW}), ((), {"unknown": 1})):
        with pytest.raises(TypeError, match=r"predict\(\)"):
            predict(*args, **kwargs)


# ---------------------------------------------------------------------- kinds of functions


def test_arguments_by_keyword_are_found(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(model: str, data: Any, threshold: float = 0.5) -> float:
        return 0.5

    assert predict("m", data=ROW) == predict("m", ROW, 0.3) == predict(data=ROW, model="m") == 0.5
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.5] * 3))


def test_methods_are_watched_without_their_instance(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    class Model(list[Any]):  # an instance that looks like data itself
        @monitor.watch
        def predict(self, data: Any) -> float:
            return 0.1

        @monitor.watch
        @classmethod
        def of_class(cls, data: Any) -> float:
            return 0.2

        @staticmethod
        @monitor.watch
        def of_none(data: Any) -> float:
            return 0.3

        @monitor.watch
        @staticmethod
        def of_none_either(data: Any) -> float:
            return 0.4

        def __call__(self, data: Any) -> float:
            return 0.5

        def later(self, data: Any) -> float:
            return 0.6

    model = Model()
    bound = monitor.watch(model.later)
    called = monitor.watch(model)
    partial = monitor.watch(functools.partial(model.later))
    for predict in (
        model.predict,
        Model.of_class,
        model.of_none,
        Model.of_none_either,
        called,
        bound,
        partial,
    ):
        predict(ROW)
    want = counted(numbers, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6])
    np.testing.assert_array_equal(window_counts(monitor), want)


def test_coroutines_stay_coroutines(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    async def predict(data: Any, answer: Any) -> Any:
        await asyncio.sleep(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def story() -> None:
        assert await asyncio.gather(*(predict(ROW, 0.5) for _ in range(10))) == [0.5] * 10
        error = LookupError()
        with pytest.raises(LookupError) as caught:
            await predict(ROW, error)
        assert caught.value is error
        task = asyncio.create_task(predict(ROW, 0.5))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert inspect.iscoroutinefunction(predict)
    asyncio.run(story())
    snapshot = monitor.snapshot()
    assert drops(snapshot) == {"predict_error": 2}
    assert_adds_up(snapshot, 12)


def test_a_generator_is_recorded_at_its_end(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(data: Any) -> Iterator[float]:
        received = yield 0.1
        try:
            received = yield received
        except LookupError:
            yield 0.3
        return "the end"  # type: ignore[return-value]

    assert inspect.isgeneratorfunction(predict)
    stream: Any = predict(ROW)
    assert monitor.snapshot().rows == 0
    assert next(stream) == 0.1
    assert stream.send(0.2) == 0.2
    assert stream.throw(LookupError()) == 0.3
    assert monitor.snapshot().rows == 0
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "the end"
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.3]))


def test_a_generator_that_is_closed_is_recorded_with_what_came(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    closed = []

    @monitor.watch
    def predict(data: Any) -> Iterator[float]:
        try:
            yield 0.1
            yield 0.2
        finally:
            closed.append(True)

    stream: Any = predict(ROW)
    next(stream)
    stream.close()
    assert closed == [True]
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.1]))


def test_a_generator_that_raises_is_a_drop(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    error = LookupError()

    @monitor.watch
    def predict(data: Any) -> Iterator[float]:
        yield 0.1
        raise error

    with pytest.raises(LookupError) as caught:
        list(predict(ROW))
    assert caught.value is error
    assert drops(monitor.snapshot()) == {"predict_error": 1}


def test_a_generator_yields_an_output_for_each_row(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(data: Any) -> Iterator[float]:
        yield from (0.1, 0.2, 0.3)

    assert list(predict(np.tile(ROW, (3, 1)))) == [0.1, 0.2, 0.3]
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.1, 0.2, 0.3]))


def test_streamed_text_is_one_category() -> None:
    reference = Reference.fit({"x": [1.0, 2.0] * 20, "word": ["approve", "reject"] * 20}, outputs=["word"])
    monitor = monitor_of(reference)

    @monitor.watch
    async def predict(x: float) -> AsyncIterator[str]:
        for token in ("app", "rove"):
            yield token

    async def story() -> list[str]:
        return [token async for token in predict(1.0)]

    assert inspect.isasyncgenfunction(predict)
    assert asyncio.run(story()) == ["app", "rove"]
    np.testing.assert_array_equal(window_counts(monitor), reference.count({"x": [1.0], "word": ["approve"]}))


def test_an_asynchronous_generator_is_recorded_at_its_end_or_when_closed(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    closed = []

    @monitor.watch
    async def predict(data: Any) -> Any:
        try:
            received = yield 0.1
            yield received
        except LookupError:
            yield 0.7
        finally:
            closed.append(True)

    async def story() -> None:
        assert [item async for item in predict(ROW)] == [0.1, None]
        stream = predict(ROW)
        assert await anext(stream) == 0.1
        assert await stream.asend(0.2) == 0.2
        await stream.aclose()
        stream = predict(ROW)
        await anext(stream)
        assert await stream.athrow(LookupError()) == 0.7
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        stream = predict(ROW)
        await anext(stream)
        with pytest.raises(ZeroDivisionError):
            await stream.athrow(ZeroDivisionError())

    asyncio.run(story())
    assert closed == [True] * 4
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [None, 0.2, 0.7]))
    assert drops(monitor.snapshot()) == {"predict_error": 1}


# ---------------------------------------------------------------------- calls inside calls


def test_of_calls_inside_each_other_the_outermost_counts(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def one(data: Any) -> float:
        return 0.1

    @monitor.watch
    def streamed(data: Any) -> Iterator[float]:
        yield one(data)

    @monitor.watch
    async def later(data: Any) -> float:
        return (await inner(data)) + one(data)

    @monitor.watch
    async def inner(data: Any) -> float:
        return await asyncio.to_thread(one, data)

    @monitor.watch
    def batch(data: Any, depth: int = 2) -> Any:
        if depth:
            return batch(data, depth - 1)
        return np.array([one(row) + sum(streamed(row)) for row in data])

    batch(np.tile(ROW, (4, 1)))
    assert_adds_up(monitor.snapshot(), 4)
    assert asyncio.run(later(ROW)) == 0.2
    assert_adds_up(monitor.snapshot(), 5)
    list(streamed(ROW))
    assert_adds_up(monitor.snapshot(), 6)
    assert scores(monitor)


def test_between_two_items_of_a_stream_other_calls_count(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def one(data: Any) -> float:
        return 0.1

    @monitor.watch
    def streamed(data: Any) -> Iterator[float]:
        yield 0.2
        yield 0.3

    for _ in streamed(ROW):
        one(ROW)
    assert_adds_up(monitor.snapshot(), 3)


def test_calls_of_another_monitor_count_by_themselves(numbers: Reference) -> None:
    outer, inner = monitor_of(numbers), monitor_of(numbers)
    one = inner.watch(lambda data: 0.1)
    outer.watch(lambda data: one(data))(ROW)
    assert outer.snapshot().rows == inner.snapshot().rows == 1


def test_a_task_that_outlives_the_call_that_started_it_counts(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    one = monitor.watch(lambda data: 0.1)
    go: list[asyncio.Event] = []

    async def afterwards() -> None:
        await go[0].wait()
        one(ROW)

    @monitor.watch
    async def predict(data: Any) -> Any:
        return asyncio.create_task(afterwards())

    async def story() -> None:
        go.append(asyncio.Event())
        task = await predict(ROW)
        go[0].set()
        await task

    asyncio.run(story())
    assert monitor.snapshot().rows == 2


def test_threads_do_not_take_each_others_calls_for_their_own(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    both_inside = threading.Barrier(4, timeout=10)

    @monitor.watch
    def predict(data: Any) -> float:
        both_inside.wait()
        return 0.5

    threads = [threading.Thread(target=predict, args=(ROW,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_adds_up(monitor.snapshot(), 4)


# ---------------------------------------------------------------------- which arguments, which outputs


def test_parameters_with_the_names_of_the_inputs_are_the_inputs(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(ratio: float, tags: list[str], age: float, income: float = -0.2) -> float:
        return 0.5

    predict(0.3, ["a"], 0.1)
    predict(tags=[], age=0.1, income=-0.2, ratio=0.3)
    # a default is predict's own affair: what was not given is missing
    want = numbers.count(
        {"age": [0.1, 0.1], "income": [None, -0.2], "ratio": [0.3, 0.3], "score": [0.5, 0.5]}
    )
    np.testing.assert_array_equal(window_counts(monitor), want)


def test_keywords_and_as_many_scalars_as_inputs_are_the_inputs(numbers: Reference) -> None:
    monitor = monitor_of(numbers)

    @monitor.watch
    def predict(*values: float, **named: float) -> float:
        return 0.5

    predict(0.1, -0.2, 0.3)
    predict(income=-0.2, age=0.1, ratio=0.3, other=5)
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.5, 0.5]))


def test_inputs_and_outputs_can_be_picked(numbers: Reference) -> None:
    order = ("ratio", "age", "income")
    for settings in (
        {"inputs": lambda request, *, user: request["body"]},
        {"inputs": lambda request, *, user: dict(zip(NAMES, request["body"], strict=True))},
    ):
        monitor = monitor_of(numbers)

        @monitor.watch(outputs=lambda result: result["p"][1], **settings)  # type: ignore[arg-type]
        def predict(request: Any, *, user: str) -> Any:
            return {"p": [0.5, 0.25]}

        predict({"body": ROW}, user="u")
        np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.25]))
    monitor = monitor_of(numbers)
    monitor.watch(inputs=["second"])(lambda first, second: 0.5)(np.zeros(3), ROW)
    monitor.watch(inputs=order)(lambda data: 0.5)(ROW[[2, 0, 1]])
    monitor.watch(inputs=order)(lambda data: np.full(1, 0.5))(ROW[[2, 0, 1]][None])
    np.testing.assert_array_equal(window_counts(monitor), counted(numbers, [0.5] * 3))


def test_outputs_by_name_say_what_the_parts_of_a_result_are(mixed: Reference) -> None:
    row = {"age": 30.0, "plan": "free", "active": True}
    want = mixed.count({**{name: [value] for name, value in row.items()}, "label": ["yes"], "score": [0.5]})
    monitor = monitor_of(mixed)
    monitor.watch(outputs=["score", "label"])(lambda data: (0.5, "yes"))(row)
    np.testing.assert_array_equal(window_counts(monitor), want)
    monitor = monitor_of(mixed)
    monitor.watch(outputs=["score"])(lambda data: 0.5)(row)
    want = mixed.count({**{name: [value] for name, value in row.items()}, "score": [0.5]})
    np.testing.assert_array_equal(window_counts(monitor), want)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"inputs": ["nothing", "like it"]}, ["'nothing'", "'data'", "'income'"]),
        ({"outputs": ["odds"]}, ["'odds'", "'score'"]),
        ({"sample": 1.5}, ["1.5", "driftgauge.rate"]),
        ({"sample": True}, ["True"]),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    numbers: Reference, settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        monitor_of(numbers).watch(**settings)(lambda data: 0.5)
    for word in words:
        assert word in str(refused.value)


def test_only_what_can_be_called_can_be_watched(numbers: Reference) -> None:
    with pytest.raises(ConfigError, match="observe"):
        monitor_of(numbers).watch(5)  # type: ignore[call-overload]


def test_nothing_is_found_wrong_where_nothing_is(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    monitor.watch(lambda data: 0.5)(ROW)
    assert (drops(monitor.snapshot()), errors(monitor.snapshot())) == ({}, {})

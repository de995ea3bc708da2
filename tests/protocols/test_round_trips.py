"""Rows written in a protocol come back as they were, by name where it has names and by position where not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from encoders import COMPRESSIONS, REQUESTS, RESPONSES
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import halves, rows_of

from driftgauge.protocols import Message, Names, decode_exchange, decoder

INPUTS = ("age", "amount", "plan", "known")
OUTPUTS = ("label", "score")
NAMES = Names(INPUTS, OUTPUTS, frozenset({"plan", "label"}))

numbers = st.floats(allow_nan=False, allow_infinity=False)
integers = st.integers(-(2**53), 2**53)
# CSV has no types: a text must not look like a number, nor like a missing value.
texts = st.text(st.characters(codec="utf-8")).map(lambda text: f"·{text}")
input_rows = st.lists(st.tuples(integers, numbers, texts, st.booleans()), min_size=1, max_size=20)
output_rows = st.lists(st.tuples(texts, numbers), min_size=1, max_size=20)


def turned(names: tuple[str, ...], rows: Any) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def same(found: dict[str, list[Any]], expected: dict[str, list[Any]], *, typed: bool) -> None:
    if not typed:  # CSV: a number is a float, and True is a text
        expected = {
            name: [str(value) if isinstance(value, bool) else value for value in values]
            for name, values in expected.items()
        }
    assert found == expected


@pytest.mark.parametrize("form", REQUESTS)
@settings(max_examples=40)
@given(rows=input_rows)
def test_inputs_come_back_as_they_were(form: str, rows: Any) -> None:
    protocol, encode = REQUESTS[form]
    if "tensor" in form and protocol == "seldon":
        rows = [row[:2] for row in rows]
        names = Names(INPUTS[:2], ())
    else:
        names = NAMES
    found = rows_of(decoder(protocol).request(encode(names.inputs, rows), names))
    same(found, turned(names.inputs, rows), typed="csv" not in form)


@pytest.mark.parametrize("form", RESPONSES)
@settings(max_examples=40)
@given(rows=output_rows)
def test_outputs_come_back_as_they_were(form: str, rows: Any) -> None:
    protocol, encode = RESPONSES[form]
    if "tensor" in form:
        rows = [(len(text), number) for text, number in rows]
    found = rows_of(decoder(protocol).response(encode(OUTPUTS, rows), NAMES, None))
    same(found, turned(OUTPUTS, rows), typed="csv" not in form)


@pytest.mark.parametrize("form", [form for form in REQUESTS if "records" in form or "json" in form])
@settings(max_examples=40)
@given(rows=input_rows, order=st.permutations(range(4)))
def test_the_order_of_named_columns_does_not_matter(form: str, rows: Any, order: list[int]) -> None:
    protocol, encode = REQUESTS[form]
    names = tuple(INPUTS[place] for place in order)
    message = encode(names, [[row[place] for place in order] for row in rows])
    assert rows_of(decoder(protocol).request(message, NAMES)) == turned(INPUTS, rows)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@settings(max_examples=40)
@given(rows=input_rows)
def test_a_compressed_body_is_read_as_the_plain_one(compression: str, rows: Any) -> None:
    encoding, compress = COMPRESSIONS[compression]
    protocol, encode = REQUESTS["kserve_v1 records"]
    plain = encode(INPUTS, rows)
    message = Message(compress(plain.body), {**plain.headers, "content-encoding": encoding})
    assert rows_of(decoder(protocol).request(message, NAMES)) == turned(INPUTS, rows)


@given(rows=input_rows, answers=output_rows)
def test_an_exchange_has_the_rows_of_both_or_says_why_not(rows: Any, answers: Any) -> None:
    request = REQUESTS["mlflow split"][1](INPUTS, rows)
    response = RESPONSES["mlflow"][1](OUTPUTS, answers)
    exchange = decode_exchange(decoder("mlflow"), request, response, NAMES)
    inputs, outputs = halves(exchange)
    assert inputs == turned(INPUTS, rows)
    if len(rows) == len(answers):
        assert outputs == turned(OUTPUTS, answers)
        assert exchange.notes == ()
    else:
        assert outputs is None
        assert exchange.notes == ("response", "wrong_length")


@given(
    rows=st.lists(
        st.tuples(numbers, numbers, st.lists(numbers, min_size=2, max_size=2)), min_size=1, max_size=9
    )
)
def test_an_output_of_several_values_is_features_with_numbers(rows: Any) -> None:
    names = Names((), ("label", "proba_0", "proba_1"))
    body = {"predictions": [{"label": label, "other": other, "proba": parts} for label, other, parts in rows]}
    found = rows_of(decoder("kserve_v1").response(Message(json.dumps(body).encode()), names, None))
    expected = [(label, *parts) for label, _, parts in rows]
    assert found == turned(names.outputs, expected)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 400, "-" + "9" * 5_000])
def test_numbers_that_only_some_servers_write_are_numbers(token: str) -> None:
    message = Message(f'{{"instances": [[{token}, 1]]}}'.encode())
    (value,) = rows_of(decoder("kserve_v1").request(message, Names(("a", "b"), ())))["a"]
    assert isinstance(value, float)
    assert not math.isfinite(value)

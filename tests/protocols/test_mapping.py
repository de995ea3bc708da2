"""Any JSON by JMESPath expressions."""

from __future__ import annotations

from typing import Any

import pytest
from recordings import as_json, halves, rows_of

from driftgauge.errors import ConfigError
from driftgauge.protocols import Names, Undecodable, decode_exchange, decoder

NAMES = Names(("age", "amount"), ("label", "score"))
WHOLE = {"age": [33, 51], "amount": [12.5, 99.0]}


def request(mapping: Any, body: Any, names: Names = NAMES) -> Any:
    return decoder("mapping", mapping=mapping).request(as_json(body), names)


@pytest.mark.parametrize(
    ("mapping", "body"),
    [
        ({"rows": "data"}, {"data": [[33, 12.5], [51, 99.0]]}),
        ({"inputs": "data"}, {"data": [[33, 12.5], [51, 99.0]]}),
        ({"rows": "batch[].features"}, {"batch": [{"features": [33, 12.5]}, {"features": [51, 99.0]}]}),
        ({"rows": "customers"}, {"customers": [{"age": 33, "amount": 12.5}, {"amount": 99.0, "age": 51}]}),
        (
            {"inputs": {"age": "features[].age", "amount": "features[].payment.amount"}},
            {
                "features": [
                    {"age": 33, "payment": {"amount": 12.5}},
                    {"age": 51, "payment": {"amount": 99.0}},
                ]
            },
        ),
        (
            {"rows": "features", "inputs": {"age": "age", "amount": "payment.amount"}},
            {
                "features": [
                    {"age": 33, "payment": {"amount": 12.5}},
                    {"age": 51, "payment": {"amount": 99.0}},
                ]
            },
        ),
        ({"rows": "@", "inputs": {"age": "[0]", "amount": "[1]"}}, [[33, 12.5], [51, 99.0]]),
        (
            {"rows": "q", "inputs": {"age": "a", "amount": "b", "other": "c"}},
            {"q": [{"a": 33, "b": 12.5}, {"a": 51, "b": 99.0}]},
        ),
    ],
)
def test_a_mapping_finds_the_rows(mapping: Any, body: Any) -> None:
    assert rows_of(request(mapping, body)) == WHOLE


def test_a_single_request_is_one_row() -> None:
    body = {"customer": {"age": 33, "payments": [10, 2.5]}}
    by_column = {"inputs": {"age": "customer.age", "amount": "sum(customer.payments)"}}
    by_row = {"rows": "customer", "inputs": {"age": "age", "amount": "sum(payments)"}}
    for mapping in (by_column, by_row):
        assert rows_of(request(mapping, body)) == {"age": [33], "amount": [12.5]}
    assert rows_of(request({"rows": "customer"}, {"customer": [33, 12.5]})) == {"age": [33], "amount": [12.5]}


def test_what_is_absent_from_a_row_is_missing_with_rows_and_of_another_length_without() -> None:
    body = {"features": [{"age": 33, "amount": 12.5}, {"amount": 99.0}]}
    by_row = {"rows": "features", "inputs": {"age": "age", "amount": "amount"}}
    assert rows_of(request(by_row, body)) == {"age": [33, None], "amount": [12.5, 99.0]}
    found = request({"inputs": {"age": "features[].age", "amount": "features[].amount"}}, body)
    assert isinstance(found, Undecodable)
    assert found.reason == "wrong_length"


def test_outputs_are_mapped_like_inputs() -> None:
    mapping = {
        "rows": "data",
        "output_rows": "answer.rows",
        "outputs": {"label": "class", "score": "probabilities[1]"},
    }
    answer = {
        "answer": {
            "rows": [{"class": "a", "probabilities": [0.9, 0.1]}, {"class": "b", "probabilities": [0.2, 0.8]}]
        }
    }
    exchange = decode_exchange(
        decoder("mapping", mapping=mapping),
        as_json({"data": [[33, 12.5], [51, 99.0]]}),
        as_json(answer),
        NAMES,
    )
    assert halves(exchange) == (WHOLE, {"label": ["a", "b"], "score": [0.1, 0.8]})


def test_bare_answers_need_no_expression() -> None:
    names = Names(("age", "amount"), ("label",))
    exchange = decode_exchange(
        decoder("mapping", mapping={"rows": "data"}),
        as_json({"data": [[33, 12.5], [51, 99.0]]}),
        as_json([0, 1]),
        names,
    )
    assert halves(exchange) == (WHOLE, {"label": [0, 1]})


@pytest.mark.parametrize(
    ("mapping", "body", "reason"),
    [
        ({"rows": "data"}, {"other": []}, "bad_mapping"),
        ({"rows": "data"}, {"data": []}, "empty"),
        ({"rows": "sum(data)"}, {"data": ["a"]}, "bad_mapping"),
        ({"inputs": {"age": "a", "amount": "b"}}, {"c": 1}, "bad_mapping"),
        ({"rows": "data", "inputs": {"age": "a"}}, {"data": [{"b": 1}]}, "bad_mapping"),
        ({"rows": "data", "inputs": {"age": "a"}}, {"data": [{"a": {"b": 1}}]}, "wrong_type"),
        ({"inputs": {"height": "a"}}, {"a": 1}, "unknown_columns"),
    ],
)
def test_a_mapping_that_does_not_fit_a_body_says_why(mapping: Any, body: Any, reason: str) -> None:
    found = request(mapping, body)
    assert isinstance(found, Undecodable)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (None, "needs a mapping that says where features are"),
        ({}, "needs a mapping"),
        ({"row": "a"}, "mapping has the key 'row'; the keys there are: inputs, output_rows, outputs, rows"),
        ({"rows": "a["}, r"mapping.rows is 'a\[', which is not JMESPath: "),
        ({"rows": 3}, "mapping.rows must be a JMESPath expression, got 3"),
        ({"inputs": {"age": "a b"}}, "mapping.inputs.age is 'a b', which is not JMESPath"),
        ({"inputs": ["a"]}, r"mapping.inputs must be an expression or a table of them, got \['a'\]"),
        ({"inputs": "a", "rows": "b"}, "mapping.inputs is one expression, 'a', beside mapping.rows"),
    ],
)
def test_a_mapping_that_cannot_be_says_what_would(mapping: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        decoder("mapping", mapping=mapping)

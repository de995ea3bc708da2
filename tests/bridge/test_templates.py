"""Payload templates: labels become texts and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.bridge.templates import EXAMPLE, PayloadTemplate
from driftgauge.errors import ConfigError


@given(st.text(max_size=50))
def test_a_label_stays_a_text_whatever_it_holds(model: str) -> None:
    template = PayloadTemplate({"a": "{{ model }}", "b": "x {{ model }}", "c": ["{{ model }}"]})
    found = template.fill(replace(EXAMPLE, model=model))
    assert found == {"a": model, "b": f"x {model}", "c": [model]}


def test_an_expression_alone_keeps_its_type() -> None:
    template = PayloadTemplate(
        {
            "features": "{{ features | map(attribute='name') | list }}",
            "score": "{{ features[0].score }}",
            "text": "{% for each in features %}{{ each.name }}={{ each.score }};{% endfor %}",
            "number": 7,
            "flag": True,
            "two": "{{ model }}{{ window }}",
        }
    )
    assert template.fill(EXAMPLE) == {
        "features": ["age"],
        "score": 1.4,
        "text": "age=1.4;",
        "number": 7,
        "flag": True,
        "two": "churn24h",
    }


def test_without_a_template_everything_is_told() -> None:
    found = PayloadTemplate({}).fill(EXAMPLE)
    assert found["run_id"] == EXAMPLE.run_id
    assert found["features"][0]["score"] == 1.4


@pytest.mark.parametrize(
    "text",
    [
        "{{ nothing }}",
        "x {{ model.nothing }}",
        "{{ features[9].name }}",
        "{{ model",
        "{% include '/etc/passwd' %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "x {{ model.__class__.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler }}",
        "{{ range(10) }}",
        "{{ features.append(1) }}",
        "{{ 1 / 0 }}",
        "{{ model.format.__globals__ }}",
        "{{ '{0.__class__}'.format(model) }}",
        "{{ 'x' * 2000000 }}",
    ],
)
def test_a_template_that_cannot_or_must_not_be_filled_in_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be filled in"):
        PayloadTemplate({"a": text})


@pytest.mark.parametrize("model", ["{{ 7 * 7 }}", "{% raw %}", '", "admin": true, "x": "', "\r\nX-Evil: 1"])
def test_a_template_in_a_label_is_not_run(model: str) -> None:
    found: dict[str, Any] = PayloadTemplate({"a": "{{ model }}"}).fill(replace(EXAMPLE, model=model))
    assert found == {"a": model}

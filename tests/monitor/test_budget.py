"""A budget is a promise in units that people use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import driftgauge as dg
from driftgauge.errors import ConfigError


def test_the_default_is_one_in_ninety_days_at_an_evaluation_a_minute() -> None:
    budget = dg.one_false_alert()
    assert (budget.per_seconds, budget.evaluate_seconds) == (90 * 86_400, 60)
    assert budget.evaluations == 90 * 24 * 60


def test_lengths_of_time_may_be_text_numbers_or_timedeltas() -> None:
    assert (
        dg.one_false_alert(per="2w", evaluate_every="5m")
        == dg.one_false_alert(per=14 * 86_400, evaluate_every=300)
        == dg.one_false_alert(per=timedelta(weeks=2), evaluate_every=timedelta(minutes=5))
        == dg.Budget(per_seconds=14 * 86_400, evaluate_seconds=300)
    )


def test_a_budget_prints_as_code_that_makes_it_again() -> None:
    budget = dg.one_false_alert(per="30d")
    assert eval(repr(budget), {"Budget": dg.Budget}) == budget


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"per": "often"}, ["per", "'90d'", "'often'"]),
        ({"per": None}, ["per", "None"]),
        ({"evaluate_every": 0.5}, ["evaluate_every", "1 second", "0.5"]),
        ({"per": "11y"}, ["per", "ten years"]),
        (
            {"per": "1h"},
            ["one in 60 evaluations", "at least 100", "make per longer or evaluate_every shorter"],
        ),
        ({"per": "90d", "evaluate_every": "1d"}, ["every 90d", "every 1d", "one in 90 evaluations"]),
        ({"per": "90s", "evaluate_every": "3s"}, ["every 90s", "every 3s", "one in 30 evaluations"]),
    ],
)
def test_what_is_no_budget_is_refused_with_what_would_do(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        dg.one_false_alert(**settings)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_no_time_makes_no_budget(seconds: float) -> None:
    with pytest.raises(ConfigError, match="finite number above 0"):
        dg.Budget(per_seconds=seconds, evaluate_seconds=60)

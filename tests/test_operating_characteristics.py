"""The promise of the drift score as a test: within a tenth of the budget, an alarm has a chance of a tenth.

Streams without drift, many of each kind, each with a reference of its own, at an evaluation every 20 rows
and `min_effect` 0, where nothing but the promise is in hand; the default leaves far more room. Asserted is
the Clopper-Pearson upper bound of the chance of an alarm: enough streams have to be quiet to show it, not
only few enough loud. The promise is of the mean over references: one that is unlucky alarms more often.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from oc_streams import BROKEN, HEAVY, SCENARIOS, Outcome, Scenario, alarms, model_alarms

from driftgauge.detectors import _allowance

pytestmark = pytest.mark.slow

PROMISED = 0.1


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.filterwarnings("ignore::driftgauge.errors.TrainingDriftWarning")
def test_alarms_without_drift_are_as_rare_as_promised(
    scenario: Scenario, record_property: pytest.RecordProperty
) -> None:
    outcome = alarms(scenario, min_effect=0.0)
    record_property("alarms", str(outcome))
    assert outcome.upper <= PROMISED, f"{scenario.name}: {outcome}"


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
@pytest.mark.parametrize(("features", "models", "min_effect"), [(20, 96, 0.0), (100, 40, 0.01)])
def test_a_model_of_many_features_keeps_the_promise_however_they_are_correlated(
    features: int,
    models: int,
    min_effect: float,
    correlation: float,
    record_property: pytest.RecordProperty,
) -> None:
    # 100 features at a min_effect of 0 gave 5, 3 and 6 alarms of 96; more models would take minutes to build
    outcome = model_alarms(features, correlation, models=models, evaluations=2_000, min_effect=min_effect)
    record_property("alarms", str(outcome))
    assert outcome.upper <= PROMISED, f"{features} features at {correlation}: {outcome}"


def test_alarms_at_the_default_effect_are_rarer_still() -> None:
    # 0 of 200 streams have an upper bound of 0.015
    scenario = replace(SCENARIOS[0], streams=200)
    assert alarms(scenario, min_effect=0.01).upper < 0.02


@pytest.mark.parametrize("scenario", HEAVY, ids=lambda scenario: scenario.name)
@pytest.mark.filterwarnings("ignore::driftgauge.errors.TrainingDriftWarning")
def test_bursts_with_a_heavy_tail_keep_the_promise_at_the_default_effect(
    scenario: Scenario, record_property: pytest.RecordProperty
) -> None:
    # one burst of some hundred equal rows comes in a tenth of a budget and not in a reference of 50,000 rows
    outcome = alarms(scenario, min_effect=0.01)
    record_property("alarms", str(outcome))
    assert outcome.upper <= PROMISED, f"{scenario.name}: {outcome}"


@pytest.mark.filterwarnings("ignore::driftgauge.errors.TrainingDriftWarning")
def test_bursts_of_infinite_variance_break_the_promise_by_this_much(
    record_property: pytest.RecordProperty,
) -> None:
    # Recorded, and bounded on both sides, so that it is noticed when it gets worse or is mended.
    outcome = alarms(BROKEN, min_effect=0.01)
    record_property("alarms", str(outcome))
    assert 0.1 < outcome.share < 0.9, f"{BROKEN.name}: {outcome}"


def test_without_allowance_for_the_error_of_a_reference_the_promise_would_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_allowance, "_MOST_FEW", 0.0)
    assert alarms(SCENARIOS[0], min_effect=0.0).share > 2 * PROMISED


def test_without_times_the_promise_would_break_for_dependent_rows() -> None:
    autoregressive = next(scenario for scenario in SCENARIOS if scenario.name == "AR(1) 0.5")
    assert alarms(replace(autoregressive, timed=False), min_effect=0.0).share > 2 * PROMISED


def test_a_bound_from_few_streams_does_not_pass_for_a_promise_kept() -> None:
    assert Outcome(0, 20).upper > PROMISED
    assert Outcome(20, 20).upper == 1.0
    assert Outcome(1, 48).upper < PROMISED

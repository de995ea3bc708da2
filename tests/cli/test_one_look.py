"""The evidence of a file, weighed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from driftgauge.cli._one_look import OneLook
from driftgauge.reference import Reference
from driftgauge.snapshot import DriftSnapshot

rng = np.random.default_rng(20261123)


def table(rows: int, *, moved: float = 0.0) -> dict[str, Any]:
    """Three columns, the last an output; the first two are related."""
    base = rng.normal(size=rows)
    return {
        "age": base + moved,
        "income": 0.8 * base + 0.6 * rng.normal(size=rows),
        "score": rng.uniform(size=rows),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.fit(table(10_000), outputs=["score"])


def told(reference: Reference, *parts: dict[str, Any], there: tuple[str, ...] = ()) -> DriftSnapshot:
    look = OneLook(reference, there or reference.names, 0.01)
    for part in parts:
        look.add(reference.index(part))
    drift = look.drift()
    assert drift is not None
    return drift


def split(data: dict[str, Any], order: Any, pieces: int) -> list[dict[str, Any]]:
    return [{name: values[part] for name, values in data.items()} for part in np.array_split(order, pieces)]


def test_the_order_of_the_rows_and_how_they_are_read_make_no_difference(reference: Reference) -> None:
    data = table(3_000, moved=0.3)
    as_it_is = told(reference, data)
    by_age = told(reference, *split(data, np.argsort(data["age"]), 7))
    assert by_age == as_it_is
    assert as_it_is.evaluations == 1
    assert as_it_is.features[0].words.startswith("location +0.3")


def test_a_sorted_file_is_no_drift(reference: Reference) -> None:
    data = table(3_000)
    assert told(reference, *split(data, np.argsort(data["age"]), 30)).score < 1


def test_undrifted_files_pass_at_most_once_in_a_thousand(reference: Reference) -> None:
    look, passed = OneLook(reference, reference.names, 0.01), 0
    for _ in range(200):
        look.add(reference.index(table(500)))
        drift = look.drift()
        passed += drift is not None and drift.score > 1
        look._detector.reset()
    assert passed < 2  # 0.2 expected at most, so that two have a chance of 2 %


def test_an_absent_column_is_no_evidence_of_missing_values(reference: Reference) -> None:
    data = {name: values for name, values in table(3_000).items() if name != "income"}
    drift = told(reference, {**data, "income": [None] * 3_000}, there=("age", "score"))
    assert drift.score < 1
    assert {each.name for each in drift.virtual if "income" in each.name and each.score > 0} == set()
    assert told(reference, {**data, "income": [None] * 3_000}).score > 1


def test_what_changed_only_together_is_seen(reference: Reference) -> None:
    data = table(3_000)
    data["income"] = rng.permutation(data["income"])
    drift = told(reference, data)
    assert drift.score > 1
    assert max(each.score for each in drift.features) < 0.5


def test_hours_of_the_reference_do_not_matter_to_a_file_without_times() -> None:
    seconds = np.arange(20_000) * 600.0
    hour = seconds % 86_400 / 3_600
    load = 10 * np.sin(hour * np.pi / 12) + rng.normal(size=seconds.size)
    reference = Reference.fit({"load": load, "time": seconds}, time="time")
    assert reference.calibration is not None
    assert reference.calibration.buckets.size > 1
    assert told(reference, {"load": load[:4_320]}).score < 1  # thirty whole days
    drift = told(reference, {"load": load[hour < 3]})
    assert drift.score > 1
    assert drift.features[0].onset_timestamp_seconds is None


def test_too_few_rows_say_nothing(reference: Reference) -> None:
    look = OneLook(reference, reference.names, 0.01)
    look.add(reference.index(table(19)))
    assert look.drift() is None

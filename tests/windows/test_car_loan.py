"""A story on designed data: NannyML's car loans, 100,000 rows in the order of time.

Nothing drifts before row 75,000; there five of nine columns do. A variant of the file has missing values and
an unseen category besides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from driftgauge._evaluate import evaluate
from driftgauge.reference import Reference
from driftgauge.snapshot import FeatureStatistics
from driftgauge.windows import rows

NOT_FEATURES = ("id", "timestamp", "period")
WINDOW = 5_000
FITTED = 50_000
CHANGE = 75_000


class Story(NamedTuple):
    reference: Reference
    frame: pd.DataFrame
    found: dict[int, dict[str, FeatureStatistics]]
    """By the row that the window ends before."""


def told(path: Path) -> Story:
    frame = pd.read_parquet(path)
    outputs = ["y_pred_proba", "y_pred"]
    reference = Reference.fit(frame.iloc[:FITTED], model="car_loan", outputs=outputs, exclude=NOT_FEATURES)
    window = rows(WINDOW).open(reference.layout, reference.id)
    window.push(reference.index(frame.iloc[FITTED - WINDOW : FITTED]), float(FITTED))
    found = {}
    for end in range(FITTED + 500, len(frame) + 1, 500):
        window.push(reference.index(frame.iloc[end - 500 : end]), float(end))
        snapshot = evaluate(reference, [window], now_seconds=float(end))
        found[end] = {feature.name: feature for feature in snapshot.windows[0].features}
    return Story(reference, frame, found)


@pytest.fixture(scope="module")
def loans(shared_data: Path) -> Story:
    return told(shared_data / "nannyml_car_loan" / "predictions.parquet")


@pytest.fixture(scope="module")
def holed_loans(shared_data: Path) -> Story:
    return told(shared_data / "nannyml_car_loan" / "predictions_data_quality_variant.parquet")


def test_nothing_drifts_before_the_change(loans: Story) -> None:
    worst = {
        name: max(found[name].psi for end, found in loans.found.items() if end <= CHANGE)
        for name in loans.reference.names
    }
    assert len(worst) == 9
    assert max(worst.values()) < 0.1, worst


DRIFTED = {"car_value", "loan_length", "repaid_loan_on_prev_car", "salary_range", "y_pred_proba"}


def test_five_features_drift_once_the_window_is_full_of_what_came_after(loans: Story) -> None:
    over = [
        {name for name, feature in found.items() if feature.psi > 0.2}
        for end, found in loans.found.items()
        if end >= CHANGE + WINDOW
    ]
    # salary_range has a PSI of 0.21 over all rows after the change. In a window of 5,000 that has a standard
    # error of about 2 sqrt(0.21 / 5,000) = 0.013, so that some windows are just below 0.2.
    assert all(DRIFTED - {"salary_range"} <= names <= DRIFTED for names in over)
    assert np.mean([names == DRIFTED for names in over]) > 0.8
    assert all(
        found["salary_range"].psi > 0.2 - 3 * 0.013
        for end, found in loans.found.items()
        if end >= CHANGE + WINDOW
    )


def test_over_all_rows_after_the_change_five_features_drift(loans: Story) -> None:
    window = rows(25_000).open(loans.reference.layout, loans.reference.id)
    window.push(loans.reference.index(loans.frame.iloc[CHANGE:]), 0.0)
    found = evaluate(loans.reference, [window], now_seconds=0.0).windows[0].features
    assert {feature.name for feature in found if feature.psi > 0.2} == DRIFTED


def test_the_largest_drift_is_seen_long_before_the_window_is_full(loans: Story) -> None:
    # a tenth of the window is enough for car_value, whose values go from 30,000 to 48,000 on average
    found = loans.found[CHANGE + WINDOW // 10]["car_value"]
    assert found.psi > found.psi_critical
    assert found.ks is not None
    assert found.ks_critical is not None
    assert found.ks > found.ks_critical


def test_undrifted_features_stay_near_what_noise_explains(loans: Story) -> None:
    """At level 0.999 and 50 windows that overlap by nine tenths a handful of crossings may be chance."""
    looks = [
        feature.psi > feature.psi_critical
        for end, found in loans.found.items()
        if end <= CHANGE
        for feature in found.values()
    ]
    assert np.mean(looks) < 0.02


def test_ks_is_that_of_the_rows_or_within_the_bound_that_is_stated(loans: Story) -> None:
    for end in (60_000, 76_000, 100_000):
        for feature in loans.reference.features:
            if feature.dtype != "numeric":
                continue
            past = loans.frame[feature.name].to_numpy(float)[:FITTED]
            live = loans.frame[feature.name].to_numpy(float)[end - WINDOW : end]
            found = loans.found[end][feature.name].ks
            # 1e-12 is what one division differs from two
            within = feature.ks_error_bound + 1e-12
            assert found == pytest.approx(stats.ks_2samp(live, past).statistic, abs=within), feature.name
            assert within < 2e-3


def test_missing_values_and_the_unseen_category_show(holed_loans: Story) -> None:
    before, after = holed_loans.found[CHANGE], holed_loans.found[100_000]
    for name in ("salary_range", "driver_tenure"):
        # a share of 5,000 rows has a standard error of 0.006 at most
        assert before[name].missing_ratio == pytest.approx(0.10, abs=0.015)
        assert after[name].missing_ratio == pytest.approx(0.22, abs=0.015)
        assert after[name].psi_debiased > before[name].psi_debiased
    unseen: Any = [found["size_of_downpayment"].unseen_ratio for found in (before, after)]
    assert 0 < unseen[0] < unseen[1]
    # about 0.8 % before and 2 % after, says the description of the data
    assert unseen == pytest.approx([0.008, 0.02], abs=0.005)


def test_the_reference_says_what_is_missing_in_it(holed_loans: Story) -> None:
    snapshot = evaluate(holed_loans.reference, [], now_seconds=0.0)
    by_name = {feature.name: feature for feature in snapshot.features}
    assert by_name["salary_range"].reference_missing_ratio == pytest.approx(0.10, abs=0.01)
    assert by_name["size_of_downpayment"].reference_unseen_ratio == 0.0

"""A reference of real rows: NannyML's car loans, of which nothing drifts before row 75,000."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from driftgauge.files import read_batches
from driftgauge.reference import Reference

SETTINGS: dict[str, Any] = {
    "outputs": ["y_pred_proba", "y_pred"],
    "exclude": ["id", "timestamp", "period"],
    "created_timestamp_seconds": 0.0,
}


@pytest.fixture(scope="module")
def car_loan(shared_data: Path) -> pd.DataFrame:
    return pd.read_parquet(shared_data / "nannyml_car_loan" / "predictions.parquet")


@pytest.fixture(scope="module")
def damaged_car_loan(shared_data: Path) -> pd.DataFrame:
    return pd.read_parquet(shared_data / "nannyml_car_loan" / "predictions_data_quality_variant.parquet")


@pytest.fixture(scope="module")
def reference(car_loan: pd.DataFrame) -> Reference:
    return Reference.fit(car_loan[:50_000], **SETTINGS)


def live(reference: Reference, rows: pd.DataFrame) -> dict[str, np.ndarray[Any, Any]]:
    counts, offsets = reference.count(rows), reference.layout.cell_offsets
    return {name: counts[offsets[i] : offsets[i + 1]] for i, name in enumerate(reference.names)}


def test_each_column_has_its_type(reference: Reference) -> None:
    assert {feature.name: feature.dtype for feature in reference.features} == {
        "car_value": "numeric",
        "salary_range": "categorical",
        "debt_to_income_ratio": "numeric",
        "loan_length": "numeric",
        "repaid_loan_on_prev_car": "boolean",
        "size_of_downpayment": "categorical",
        "driver_tenure": "numeric",
        "y_pred_proba": "numeric",
        "y_pred": "numeric",
    }
    assert reference.outputs == ("y_pred_proba", "y_pred")
    assert reference.feature("size_of_downpayment").categories == ("20%", "0%", "40%", "10%", "30%")
    # whole car values: fewer than 32,000 of them, though 50,000 rows
    assert reference.feature("car_value").exact
    assert not reference.feature("driver_tenure").exact


def test_the_timestamp_column_is_text_and_never_named(car_loan: pd.DataFrame) -> None:
    with pytest.raises(Exception, match=r"'timestamp' has .* none 5 times or more"):
        Reference.fit(car_loan[["timestamp", "loan_length"]][:1000])


def test_ks_of_each_numeric_column_is_scipys(reference: Reference, car_loan: pd.DataFrame) -> None:
    for rows in (slice(50_000, 55_000), slice(90_000, 95_000)):
        counts = live(reference, car_loan[rows])
        for feature in reference.features:
            if feature.dtype != "numeric":
                continue
            ends = slice(feature.number_cells)
            found = np.abs(
                np.cumsum(feature.counts[ends]) / 50_000 - np.cumsum(counts[feature.name][ends]) / 5_000
            ).max()
            raw = stats.ks_2samp(car_loan[feature.name][:50_000], car_loan[feature.name][rows]).statistic
            assert abs(found - raw) <= (feature.ks_error_bound if not feature.exact else 1e-12)


def test_the_unseen_category_is_counted_as_unseen(
    reference: Reference, damaged_car_loan: pd.DataFrame
) -> None:
    feature = reference.feature("size_of_downpayment")
    for rows in (slice(50_000, 75_000), slice(75_000, 100_000)):
        counts = live(reference, damaged_car_loan[rows])["size_of_downpayment"]
        expected = int((damaged_car_loan["size_of_downpayment"][rows] == "50%").sum())
        assert counts[feature.unseen_cell] == expected > 0


def test_missing_values_go_from_a_tenth_to_more_than_a_fifth(
    reference: Reference, damaged_car_loan: pd.DataFrame
) -> None:
    for name in ("salary_range", "driver_tenure"):
        feature = reference.feature(name)
        ratios = []
        for rows in (slice(0, 75_000), slice(75_000, 100_000)):
            counts = live(reference, damaged_car_loan[rows])[name]
            ratios.append(counts[feature.bin_starts[-2] :].sum() / counts.sum())
        assert ratios == pytest.approx([0.10, 0.22], abs=0.0005)  # to the digits that the data's notes give


def test_frame_files_and_batches_agree(shared_data: Path, car_loan: pd.DataFrame, tmp_path: Path) -> None:
    path = shared_data / "nannyml_car_loan" / "predictions.parquet"
    car_loan.to_csv(tmp_path / "x.csv", index=False)
    parquet = Reference.fit_batches(read_batches(path), **SETTINGS)
    text = Reference.fit_batches(read_batches(tmp_path / "x.csv", batch_rows=9_999), **SETTINGS)
    assert parquet.id == text.id
    whole = Reference.fit(car_loan, **SETTINGS)
    for one, other in zip(whole.features, parquet.features, strict=True):
        if one.exact:
            np.testing.assert_array_equal(one.counts, other.counts)
        else:
            assert other.ks_error_bound - one.ks_error_bound < 0.0004

"""Hand-made snapshots, so that verdicts and formats are tested without the engine."""

from __future__ import annotations

from typing import Any

from driftgauge.snapshot import (
    DriftSnapshot,
    FeatureDrift,
    FeatureSnapshot,
    FeatureStatistics,
    ReferenceInfo,
    Snapshot,
    WindowSnapshot,
)

LABELS = ("(-inf, 1]", "(1, inf)", "missing")


def statistics(name: str = "age", **changes: Any) -> FeatureStatistics:
    """Statistics of a numeric feature in which nothing drifts."""
    values: dict[str, Any] = {
        "psi": 0.01,
        "psi_debiased": 0.0,
        "psi_critical": 0.03,
        "js": 0.05,
        "hellinger": 0.04,
        "total_variation": 0.03,
        "chi_square": 9.0,
        "ks": 0.02,
        "ks_critical": 0.06,
        "wasserstein": 0.01,
        "shift": 0.0,
        "scale_shift": 0.0,
        "missing_ratio": 0.1,
        "unseen_ratio": None,
        "out_of_range_ratio": 0.0,
        "mean": 1.0,
        "standard_deviation": 1.0,
        "mean_error_bound": 0.0,
        "quantiles": ((0.5, 1.0),),
        "bin_rows": (450, 450, 100),
    }
    return FeatureStatistics(name=name, **values | changes)


def feature(name: str = "age", **changes: Any) -> FeatureSnapshot:
    """The reference's side of `statistics`."""
    values: dict[str, Any] = {
        "kind": "input",
        "dtype": "numeric",
        "bin_labels": LABELS,
        "reference_bin_rows": (4_500, 4_500, 1_000),
        "bin_rows": (450, 450, 100),
        "ks_error_bound": 0.0,
        "reference_missing_ratio": 0.1,
        "reference_unseen_ratio": None,
        "reference_out_of_range_ratio": 0.0,
        "reference_mean": 1.0,
        "reference_standard_deviation": 1.0,
        "reference_quantiles": ((0.5, 1.0),),
    }
    return FeatureSnapshot(name=name, **values | changes)


def evidence(name: str = "age", score: float = 0.0, kind: str = "input") -> FeatureDrift:
    """What a drift score says of a feature."""
    return FeatureDrift(
        name=name,
        kind=kind,
        score=score,
        log_evidence=7 * score,
        drifted=score > 1,
        cause="location_up" if score > 0.5 else "none",
        cell="",
        words="location +0.4 sd" if score > 0.5 else "",
        onset_timestamp_seconds=None,
    )


def drift(*features: FeatureDrift, virtual: tuple[FeatureDrift, ...] = ()) -> DriftSnapshot:
    """The evidence of a file; the model's is as strong as the strongest."""
    score = max(each.score for each in (*features, *virtual))
    return DriftSnapshot(
        score=score,
        log_evidence=7 * score,
        budget_evaluations=1_000.0,
        budget_seconds=1_000.0,
        evaluate_seconds=1.0,
        min_effect=0.01,
        evaluations=1,
        pending_rows=0,
        dependence="assumed",
        drifted_features=tuple(each.name for each in (*features, *virtual) if each.drifted),
        features=features,
        virtual=virtual,
    )


def snapshot(
    *live: FeatureStatistics,
    rows: int = 1_000,
    features: tuple[FeatureSnapshot, ...] = (),
    drift: DriftSnapshot | None = None,
) -> Snapshot:
    """A snapshot of *live* in one window of *rows* rows, against 10,000 reference rows."""
    return Snapshot(
        model="churn",
        model_version="3",
        timestamp_seconds=0.0,
        evaluation_seconds=0.0,
        reference=ReferenceInfo(reference_id="0" * 64, created_timestamp_seconds=0.0, rows=10_000),
        features=features or tuple(feature(one.name) for one in live),
        windows=(WindowSnapshot(name="file", rows=rows, seconds=0.0, features=live),),
        rows=rows,
        rows_sampled=rows,
        rows_sampled_out=0,
        drift=drift,
    )

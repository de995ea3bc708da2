"""A small snapshot made by hand: three features, and one of two windows under min_rows."""

from __future__ import annotations

from driftgauge.snapshot import (
    DriftSnapshot,
    FeatureDrift,
    FeatureSnapshot,
    FeatureStatistics,
    PayloadCounts,
    ReferenceInfo,
    Snapshot,
    WindowSnapshot,
)

AGE = FeatureSnapshot(
    name="age",
    kind="input",
    dtype="numeric",
    bin_labels=("(-inf, 30]", "(30, 45]", "(45, inf)", "missing"),
    reference_bin_rows=(300, 400, 299, 1),
    bin_rows=(100, 150, 260, 2),
    ks_error_bound=0.0009765625,
    reference_missing_ratio=0.001,
    reference_unseen_ratio=None,
    reference_out_of_range_ratio=0.0,
    reference_mean=38.25,
    reference_standard_deviation=11.5,
    reference_quantiles=((0.05, 21.0), (0.5, 37.0), (0.95, 61.0)),
)
COLOUR = FeatureSnapshot(
    name='colour of "paint"\nor \\ lack',
    kind="input",
    dtype="categorical",
    bin_labels=("größer", 'say "red"', "unseen", "missing"),
    reference_bin_rows=(600, 398, 2, 0),
    bin_rows=(200, 300, 12, 0),
    ks_error_bound=None,
    reference_missing_ratio=0.0,
    reference_unseen_ratio=0.002,
    reference_out_of_range_ratio=None,
    reference_mean=None,
    reference_standard_deviation=None,
    reference_quantiles=(),
)
SCORE = FeatureSnapshot(
    name="score",
    kind="output",
    dtype="numeric",
    bin_labels=("(-inf, 0.5]", "(0.5, inf)", "missing"),
    reference_bin_rows=(700, 300, 0),
    bin_rows=(256, 256, 0),
    ks_error_bound=0.0,
    reference_missing_ratio=0.0,
    reference_unseen_ratio=None,
    reference_out_of_range_ratio=0.0,
    reference_mean=0.4,
    reference_standard_deviation=0.2,
    reference_quantiles=((0.5, 0.38),),
)


def statistics_of(feature: FeatureSnapshot, psi: float) -> FeatureStatistics:
    """Statistics whose values are awkward to write: thirds, tiny, large, negative and NaN."""
    numeric = feature.dtype == "numeric"
    return FeatureStatistics(
        name=feature.name,
        psi=psi,
        psi_debiased=psi - 1 / 3,
        psi_critical=0.0271828,
        js=1e-17,
        hellinger=0.1 + 0.2,
        total_variation=0.25,
        chi_square=12.5,
        ks=1 / 7 if numeric else None,
        ks_critical=0.0616 if numeric else None,
        wasserstein=0.75 if numeric else None,
        shift=-0.5 if numeric else None,
        scale_shift=(psi or float("nan")) if numeric else None,
        missing_ratio=2 / 512,
        unseen_ratio=None if numeric else 12 / 512,
        out_of_range_ratio=0.0 if numeric else None,
        mean=1.0e300 if numeric else None,
        standard_deviation=123456789.125 if numeric else None,
        mean_error_bound=0.0 if numeric else None,
        quantiles=((0.05, -1e22), (0.5, 44.0), (0.95, 5e-324)) if numeric else (),
        bin_rows=feature.bin_rows,
    )


def drift_of(name: str, kind: str, score: float, cause: str = "none", cell: str = "") -> FeatureDrift:
    """What the evidence about one feature is; the budget is 129,600 evaluations, its share a third."""
    return FeatureDrift(
        name=name,
        kind=kind,
        score=score,
        log_evidence=score * 12.87,
        drifted=score > 1,
        cause=cause,
        cell=cell,
        words=f"{cause} +0.4 sd" if score > 1 else "",
        onset_timestamp_seconds=1_789_999_000.5 if score > 0.5 else None,
    )


def small_drift() -> DriftSnapshot:
    """Two features that drifted, one that did not, and a virtual one."""
    return DriftSnapshot(
        score=1.53,
        log_evidence=18.0,
        budget_evaluations=129_600.0,
        budget_seconds=7_776_000.0,
        evaluate_seconds=60.0,
        min_effect=0.01,
        evaluations=37,
        pending_rows=12,
        dependence="assumed",
        drifted_features=("age", COLOUR.name),
        features=(
            drift_of("age", "input", 1.5, "location_up"),
            drift_of(COLOUR.name, "input", 4 / 3, "more_in_cell", 'say "red"'),
            drift_of("score", "output", 0.1),
        ),
        virtual=(drift_of("age - score", "virtual", 0.25),),
    )


def small_snapshot() -> Snapshot:
    """Every family has at least one series here."""
    return Snapshot(
        model="churn",
        model_version="3",
        timestamp_seconds=1_790_000_000.25,
        evaluation_seconds=0.0009,
        reference=ReferenceInfo(
            reference_id="9f86d081884c7d65", created_timestamp_seconds=1_780_000_000.0, rows=1_000
        ),
        features=(AGE, COLOUR, SCORE),
        windows=(
            WindowSnapshot(
                name="10000rows",
                rows=512,
                seconds=61.5,
                features=(statistics_of(AGE, 1.25), statistics_of(COLOUR, 2 / 3), statistics_of(SCORE, 0.0)),
            ),
            WindowSnapshot(name="1h", rows=12, seconds=3600.0, features=()),
        ),
        rows=1_000,
        rows_sampled=512,
        rows_sampled_out=481,
        rows_dropped={"buffer_full": 7, "predict_error": 0},
        internal_errors={"bin": 0},
        drift=small_drift(),
        payloads=(
            PayloadCounts(
                way="proxy",
                protocol="kserve_v1",
                payloads=120,
                decoded=100,
                undecodable={"not_json": 4},
                dropped={"not_ok": 9, "queue_full": 0, "sampled_out": 7},
                without_outputs={"wrong_length": 2},
                forwarded={},
            ),
            PayloadCounts(
                way="sink", protocol="open_inference", payloads=5, decoded=5, forwarded={"ok": 9, "failed": 1}
            ),
        ),
    )


class Frozen:
    """A source that always gives the same snapshot and counts how often it was asked."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.value = snapshot or small_snapshot()
        self.asked = 0

    def snapshot(self) -> Snapshot:
        self.asked += 1
        return self.value

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from exporter_cases import AGE, COLOUR, Frozen, small_snapshot

from driftgauge.catalogue import CATALOGUE, Family, samples
from driftgauge.cli.metrics import markdown_table
from driftgauge.snapshot import ReferenceInfo, Snapshot

BY_NAME = {family.prometheus_name: family for family in CATALOGUE}

PUBLISHED = [
    f"driftgauge_{name}"
    for name in (
        "drift_budget_evaluations",
        "drift_dependence_info",
        "drift_evaluations_total",
        "drift_pending_rows",
        "drifted_features",
        "evaluation_seconds",
        "internal_errors_total",
        "last_evaluation_timestamp_seconds",
        "payloads_dropped_total",
        "payloads_forwarded_total",
        "payloads_total",
        "payloads_undecodable_total",
        "payloads_without_outputs_total",
        "reference_created_timestamp_seconds",
        "reference_info",
        "reference_rows",
        "rows_dropped_total",
        "rows_sampled_total",
        "rows_total",
        "window_rows",
        "window_seconds",
        "feature_bin_info",
        "feature_bin_rows_total",
        "feature_drift_info",
        "feature_drift_onset_timestamp_seconds",
        "feature_drift_score",
        "feature_hellinger",
        "feature_js",
        "feature_ks",
        "feature_ks_critical",
        "feature_ks_error_bound",
        "feature_mean",
        "feature_missing_ratio",
        "feature_out_of_range_ratio",
        "feature_psi",
        "feature_psi_critical",
        "feature_psi_debiased",
        "feature_quantile",
        "feature_reference_bin_ratio",
        "feature_reference_mean",
        "feature_reference_missing_ratio",
        "feature_reference_out_of_range_ratio",
        "feature_reference_quantile",
        "feature_reference_standard_deviation",
        "feature_reference_unseen_ratio",
        "feature_scale_shift",
        "feature_shift",
        "feature_standard_deviation",
        "feature_unseen_ratio",
        "feature_wasserstein",
        "model_drift_score",
        "virtual_drift_score",
    )
]


def family(unit: str = "", instrument: str = "gauge", name: str = "driftgauge.a.b") -> Family:
    return Family(
        otel_name=name,
        unit=unit,
        instrument=instrument,
        own_labels=(),
        help="",
        level="snapshot",
        attribute="rows",
    )


def features_with(attribute: str) -> set[str]:
    """Names of the features that have a series of this attribute."""
    found = [pairs for each, pairs in samples(small_snapshot()) if each.attribute == attribute]
    return {labels["feature"] for pairs in found for labels, _ in pairs}


def values(name: str, snapshot: Snapshot) -> dict[str, float]:
    """Values of one family by its last label."""
    found = {each.prometheus_name: pairs for each, pairs in samples(snapshot)}
    return {labels[BY_NAME[name].labels[-1]]: value for labels, value in found.get(name, [])}


def test_the_names_of_the_metrics_do_not_change() -> None:
    assert sorted(BY_NAME) == sorted(PUBLISHED)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (family(), "driftgauge_a_b"),
        (family("s"), "driftgauge_a_b_seconds"),
        (family("{row}"), "driftgauge_a_b"),
        (family("{row}", "counter"), "driftgauge_a_b_total"),
        (family("s", "counter"), "driftgauge_a_b_seconds_total"),
        (family("1", name="driftgauge.a.missing_ratio"), "driftgauge_a_missing_ratio"),
        (family("1"), "driftgauge_a_b_ratio"),
    ],
)
def test_a_prometheus_name_follows_from_name_unit_and_instrument(made: Family, name: str) -> None:
    assert made.prometheus_name == name


@pytest.mark.parametrize("each", CATALOGUE, ids=lambda each: each.otel_name)
def test_every_family_is_documented_and_named_by_the_rules(each: Family) -> None:
    assert re.fullmatch(r"driftgauge(\.[a-z][a-z_]*)+", each.otel_name)
    assert each.help
    assert each.help == each.help.strip()
    assert each.help[0].isupper()
    assert not each.help.endswith(".")
    assert "\n" not in each.help
    assert "|" not in each.help, "it stands in a Markdown table"
    assert len(set(each.labels)) == len(each.labels)
    assert not {"le", "quantile", "instance", "job", "statistic"} & set(each.labels)
    assert (each.unit == "1") == each.prometheus_name.endswith("_ratio")
    assert f"`{each.prometheus_name}`" in markdown_table()


def test_every_family_has_exactly_its_labels_in_every_series() -> None:
    seen = set()
    for each, pairs in samples(small_snapshot()):
        seen.add(each)
        series = [tuple(labels[name] for name in each.labels) for labels, _ in pairs]
        assert all(set(labels) == set(each.labels) for labels, _ in pairs)
        assert len(set(series)) == len(series)
    assert seen == set(CATALOGUE)


def test_bins_are_cumulative_and_the_last_holds_every_row() -> None:
    (rows,) = [pairs for each, pairs in samples(small_snapshot()) if each.attribute == "bin_rows"]
    age = [(labels["bin"], labels["next_bin"], value) for labels, value in rows if labels["feature"] == "age"]
    assert age == [("00", "01", 100), ("01", "02", 250), ("02", "03", 510), ("03", "", 512)]


def test_reference_bins_are_cumulative_shares_of_the_same_bins() -> None:
    (ratios,) = [pairs for each, pairs in samples(small_snapshot()) if each.attribute == "reference_bin_rows"]
    age = [
        (labels["bin"], labels["next_bin"], value) for labels, value in ratios if labels["feature"] == "age"
    ]
    assert age == [("00", "01", 0.3), ("01", "02", 0.7), ("02", "03", 0.999), ("03", "", 1.0)]


def test_a_window_with_too_few_rows_says_only_how_much_it_holds() -> None:
    windows = {
        each.prometheus_name
        for each, pairs in samples(small_snapshot())
        for labels, _ in pairs
        if labels.get("window") == "1h"
    }
    assert windows == {"driftgauge_window_rows", "driftgauge_window_seconds"}


def test_a_statistic_without_a_value_has_no_series() -> None:
    assert len(features_with("psi")) == 3
    assert features_with("ks") == {"age", "score"}
    assert features_with("scale_shift") == {"age"}, "the score's is not a number"


def test_zeros_are_exported_up_front() -> None:
    assert values("driftgauge_rows_dropped_total", small_snapshot()) == {"buffer_full": 7, "predict_error": 0}


def test_a_name_that_utf_8_cannot_carry_is_replaced() -> None:
    odd = replace(small_snapshot(), features=(replace(AGE, name="half\ud800"),), windows=())
    for _, pairs in samples(odd):
        for labels, _ in pairs:
            "".join(labels.values()).encode("utf-8")


def test_a_reference_without_features_still_says_that_it_is_alive() -> None:
    empty = Snapshot(
        model="m",
        model_version="1",
        timestamp_seconds=1.0,
        evaluation_seconds=0.0,
        reference=ReferenceInfo(reference_id="a", created_timestamp_seconds=0.0, rows=0),
        features=(),
        windows=(),
        rows=0,
        rows_sampled=0,
        rows_sampled_out=0,
    )
    assert values("driftgauge_rows_total", empty) == {"1": 0}
    assert Frozen(empty).snapshot() is empty


def test_without_a_budget_there_is_no_series_of_drift() -> None:
    without = {each.prometheus_name for each, _ in samples(replace(small_snapshot(), drift=None))}
    every = {each.prometheus_name for each, _ in samples(small_snapshot())}
    assert every - without == {name for name in PUBLISHED if "drift" in name.removeprefix("driftgauge_")}


def test_the_evidence_of_a_feature_says_what_it_is_about() -> None:
    (pairs,) = [
        found
        for each, found in samples(small_snapshot())
        if each.otel_name == "driftgauge.feature.drift_info"
    ]
    assert [(labels["cause"], labels["cell"], value) for labels, value in pairs] == [
        ("location_up", "", 1.0),
        ("more_in_cell", 'say "red"', 1.0),
        ("none", "", 1.0),
    ]


def test_a_drift_has_an_onset_and_no_drift_has_none() -> None:
    (pairs,) = [
        found for each, found in samples(small_snapshot()) if each.attribute == "onset_timestamp_seconds"
    ]
    assert [labels["feature"] for labels, _ in pairs] == ["age", COLOUR.name]


def test_features_that_drifted_are_counted() -> None:
    assert values("driftgauge_drifted_features", small_snapshot()) == {"3": 2}


def test_more_than_a_hundred_bins_still_sort_as_text() -> None:
    many = replace(AGE, bin_rows=(1,) * 120, reference_bin_rows=(1,) * 120, bin_labels=("x",) * 120)
    (pairs,) = [
        pairs
        for each, pairs in samples(replace(small_snapshot(), features=(many,), windows=()))
        if each.attribute == "bin_rows"
    ]
    names = [labels["bin"] for labels, _ in pairs]
    assert names == sorted(names)
    assert names[0] == "000"

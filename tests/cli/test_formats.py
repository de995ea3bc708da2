"""JSON, Markdown and JUnit hold what a verdict says and survive any name."""

from __future__ import annotations

import json
import math
from typing import Any
from xml.etree import ElementTree

import pytest
from cli_snapshots import drift, evidence, snapshot, statistics
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.cli._formats import Comparison, to_json, to_junit, to_markdown, without_nan
from driftgauge.cli._text import clean, number, ratio, sparkline
from driftgauge.cli._verdict import Thresholds, Verdict, judge, unknown


def comparison(verdict: Verdict) -> Comparison:
    return Comparison(
        verdict=verdict,
        thresholds=Thresholds(),
        min_rows=100,
        reference_file="churn.reference",
        live_file="today.parquet",
        version="1.0",
        reference_id="0" * 64,
        model="churn",
        model_version="3",
        reference_rows=10_000,
        created_timestamp_seconds=0.0,
    )


def named(name: str) -> Comparison:
    return comparison(judge(snapshot(statistics(name, psi=9.0)), Thresholds()))


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} in JSON")


# --------------------------------------------------------------------------------------------------- law


@given(st.text())
def test_every_name_survives_json_and_xml(name: str) -> None:
    assert json.loads(to_json(named(name)))["features"][0]["name"] == name
    case = next(ElementTree.fromstring(to_junit(named(name)).encode("utf-8", "replace")).iter("testcase"))
    if name.isprintable():
        assert case.get("name") == name


@given(st.text())
def test_a_name_never_leaves_its_cell_in_markdown(name: str) -> None:
    lines = to_markdown(named(name)).splitlines()
    assert len(lines) == 7
    bars = [i for i, character in enumerate(lines[-1]) if character == "|" and lines[-1][i - 1] != "\\"]
    assert len(bars) == 10


@given(
    st.recursive(
        st.floats() | st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_never_holds_nan_or_infinity(value: Any) -> None:
    json.loads(json.dumps(without_nan(value)), parse_constant=refuse)


@given(st.text())
def test_a_cleaned_name_can_be_printed(name: str) -> None:
    assert clean(name).isprintable()


@given(st.lists(st.floats(0, 10) | st.just(math.nan), max_size=500), st.integers(1, 80))
def test_a_sparkline_is_as_wide_as_it_is_told_and_shows_the_largest(values: list[float], width: int) -> None:
    line = sparkline(values, 10.0, width, plain=True)
    assert len(line) == min(width, len(values))
    if 10.0 in values:
        assert "#" in line


# -------------------------------------------------------------------------------------------------- edge


def test_nan_among_statistics_is_null() -> None:
    live = snapshot(statistics(psi_critical=math.nan, wasserstein=math.inf))
    document = json.loads(to_json(comparison(judge(live, Thresholds()))), parse_constant=refuse)
    assert document["features"][0]["statistics"]["psi_critical"] is None
    assert document["features"][0]["statistics"]["wasserstein"] is None


@pytest.mark.parametrize("writer", [to_json, to_markdown, to_junit])
def test_what_could_not_be_compared_is_written_with_its_reason(writer: Any) -> None:
    assert "cannot read" in writer(comparison(unknown("cannot read 'x'")))


def test_junit_counts_add_up() -> None:
    live = snapshot(statistics("a"), statistics("b", psi=9.0), statistics("c"))
    suite = ElementTree.fromstring(to_junit(comparison(judge(live, Thresholds(), absent=["c"]))).encode())[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [len(case) for case in suite] == [0, 1, 1]
    broken = ElementTree.fromstring(to_junit(comparison(unknown("broken"))).encode())[0]
    assert (broken.get("tests"), broken.get("failures"), broken.get("errors")) == ("1", "0", "1")


def test_junit_fails_when_features_drift_only_together() -> None:
    told = drift(evidence(score=0.1), virtual=(evidence("age - score", 1.5, "virtual"),))
    for limit, failures in ((1.0, 1), (2.0, 0)):
        verdict = judge(snapshot(statistics(), drift=told), Thresholds(score=limit))
        suite = ElementTree.fromstring(to_junit(comparison(verdict)).encode())[0]
        assert suite.get("failures") == str(failures) == str(verdict.exit_status)
        assert suite.get("tests") == str(len(suite.findall("testcase"))) == str(1 + failures)
        messages = [failure.get("message") for failure in suite.iter("failure")]
        assert messages == [verdict.explanation] * failures


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_no_number_is_an_empty_cell(nothing: float | None) -> None:
    assert number(nothing) == ratio(nothing) == ""


def test_a_sparkline_has_gaps_where_nothing_is_known() -> None:
    assert sparkline([math.nan, 0.0, 1.0], 1.0, 3) == " ▁█"
    assert sparkline([0.0, 0.0], 0.0, 2) == "▁▁"
    assert sparkline([], 1.0, 5) == ""

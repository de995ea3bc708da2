"""Webhooks as they come: recorded, from Grafana, and wrong in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bridge_cases import alert, posted
from hypothesis import given
from hypothesis import strategies as st
from services import unavailable

from driftgauge.bridge.alerts import REASONS, AlertLimits, Message, Unreadable, read_message

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "payloads" / "alertmanager" / "webhook.jsonl"


def one(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(posted(alert()))["alerts"][0]
    return {**made, **changes}


def read(*alerts: Any) -> Message:
    found = read_message(json.dumps({"alerts": alerts}).encode())
    assert isinstance(found, Message)
    return found


def test_what_alertmanager_really_sends_is_one_alert_that_fires_and_resolves() -> None:
    path = RECORDED if RECORDED.is_file() else Path("/work/shared/payloads/alertmanager/webhook.jsonl")
    if not path.is_file():
        unavailable("the recorded webhooks are not beside the repository")
    messages = [
        read_message(json.dumps(json.loads(line)["body"]).encode()) for line in path.read_text().splitlines()
    ]
    firing, resolved = (message.alerts[0] for message in messages if isinstance(message, Message))
    assert firing.key == resolved.key == "a032df54591bc2cd@2026-11-21T01:33:49.335000Z"
    assert (firing.status, resolved.status) == ("firing", "resolved")
    assert firing.annotations != resolved.annotations
    assert firing.ends_seconds is None
    assert resolved.ends_seconds is not None


def test_an_alert_comes_back_as_it_was() -> None:
    assert read_message(posted(alert(), alert(feature="b"))) == Message((alert(), alert(feature="b")), {})


def test_unknown_fields_and_versions_are_left_alone() -> None:
    body = posted(alert(), version="9", notification_reason={"a": [1]}, routeLabels=None, truncatedAlerts="x")
    assert isinstance(read_message(body), Message)


def test_grafana_says_number_and_board_beside_the_annotations() -> None:
    found = read(one(annotations={}, values={"B": 22.5}, dashboardURL="https://g/d/x", orgId=1)).alerts[0]
    assert found.annotations == {"value": "22.5", "dashboard_url": "https://g/d/x"}


def test_times_have_nine_digits_or_an_offset() -> None:
    found = [
        read(one(startsAt=text)).alerts[0].key
        for text in ("2026-11-21T01:33:49.335000123Z", "2026-11-21T02:33:49.335+01:00")
    ]
    assert found[0] == found[1]


def test_without_a_fingerprint_the_labels_are_one() -> None:
    found = [read(one(fingerprint=each)).alerts[0] for each in (None, "", "x" * 65, "a b", 7)]
    assert len({each.key for each in found}) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"startsAt": "yesterday"}, "bad_time"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "bad_time"),
        ({"startsAt": 7}, "bad_time"),
        ({"labels": {"model": "m", "x": "y" * 2_000}}, "long_text"),
        ({"labels": {"model": "m", "x" * 300: "y"}}, "long_text"),
        ({"labels": {"model": "m", "a\nb": "y"}}, "long_text"),
        ({"labels": {"feature": "m"}}, "no_model"),
        ({"labels": {}}, "no_model"),
        ({"labels": {f"l{n}": "" for n in range(100)}}, "too_many_labels"),
        ({"labels": ["model"]}, "wrong_shape"),
        ({"labels": {"model": 7}}, "wrong_shape"),
        ({"annotations": {"a": {"b": 1}}}, "wrong_shape"),
        ({"status": "pending"}, "wrong_shape"),
        ({"status": ["firing"]}, "wrong_shape"),
    ],
)
def test_what_is_wrong_about_one_alert_costs_that_alert(changes: dict[str, Any], reason: str) -> None:
    found = read(one(**changes), one())
    assert found.refused == {reason: 1}
    assert len(found.alerts) == 1
    assert reason in REASONS


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b'{"alerts":' + b"[" * 100_000, "too_deep"),
        (b'{"alerts": ' + b"9" * 5_000 + b"}", "not_json"),
        (b"7", "wrong_shape"),
        (b"{}", "wrong_shape"),
        (b'{"alerts": {}}', "wrong_shape"),
        (b" " * ((4 << 20) + 1), "too_large"),
    ],
)
def test_a_body_that_is_no_message_is_refused(body: bytes, reason: str) -> None:
    found = read_message(body)
    assert isinstance(found, Unreadable)
    assert found.reason == reason


def test_more_alerts_than_may_be_are_counted() -> None:
    found = read_message(posted(*(alert(feature=f"f{n}") for n in range(5))), AlertLimits(alerts=3))
    assert isinstance(found, Message)
    assert (len(found.alerts), found.refused) == (3, {"too_many": 2})


def test_half_a_surrogate_becomes_a_question_mark() -> None:
    body = posted(alert()).replace(b'"model": "churn"', b'"model": "ch\\ud800urn"')
    found = read_message(body)
    assert isinstance(found, Message)
    assert found.alerts[0].model == "ch?urn"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise(body: bytes) -> None:
    read_message(body)


@given(
    st.dictionaries(
        st.sampled_from(
            ["status", "labels", "annotations", "startsAt", "endsAt", "values", "fingerprint", "dashboardURL"]
        ),
        json_values,
    )
)
def test_no_alert_raises(changes: dict[str, Any]) -> None:
    found = read_message(json.dumps({"alerts": [one(**changes)]}).encode())
    assert isinstance(found, Message)
    assert len(found.alerts) + sum(found.refused.values()) == 1

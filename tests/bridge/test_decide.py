"""The brakes, without clock, file or network."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bridge_cases import NOW, alert, held, route
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.bridge.decide import Decision, decide, run_id, run_key
from driftgauge.bridge.hours import QuietHours, quiet_until
from driftgauge.bridge.records import Run, State
from driftgauge.bridge.targets import RunRequest

HOUR = 3_600.0


def run(state: State = "succeeded", *, age: float = 0.0) -> Run:
    request = RunRequest(
        run_id=f"r{age:g}", key=f"k{age:g}", route="retrain", target="training", model="churn"
    )
    return Run(request=request, state=state, created_seconds=NOW - age)


def asked(*runs: Run, features: int = 1, kind: str = "input", now: float = NOW, **brakes: Any) -> Decision:
    firing = [held(alert(feature=f"f{n}", kind=kind)) for n in range(features)]
    return decide(route(**brakes), firing, (), runs, now)


# ---------------------------------------------------------------------- laws


@given(st.permutations(range(5)))
def test_the_order_of_alerts_does_not_matter(order: list[int]) -> None:
    firing = [held(alert(feature=f"f{n}", starts=NOW + n)) for n in range(5)]
    shuffled = [firing[n] for n in order]
    assert decide(route(), shuffled, (), (), NOW) == decide(route(), firing, (), (), NOW)


@given(st.text(max_size=200), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_a_run_id_is_a_name_for_every_system(model: str, key: str) -> None:
    found = run_id(model, key)
    assert len(found) <= 63
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert found[-1] != "-"


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_different_alerts_have_different_keys(first: list[str], second: list[str]) -> None:
    assert (run_key("t", "m", first) == run_key("t", "m", second)) == (sorted(first) == sorted(second))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["succeeded", "failed", "dead", "denied", "running"]),
            st.floats(-200_000, 200_000),
        )
    ),
    st.floats(0, 100_000),
    st.integers(0, 5),
)
def test_what_a_brake_held_back_is_asked_again_and_not_before_it_may_go(
    earlier: list[tuple[State, float]], cooldown: float, a_day: int
) -> None:
    runs = [run(state, age=age) for state, age in earlier]
    found = asked(*runs, cooldown=cooldown, runs_per_day=a_day)
    if found.verdict == "no" and found.brake != "single_flight":
        assert found.again_seconds is not None
        assert found.again_seconds > NOW
        before = asked(*runs, cooldown=cooldown, runs_per_day=a_day, now=(NOW + found.again_seconds) / 2)
        assert before.brake in (found.brake, "cooldown", "runs_per_day")


# ---------------------------------------------------------------------- each brake


def test_nothing_fires_nothing_starts() -> None:
    assert decide(route(), (), (), (), NOW).verdict == "nothing"
    other = held(alert(driftgauge_action="look"))
    assert decide(route(), [other], (), (), NOW).verdict == "nothing"


def test_an_alert_that_has_had_its_run_starts_no_other() -> None:
    one = held(alert())
    assert decide(route(), [one], {one.alert.key}, (), NOW).verdict == "nothing"


def test_all_alerts_of_a_grouping_delay_are_one_run() -> None:
    firing = [held(alert(feature=f"f{n}"), NOW + n) for n in range(3)]
    how = route(group_wait=30)
    early = decide(how, firing, (), (), NOW + 29)
    assert (early.verdict, early.again_seconds) == ("wait", NOW + 30)
    found = decide(how, firing, (), (), NOW + 30)
    assert found.verdict == "start"
    assert found.run is not None
    assert len(found.run.alert_keys) == 3
    assert [each.name for each in found.run.features] == ["f0", "f1", "f2"]


@pytest.mark.parametrize("state", ["proposed", "pending", "starting", "running", "closing"])
def test_a_model_has_one_run_at_a_time(state: State) -> None:
    assert asked(run(state, age=1e9), cooldown=0).brake == "single_flight"


@pytest.mark.parametrize("state", ["succeeded", "failed", "ended", "denied"])
def test_a_young_run_cools_down(state: State) -> None:
    found = asked(run(state, age=HOUR), cooldown=2 * HOUR)
    assert (found.brake, found.again_seconds) == ("cooldown", NOW + HOUR)
    assert asked(run(state, age=2 * HOUR), cooldown=2 * HOUR).verdict == "start"


def test_what_was_never_started_does_not_cool_down() -> None:
    assert asked(run("dead", age=1)).verdict == "start"


def test_so_many_a_day_and_no_more() -> None:
    earlier = [run(age=age * HOUR) for age in (1, 5, 23, 25)]
    found = asked(*earlier, cooldown=0, runs_per_day=3)
    assert (found.brake, found.again_seconds) == ("runs_per_day", NOW + HOUR)
    assert asked(*earlier, cooldown=0, runs_per_day=4).verdict == "start"
    assert asked(*earlier, cooldown=0, runs_per_day=0).verdict == "start"
    assert asked(run("denied", age=1), run("dead", age=2), cooldown=0, runs_per_day=1).verdict == "start"


def test_a_clock_that_was_ahead_stops_nothing_for_longer_than_a_brake_holds() -> None:
    slightly = run(age=-HOUR)
    found = asked(slightly, cooldown=2 * HOUR)
    assert (found.brake, found.again_seconds) == ("cooldown", NOW + 3 * HOUR)
    assert asked(slightly, cooldown=0, runs_per_day=1).brake == "runs_per_day"
    far = run(age=-365 * 24 * HOUR)
    assert asked(far, cooldown=2 * HOUR, runs_per_day=1).verdict == "start"
    waiting = held(alert(), NOW + 365 * 24 * HOUR)
    assert decide(route(group_wait=30), [waiting], (), (), NOW).verdict == "start"


def test_one_of_the_quorums_suffices() -> None:
    wanted = {"quorum_features": 3, "quorum_outputs": 1}
    assert asked(features=2, **wanted).brake == "quorum"
    assert asked(features=3, **wanted).verdict == "start"
    assert asked(features=1, kind="output", **wanted).verdict == "start"
    assert asked(features=9, kind="performance", **wanted).brake == "quorum"
    assert asked(features=1, kind="performance", quorum_performance=1).verdict == "start"


def test_alerts_that_only_ask_to_look_count_for_the_quorum_and_are_told() -> None:
    firing = [
        held(alert(feature="", kind="")),
        *(held(alert(feature=f"f{n}", driftgauge_action="look")) for n in range(2)),
    ]
    found = decide(route(quorum_features=2), firing, (), (), NOW)
    assert found.run is not None
    assert (len(found.alert_keys), len(found.run.features)) == (1, 3)


def test_a_dry_run_says_what_it_would_start_and_counts_for_dry_runs_only() -> None:
    found = asked(dry_run=True)
    assert (found.verdict, found.brake) == ("no", "dry_run")
    assert found.run is not None
    assert asked(run("dry", age=1), dry_run=True).brake == "cooldown"
    assert asked(run("dry", age=1)).verdict == "start"


def test_approval_proposes() -> None:
    assert asked(approval=True).verdict == "propose"


def test_a_link_that_is_none_is_not_passed_on() -> None:
    from dataclasses import replace

    bad = replace(alert(), annotations={"dashboard_url": "javascript:alert(1)"})
    found = decide(route(), [held(bad)], (), (), NOW)
    assert found.run is not None
    assert found.run.dashboard == ""


# ---------------------------------------------------------------------- quiet hours


@pytest.mark.parametrize(
    ("text", "hour", "quiet"),
    [
        ("22:00-06:00", 23, True),
        ("22:00-06:00", 5, True),
        ("22:00-06:00", 6, False),
        ("sat 00:00-24:00", 12, True),
        ("sun 00:00-24:00", 12, False),
        ("fri-sat 20:00-08:00", 7, True),
        ("mon-fri 08:00-18:00", 12, False),
        ("fri 20:00-08:00", 7, True),
    ],
)
def test_quiet_hours_hold_on_a_saturday(text: str, hour: int, quiet: bool) -> None:
    now = datetime(2026, 11, 21, hour, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    found = asked(quiet_hours=(text,), time_zone="Europe/Berlin", now=now, group_wait=0, features=1)
    # The alert came at NOW, which may be after this time; only the brake matters.
    hours = quiet_until([QuietHours.read(text)], now, ZoneInfo("Europe/Berlin"))
    assert (hours is not None) == quiet
    assert found.verdict in ("wait", "start") or (found.brake == "quiet_hours") == quiet


def test_a_night_in_which_the_clock_is_changed_ends_on_the_walls_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 24, 23, tzinfo=berlin).timestamp()
    end = quiet_until([QuietHours.read("22:00-06:00")], now, berlin)
    assert end == datetime(2026, 10, 25, 6, tzinfo=berlin).astimezone(UTC).timestamp()
    assert end - now == 8 * HOUR


def test_quiet_hours_that_join_are_one() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
    hours = [QuietHours.read("sat 00:00-24:00"), QuietHours.read("sun 00:00-24:00")]
    assert quiet_until(hours, saturday, UTC) == saturday + 36 * HOUR


@pytest.mark.parametrize("text", ["", "22-6", "25:00-06:00", "22:61-06:00", "xyz 22:00-06:00", "24:30-25:00"])
def test_what_is_no_time_of_the_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be such as"):
        QuietHours.read(text)

"""The file: what is written is there, copies change nothing, and old rows go."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from bridge_cases import NOW, alert

from driftgauge.bridge.records import Entry, Facts, Run
from driftgauge.bridge.store import Store
from driftgauge.bridge.targets import Feature, RunRequest
from driftgauge.errors import ConfigError

DAY = 86_400.0
MOST = 1_000_000


def a_run(number: int = 0, **changes: object) -> Run:
    request = RunRequest(
        run_id=f"driftgauge-churn-{number}",
        key=f"key{number}",
        route="retrain",
        target="training",
        model="churn",
        features=(Feature("age", "input", "A", 1.5, "words"),),
        alert_keys=(alert().key,),
    )
    return Run(request=request, **{"state": "pending", "created_seconds": NOW, **changes})  # type: ignore[arg-type]


def test_what_came_is_there_after_opening_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    store.put_alerts([[alert()]], NOW)
    run = a_run(before=Facts("r1", 1.2), after=Facts("r2", None), external_id="x", url="u", attempts=3)
    assert store.add_run(run, covers="retrain")
    store.log(Entry(seconds=NOW, what="start", model="churn", alert_keys=("a", "b")))
    store.close()
    again = Store(tmp_path / "a")
    assert again.firing("churn")[0].alert == alert()
    assert again.run(run.id) == run
    assert again.covered("retrain", "churn") == {alert().key}
    assert again.entries() == [
        Entry(seconds=NOW, what="start", model="churn", alert_keys=("a", "b"), alerts=2)
    ]


def test_an_end_that_overtook_its_beginning_stays_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    (first, second), models = store.put_alerts([[alert(status="resolved")], [alert()]], NOW)
    assert (first, second, models) == ({"resolved": 1}, {"duplicate": 1}, {"churn"})
    assert store.firing("churn") == []


def test_an_alert_that_fires_anew_is_a_new_alert(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    store.put_alerts([[alert()], [alert(status="resolved")], [alert(starts=NOW + 9)]], NOW)
    assert [each.alert.starts_seconds for each in store.firing("churn")] == [NOW + 9]


def test_a_key_is_written_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    assert store.add_run(a_run())
    assert not store.add_run(a_run())


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")

    def fails() -> None:
        with store.writing():
            store.add_run(a_run())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert store.runs() == []


def test_the_log_cannot_be_changed(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    store.log(Entry(seconds=NOW, what="no", model="m"))
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        store._db.execute("UPDATE decisions SET what = 'start'")


def test_the_file_stays_small_while_alerts_come_and_go(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    sizes = []
    for day in range(12):
        now = NOW + day * DAY
        store.put_alerts([[alert(f"m{n % 9}", f"f{n}", starts=now) for n in range(2_000)]], now)
        while store.prune(now - 2 * DAY, now - 2 * DAY, MOST) >= 2_000:
            pass
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        sizes.append((tmp_path / "a").stat().st_size)
    assert sizes[-1] <= 1.3 * sizes[3]


def test_runs_that_are_not_over_are_never_taken_away(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    store.add_run(a_run(1, state="running"))
    store.add_run(a_run(2, state="succeeded"))
    store.prune(NOW, NOW, MOST)
    assert [run.state for run in store.runs()] == ["running"]


def test_what_covers_an_alert_stays_as_long_as_the_alert(tmp_path: Path) -> None:
    store = Store(tmp_path / "a")
    store.put_alerts([[alert()]], NOW)
    store.add_run(a_run(state="succeeded"), covers="retrain")
    store.prune(NOW - 1, NOW + 1, MOST)
    assert store.runs() == []
    assert store.covered("retrain", "churn") == {alert().key}


def test_others_are_noticed(tmp_path: Path) -> None:
    store, other = Store(tmp_path / "a"), Store(tmp_path / "a")
    before = store.changed_by_others()
    assert store.changed_by_others() == before
    other.add_run(a_run())
    assert store.changed_by_others() != before


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("not a database, but long enough to be one" * 100)
    with pytest.raises(ConfigError, match="cannot be used"):
        Store(tmp_path / "a")
    newer = sqlite3.connect(tmp_path / "b")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(ConfigError, match="upgrade it"):
        Store(tmp_path / "b")


def test_a_flood_is_bounded_by_number_and_what_fires_stays(tmp_path: Path) -> None:
    """The oldest resolved alerts go, and the oldest lines; whatever fires, however old, stays."""
    store = Store(tmp_path / "a")
    store.put_alerts([[alert("churn", f"f{n}") for n in range(50)]], NOW - 100)
    for second in range(200):
        ended = [alert("churn", f"r{second}-{n}", status="resolved") for n in range(100)]
        store.put_alerts([ended], NOW + second)
        with store.writing():
            for _ in range(100):
                store.log(Entry(seconds=NOW + second, what="no", model="churn"))
    while store.prune(NOW - DAY, NOW - DAY, 12_000):
        pass
    assert len(store.firing("churn")) == 50
    left = store._db.execute("SELECT count(*), min(seen) FROM alerts WHERE status = 'resolved'").fetchone()
    assert left == (12_000, NOW + 80)
    lines = store.entries(limit=20_000)
    assert (len(lines), lines[0].seconds) == (12_000, NOW + 80)

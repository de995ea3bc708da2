"""Several monitors of one directory: what each of them says is what all have counted."""

from __future__ import annotations

import gc
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_cases import BUDGET, NAMES, SIZE, WINDOWS, assert_says, drawn, monitor_in, observe

from driftgauge.detectors import DriftScore
from driftgauge.errors import ConfigError, StateError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.shared import SharedDirectory
from driftgauge.snapshot import PayloadCounts, Snapshot
from driftgauge.windows import WindowState, rows

NOW = 1.7e9


def gone(*monitors: Monitor) -> None:
    """Have their processes end, as far as anybody else can see: their files are unlocked."""
    for monitor in monitors:
        sharing = monitor._engine._sharing
        assert sharing is not None
        if sharing._member._file is not None:
            sharing._member._file.close()


def files(path: Path) -> list[str]:
    return sorted(each.name for each in path.rglob("*.dgw"))


def totals(snapshot: Snapshot) -> tuple[Any, ...]:
    return snapshot.rows, snapshot.rows_sampled, [sum(each.bin_rows) for each in snapshot.features]


# Laws


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    blocks=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400)), min_size=1, max_size=8),
    ends=st.sets(st.integers(0, 3), max_size=3),
)
def test_merged_windows_are_the_union_of_the_rows_in_them(
    people: Reference,
    tmp_path_factory: pytest.TempPathFactory,
    blocks: list[tuple[int, int]],
    ends: set[int],
) -> None:
    path = tmp_path_factory.mktemp("shared")
    monitors = [monitor_in(path, people) for _ in range(4)]
    held: list[list[np.ndarray]] = [[], [], [], []]
    for number, (who, count) in enumerate(blocks):
        block = drawn(number, count, moved=0.3)
        observe(monitors[who], block, NOW + number)
        held[who].append(block)
    for monitor in monitors:
        monitor.snapshot(NOW + 10)
    gone(*(monitors[who] for who in ends))
    whole = [np.concatenate(each) for each in held if each]
    total = sum(map(len, whole))
    in_windows = [np.concatenate([each[-SIZE:] for each in whole]), np.concatenate(whole)]
    for who in {0, 1, 2, 3} - ends:
        snapshot = monitors[who].snapshot(NOW + 10)
        assert totals(snapshot) == (total, total, [total] * 3)
        assert snapshot.windows[1].rows == total
        # While no window of those who live is full, rows of those who have ended are all in.
        if not ends or all(sum(map(len, each)) < SIZE for each in held):
            assert snapshot.windows[0].rows == len(in_windows[0])
            if total >= 100:
                assert_says(snapshot, people, in_windows)


def test_every_process_says_the_same(people: Reference, tmp_path: Path) -> None:
    monitors = [monitor_in(tmp_path, people) for _ in range(3)]
    for number, monitor in enumerate(monitors):
        observe(monitor, drawn(number, 200), NOW)
        monitor.snapshot(NOW)
    said = [monitor.snapshot(NOW + 5) for monitor in monitors]
    said.append(SharedDirectory(tmp_path, people, WINDOWS).snapshot(NOW + 5))
    for snapshot in said:
        assert snapshot.windows == said[0].windows
        assert snapshot.features == said[0].features
        assert snapshot.drift == said[0].drift
        assert snapshot.rows == 600


@pytest.mark.parametrize("processes", [1, 3])
def test_the_drift_score_is_that_of_one_detector_on_all_rows(
    people: Reference, tmp_path: Path, processes: int
) -> None:
    monitors = [monitor_in(tmp_path, people, budget=BUDGET) for _ in range(processes)]
    one = Monitor(people, windows=WINDOWS, budget=BUDGET)
    one._buffer.asleep.clear()
    for minute in range(40):
        now = NOW + 60 * minute
        for number, monitor in enumerate(monitors):
            block = drawn(100 * minute + number, 30, moved=0.5 if minute > 15 else 0.0)
            observe(monitor, block, now + number)
            observe(one, block, now + number)
        for monitor in monitors:
            monitor.snapshot(now + 30)
        one.snapshot(now + 30)
    found, expected = monitors[-1].snapshot(now + 31), one.snapshot(now + 31)
    assert expected.drift is not None
    assert expected.drift.score > 1
    # counts are whole numbers: the same rows at the same evaluations give the same floats
    assert found.drift == expected.drift


def test_evidence_goes_on_whoever_ends(people: Reference, tmp_path: Path) -> None:
    one = Monitor(people, windows=WINDOWS, budget=BUDGET)
    one._buffer.asleep.clear()
    for minute in range(30):
        now = NOW + 60 * minute
        monitor = monitor_in(tmp_path, people, budget=BUDGET)  # a process a minute, none lives for an hour
        block = drawn(minute, 60, moved=0.5)
        for each in (monitor, one):
            observe(each, block, now)
            each.snapshot(now + 1)
        gone(monitor)
    found = SharedDirectory(tmp_path, people, WINDOWS, budget=BUDGET).snapshot(now + 2).drift
    expected = one.snapshot(now + 2).drift
    assert found is not None
    assert expected is not None
    assert (found.score, found.evaluations) == (expected.score, expected.evaluations)
    assert found.score > 1


def test_counters_never_go_down_whoever_ends(people: Reference, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    reader = SharedDirectory(tmp_path, people)
    monitors: list[Monitor] = []
    last = (0, 0, 0)
    for step in range(60):
        if len(monitors) < 3:
            monitors.append(monitor_in(tmp_path, people))
        who = monitors[int(rng.integers(len(monitors)))]
        observe(who, drawn(step, int(rng.integers(1, 50))), NOW + step)
        who.observe({"age": "no number of rows that fits"}, now_seconds=NOW + step)
        said = (reader, *monitors)[int(rng.integers(1 + len(monitors)))].snapshot(NOW + step)
        counts = said.rows, said.rows_sampled, sum(said.rows_dropped.values())
        assert all(now >= before for now, before in zip(counts, last, strict=True))
        assert said.rows == said.rows_sampled_out + said.rows_sampled + sum(said.rows_dropped.values())
        last = counts
        if rng.random() < 0.3:
            gone(monitors.pop(int(rng.integers(len(monitors)))))
    assert last[0] > 500


# Edges


def test_nobody_opens_a_file_before_there_is_something_to_say(people: Reference, tmp_path: Path) -> None:
    monitor = monitor_in(tmp_path, people)
    snapshot = monitor.snapshot(NOW)
    monitor.close()
    assert files(tmp_path) == []
    assert snapshot.rows == 0
    assert [window.rows for window in snapshot.windows] == [0, 0]
    assert snapshot.drift is not None
    assert snapshot.drift.score == 0


def test_a_reader_without_windows_shows_those_that_processes_have(people: Reference, tmp_path: Path) -> None:
    reader = SharedDirectory(tmp_path, people, budget=None)
    assert reader.snapshot(NOW).windows == ()
    first, second = (
        monitor_in(tmp_path, people),
        Monitor(people, windows=[rows(50)], shared_directory=tmp_path),
    )
    for monitor in (first, second):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    found = {window.name: window.rows for window in reader.snapshot(NOW).windows}
    assert found == {"500rows": 200, "1h": 200, "50rows": 50}


def test_what_was_counted_with_another_reference_is_set_aside(people: Reference, tmp_path: Path) -> None:
    other = Reference.fit(
        dict(zip(NAMES, drawn(9, 1_000).T, strict=True)), outputs=["risk"], created_timestamp_seconds=0.0
    )
    first = monitor_in(tmp_path, people)
    observe(first, drawn(1, 200), NOW)
    first.snapshot(NOW)
    gone(first)
    second = monitor_in(tmp_path, other)
    assert second.snapshot(NOW).rows == 0
    back = monitor_in(tmp_path, people)
    assert back.snapshot(NOW).windows[0].rows == 200


def test_a_process_without_a_drift_score_passes_on_what_others_have_counted(
    people: Reference, tmp_path: Path
) -> None:
    plain, scored = monitor_in(tmp_path, people, budget=None), monitor_in(tmp_path, people)
    for monitor in (plain, scored):
        observe(monitor, drawn(1, 150), NOW)
        monitor.snapshot(NOW)
    gone(scored)
    assert plain.snapshot(NOW + 1).drift is None
    found = SharedDirectory(tmp_path, people).snapshot(NOW + 2)
    assert found.rows == 300
    assert found.drift is not None
    assert found.drift.pending_rows == 150


def test_processes_with_other_budgets_gather_evidence_of_their_own(people: Reference, tmp_path: Path) -> None:
    loose = monitor_in(tmp_path, people, budget=BUDGET)
    strict = monitor_in(tmp_path, people, budget=BUDGET, min_effect=0.2)
    for minute in range(30):
        now = NOW + 60 * minute
        for number, monitor in enumerate((loose, strict)):
            observe(monitor, drawn(2 * minute + number, 40, moved=0.4), now)
            monitor.snapshot(now)
    assert loose.snapshot(now).drift.score > 1 > strict.snapshot(now).drift.score  # type: ignore[union-attr]


def test_an_acknowledgement_is_one_for_all(people: Reference, tmp_path: Path) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for minute in range(40):
        for monitor in (first, second):
            observe(monitor, drawn(minute, 60, moved=1), NOW + 60 * minute)
            monitor.snapshot(NOW + 60 * minute)
    now = NOW + 60 * 40
    assert second.snapshot(now).drift.score > 1  # type: ignore[union-attr]
    first.acknowledge()
    for monitor in (first, second):
        snapshot = monitor.snapshot(now)
        assert snapshot.drift is not None
        assert (snapshot.drift.score, snapshot.drift.pending_rows) == (0, 0)
        assert snapshot.rows == 40 * 120


@pytest.mark.parametrize("by_reader", [False, True])
def test_a_reset_is_one_for_all(people: Reference, tmp_path: Path, by_reader: bool) -> None:
    first, second, ended = (monitor_in(tmp_path, people) for _ in range(3))
    for monitor in (first, second, ended):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    gone(ended)
    reader = SharedDirectory(tmp_path, people)
    (reader if by_reader else first).reset()
    assert reader.snapshot(NOW).rows == 0
    observe(second, drawn(2, 10), NOW)  # counted, and then it learns of the reset
    assert second.snapshot(NOW).rows == 0
    observe(second, drawn(2, 120), NOW)
    for each in (reader, first, second):
        each.snapshot(NOW)
    said = first.snapshot(NOW)
    assert totals(said) == (120, 120, [120] * 3)
    assert [window.rows for window in said.windows] == [120, 120]


def test_rows_that_come_first_after_a_reset_are_weighed(people: Reference, tmp_path: Path) -> None:
    monitor = monitor_in(tmp_path, people)
    for now in (NOW, NOW + 60, NOW + 120):
        observe(monitor, drawn(1, 200), now)
        monitor.snapshot(now)
    monitor.reset()
    observe(monitor, drawn(2, 120), NOW + 130)
    drift = monitor.snapshot(NOW + 130).drift
    assert drift is not None
    assert (drift.evaluations, drift.pending_rows) == (0, 120)


def test_states_of_all_processes_can_be_merged_with_those_of_other_hosts(
    people: Reference, tmp_path: Path
) -> None:
    hosts = []
    for host in ("one", "two"):
        monitors = [monitor_in(tmp_path / host, people, clock=lambda: NOW) for _ in range(2)]
        for number, monitor in enumerate(monitors):
            observe(monitor, drawn(number, 200), NOW)
            monitor.snapshot(NOW)
        monitors[0].save_state(tmp_path / f"{host}.state")
        hosts.append(monitors)
    for window in WINDOWS:
        states = [
            WindowState.load(tmp_path / f"{host}.state" / f"{window.name}.window") for host in ("one", "two")
        ]
        merged = WindowState.merge(states, now_seconds=NOW)
        assert merged.rows == 800
    assert hosts[0][0].snapshot(NOW).windows[0].rows == 400
    found = SharedDirectory(tmp_path / "one", people, WINDOWS).states(NOW)
    assert found[0].evidence is not None
    assert int(found[0].evidence["bucket_rows"].sum()) == 400
    detector = DriftScore(people).restored(found[0].evidence)
    assert detector.pending_rows == 400


def test_there_is_nothing_to_load_into_a_shared_directory(people: Reference, tmp_path: Path) -> None:
    monitor = monitor_in(tmp_path / "shared", people)
    monitor.save_state(tmp_path / "state")
    with pytest.raises(StateError, match="keeps windows and evidence of all processes by itself"):
        monitor.load_state(tmp_path / "state")


def test_a_directory_that_cannot_be_made_is_said_at_once(people: Reference, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for make in (Monitor, lambda of, shared_directory: SharedDirectory(shared_directory, of)):
        with pytest.raises(ConfigError, match=r"folder that this process can write to.*Not a directory"):
            make(people, shared_directory=tmp_path / "file")  # type: ignore[operator]
        for wrong in (7, ""):
            with pytest.raises(ConfigError, match=f"must be the path of a folder, got {wrong!r}"):
                make(people, shared_directory=wrong)  # type: ignore[operator]


def test_a_detector_that_cannot_weigh_for_others_is_refused(people: Reference, tmp_path: Path) -> None:
    from stand_in_detector import Counting

    with pytest.raises(ConfigError, match=r"Counting lacks absorb\(\); use the drift score, or budget=None"):
        Monitor(people, detector=Counting(3), shared_directory=tmp_path)


def test_what_goes_wrong_with_the_files_is_counted_and_nothing_else(
    people: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for monitor in (first, second):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    before = first.snapshot(NOW)

    def refused(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    for name in ("open", "pwrite", "listdir", "stat"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refused)
            observe(first, drawn(2, 5), NOW)
            said = first.snapshot(NOW)  # its own rows of now, those of others as it knew them
        assert said.rows == before.rows + 5
        before = first.snapshot(NOW)
        assert before.internal_errors["shared"] > said.internal_errors["shared"]
    assert first.snapshot(NOW).rows == 420
    assert second.snapshot(NOW).rows == 420
    assert "38" not in caplog.text  # no values


def test_a_damaged_file_of_another_process_costs_its_rows_and_nothing_else(
    people: Reference, tmp_path: Path
) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for monitor in (first, second):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    knows = first.snapshot(NOW)
    (other,) = [name for name in files(tmp_path) if name != first._engine._sharing._member.name]  # type: ignore[union-attr]
    path = next(tmp_path.rglob(other))
    path.write_bytes(os.urandom(5_000))
    assert first.snapshot(NOW).rows == knows.rows  # who has read it goes by that
    reader = SharedDirectory(tmp_path, people).snapshot(NOW)
    assert (reader.rows, reader.internal_errors["shared"]) == (200, 1)


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_file_that_somebody_removed_is_there_again_with_the_next_row(
    people: Reference, tmp_path: Path, all_of_it: bool
) -> None:
    monitor = monitor_in(tmp_path / "shared", people)
    observe(monitor, drawn(1, 200), NOW)
    monitor.snapshot(NOW)
    if all_of_it:
        shutil.rmtree(tmp_path / "shared")
    else:
        for path in tmp_path.rglob("*.dgw"):
            path.unlink()
    observe(monitor, drawn(2, 10), NOW)
    monitor.snapshot(NOW)
    assert SharedDirectory(tmp_path / "shared", people).snapshot(NOW).rows == 210


def test_rows_of_a_file_that_somebody_removed_are_not_weighed_again(
    people: Reference, tmp_path: Path
) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for now in (NOW, NOW + 60, NOW + 120):
        for monitor in (first, second):
            observe(monitor, drawn(1, 200), now)
            monitor.snapshot(now)
    for path in tmp_path.rglob("*.dgw"):
        if path.name == first._engine._sharing._member.name:  # type: ignore[union-attr]
            path.unlink()
    for now in (NOW + 180, NOW + 240):
        observe(second, drawn(1, 200), now)
        second.snapshot(now)  # weighs, and does not know the first
    observe(first, drawn(2, 10), NOW + 250)
    said = first.snapshot(NOW + 250)
    assert said.rows == 1_610
    assert said.drift is not None
    assert said.drift.pending_rows <= 210


def test_a_damaged_sum_is_set_aside(people: Reference, tmp_path: Path) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for monitor in (first, second):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    gone(first)
    reader = SharedDirectory(tmp_path, people)
    assert reader.snapshot(NOW).rows == 400
    (departed,) = tmp_path.rglob("departed.dgs")
    departed.write_bytes(b"damaged")
    assert reader.snapshot(NOW).rows == 400  # it knew
    assert SharedDirectory(tmp_path, people).snapshot(NOW).rows == 400  # and has written it again
    assert len(list(tmp_path.rglob("*.damaged"))) == 1
    departed.write_bytes(b"")
    assert SharedDirectory(tmp_path, people).snapshot(NOW).rows == 200


def test_killed_between_the_sum_and_the_removal_nothing_counts_twice(
    people: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    for monitor in (first, second):
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    gone(first)

    def killed(*_: object, **__: object) -> None:
        raise OSError(5, "killed here")

    reader = SharedDirectory(tmp_path, people)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        assert reader.snapshot(NOW).rows == 400
    assert len(files(tmp_path)) == 2
    for each in (reader, second, SharedDirectory(tmp_path, people)):
        assert each.snapshot(NOW).rows == 400
    assert len(files(tmp_path)) == 1


def test_a_folder_that_is_read_only_is_read(people: Reference, tmp_path: Path, monkeypatch: Any) -> None:
    worker = monitor_in(tmp_path, people)
    observe(worker, drawn(1, 200), NOW)
    worker.snapshot(NOW)
    reader = SharedDirectory(tmp_path, people)
    done = os.open

    def reading_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "Permission denied")
        return done(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", reading_only)  # root may write anywhere
    snapshot = reader.snapshot(NOW)
    assert (snapshot.rows, snapshot.internal_errors["shared"]) == (200, 0)
    with pytest.raises(StateError, match="could not be changed: Permission denied"):
        reader.reset()


def test_a_monitor_that_nobody_holds_has_gone(people: Reference, tmp_path: Path) -> None:
    worker = monitor_in(tmp_path, people)
    observe(worker, drawn(1, 200), NOW)
    worker.snapshot(NOW)
    del worker
    gc.collect()
    assert SharedDirectory(tmp_path, people).snapshot(NOW).windows[0].rows == 200
    assert files(tmp_path) == []


def test_files_hold_no_values(people: Reference, tmp_path: Path) -> None:
    worker = monitor_in(tmp_path, people)
    observe(worker, np.full((300, 3), 41.123456789), NOW)
    worker.snapshot(NOW)
    for path in tmp_path.rglob("*.dg*"):
        data = path.read_bytes()
        assert np.float64(41.123456789).tobytes() not in data
        assert b"41.12345" not in data
    assert json.dumps(NAMES[0]).encode() not in data


def test_payloads_that_ways_in_count_are_those_of_all_processes(people: Reference, tmp_path: Path) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    counted = {"a": 3, "b": 4}

    def counts(who: str, way: str = "middleware") -> list[PayloadCounts]:
        held = counted[who]
        dropped = {"queue_full": 2}
        return [PayloadCounts(way=way, protocol="mlflow", payloads=held + 2, decoded=held, dropped=dropped)]

    first.count_payloads(lambda: counts("a"))
    first.count_payloads(lambda: counts("a", "proxy"))
    second.count_payloads(lambda: counts("b"))
    first.snapshot(NOW)
    found = second.snapshot(NOW).payloads
    assert {each.way: (each.payloads, each.decoded, each.dropped) for each in found} == {
        "middleware": (11, 7, {"queue_full": 4}),
        "proxy": (5, 3, {"queue_full": 2}),
    }
    del counted["a"]  # then it is what it was
    assert sum(each.payloads for each in first.snapshot(NOW).payloads) == 16
    gone(first)
    assert sum(each.payloads for each in SharedDirectory(tmp_path, people).snapshot(NOW).payloads) == 16


def test_a_monitor_by_itself_says_what_ways_in_count(people: Reference) -> None:
    monitor = Monitor(people)
    counts = PayloadCounts(way="proxy", protocol="seldon", payloads=1, decoded=1)
    monitor.count_payloads(lambda: [counts])
    assert monitor.snapshot(NOW).payloads == (counts,)


@pytest.mark.parametrize("after_reading", [False, True])
def test_who_ends_while_a_reader_looks_counts_once(
    people: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_reading: bool
) -> None:
    monitors = [monitor_in(tmp_path, people) for _ in range(2)]
    for monitor in monitors:
        observe(monitor, drawn(1, 200), NOW)
        monitor.snapshot(NOW)
    looking, other = SharedDirectory(tmp_path, people), SharedDirectory(tmp_path, people)
    read = looking._member.folder._read

    def slowly(name: str) -> Any:
        said = read(name) if after_reading else None
        gone(*monitors)
        other.snapshot(NOW)  # adds them up, and their files are no more
        assert files(tmp_path) == []
        return said or read(name)

    monkeypatch.setattr(looking._member.folder, "_read", slowly)
    present = looking._member.folder.present()
    assert present.departed.counters.rows + sum(each.counters.rows for each in present.living.values()) == 400


def test_nobody_waits_for_one_who_was_stopped_with_the_lock(people: Reference, tmp_path: Path) -> None:
    first, second = monitor_in(tmp_path, people), monitor_in(tmp_path, people)
    observe(first, drawn(1, 200), NOW)
    first.snapshot(NOW)
    gone(first)
    sharing = first._engine._sharing
    assert sharing is not None
    with sharing._member.folder.lock() as held:
        assert held
        observe(second, drawn(2, 100), NOW)
        assert second.snapshot(NOW).rows == 300  # nobody is added up, and all are there
        assert len(files(tmp_path)) == 2
    assert SharedDirectory(tmp_path, people).snapshot(NOW).rows == 300
    assert len(files(tmp_path)) == 1

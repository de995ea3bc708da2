"""When the thread lives, what a fork does, and what outlives the process."""

# ruff: noqa: ARG005 - what a watched function is given is the monitor's to read

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monitor_cases import assert_adds_up, drops, errors, monitor_of, window_counts

from driftgauge.errors import ReferenceFileError, StateError
from driftgauge.monitor import Monitor
from driftgauge.reference import Reference
from driftgauge.windows import duration, rows

ROW = np.array([0.1, -0.2, 0.3])


def threads_of_ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "driftgauge"}


def run(story: str) -> str:
    """Standard output of a process of its own, which must end well and silently."""
    setting = """
        import os, sys, threading, time, gc
        import numpy as np
        from driftgauge.monitor import Monitor
        from driftgauge.reference import Reference
        from driftgauge.windows import rows
        rng = np.random.default_rng(0)
        train = {"x": rng.normal(size=500), "score": rng.uniform(size=500)}
        reference = Reference.fit(train, outputs=["score"])
        def threads():
            return sum(thread.name == "driftgauge" for thread in threading.enumerate())
    """
    code = textwrap.dedent(setting) + textwrap.dedent(story)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


# ---------------------------------------------------------------------- the thread


def test_the_thread_starts_with_the_first_row_and_ends_when_closed(numbers: Reference) -> None:
    before = threads_of_ours()
    monitor = Monitor(numbers)
    predict = monitor.watch(lambda data: 0.5)
    assert threads_of_ours() == before
    with monitor:
        predict(ROW)
        (thread,) = threads_of_ours() - before
        assert thread.daemon
    assert not thread.is_alive()
    assert predict(ROW) == 0.5  # goes on, and is counted when asked for
    assert_adds_up(monitor.snapshot(), 2)
    assert threads_of_ours() == before


def test_the_thread_empties_the_buffer_by_itself(numbers: Reference) -> None:
    came = threading.Event()
    monitor = Monitor(numbers, tick_seconds=0.001)
    push = monitor._engine._windows[0].push

    class Window:
        def push(self, *args: Any) -> None:
            push(*args)
            came.set()

    monitor._engine._windows = (Window(),)  # type: ignore[assignment]
    monitor.watch(lambda data: 0.5)(ROW)
    assert came.wait(30)
    monitor.close()


def test_a_thread_that_sleeps_is_woken_by_the_next_row(
    numbers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftgauge._worker.QUIET_SECONDS", 0.0)
    monitor = Monitor(numbers, tick_seconds=0.001)
    predict = monitor.watch(lambda data: 0.5)
    with monitor:
        for _ in range(300):
            predict(ROW)
            while monitor._buffer.ready:  # only the thread takes rows out here
                threading.Event().wait(0.0005)
    assert_adds_up(monitor.snapshot(), 300)


def test_the_thread_survives_what_goes_wrong_in_it(numbers: Reference) -> None:
    monitor = Monitor(numbers, tick_seconds=0.001)
    predict = monitor.watch(lambda data: 0.5)
    flush = monitor._engine.flush
    failed = threading.Event()

    def fail(*_: Any) -> int:
        failed.set()
        raise RuntimeError

    with monitor:
        monitor._engine.flush = fail  # type: ignore[method-assign]
        predict(ROW)
        assert failed.wait(30)
        monitor._engine.flush = flush  # type: ignore[method-assign]
        assert monitor._worker.alive
    snapshot = monitor.snapshot()
    assert_adds_up(snapshot, 1)
    assert set(errors(snapshot)) == {"thread"}


def test_a_process_without_room_for_a_thread_still_predicts(
    numbers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monitor = Monitor(numbers, buffer_rows=3)
    predict = monitor.watch(lambda data: 0.5)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(5):
        assert predict(ROW) == 0.5
    monkeypatch.undo()
    monitor.close()  # there is no thread to wait for
    snapshot = monitor.snapshot()
    assert drops(snapshot) == {"buffer_full": 2}
    assert errors(snapshot) == {"thread": 1}


def test_a_monitor_may_be_closed_while_its_thread_is_being_started(
    numbers: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = Monitor(numbers)
    predict = monitor.watch(lambda data: 0.5)
    start = threading.Thread.start

    def close_first(thread: threading.Thread) -> None:
        monitor.close()  # as another thread would at this moment
        start(thread)
        thread.join(30)
        assert not thread.is_alive()

    monkeypatch.setattr(threading.Thread, "start", close_first)
    predict(ROW)
    monkeypatch.undo()
    snapshot = monitor.snapshot()
    assert_adds_up(snapshot, 1)
    assert errors(snapshot) == {}


def test_a_monitor_that_nobody_holds_is_gone_and_its_thread_too(numbers: Reference) -> None:
    before = threads_of_ours()
    monitor = Monitor(numbers)
    predict = monitor.watch(lambda data: 0.5)
    predict(ROW)
    (thread,) = threads_of_ours() - before
    gone = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert gone() is not None  # the watched function holds it
    del predict
    gc.collect()
    thread.join(30)
    assert gone() is None
    assert not thread.is_alive()


def test_scrapes_while_rows_flow_always_add_up(numbers: Reference) -> None:
    monitor = Monitor(numbers, tick_seconds=0.001, buffer_rows=32)
    predict = monitor.watch(lambda data: 0.5)
    stop = threading.Event()
    offered = [0]

    def serve() -> None:
        while not stop.is_set():
            predict(ROW)
            offered[0] += 1

    thread = threading.Thread(target=serve)
    with monitor:
        thread.start()
        for _ in range(30):
            snapshot = monitor.snapshot()
            placed = snapshot.rows_sampled_out + snapshot.rows_sampled + sum(snapshot.rows_dropped.values())
            assert snapshot.rows == placed
            assert all(sum(feature.bin_rows) == snapshot.rows_sampled for feature in snapshot.features)
        stop.set()
        thread.join()
    assert_adds_up(monitor.snapshot(), offered[0])


def test_a_process_ends_well_while_the_thread_is_busy() -> None:
    story = """
        monitor = Monitor(reference, tick_seconds=0.001)
        predict = monitor.watch(lambda data: 0.5)
        for _ in range(5_000):
            predict(np.zeros(1))
        print("end")
    """
    assert run(story) == "end\n"


def test_a_process_ends_well_while_kernels_are_compiled() -> None:
    story = """
        import driftgauge._engine
        driftgauge._engine.COMPILE_AFTER_ROWS = 1
        monitor = Monitor(reference, tick_seconds=0.001)
        predict = monitor.watch(lambda data: 0.5)
        from driftgauge import kernels
        while kernels.status() != "compiling":
            predict(np.zeros(1))
            time.sleep(0.001)
        print("end")
    """
    assert run(story) == "end\n"


# ---------------------------------------------------------------------- fork


FORK = """
    monitor = Monitor(reference, tick_seconds=0.001, windows=[rows(100)])
    predict = monitor.watch(lambda data: 0.5)
    def child():
        print("threads", threads(), "rows", monitor.snapshot().rows)
        for _ in range(7):
            predict(np.zeros(1))
        print("threads", threads())
        snapshot = monitor.snapshot()
        print("rows", snapshot.rows, snapshot.rows_sampled, snapshot.windows[0].rows)
        monitor.close()
        sys.stdout.flush()
"""

CHILD = "threads 0 rows 0\nthreads 1\nrows 7 7 7\n"


def test_a_child_starts_with_nothing_and_a_thread_of_its_own() -> None:
    story = (
        FORK
        + """
    for _ in range(50):
        predict(np.zeros(1))
    monitor.flush()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        child()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    predict(np.zeros(1))
    print("parent", monitor.snapshot().rows, threads())
    """
    )
    assert run(story) == CHILD + "parent 51 1\n"


def test_a_child_of_a_busy_process_works_whatever_was_locked() -> None:
    story = (
        FORK
        + """
    stop = []
    def serve():
        while not stop:
            predict(np.zeros(1))
            monitor.observe(np.zeros((50, 1)), np.zeros(50))
    servers = [threading.Thread(target=serve) for _ in range(2)]
    for server in servers:
        server.start()
    for _ in range(20):
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            child()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    # and with the state locked by another thread for certain
    with monitor._engine._lock:
        forker = threading.Thread(target=lambda: pids.append(os.fork() or (child(), os._exit(0))))
        pids = []
        sys.stdout.flush()
        forker.start()
        forker.join()
        assert os.waitpid(pids[0], 0)[1] == 0
    stop.append(True)
    for server in servers:
        server.join()
    """
    )
    assert run(story) == CHILD * 21


def test_a_fork_inside_predict_is_counted_on_both_sides() -> None:
    story = """
    monitor = Monitor(reference)
    pids = []
    @monitor.watch
    def predict(data):
        pids.append(os.fork())
        return 0.5
    predict(np.zeros(1))
    rows_ = monitor.snapshot().rows
    if not pids[0]:
        os._exit(rows_)
    print(rows_, os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
    """
    assert run(story) == "1 1\n"


def test_workers_of_multiprocessing_count_for_themselves() -> None:
    story = """
    import multiprocessing
    monitor = Monitor(reference, tick_seconds=0.001)
    @monitor.watch
    def predict(data):
        return 0.5
    def work(count):
        before = monitor.snapshot().rows
        for _ in range(count):
            predict(np.zeros(1))
        return monitor.snapshot().rows - before
    for _ in range(10):
        predict(np.zeros(1))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print(pool.map(work, [5, 6, 7]))
    print(monitor.snapshot().rows)
    """
    assert run(story) == "[5, 6, 7]\n10\n"


def test_nothing_starts_at_import_or_construction() -> None:
    story = """
    Monitor(reference)
    assert threading.active_count() == 1
    assert "numba" not in sys.modules
    print("quiet")
    """
    assert run(story) == "quiet\n"


# ---------------------------------------------------------------------- state


def test_a_saved_state_goes_on_where_it_was(numbers: Reference, tmp_path: Path) -> None:
    specs = [rows(20), duration("1h")]
    matrix = np.random.default_rng(3).normal(size=(50, 3))

    def feed(monitor: Monitor, part: Any) -> None:
        monitor.observe(part, np.full(len(part), 0.5), now_seconds=1_000.0)

    whole, first, second = (monitor_of(numbers, windows=specs, clock=lambda: 1_000.0) for _ in range(3))
    feed(whole, matrix)
    feed(first, matrix[:30])
    first.save_state(tmp_path / "state")
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["1h.window", "20rows.window"]
    feed(second, matrix[:5])
    second.load_state(tmp_path / "state")
    feed(second, matrix[30:])
    assert second.snapshot().windows == whole.snapshot().windows
    assert_adds_up(second.snapshot(), 25)  # counters belong to the process


def test_a_state_that_does_not_belong_changes_nothing(
    numbers: Reference, mixed: Reference, tmp_path: Path
) -> None:
    monitor, other = monitor_of(numbers), monitor_of(mixed)
    monitor.watch(lambda data: 0.5)(ROW)
    other.save_state(tmp_path)
    before = window_counts(monitor).copy()
    with pytest.raises(StateError):
        monitor.load_state(tmp_path)
    (tmp_path / "10000rows.window").write_bytes(b"damaged")
    with pytest.raises(ReferenceFileError):
        monitor.load_state(tmp_path)
    np.testing.assert_array_equal(window_counts(monitor), before)


def test_reset_forgets_everything(numbers: Reference) -> None:
    monitor = monitor_of(numbers, min_rows=1)
    predict = monitor.watch(lambda data: 0.5)
    for data in (ROW, np.zeros(5), np.zeros((40, 3)), {"age": 1.0}):
        predict(data)
    monitor.reset()
    snapshot = monitor.snapshot()
    assert_adds_up(snapshot, 0)
    assert (snapshot.windows[0].rows, drops(snapshot), errors(snapshot)) == (0, {}, {})
    assert not any(sum(feature.bin_rows) for feature in snapshot.features)
    assert monitor._buffer.grant(10**6)[0] == 16 * 1_024
    predict(ROW)
    assert_adds_up(monitor.snapshot(), 1)


def test_a_fork_gives_all_room_back(numbers: Reference) -> None:
    monitor = monitor_of(numbers)
    monitor.watch(lambda data: np.full(40, 0.5))(np.zeros((40, 3)))
    monitor.after_fork_in_child()
    assert monitor._buffer.grant(10**6)[0] == 16 * 1_024
    assert_adds_up(monitor.snapshot(), 0)


def test_a_snapshot_says_what_is_empty_too(numbers: Reference) -> None:
    snapshot = monitor_of(numbers).snapshot(now_seconds=5.0)
    assert snapshot.timestamp_seconds == 5.0
    assert snapshot.windows[0].features == ()
    assert set(snapshot.rows_dropped.values()) == set(snapshot.internal_errors.values()) == {0}
    assert {"buffer_full", "predict_error", "shape_mismatch", "unsupported_type"} < set(snapshot.rows_dropped)

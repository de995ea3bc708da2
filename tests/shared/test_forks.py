"""Processes that come of a fork: each has a file of its own, and the parent's stays the parent's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from services import until
from shared_cases import drawn, monitor_in, observe

from driftgauge._payload_intake import Intake
from driftgauge.monitor import Monitor
from driftgauge.protocols import Message, decoder
from driftgauge.reference import Reference
from driftgauge.shared import SharedDirectory

HERE = Path(__file__).parent


def run(story: str, folder: Path) -> str:
    """Standard output of a process of its own, which must end well and silently."""
    setting = """
        import os, sys, threading, time
        import numpy as np
        import shared_cases
        from driftgauge.monitor import Monitor
        from shared_cases import drawn
        reference = shared_cases.reference()
        monitor = Monitor(reference, windows=shared_cases.WINDOWS, shared_directory=sys.argv[1])
        @monitor.watch
        def predict(inputs):
            return inputs[:, 0] / 100
    """
    paths = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(setting) + textwrap.dedent(story), str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def test_children_of_a_fork_count_together_with_their_parent(people: Reference, tmp_path: Path) -> None:
    story = """
    predict(drawn(0, 100)[:, :2])
    monitor.flush()
    for number in range(3):
        pid = os.fork()
        if not pid:
            for _ in range(10):
                predict(drawn(number, 10)[:, :2])
            monitor.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    predict(drawn(0, 50)[:, :2])
    print(monitor.snapshot().rows, monitor.snapshot().windows[0].rows)
    """
    assert run(story, tmp_path) == "450 450\n"
    # the parent has ended without close(); the end of the interpreter has told its last rows
    assert SharedDirectory(tmp_path, people).snapshot().rows == 450


def test_workers_of_a_pool_count_together(people: Reference, tmp_path: Path) -> None:
    story = """
    import multiprocessing
    def work(number):
        predict(drawn(number, 20)[:, :2])
        monitor.close()
        return number
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(work, range(12), chunksize=1)
        print(monitor.snapshot().rows)
    """
    assert run(story, tmp_path) == "240\n"
    assert SharedDirectory(tmp_path, people).snapshot().rows == 240


def test_a_child_of_a_busy_process_shares_whatever_was_locked(tmp_path: Path) -> None:
    story = """
    stop = []
    def serve():
        while not stop:
            predict(drawn(1, 5)[:, :2])
            monitor.snapshot()
    servers = [threading.Thread(target=serve) for _ in range(2)]
    for server in servers:
        server.start()
    for _ in range(10):
        pid = os.fork()
        if not pid:
            predict(drawn(1, 7)[:, :2])
            assert monitor.snapshot().rows >= 7
            monitor.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    stop.append(True)
    for server in servers:
        server.join()
    own = monitor._engine._rows_sampled
    print(monitor.snapshot().rows - own, sum(monitor.snapshot().internal_errors.values()))
    """
    assert run(story, tmp_path) == "70 0\n"


def test_a_parent_that_is_killed_has_ended_though_its_child_lives(people: Reference, tmp_path: Path) -> None:
    path = tmp_path / "child"
    parent = os.fork()
    if not parent:
        monitor = monitor_in(tmp_path / "shared", people)
        observe(monitor, drawn(1, 100))
        monitor.snapshot()
        child = os.fork()  # inherits the file of its parent, and lets go of it
        if child:
            signal.pause()
        path.write_text(str(os.getpid()))
        signal.pause()
    try:
        until(path.exists, "the child")
        reader = SharedDirectory(tmp_path / "shared", people)
        folder = reader._member.folder
        assert reader.snapshot().rows == 100
        assert folder.departed()[0].names == ()
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        until(lambda: reader.snapshot() and folder.departed()[0].names, "the parent to be added up")
        assert reader.snapshot().rows == 100
    finally:
        if path.exists():
            os.kill(int(path.read_text()), signal.SIGKILL)


def test_what_a_thread_was_given_is_told_without_being_asked(people: Reference, tmp_path: Path) -> None:
    monitor = Monitor(people, shared_directory=tmp_path, tick_seconds=0.001)
    reader = SharedDirectory(tmp_path, people)
    observe(monitor, drawn(1, 300))  # in this thread; the background thread tells
    until(lambda: reader.snapshot().rows == 300, "the rows to be told")
    monitor.close()


def test_payloads_that_no_row_comes_of_are_told_without_being_asked(
    people: Reference, tmp_path: Path
) -> None:
    monitor = Monitor(people, shared_directory=tmp_path, tick_seconds=0.001)
    intake = Intake(monitor, decoder("kserve_v1"), "middleware", tick_seconds=0.001)
    monitor.count_payloads(lambda: [intake.counts()])
    reader = SharedDirectory(tmp_path, people)
    assert intake.offer(Message(b"no JSON"), None)
    until(lambda: reader.snapshot().payloads, "the payload to be told")
    assert reader.snapshot().payloads[0].undecodable == {"not_json": 1}
    intake.close()
    monitor.close()


def test_what_waits_at_the_end_of_a_process_is_told(people: Reference, tmp_path: Path) -> None:
    """The intake counts for the monitor, so it has to end first, however many there are of both."""
    story = """
    from driftgauge._payload_intake import Intake
    from driftgauge.protocols import Message, decoder
    kept = []
    for number in range(10):
        monitor = Monitor(reference, windows=shared_cases.WINDOWS, shared_directory=f"{sys.argv[1]}/{number}")
        intake = Intake(monitor, decoder("json"), "middleware", tick_seconds=1.9)
        monitor.count_payloads(lambda intake=intake: [intake.counts()])
        kept += [monitor, intake]
    def offer(exchanges):
        for intake in kept[1::2]:
            for _ in range(exchanges):
                intake.offer(Message(b'{"age": 40, "income": 10}'), Message(b"0.5"))
    offer(1)
    while any(not intake.counts().decoded or not intake._worker._bell.empty() for intake in kept[1::2]):
        time.sleep(0.01)
    offer(4)  # they wait for the thread, which looks again in two seconds
    """
    assert run(story, tmp_path) == ""
    for number in range(10):
        snapshot = SharedDirectory(tmp_path / str(number), people).snapshot()
        assert (snapshot.rows, snapshot.payloads[0].decoded) == (5, 5)


@pytest.mark.parametrize("times", [1, 3])
def test_a_directory_outlives_all_its_processes(people: Reference, tmp_path: Path, times: int) -> None:
    for number in range(1, times + 1):
        said = run("predict(drawn(1, 100)[:, :2]); print(monitor.snapshot().windows[0].rows)", tmp_path)
        assert said == f"{100 * number}\n"
    snapshot = SharedDirectory(tmp_path, people).snapshot()
    assert (snapshot.rows, snapshot.windows[0].rows) == (100 * times, 100 * times)

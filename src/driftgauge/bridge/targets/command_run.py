"""Watches one command: a program of its own, run by the path of this file and without any package.

Reads what to do as JSON from standard input, takes the folder, writes ``started`` before it starts the
command and ``ended`` after it, and answers with one line: ``started``, ``already``, or what is wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__: list[str] = []


def main(folder: Path, task: dict[str, Any]) -> str:
    """Runs the command to its end. Returns the answer where it was not run."""
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "already"  # another watcher has the folder
        if (folder / "started").exists():
            return "already"
        wrong = _unusable(task)
        if wrong:
            return wrong
        # Written before the command starts: killed in between, a run has failed and has not run twice.
        _write(folder / "started", {"at": time.time()})
        _say("started")
        code = _run(folder, task)
        _write(folder / "ended", {"code": code, "at": time.time()})
    return ""


def _unusable(task: dict[str, Any]) -> str:
    program = Path(task["command"][0])
    if not program.is_file():
        return "there is no such file"
    if not os.access(program, os.X_OK):
        return "it may not be executed by this user"
    if not Path(task["working_directory"]).is_dir():
        return f"there is no directory {task['working_directory']}"
    return ""


def _run(folder: Path, task: dict[str, Any]) -> int:
    ends_with_us = _end_with_parent()

    def limited() -> None:
        ends_with_us()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if task["cpu"]:
            seconds = max(1, int(task["cpu"]))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        if task["memory"]:
            resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))

    try:
        process = subprocess.Popen(
            task["command"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=task["working_directory"],
            env=task["environment"],
            start_new_session=True,  # a group of its own, so that its children end with it
            preexec_fn=limited,
        )
    except (OSError, subprocess.SubprocessError) as error:
        (folder / "output").write_text(f"cannot be started: {error}\n", encoding="utf-8")
        return 127
    keeper = threading.Thread(target=_keep, args=(process.stdout, folder / "output", task["output_bytes"]))
    feeder = threading.Thread(target=_feed, args=(process.stdin, task["input"].encode("utf-8", "replace")))
    for each in (keeper, feeder):
        each.daemon = True
        each.start()
    try:
        code = process.wait(timeout=task["timeout"])
    except subprocess.TimeoutExpired:
        code = 124
    # What it left behind ends with it, or it would hold the output open and run without a limit.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    keeper.join(timeout=10)
    return code


def _end_with_parent() -> Callable[[], object]:
    """What a child calls so that it is killed when its watcher is, whose limits would be gone. Linux only."""
    if sys.platform != "linux":
        return lambda: None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(1, signal.SIGKILL, 0, 0, 0)  # 1 is PR_SET_PDEATHSIG


def _feed(pipe: Any, data: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        pipe.write(data)
        pipe.close()


def _keep(pipe: Any, path: Path, most: int) -> None:
    """Writes the first bytes of what it prints, and reads the rest away."""
    left = most
    with path.open("wb") as file:
        while chunk := pipe.read1(1 << 16):
            if left:
                with contextlib.suppress(OSError):  # a full disk is no reason to stop a training
                    file.write(chunk[:left])
                    file.flush()
                left -= min(left, len(chunk))


def _write(path: Path, value: Any) -> None:
    """Writes a small file whole or not at all, on the disk when this returns."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # the bridge may be gone
        os.write(1, line.encode("utf-8", "replace") + b"\n")
        os.close(1)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    given = json.load(sys.stdin)
    os.umask(0o077)
    answer = main(Path(sys.argv[1]), given)
    if answer:
        _say(answer)

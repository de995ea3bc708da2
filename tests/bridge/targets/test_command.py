"""Commands run as the settings say, once, within their limits, and whatever becomes of the bridge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from services import until
from targets.recorded import RUN, made

from driftgauge.bridge.targets import Permanent, Retryable, RunState, Started, Target
from driftgauge.errors import ConfigError

NOBODY: Any = None  # a command is not called by HTTP


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def command(folder: Path, program: str | list[str], **settings: Any) -> Target:
    argv = python(program) if isinstance(program, str) else program
    return made("command", {"command": argv, "directory": str(folder / "runs"), **settings})


def start(target: Target, payload: Any = None, **run: Any) -> Started:
    session: ClientSession = NOBODY
    return asyncio.run(target.start(session, replace(RUN, **run), payload or {}))


def state(target: Target, run_id: str = RUN.run_id) -> RunState | None:
    return asyncio.run(target.state(NOBODY, run_id))


def ended(target: Target, run_id: str = RUN.run_id) -> RunState | None:
    """Its state when it runs no more."""
    until(lambda: state(target, run_id) != "running", "the command to end")
    return state(target, run_id)


def output(folder: Path, run_id: str = RUN.run_id) -> str:
    return (folder / "runs" / run_id / "output").read_text()


def test_a_command_gets_its_payload_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SECRET", "not for commands")
    monkeypatch.setenv("BUCKET", "models")
    target = command(
        tmp_path,
        "import json, os, sys; print(json.dumps([json.load(sys.stdin), dict(os.environ), os.getcwd()]))",
        environment=["PATH", "BUCKET", "ABSENT"],
    )
    payload = {"model": "größer; $(touch x) `touch y`\n--evil", "score": float("nan")}
    assert start(target, payload, model="a\0b") == Started(RUN.run_id)
    assert ended(target) == "succeeded"
    given, environ, place = json.loads(output(tmp_path))
    assert given == {**payload, "score": None}
    environ.pop("LC_CTYPE", None)  # which Python itself sets
    assert environ == {
        "PATH": os.environ["PATH"],
        "BUCKET": "models",
        "DRIFTGAUGE_RUN_ID": RUN.run_id,
        "DRIFTGAUGE_MODEL": "ab",
    }
    assert Path(place) == tmp_path / "runs" / RUN.run_id
    assert {each.name for each in Path(place).iterdir()} == {"lock", "started", "ended", "output"}


def test_a_command_that_fails_has_failed(tmp_path: Path) -> None:
    target = command(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    start(target)
    assert ended(target) == "failed"
    assert sorted(output(tmp_path).split()) == ["err", "out"]


def test_the_same_run_is_started_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    target = command(tmp_path, f"open({str(count)!r}, 'a').write('x')")
    assert not start(target).already
    assert start(target).already, "while it runs"
    assert ended(target) == "succeeded"
    assert start(target).already, "after it"
    assert start(command(tmp_path, "raise SystemExit(1)")).already, "of another process"
    assert count.read_text() == "x"
    assert not start(target, run_id="driftgauge-other-000000000000").already
    assert ended(target, "driftgauge-other-000000000000") == "succeeded"
    assert count.read_text() == "xx"


def test_of_many_starts_at_once_one_runs(tmp_path: Path) -> None:
    count = tmp_path / "count"
    target = command(tmp_path, f"open({str(count)!r}, 'a').write('x')")

    async def many() -> list[Started]:
        return await asyncio.gather(*(target.start(NOBODY, RUN, {}) for _ in range(8)))

    assert [each.already for each in asyncio.run(many())].count(False) == 1
    assert ended(target) == "succeeded"
    assert count.read_text() == "x"


BRIDGE = """
import asyncio, json, os, signal, sys
from driftgauge.bridge.targets import RunRequest, target_class
kind = target_class("command")
target = kind(kind.settings(**json.loads(sys.argv[1])))
run = RunRequest(run_id=sys.argv[2], key="", route="r", target="t", model="m")
async def main():
    print(await target.start(None, run, {}), flush=True)
    os.killpg(0, signal.SIGKILL)
asyncio.run(main())
"""


def test_a_command_outlives_a_bridge_that_is_killed(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    settings = {
        "command": python(f"open({str(gate)!r}).read(); print('done')"),
        "directory": str(tmp_path / "runs"),
    }
    bridge = subprocess.run(
        [sys.executable, "-c", BRIDGE, json.dumps(settings), RUN.run_id],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert bridge.returncode == -signal.SIGKILL, bridge.stderr
    target = made("command", settings)
    assert state(target) == "running"
    assert start(target).already
    gate.write_text("go")
    assert ended(target) == "succeeded"
    assert output(tmp_path) == "done\n"


def test_a_run_whose_watcher_is_killed_has_failed_and_is_not_run_again(tmp_path: Path) -> None:
    told = tmp_path / "told"
    part = tmp_path / "told.part"
    program = f"import os; open({str(part)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')"
    program += f"; os.rename({str(part)!r}, {str(told)!r}); os.read(os.pipe()[0], 1)"
    target = command(tmp_path, program)
    start(target)
    until(told.exists, "the command to run")
    child, watcher = map(int, told.read_text().split())
    os.kill(watcher, signal.SIGKILL)
    assert ended(target) == "failed"
    assert start(target).already
    until(lambda: gone(child), "the command to end with its watcher")


def gone(process: int) -> bool:
    """Whether it has ended, be it a zombie that nobody has asked yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import subprocess, sys, pathlib, os; child = subprocess.Popen(['/bin/sleep', '1000'])"
        f"; pathlib.Path({str(told)!r}).write_text(str(child.pid)); os.wait()"
    )
    target = command(tmp_path, program, timeout=2)
    start(target)
    assert ended(target) == "failed"
    assert json.loads((tmp_path / "runs" / RUN.run_id / "ended").read_text())["code"] == 124

    until(lambda: gone(int(told.read_text())), "its child to be killed")


def test_a_command_may_print_more_than_is_kept(tmp_path: Path) -> None:
    target = command(tmp_path, "import sys; sys.stdout.write('x' * 5_000_000)", output_bytes="64 KiB")
    start(target)
    assert ended(target) == "succeeded"
    assert output(tmp_path) == "x" * (64 << 10)


def test_what_was_printed_long_ago_goes_and_the_run_stays(tmp_path: Path) -> None:
    target = command(tmp_path, "open('model', 'w').write('trained'); print('done')", output_kept="1h")
    start(target)
    assert ended(target) == "succeeded"
    young, third = "driftgauge-young-000000000000", "driftgauge-third-000000000000"
    start(target, run_id=young)
    assert ended(target, young) == "succeeded"
    folder = tmp_path / "runs" / RUN.run_id
    long_ago = time.time() - 3_601
    os.utime(folder / "ended", (long_ago, long_ago))
    start(target, run_id=third)
    assert ended(target, third) == "succeeded"
    assert {each.name for each in folder.iterdir()} == {"lock", "started", "ended", "model"}
    assert output(tmp_path, young) == "done\n"
    assert start(target).already
    assert state(target) == "succeeded"


def test_a_command_that_does_not_read_gets_no_further(tmp_path: Path) -> None:
    target = command(tmp_path, "print('done')")
    start(target, {"much": "x" * 3_000_000})
    assert ended(target) == "succeeded"


@pytest.mark.parametrize(
    ("program", "limits"),
    [("x = bytearray(1 << 30)", {"memory": "256 MiB"}), ("while True: pass", {"cpu": 1})],
    ids=["memory", "cpu"],
)
def test_a_command_has_the_limits_of_its_settings(tmp_path: Path, program: str, limits: Any) -> None:
    target = command(tmp_path, program, **limits)
    start(target)
    assert ended(target) == "failed"


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    target = command(tmp_path, ["/bin/echo", "$HOME", "; touch x", "*", "{{ model }}"])
    start(target, {"model": "fraud"})
    assert ended(target) == "succeeded"
    assert output(tmp_path) == "$HOME ; touch x * {{ model }}\n"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"command": ["/no/such/program"]}, "no such file"),
        ({"command": ["/etc/passwd"]}, "may not be executed"),
        ({"command": ["/bin/true"], "working_directory": "/no/such/directory"}, "no directory"),
    ],
)
def test_what_cannot_run_is_permanent_and_can_be_replayed(tmp_path: Path, settings: Any, told: str) -> None:
    target = made("command", {"directory": str(tmp_path / "runs"), **settings})
    with pytest.raises(Permanent, match=told):
        start(target)
    assert state(target) == "unknown"
    mended = command(tmp_path, "print('mended')")
    assert not start(mended).already
    assert ended(mended) == "succeeded"


def test_a_file_that_is_no_program_has_failed(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("no interpreter")
    file.chmod(0o755)
    target = command(tmp_path, [str(file)])
    start(target)
    assert ended(target) == "failed"
    assert "cannot be started" in output(tmp_path)


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(Retryable, match="cannot run in"):
        start(command(tmp_path, ["/bin/true"]))


@pytest.mark.parametrize("run_id", ["../x", "a/b", "", ".", "a b", "ä"])
def test_an_id_names_no_other_folder(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(Permanent, match="no run id"):
        state(command(tmp_path, ["/bin/true"]), run_id)


def test_a_run_that_was_never_started_is_unknown(tmp_path: Path) -> None:
    target = command(tmp_path, ["/bin/true"])
    assert state(target) == "unknown"
    assert asyncio.run(target.find(NOBODY, RUN)) is False
    start(target)
    assert asyncio.run(target.find(NOBODY, RUN)) == Started(RUN.run_id, already=True)


@pytest.mark.parametrize("program", [["python", "x.py"], ["./train"], ["/bin/echo", "a\0b"]])
def test_a_program_is_named_by_its_whole_path(tmp_path: Path, program: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"whole path|zero byte"):
        command(tmp_path, program)

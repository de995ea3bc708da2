"""A command on this host: a list of arguments, no shell, with limits, and never twice.

Nothing of an alert gets into the arguments. The payload comes as JSON on standard input, and
``DRIFTGAUGE_RUN_ID`` and ``DRIFTGAUGE_MODEL`` as variables. Each run has a folder ``directory/<run id>``
with its ``output``, and a process of its own that watches it (`driftgauge.bridge.targets.command_run`):
that goes on while the bridge restarts, and a second one for the same run id finds the folder taken and does
nothing. A folder stays, since that is what makes it so, and may hold what the command wrote into it; of what
was printed, up to 10 MiB a run, the oldest goes.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, Field

from driftgauge.bridge.targets import Permanent, Retryable, RunRequest, RunState, Started
from driftgauge.bridge.targets.payloads import RUN_ID, as_json
from driftgauge.errors import ConfigError
from driftgauge.sidecar.settings_types import Bytes, Seconds, Section

if TYPE_CHECKING:
    from aiohttp import ClientSession

__all__ = ["Command", "CommandSettings"]

START_SECONDS: Final = 30.0  # a Python process starts in 0.05 s; a host that swaps takes longer
WATCHER: Final = Path(__file__).with_name("command_run.py")

_watchers: list[subprocess.Popen[bytes]] = []  # of this process, and not of a target that a reload makes anew


class CommandSettings(Section):
    """``[[targets]]`` with ``kind = "command"``."""

    command: tuple[str, ...] = Field(min_length=1, description="program, with its path, and its arguments")
    directory: str = Field(min_length=1, description="where each run has a folder; it is made")
    working_directory: str = Field(default="", description="where it runs; empty for the run's own folder")
    environment: tuple[str, ...] = Field(
        default=("PATH", "HOME", "LANG"), description="variables of the bridge that it may see"
    )
    timeout: Seconds = Field(default=6 * 3600.0, gt=0, description="time it may take; then it is killed")
    cpu: Seconds = Field(default=0.0, description="processor time it may take; 0 for no limit")
    memory: Bytes | None = Field(default=None, description="address space it may have; none for no limit")
    output_bytes: Bytes = Field(default=10 << 20, description="how much of what it prints is kept")
    output_kept: Seconds = Field(default=90 * 86_400.0, gt=0, description="for how long that is kept")


class Command:
    """Runs a command."""

    name: ClassVar[str] = "command"
    settings: ClassVar[type[BaseModel]] = CommandSettings
    idempotent: ClassVar[bool] = True

    def __init__(self, settings: CommandSettings) -> None:
        if os.name != "posix":
            message = "a target of kind 'command' needs Linux or macOS; use kind 'http' here"
            raise ConfigError(message)
        if not Path(settings.command[0]).is_absolute():
            message = f"command must begin with the whole path of a program, got {settings.command[0]!r}"
            raise ConfigError(message)
        if any("\0" in part for part in settings.command):
            message = "command must have no zero byte in its arguments"
            raise ConfigError(message)
        self._settings = settings

    async def start(self, _: ClientSession, run: RunRequest, payload: Mapping[str, Any]) -> Started:
        """Start the command; see `driftgauge.bridge.targets.Target`."""
        folder = self._folder(run.run_id)
        own = self._settings
        environ = {name: os.environ[name] for name in own.environment if name in os.environ}
        task = {
            "command": own.command,
            "working_directory": own.working_directory or str(folder),
            "environment": environ | {RUN_ID: run.run_id, "DRIFTGAUGE_MODEL": run.model.replace("\0", "")},
            "input": as_json(dict(payload)),
            "timeout": own.timeout,
            "cpu": own.cpu,
            "memory": own.memory,
            "output_bytes": own.output_bytes,
        }
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / "started").exists():
                return Started(run.run_id, already=True)
            line = await asyncio.to_thread(self._watch, folder, as_json(task).encode("utf-8", "replace"))
            await asyncio.to_thread(self._forget_outputs)
        except OSError as error:
            message = f"cannot run in {folder}: {error.strerror}"
            raise Retryable(message) from None
        if line in ("started", "already"):
            return Started(run.run_id, already=line == "already")
        if line:
            message = f"cannot run {own.command[0]}: {line}; look at command and working_directory"
            raise Permanent(message)
        message = f"the watcher of {own.command[0]} did not start it"
        raise Retryable(message)

    def _watch(self, folder: Path, task: bytes) -> str:
        """Start a watcher. Returns its answer, empty where it gives none."""
        # Not by asyncio, which kills its processes when the loop ends.
        process = subprocess.Popen(
            # -I -S: nothing of ours is imported, so a watcher starts in 0.05 s
            [sys.executable, "-I", "-S", str(WATCHER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={},
            cwd=folder,
        )
        # One that has ended is a zombie until it is asked.
        _watchers[:] = [*(each for each in _watchers if each.poll() is None), process]
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdout as answers, suppress(OSError):
            with process.stdin as pipe:
                pipe.write(task)
            waiting = select.poll()
            waiting.register(answers, select.POLLIN)
            if waiting.poll(START_SECONDS * 1000):
                return answers.readline().decode("utf-8", "replace").strip()
        return ""

    def _forget_outputs(self) -> None:
        """Take away what runs printed that ended long ago."""
        before = time.time() - self._settings.output_kept
        for ended in Path(self._settings.directory).absolute().glob("*/ended"):
            with suppress(OSError):  # not worth a run
                if ended.stat().st_mtime < before:
                    ended.with_name("output").unlink()

    async def find(self, _: ClientSession, run: RunRequest) -> Started | Literal[False] | None:
        """The run by its folder."""
        if await self.state(_, run.run_id) == "unknown":
            return False
        return Started(run.run_id, already=True)

    async def state(self, _: ClientSession, external_id: str) -> RunState | None:
        """What has become of it: by what its watcher wrote, and by whether the watcher lives."""
        folder = self._folder(external_id)
        if not (folder / "started").exists():
            return "unknown"
        alive = _held(folder / "lock")  # before `ended` is read: a watcher writes that before it lets go
        try:
            code = json.loads((folder / "ended").read_text(encoding="utf-8"))["code"]
        except FileNotFoundError:
            return "running" if alive else "failed"
        except (OSError, ValueError, KeyError, TypeError):
            return "failed"
        return "succeeded" if code == 0 else "failed"

    def _folder(self, run_id: str) -> Path:
        if not run_id.replace("-", "").replace("_", "").isalnum() or not run_id.isascii():
            message = f"{run_id!r} is no run id"
            raise Permanent(message)
        return Path(self._settings.directory).absolute() / run_id


def _held(lock: Path) -> bool:
    """Whether a process holds the lock; the kernel lets it go when that dies, however it dies."""
    import fcntl

    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False

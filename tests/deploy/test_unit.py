"""The systemd unit: systemd itself reads it, and it fits what the sidecar needs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deployables import DEPLOY, program, run

from driftgauge.kernels._cache import VARIABLE
from driftgauge.sidecar.settings import load_settings

UNIT = DEPLOY / "systemd" / "driftgauge-sidecar.service"


def entries() -> list[tuple[str, str]]:
    lines = [line for line in UNIT.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#", "[")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def verified(text: str, folder: Path) -> str:
    """What systemd has to say about a unit, whose program is one that is there."""
    path = folder / UNIT.name
    path.write_text(text.replace("/opt/driftgauge/bin/driftgauge", sys.executable), encoding="utf-8")
    done = run(program("systemd-analyze", "apt-get install systemd"), "verify", "--man=no", path)
    return done.stdout + done.stderr if done.returncode else "".join(
        line for line in done.stderr.splitlines(keepends=True) if UNIT.name in line
    )  # fmt: skip


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    assert verified(UNIT.read_text(encoding="utf-8"), tmp_path) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [("ProtectSystem=strict", "ProtectSystem=very"), ("Type=exec", "Typ=exec"), ("[Service]", "[Servic]")],
)
def test_systemd_would_see_a_mistake(tmp_path: Path, old: str, new: str) -> None:
    assert verified(UNIT.read_text(encoding="utf-8").replace(old, new), tmp_path) != ""


def test_the_unit_tells_the_sidecar_what_it_understands() -> None:
    found = entries()
    environ = dict(value.split("=", 1) for name, value in found if name == "Environment")
    settings = load_settings(DEPLOY / "driftgauge.toml", environ=environ)
    assert settings.state.directory == "%S/driftgauge"
    assert environ[VARIABLE].startswith("%C/driftgauge")
    have = dict(found)
    assert have["StateDirectory"] == have["CacheDirectory"] == "driftgauge"
    stop = settings.server.not_ready + settings.server.drain
    assert int(have["TimeoutStopSec"]) > stop
    assert have["ExecReload"].endswith("-HUP $MAINPID")


def test_compiled_code_may_run() -> None:
    assert "MemoryDenyWriteExecute" not in dict(entries())

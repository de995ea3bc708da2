from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftgauge.cli._program import run

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., tuple[int, str, str]]
FILES = {
    "alerts": ["driftgauge.rules.yaml", "driftgauge.rules.json", "prometheusrule.yaml", "podmonitor.yaml"],
    "dashboards": sorted(path.name for path in (ROOT / "dashboards").glob("*.json")),
}


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``driftgauge render …`` in an empty folder: exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def driftgauge_render(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run(["render", *arguments])
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    return driftgauge_render


@pytest.mark.parametrize("what", FILES)
def test_the_committed_files_pass_the_check(
    what: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert command(what, "--check") == (0, "", "")


@pytest.mark.parametrize("what", FILES)
def test_files_are_written_once_and_then_left_alone(what: str, command: Command) -> None:
    Path("out").mkdir()
    status, written, _ = command(what, "--output", "out")
    assert status == 0
    assert sorted(written.split()) == sorted(
        word for name in FILES[what] for word in ("wrote", str(Path("out") / name))
    )
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    status, written, _ = command(what, "--output", "out")
    assert (status, written.count("unchanged")) == (0, len(FILES[what]))
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before
    for name in FILES[what]:
        assert (Path("out") / name).read_bytes() == (ROOT / what / name).read_bytes()


def test_settings_come_from_a_file(command: Command) -> None:
    Path("alerts").mkdir()
    Path("render.toml").write_text("[alerts.DriftgaugeNoTraffic]\nfor = '2h'\n")
    assert command("alerts", "--config", "render.toml")[0] == 0
    groups = yaml.safe_load(Path("alerts/driftgauge.rules.yaml").read_text("utf-8"))["groups"]
    (rule,) = (
        rule for group in groups for rule in group["rules"] if rule.get("alert") == "DriftgaugeNoTraffic"
    )
    assert rule["for"] == "2h"


def test_a_difference_is_shown_and_not_mended(command: Command) -> None:
    Path("alerts").mkdir()
    command("alerts")
    path = Path("alerts/podmonitor.yaml")
    changed = path.read_text("utf-8").replace("interval: 30s", "interval: 10s")
    path.write_text(changed)
    status, shown, said = command("alerts", "--check")
    assert status == 1
    assert shown.splitlines()[:2] == ["--- alerts/podmonitor.yaml", "+++ rendered podmonitor.yaml"]
    assert [line for line in shown.splitlines()[3:] if line[0] in "+-"] == [
        "-    interval: 10s",
        "+    interval: 30s",
    ]
    assert said == "The files differ from what is rendered; to write them: driftgauge render alerts\n"
    assert path.read_text("utf-8") == changed


def test_the_way_out_names_the_same_options(command: Command) -> None:
    Path("my settings.toml").write_text("")
    _, _, said = command("alerts", "--check", "--config", "my settings.toml", "--output", "nowhere")
    assert said.endswith("driftgauge render alerts --config 'my settings.toml' --output nowhere\n")


def test_a_file_that_is_not_there_differs(command: Command) -> None:
    status, shown, _ = command("alerts", "--check", "--output", "nowhere")
    assert status == 1
    assert shown.startswith(f"--- {os.devnull}\n+++ rendered driftgauge.rules.yaml\n")
    assert not Path("nowhere").exists()


def test_other_line_ends_differ(command: Command) -> None:
    Path("alerts").mkdir()
    command("alerts")
    path = Path("alerts/podmonitor.yaml")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert command("alerts", "--check")[0] == 1


def test_a_folder_that_is_not_there_is_made(command: Command) -> None:
    assert command("alerts", "--output", "not/there/yet")[0] == 0
    assert Path("not/there/yet/driftgauge.rules.yaml").is_file()


def test_a_folder_that_cannot_be_is_an_error(command: Command) -> None:
    Path("file").touch()
    status, _, said = command("alerts", "--output", "file")
    assert status == 2
    assert said == "Error: cannot write 'file/driftgauge.rules.yaml': Not a directory\n"


def test_wrong_settings_are_an_error_and_write_nothing(command: Command) -> None:
    Path("alerts").mkdir()
    Path("render.toml").write_text("[thresholds]\npsi = 'much'\n")
    status, _, said = command("alerts", "--config", "render.toml")
    assert (status, said) == (2, "Error: thresholds.psi must be a number, got 'much'\n")
    assert not list(Path("alerts").iterdir())


def test_without_pyyaml_the_way_out_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def absent(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return imported(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", absent)
    status, _, said = command("alerts")
    assert (status, said) == (
        2,
        "Error: rendering alerts needs PyYAML; install it with: pip install 'driftgauge[render]'\n",
    )
    assert command("dashboards", "--check")[0] == 1, "dashboards need nothing"


def test_a_write_that_fails_leaves_the_file_as_it_was(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("alerts").mkdir()
    command("alerts")
    before = {path: path.read_bytes() for path in Path("alerts").iterdir()}
    Path("render.toml").write_text("[ranges]\nseen = '3d'\n")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    status, _, said = command("alerts", "--config", "render.toml")
    assert status == 2
    assert said.endswith("No space left on device\n")
    assert {path: path.read_bytes() for path in Path("alerts").iterdir()} == before


def test_rendering_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from driftgauge.render.files import rendered;"
        "from driftgauge.render import RenderSettings;"
        "rendered('alerts', RenderSettings());"
        "print({'numpy', 'numba', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

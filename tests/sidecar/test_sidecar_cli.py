"""``driftgauge sidecar`` as a command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from driftgauge.cli._program import program
from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.sidecar.settings import SidecarSettings, load_settings

GOLDEN = Path(__file__).parent / "golden" / "print_config.toml"


def test_print_config_shows_every_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, golden: Callable[[Path, str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(program, ["sidecar", "--print-config"], env={})
    assert result.exit_code == 0
    assert result.output == SidecarSettings().to_toml()
    golden(GOLDEN, result.output)
    assert load_settings(GOLDEN, environ={}) == SidecarSettings()


def test_a_file_in_the_folder_is_taken_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("driftgauge.toml").write_text('[server]\nlisten = ":1"\nuds = "/s"\n')
    result = CliRunner().invoke(
        program, ["sidecar", "--print-config"], env={"DRIFTGAUGE_SERVER__LISTEN": ":2"}
    )
    assert 'listen = ":2"\nuds = "/s"' in result.output


def test_the_file_may_be_named_by_an_option_or_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('models_folder = "m"\n')
    by_option = CliRunner().invoke(program, ["sidecar", "-c", str(file), "--print-config"])
    by_variable = CliRunner().invoke(
        program, ["sidecar", "--print-config"], env={"DRIFTGAUGE_CONFIG": str(file)}
    )
    assert by_option.output == by_variable.output
    assert by_option.output.startswith('models_folder = "m"\n')


def test_wrong_settings_end_with_status_2_and_a_line_for_each(tmp_path: Path) -> None:
    file = tmp_path / "driftgauge.toml"
    file.write_text('[server]\nlisten = "x"\n[log]\nlevel = "loud"\n')
    command = [sys.executable, "-m", "driftgauge", "sidecar", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: server.listen must be host:port, such as ")
    assert second.startswith("log.level must be 'debug', 'info', 'warning' or 'error', got 'loud' ")


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("driftgauge.sidecar")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic", None)
    result = CliRunner().invoke(program, ["sidecar", "--print-config"])
    assert isinstance(result.exception, MissingExtraError)
    assert str(result.exception).endswith("pip install driftgauge[sidecar]")


def test_nothing_heavy_is_loaded_for_help() -> None:
    code = (
        "import sys; from driftgauge.cli import sidecar; print([name for name in "
        "('aiohttp', 'pydantic', 'structlog', 'jinja2', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_config_errors_are_errors_of_ours() -> None:
    with pytest.raises(ConfigError):
        load_settings(None, environ={"DRIFTGAUGE_NO": "1"})

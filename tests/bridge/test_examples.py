"""The settings that we show are settings, and a target of one's own is found by its entry point."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import aiohttp
import pytest
from fake_trainers import Trainer
from services import unavailable

from driftgauge.bridge.settings import RouteSettings, load_settings
from driftgauge.bridge.targets import Permanent, Target
from driftgauge.bridge.targets.built_in import BUILT_IN
from driftgauge.bridge.templates import EXAMPLE as RUN

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "deploy" / "bridge-every-key.toml").read_text(encoding="utf-8")


def check(folder: Path, text: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`driftgauge bridge check`, as people run it."""
    (folder / "bridge.toml").write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "driftgauge", "bridge", "check"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def example(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The example with the secrets that it asks for."""
    for name in re.findall(r'\{ file = "/run/secrets/([^"]+)" \}', EXAMPLE):
        (tmp_path / name).write_text(f"secret of {name}", encoding="utf-8")
    text = EXAMPLE.replace("/run/secrets", str(tmp_path))
    return text, {name: f"secret-{name}" for name in re.findall(r'\{ env = "([^"]+)" \}', EXAMPLE)}


def test_the_example_is_right_and_its_secrets_are_not_shown(
    tmp_path: Path, example: tuple[str, dict[str, str]]
) -> None:
    text, environ = example
    done = check(tmp_path, text, **environ)
    assert done.returncode == 0, done.stderr
    assert "secret-" not in done.stdout
    assert "secret of" not in done.stdout
    printed = tomllib.loads(done.stdout)
    written = tomllib.loads(text)
    assert [each["name"] for each in printed["targets"]] == [each["name"] for each in written["targets"]]
    assert next(each for each in printed["targets"] if each["kind"] == "command")["command"][0][0] == "/"
    assert printed["routes"][0]["quorum_features"] == 3


def test_the_example_shows_every_kind_of_target(tmp_path: Path, example: tuple[str, dict[str, str]]) -> None:
    (tmp_path / "bridge.toml").write_text(example[0], encoding="utf-8")
    settings = load_settings(tmp_path / "bridge.toml", environ={})
    assert {each.kind for each in settings.targets} | {"airflow2"} == set(BUILT_IN)
    assert {each.target for each in settings.routes} == {each.name for each in settings.targets}


def own_target() -> tuple[str, str]:
    """The module and the entry point that CONTRIBUTING.md shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class Slurm" in each)
    (entry,) = re.findall(r"```toml\n(\[project.entry-points.*?)```", text, re.DOTALL)
    return code, entry


def test_a_target_of_ones_own_is_found_by_its_entry_point(tmp_path: Path) -> None:
    code, entry = own_target()
    name, place = re.findall(r'(\w+) = "([\w:]+)"', entry)[0]
    (tmp_path / f"{place.partition(':')[0]}.py").write_text(code, encoding="utf-8")
    made = tmp_path / "mine-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n", encoding="utf-8")
    (made / "entry_points.txt").write_text(f"[driftgauge.targets]\n{name} = {place}\n", encoding="utf-8")
    settings = f"""
        [[targets]]
        name = "cluster"
        kind = "{name}"
        url = "http://slurm.example.com"
        token = {{ env = "SLURM_TOKEN" }}
        [[routes]]
        name = "retrain"
        match = {{ driftgauge_action = "retrain" }}
        target = "cluster"
    """
    done = check(tmp_path, settings, SLURM_TOKEN="very secret")
    assert done.returncode == 0, done.stderr
    assert f'kind = "{name}"' in done.stdout
    assert "very secret" not in done.stdout
    wrong = check(tmp_path, settings.replace("url", "uri"), SLURM_TOKEN="very secret")
    assert wrong.returncode == 2
    assert "targets[0].url (cluster, slurm)" in wrong.stderr


def test_a_target_of_ones_own_starts_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_target_of_contributing.py").write_text(own_target()[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("own_target_of_contributing")

    async def story(url: str) -> None:
        target = own.Slurm(own.SlurmSettings(url=url, token="t"))
        assert isinstance(target, Target)
        async with aiohttp.ClientSession() as session:
            started = await target.start(session, RUN, RUN.as_dict())
            assert (started.external_id, started.already) == (RUN.run_id, False)
            assert (await target.start(session, RUN, RUN.as_dict())).already
            assert await target.state(session, started.external_id) is None
            assert await target.find(session, RUN) is False
        trainer.script = [401]
        async with aiohttp.ClientSession() as session:
            with pytest.raises(Permanent, match="401"):
                await target.start(session, RUN, RUN.as_dict())

    with Trainer() as trainer:
        asyncio.run(story(trainer.url))
        assert trainer.starts == {RUN.run_id: 1}


def test_the_readme_names_every_kind_of_target_and_every_brake_with_its_default() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## From alert to retraining\n")[2].partition("\n## ")[0]
    kinds, brakes = section.split("| target | `kind` |")[1].split("| brake | default |")
    rows = [line.split("|")[2] for line in kinds.splitlines()[2:] if line.startswith("|")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(BUILT_IN)
    fields = RouteSettings.model_fields
    shown = {
        name: line.split("|")[2].strip()
        for line in brakes.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    told = {"none": (0, ()), "off": (False,), "30s": (30.0,), "1d": (86_400.0,), "2": (2,)}
    for name, default in shown.items():
        assert fields[name].default in told[default], name


def test_alertmanager_takes_the_receiver_of_the_readme(tmp_path: Path) -> None:
    binary = shutil.which("amtool")
    if binary is None:
        unavailable("amtool is not installed: apt-get install prometheus-alertmanager")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (receivers,) = re.findall(r"```yaml\n(receivers:.*?)```", text, re.DOTALL)
    settings = load_settings(None, environ={})
    assert f"http://{settings.server.listen}{settings.webhook.path}" in receivers
    token = tmp_path / "token"
    token.write_text("t", encoding="utf-8")
    receivers = receivers.replace("/etc/alertmanager/bridge-token", str(token))
    (tmp_path / "alertmanager.yml").write_text(f"route: {{receiver: retraining}}\n{receivers}")
    command = [binary, "check-config", str(tmp_path / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

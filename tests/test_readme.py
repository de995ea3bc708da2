"""Every example in the README runs, every command in it works, and its tables are the generated ones."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from services import free_port, until

from driftgauge.cli.metrics import markdown_table

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)

# Statuses other than 0 that a command of the README ends with, and why.
EXPECTED = {"check": 1, "backtest": 1}  # today.csv and history.parquet are made to drift, below


def commands() -> list[str]:
    """Lines of the shell examples, and pip commands in the text."""
    lines = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines() if line]
    return [*lines, *re.findall(r"`(pip install [^`]+)`", TEXT)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files(here: Path) -> Path:
    """The files that the commands name: an undrifted past, a drifted today, both in turn, a reference."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"age": rng.normal(40, 10, 5_000), "score": rng.uniform(size=5_000)})
    frame.to_parquet("train.parquet")
    frame.assign(age=frame["age"] + 20).to_csv("today.csv", index=False)
    drifted = frame.head(2_000).assign(age=frame["age"] + 20)
    pd.concat([frame, drifted]).to_parquet("history.parquet")
    run("driftgauge profile train.parquet -o churn.reference --model churn --outputs score")
    settings = next(block for language, block in BLOCKS if language == "toml")
    Path("driftgauge.toml").write_text(settings.replace(":8081", ":0"), encoding="utf-8")
    bridge = next(block for language, block in BLOCKS if language == "toml" and "[[targets]]" in block)
    Path("bridge.toml").write_text(bridge, encoding="utf-8")
    Path("airflow-password").write_text("not told to anybody", encoding="utf-8")
    return here


def run(line: str) -> tuple[int, str]:
    """Exit status and stdout of a ``driftgauge`` line; the program need not be on the path."""
    words, target = shlex.split(line), None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    done = subprocess.run([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True, timeout=100)
    if target:
        Path(target).write_text(done.stdout, encoding="utf-8")
    return done.returncode, done.stdout


def serve_and_stop(*words: str) -> None:
    """Start what serves as the README says, see that it does, and end it as Kubernetes would."""
    port = free_port()
    environ = {**os.environ, "DRIFTGAUGE_SERVER__LISTEN": f"127.0.0.1:{port}"}
    if "sidecar" in words:
        environ["DRIFTGAUGE_SERVER__NOT_READY"] = "0s"
    with subprocess.Popen([sys.executable, "-m", *words], env=environ) as process:
        try:
            until(lambda: _status(f"http://127.0.0.1:{port}/-/ready") == 200, "it to be ready")
            page = "/" if "sidecar" in words else "/api/v1/runs"
            assert _status(f"http://127.0.0.1:{port}{page}") == 200
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_python_examples_run_and_print_what_the_readme_says(here: Path) -> None:
    names: dict[str, Any] = {}
    printed, shown = "", []
    for language, block in BLOCKS:
        if language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block.replace("port=9109", "port=0"), "README.md", "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert printed == block
            shown.append(block)
    server, thread = names["server"], names["thread"]
    monitor = names["predict"].__driftgauge_monitor__
    try:
        predicted = names["predict"]({"age": [40.0], "plan": ["free"]})
        assert predicted.tolist() == [0.5]
        assert monitor.snapshot().rows == 1
    finally:
        names["exporter"].close()
        server.shutdown()
        server.server_close()
        thread.join()
        monitor.close()
    assert shown
    assert (here / "churn.reference").is_file()


def test_the_first_example_is_as_long_as_it_says() -> None:
    first = next(block for language, block in BLOCKS if language == "python")
    assert f"## In {len([line for line in first.splitlines() if line])} lines" in TEXT


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("driftgauge")])
def test_commands_work(line: str, files: Path) -> None:
    words = line.split()
    if line in ("driftgauge sidecar", "driftgauge bridge serve"):
        serve_and_stop(*words)
        if "sidecar" in words:
            assert any(Path("state").rglob("*.window"))
        return
    if words[1] == "demo":
        line += " --port 0 --speed max --no-hold"
    status, output = run(line)
    assert status == EXPECTED.get(words[1], 0)
    assert "not told to anybody" not in output
    if words[1] == "demo":
        shown = [block for language, block in BLOCKS if language == "console"]
        assert shown
        assert all(block in output for block in shown)
    if ">" in words:
        assert (files / words[-1]).stat().st_size > 0


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make")])
def test_make_targets_exist(line: str) -> None:
    # Not run: `make test` is what runs this.
    subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("pip")])
def test_what_is_installed_is_this_project_and_its_extras_exist(line: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    match = re.fullmatch(r'"?([a-z]+)(?:\[(\w+)\])?"?', line.removeprefix("pip install "))
    assert match
    assert match[1] == project["name"]
    assert match[2] is None or match[2] in project["optional-dependencies"]


def test_no_command_is_left_out() -> None:
    assert {line.split()[0] for line in commands()} == {"driftgauge", "make", "pip"}


def test_the_table_of_metrics_is_current(request: pytest.FixtureRequest) -> None:
    head, rest = TEXT.split("<!-- metrics:begin -->\n")
    found, tail = rest.split("<!-- metrics:end -->")
    if request.config.getoption("--update-golden"):
        written = f"{head}<!-- metrics:begin -->\n{markdown_table()}<!-- metrics:end -->{tail}"
        README.write_text(written, encoding="utf-8")
        return
    assert found == markdown_table(), "run `make golden`"


def test_links_into_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target

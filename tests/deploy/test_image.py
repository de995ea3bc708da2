"""The image, without an engine to build it: linted, and its own commands run in a bare environment."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deployables import DEPLOY, ROOT, program, run
from services import free_port, running, until

from driftgauge.kernels._cache import VARIABLE
from driftgauge.sidecar.settings import load_settings

DOCKERFILE = DEPLOY / "Dockerfile"
USER = 65532
PREFIX = "/opt/driftgauge"


@dataclass
class Stage:
    """One stage of the Dockerfile: its instructions, and the environment after the last."""

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, name: str) -> list[str]:
        return [text for step, text in self.steps if step == name]

    @property
    def environment(self) -> dict[str, str]:
        return dict(word.split("=", 1) for text in self.of("ENV") for word in shlex.split(text))


def stages() -> list[Stage]:
    lines = [line for line in DOCKERFILE.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    made: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, text = line.partition(" ")
        if name == "FROM":
            made.append(Stage(text.split()[0]))
        elif line:
            made[-1].steps.append((name, text))
    return made


BUILD, IMAGE = stages()


def test_hadolint_finds_no_fault() -> None:
    done = run(program("hadolint", "`make test` installs it"), DOCKERFILE)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_see_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILE.read_text(encoding="utf-8") + "RUN cd /tmp && apt-get install curl\n")
    done = run(program("hadolint", "`make test` installs it"), wrong)
    assert "DL3003" in done.stdout
    assert "DL3008" in done.stdout


def test_both_stages_have_one_python() -> None:
    """The environment of the first is copied to the second and finds its interpreter there."""
    assert BUILD.base == IMAGE.base
    assert f"--from=build {PREFIX} {PREFIX}" in IMAGE.of("COPY")


def test_the_image_is_not_root_and_writes_where_volumes_are() -> None:
    assert IMAGE.of("USER") == [f"{USER}:{USER}"]
    assert [step for step, _ in IMAGE.steps].index("USER") > [step for step, _ in IMAGE.steps].index("COPY")
    assert f"--owner {USER} --group {USER} /models /state" in IMAGE.of("RUN")[0]
    assert IMAGE.environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_kernels_are_looked_for_where_and_as_they_were_compiled() -> None:
    names = (VARIABLE, "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
    assert [IMAGE.environment[name] for name in names] == [BUILD.environment[name] for name in names]
    assert IMAGE.environment[VARIABLE].startswith(PREFIX)


def test_the_build_is_given_what_it_copies_and_nothing_else() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = [
        word
        for stage in (BUILD, IMAGE)
        for text in stage.of("COPY")
        if "--from" not in text
        for word in text.split()[:-1]
    ]
    assert ignored[0] == "*"
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_has_the_settings_that_its_ports_and_folders_need() -> None:
    environ = {name: value for name, value in IMAGE.environment.items() if name.startswith("DRIFTGAUGE_")}
    source, place = next(text for text in IMAGE.of("COPY") if "driftgauge.toml" in text).split()
    assert environ["DRIFTGAUGE_CONFIG"] == place
    settings = load_settings(ROOT / source, environ=environ)
    assert settings.server.listen.rpartition(":")[2] in IMAGE.of("EXPOSE")[0].split()
    assert (settings.models_folder, settings.state.directory) == ("/models", "/state")


# What a container has: no variable and no package of whoever runs the tests.
def bare(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8"} | kept | more


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """Where the first stage's RUN instructions put what they make, run as they stand but for the prefix."""
    # Not pytest's own folder, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        build(place)
        yield place


def build(place: Path) -> None:
    source = place / "source"
    for text in BUILD.of("COPY"):
        *sources, target = text.split()
        for each in sources:
            into = source / target if target.endswith("/") else (source / target).parent
            into.mkdir(parents=True, exist_ok=True)
            if (ROOT / each).is_dir():
                unwanted = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / each, source / target, dirs_exist_ok=True, ignore=unwanted)
            else:
                shutil.copy(ROOT / each, into)
    # The interpreter of the tests stands for that of the base image, and is called what it is called there.
    interpreter = place / "bin"
    interpreter.mkdir()
    (interpreter / "python").symlink_to(Path(sys.executable).resolve())
    environment = bare(**{k: v.replace(PREFIX, f"{place}/driftgauge") for k, v in BUILD.environment.items()})
    environment["PATH"] = f"{interpreter}:{environment['PATH']}"
    for command in BUILD.of("RUN"):
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", command.replace(PREFIX, f"{place}/driftgauge")],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def reference(place: Path) -> None:
    code = (
        "import numpy as np, sys; from driftgauge import Reference; rng = np.random.default_rng(1);"
        "Reference.fit({'age': rng.normal(size=500), 'score': rng.uniform(size=500)}, outputs=['score'],"
        " model='fraud').save(sys.argv[1])"
    )
    done = run(f"{place}/driftgauge/bin/python", "-c", code, place / "models" / "fraud.reference")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_built_environment_has_kernels_and_no_tests_of_libraries(built: Path) -> None:
    assert list((built / "driftgauge" / "kernels").rglob("*.nbc"))
    assert not list((built / "driftgauge").rglob("tests/__init__.py"))
    assert not (built / "driftgauge" / "bin" / "pip").exists()


@pytest.mark.slow
def test_the_built_kernels_are_loaded_and_not_compiled(built: Path) -> None:
    code = (
        "from driftgauge import kernels; kernels.warm_up(); assert kernels.compiled();"
        "from driftgauge.kernels.statistics.distribution import ks; print(sum(ks.stats.cache_hits.values()))"
    )
    environment = bare(**{VARIABLE: f"{built}/driftgauge/kernels", **cpu()})
    done = subprocess.run(
        [built / "driftgauge" / "bin" / "python", "-c", code],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"


@pytest.mark.slow
def test_the_built_environment_has_all_that_the_bridge_imports(built: Path) -> None:
    command = [built / "driftgauge" / "bin" / "driftgauge", "bridge", "check"]
    secrets = {"AIRFLOW_USER": "driftgauge", "AIRFLOW_PASSWORD": "not told"}
    environment = bare(DRIFTGAUGE_CONFIG=str(DEPLOY / "bridge.toml"), **secrets)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert 'kind = "airflow"' in done.stdout
    assert "not told" not in done.stdout


def cpu() -> dict[str, str]:
    return {name: value for name, value in IMAGE.environment.items() if name.startswith("NUMBA_CPU")}


@pytest.mark.slow
def test_the_images_command_serves_as_a_stranger_and_stops_in_order(built: Path) -> None:
    """The command of the image, by the user of the image, who can write the two volumes and nothing else."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for name, owner in (("models", 0), ("state", USER), ("tmp", USER)):
        (built / name).mkdir()
        os.chown(built / name, owner, owner)
    reference(built)
    port = free_port()
    environment = bare(
        **{name: value.replace(PREFIX, f"{built}/driftgauge") for name, value in IMAGE.environment.items()},
    ) | {
        "PATH": f"{built}/driftgauge/bin:/usr/bin:/bin",
        "DRIFTGAUGE_CONFIG": str(ROOT / "deploy" / "driftgauge.toml"),
        "DRIFTGAUGE_SERVER__LISTEN": f"127.0.0.1:{port}",
        "DRIFTGAUGE_SERVER__NOT_READY": "0",
        "DRIFTGAUGE_MODELS_FOLDER": str(built / "models"),
        "DRIFTGAUGE_STATE__DIRECTORY": str(built / "state"),
        "TMPDIR": str(built / "tmp"),
    }
    config = built / "driftgauge.toml"
    shutil.copy(ROOT / "deploy" / "driftgauge.toml", config)
    config.chmod(0o644)
    environment["DRIFTGAUGE_CONFIG"] = str(config)
    command = json.loads(IMAGE.of("CMD")[0])
    log = built / "log"
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
    words = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *become, *command]
    with running(words, log) as process:

        def ready() -> str:
            if process.poll() is not None:
                pytest.fail(log.read_text(errors="replace"))
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
                    return str(answer.read())
            except (urllib.error.URLError, ConnectionError):
                return ""

        until(ready, "the sidecar to be ready")
        health = IMAGE.of("HEALTHCHECK")[0].partition("CMD ")[2].replace("9109", str(port))
        python = [f"{built}/driftgauge/bin/python", *json.loads(health)[1:]]
        assert run(*python).returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert 'driftgauge_reference_info{model="fraud"' in answer.read().decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert "fraud" in answer.read().decode()
        owners = {line.split()[1] for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
                  if line.startswith("Uid:")}  # fmt: skip
        assert owners == {str(USER)}
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text(errors="replace")
    assert list((built / "state").rglob("*.window")), "the last save"

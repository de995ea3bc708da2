"""Importing driftgauge costs nothing and does nothing; exporters are found by their entry points."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import driftgauge as dg
from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.exporters import GROUP, exporter_names

ROOT = Path(__file__).resolve().parents[1]
LATE = {"click", "datasketches", "llvmlite", "narwhals", "numba", "numpy", "pandas", "polars"}
LATE |= {"opentelemetry", "prometheus_client", "pyarrow", "rich", "scipy", "sklearn"}

# An audit hook sees every connection, thread, process and file that is opened for writing while it imports.
WATCHED_IMPORT = """
import json, sys
seen = []
def hook(event, arguments):
    if event.startswith("socket.") or event in ("_thread.start_new_thread", "subprocess.Popen", "os.fork"):
        seen.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(f"open {arguments[0]}")
sys.dont_write_bytecode = True
sys.addaudithook(hook)
before = set(sys.modules)
import driftgauge
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"seen": seen, "loaded": sorted(loaded)}))
"""


def run(code: str, *path: Path) -> str:
    program = f"import sys; sys.path[:0] = {[str(each) for each in path]!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_no_library_opens_no_socket_and_starts_no_thread() -> None:
    found = json.loads(run(WATCHED_IMPORT))
    assert found["seen"] == []
    assert not LATE & set(found["loaded"])
    assert set(found["loaded"]) - set(sys.stdlib_module_names) == {"driftgauge"}


def test_the_command_line_starts_without_the_engine() -> None:
    code = "import driftgauge.cli; print(*(name for name in sys.modules if '.' not in name))"
    assert not {"numba", "scipy", "pandas", "pyarrow", "polars", "datasketches"} & set(run(code).split())


def test_fitting_and_watching_load_neither_pandas_nor_scipy_until_a_frame_or_a_statistic_needs_them() -> None:
    code = """
import driftgauge as dg
dg.Monitor(dg.Reference.fit({"age": [1.0, 2.0, 3.0]})).close()
print(*(name for name in sys.modules if '.' not in name))
"""
    assert not {"pandas", "polars", "pyarrow", "sklearn", "prometheus_client"} & set(run(code).split())


def test_the_installed_metadata_names_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["entry-points"][GROUP]
    assert {found.name: found.value for found in entry_points(group=GROUP)} == declared
    assert dg.__version__ == project["version"]


def test_the_exporters_resolve_from_the_installed_metadata() -> None:
    import driftgauge_otel
    import driftgauge_prometheus

    assert exporter_names() == ("otel", "prometheus")
    assert dg.exporter("otel") is driftgauge_otel
    assert dg.exporter("prometheus") is driftgauge_prometheus


def distribution(folder: Path, name: str, entry: str, code: str = "exporter = 'found'") -> Path:
    """A folder that looks as if somebody's package with an exporter were installed in it."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{entry}\n")
    (folder / f"{name}.py").write_text(code)
    return folder


def test_somebody_elses_exporter_is_found(tmp_path: Path) -> None:
    folder = distribution(tmp_path, "their_exporter", "theirs = their_exporter:exporter")
    assert run("import driftgauge as dg; print(dg.exporter('theirs'))", folder) == "found\n"


def test_an_exporter_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        ConfigError, match="no exporter is called 'promethius'; installed: 'otel', 'prometheus'"
    ):
        dg.exporter("promethius")


def test_two_exporters_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(distribution(tmp_path, "second", "prometheus = second:exporter")))
    with pytest.raises(ConfigError, match=r"several exporters are called 'prometheus': .*, second:exporter"):
        dg.exporter("prometheus")


def test_an_exporter_that_lacks_its_library_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = distribution(tmp_path, "lacking", "lacking = lacking:exporter", "import a_library_nobody_has")
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(MissingExtraError, match="a_library_nobody_has"):
        dg.exporter("lacking")

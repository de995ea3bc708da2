"""The directory of compiled kernels, which a container image brings and a library never makes unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from driftgauge.kernels._cache import VARIABLE, cache_directory

ROOT = Path(__file__).resolve().parents[2]
# The one kernel of the smallest module is enough to see where compiled code goes.
COMPILE = """
from driftgauge.kernels._cache import cache_directory
from driftgauge.kernels.statistics.distribution import ks
import numba, numpy
zeros = numpy.array([3, 1], numpy.uint32)
assert ks(zeros, zeros) == 0
print(cache_directory(), sum(ks.stats.cache_hits.values()), numba.config.CACHE_DIR == "")
"""


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    cache_directory.cache_clear()


def compiled(directory: Path | None, **environment: str) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if name not in (VARIABLE, "NUMBA_CACHE_DIR")}
    asked = {} if directory is None else {VARIABLE: str(directory)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=kept | asked | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def files(directory: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in directory.rglob("*.nb*")}


def test_nothing_is_kept_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert cache_directory() is None
    assert compiled(None)[0] == "None"


@pytest.mark.slow
def test_the_second_process_compiles_nothing(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    assert compiled(prepared) == [str(prepared), "0", "True"]
    made = files(prepared)
    assert made
    where, hits, ours_alone = compiled(prepared)
    assert where == str(prepared)
    assert int(hits) >= 1
    assert ours_alone == "True", "numba's own setting is as it was"
    assert files(prepared) == made


@pytest.mark.slow
def test_a_prepared_directory_that_cannot_be_written_serves_by_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another process as in ours: root, who runs tests in containers, may write everything."""
    prepared = tmp_path / "prepared"
    compiled(prepared)
    monkeypatch.setenv(VARIABLE, str(prepared))
    monkeypatch.setattr("driftgauge.kernels._cache._writable", lambda where: str(where) != str(prepared))
    copy = cache_directory()
    assert copy is not None
    assert Path(copy) != prepared
    assert set(files(Path(copy))) == set(files(prepared))
    assert int(compiled(Path(copy))[1]) >= 1, "what was copied is what numba looks for"


def test_where_nothing_can_be_written_kernels_compile_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr("driftgauge.kernels._cache._writable", lambda _: False)
    assert cache_directory() is None


def test_a_directory_that_cannot_be_made_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "below"))
    assert cache_directory() is not None, "an empty copy serves as well as none"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    cache_directory.cache_clear()
    assert cache_directory() is None

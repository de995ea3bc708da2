"""What is public is documented, its examples are true, and the wheel carries all of it."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import driftgauge as dg
import driftgauge_otel
import driftgauge_prometheus
from driftgauge import errors

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    found.name
    for package in (dg, driftgauge_otel, driftgauge_prometheus)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
)


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(dg.__all__) == sorted(dir(dg))
    assert dg.__all__ == sorted(dg.__all__)
    assert all(getattr(dg, name) is not None for name in dg.__all__)


def test_every_error_is_public_and_has_one_base() -> None:
    for name in errors.__all__:
        assert getattr(dg, name) is getattr(errors, name)
        assert issubclass(getattr(dg, name), dg.DriftgaugeError)


def test_a_name_that_is_not_public_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'driftgauge' has no attribute 'Monitr'"):
        dg.Monitr  # noqa: B018


@pytest.mark.parametrize("name", [name for name in dg.__all__ if name != "__version__"])
def test_everything_public_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(dg, name))


@pytest.mark.parametrize(
    "name",
    ["Monitor", "PartialReference", "Reference", "duration", "exporter", "one_false_alert", "rate", "rows"],
)
def test_what_users_call_has_an_example(name: str) -> None:
    thing = getattr(dg, name)
    documented = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
    assert any(">>>" in (inspect.getdoc(each) or "") for each in documented)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not failed, f"python -m doctest says which: {module.__file__}"


@pytest.mark.slow
def test_the_wheel_carries_types_the_exporters_and_the_demo_within_a_megabyte_of_data(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, timeout=300, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
    for package in ("driftgauge", "driftgauge_otel", "driftgauge_prometheus"):
        assert f"{package}/py.typed" in sizes
        assert f"{package}/__init__.py" in sizes
    data = {
        name: size for name, size in sizes.items() if name.startswith("driftgauge/_demo/") and ".csv" in name
    }
    assert data
    assert sum(data.values()) <= 1_000_000
    assert "driftgauge/_demo/ATTRIBUTION.md" in sizes, "the data's licence asks for it"
    assert any(name.endswith("licenses/LICENSE") for name in sizes)
    assert not [name for name in sizes if name.startswith(("tests", "benchmarks")) or name.endswith(".pyc")]

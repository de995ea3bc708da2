"""The arrows of DESIGN.md, read from the imports themselves: lower layers know nothing of higher ones."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 350

WORDS, KERNELS, ENGINE, MONITOR, TOP = range(5)
# A module that is not named here is part of the engine: state and thresholds, no threads, no network.
LAYERS = {
    "errors": WORDS,
    "cells": WORDS,
    "snapshot": WORDS,
    "_family": WORDS,
    "catalogue": WORDS,
    "kernels": KERNELS,
    **dict.fromkeys(
        ("monitor", "sampling", "_arguments", "_buffer", "_capture", "_engine", "_evidence", "_intake"),
        MONITOR,
    ),
    **dict.fromkeys(
        (
            "_crossings",
            "_life",
            "_listening",
            "_outputs",
            "_rows",
            "_single_rows",
            "_watch",
            "_watching",
            "_worker",
        ),
        MONITOR,
    ),
    "_payload_intake": TOP,
    **dict.fromkeys(("__init__", "__main__", "_demo", "cli", "exporters", "files", "render"), TOP),
    **dict.fromkeys(("bridge", "middleware", "sidecar"), TOP),
}
STANDARD_LIBRARY_ONLY = {"errors", "snapshot", "_family", "catalogue", "exporters", "__init__"}
FOR_EXPORTERS = {"snapshot", "catalogue", "errors"}
WITH_THREADS_OR_NETWORK = {
    "asyncio",
    "concurrent",
    "http",
    "multiprocessing",
    "socket",
    "threading",
    "urllib",
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


SOURCES = modules("src/driftgauge")
EXPORTERS = modules("exporters")


def part(path: Path) -> str:
    """Module or package directly under driftgauge that a file belongs to."""
    return path.relative_to(ROOT / "src" / "driftgauge").parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a file imports, and whether it does so when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            module = str(node.module)
            # "from driftgauge import kernels" imports a module, not a name.
            names = (
                [f"driftgauge.{alias.name}" for alias in node.names] if module == "driftgauge" else [module]
            )
            yield from ((name, id(node) in at_once) for name in names)


def named(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


@named(SOURCES)
def test_a_layer_imports_only_itself_and_what_is_below(path: Path) -> None:
    layer = LAYERS.get(part(path), ENGINE)
    for name, _ in imports(path):
        if name.startswith("driftgauge."):
            below = name.split(".")[1]
            assert LAYERS.get(below, ENGINE) <= layer, f"{part(path)} must not import {below}"
            assert layer != KERNELS or below == "kernels", "kernels know arrays and nothing else"


@named(SOURCES)
def test_only_the_monitor_and_above_start_threads_or_connections(path: Path) -> None:
    top = {name.split(".")[0] for name, _ in imports(path)}
    if LAYERS.get(part(path), ENGINE) < MONITOR and path.name != "_warm_up.py":  # which guards the compiling
        assert not top & WITH_THREADS_OR_NETWORK
    assert not top & {"driftgauge_prometheus", "prometheus_client", "opentelemetry"}, (
        "exporters are found by name"
    )


@named([path for path in SOURCES if part(path) in STANDARD_LIBRARY_ONLY])
def test_what_exporters_read_needs_the_standard_library_only(path: Path) -> None:
    for name, _ in imports(path):
        assert name.split(".")[0] in {*sys.stdlib_module_names, "driftgauge"}


@named(EXPORTERS)
def test_exporters_know_the_snapshot_the_catalogue_and_the_errors(path: Path) -> None:
    own = path.relative_to(ROOT / "exporters").parts[0]
    for name, _ in imports(path):
        top, _, rest = name.partition(".")
        assert not top.startswith("driftgauge_") or top == own
        assert top != "driftgauge" or rest in FOR_EXPORTERS, f"an exporter must not import {name}"


@named([path for path in SOURCES if path.name != "_jit.py"])
def test_one_file_chooses_the_compiler(path: Path) -> None:
    assert "numba" not in {name.split(".")[0] for name, _ in imports(path)}


@named(SOURCES)
def test_heavy_libraries_are_loaded_when_they_are_needed(path: Path) -> None:
    heavy = {"scipy", "pandas", "polars", "pyarrow", "datasketches", "sklearn"}
    assert not {name.split(".")[0] for name, at_once in imports(path) if at_once} & heavy


@named([*SOURCES, *EXPORTERS])
def test_a_module_is_short_and_keeps_quiet(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < LONGEST
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert "print" not in calls
    if part_of_kernels(path):
        assert "logging" not in {name for name, _ in imports(path)}


def part_of_kernels(path: Path) -> bool:
    return "kernels" in path.parts


@named([*SOURCES, *EXPORTERS])
def test_everything_in_all_is_there_and_sorted(path: Path) -> None:
    root = ROOT / ("exporters" if "exporters" in path.parts else "src")
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    public = list(getattr(module, "__all__", []))
    assert public == sorted(set(public), key=isort_order)
    assert all(hasattr(module, each) for each in public)


def isort_order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions, each by alphabet, as the linter sorts them."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def test_the_exporters_folder_holds_packages_and_a_readme() -> None:
    """It is on the path of a development install, so anything else in it could be imported by accident."""
    found = {path.name for path in (ROOT / "exporters").iterdir() if path.name != "__pycache__"}
    assert found == {"README.md", "driftgauge_otel", "driftgauge_prometheus"}

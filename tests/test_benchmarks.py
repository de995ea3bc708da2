"""The benchmarks run, their data are what their seed says, and the tables say what the results say."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("bench_*.py"))
RESULTS = sorted(path.name for path in (BENCHMARKS / "results").glob("*.json"))


def _module(name: str) -> ModuleType:
    # By path: benchmarks/ is a folder of scripts and not on the import path.
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


data = _module("data")
measure = _module("measure")
tables = _module("tables")


def test_the_tables_say_what_the_results_say() -> None:
    difference = tables.check(tables.documents())
    assert not difference, "run python benchmarks/tables.py\n" + "\n".join(difference)


def test_a_table_that_was_changed_by_hand_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tables.documents()
    text = tables.with_tables(f"# x\n{tables.BEGIN}\n{tables.END}\n", tables.full(found))
    readme = tmp_path / "README.md"
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "targets", lambda found: {readme: tables.full(found)})
    readme.write_text(text, encoding="utf-8")
    assert tables.check(found) == []
    readme.write_text(text.replace(" |", " 1 |", 1), encoding="utf-8")
    assert tables.check(found)


def test_markers_must_be_there_exactly_once() -> None:
    with pytest.raises(ValueError, match="found 0 and 0"):
        tables.with_tables("no markers", "x")


@pytest.mark.parametrize("name", RESULTS)
def test_committed_results_are_whole(name: str) -> None:
    document = json.loads((BENCHMARKS / "results" / name).read_text(encoding="utf-8"))
    assert document["smoke"] is False
    assert document["machine"]["cores"] >= 1
    assert document["versions"]["python"]
    assert (ROOT / document["script"]).exists()
    assert all(len(row) == len(table["columns"]) for table in document["tables"] for row in table["rows"])


@pytest.mark.parametrize("kind", data.KINDS)
def test_data_are_what_their_seed_says(kind: str) -> None:
    first = data.sample(kind, 1_000, seed=7)
    np.testing.assert_array_equal(first, data.sample(kind, 1_000, seed=7))
    np.testing.assert_array_equal(first[:0], data.sample(kind, 0, seed=7))
    assert not np.array_equal(first, data.sample(kind, 1_000, seed=8))
    assert np.isfinite(first).all()


def test_the_uniform_stream_is_the_one_that_numpy_documents() -> None:
    # PCG64's stream is fixed by NumPy's policy; uniform data are it, without arithmetic.
    expected = np.random.Generator(np.random.PCG64(3)).random(5)
    np.testing.assert_array_equal(data.sample("uniform", 5, seed=3), expected)


def test_every_fifth_column_moves_and_no_other() -> None:
    still, moved = data.table(500, 6, 1), data.table(500, 6, 1, drift=1.0)
    changed = [not np.array_equal(still[:, column], moved[:, column]) for column in range(6)]
    assert changed == [True, False, False, False, False, True]


def test_normal_data_have_the_moments_of_a_normal() -> None:
    values = data.sample("normal", 20_000, seed=1)
    # five standard errors of each: 1/sqrt(n), 1/sqrt(2n)
    assert abs(values.mean()) < 5 / np.sqrt(20_000)
    assert abs(values.std() - 1) < 5 / np.sqrt(40_000)


def test_a_goal_says_by_how_much_it_is_missed() -> None:
    missed = measure.goal("x", 20, 16, better="higher", unit="ratio")
    assert tables.goal_row(missed) == ["x", "at least 20 ×", "16 ×", "missed by 20 %"]
    slow = measure.goal("x", 1e8, 3e8, better="lower", unit="ns")
    assert tables.goal_row(slow) == ["x", "at most 100 ms", "300 ms", "missed: 3 times the goal"]
    assert tables.verdict(measure.goal("x", 20, 20, better="higher", unit="ratio")) == "met"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "ns", "0.5 ns"),
        (1_234_567, "ns", "1.23 ms"),
        (2.5e9, "ns", "2.5 s"),
        (1_023.4, "bytes", "1023 B"),
        (1_536, "bytes", "1.5 KiB"),
        (0, "bytes", "0 B"),
        (0.83333, "ratio", "0.833 ×"),
        (12_345.6, "ratio", "12,300 ×"),
        (49_999.6, "count", "50,000"),
        (2.2e-16, "error", "2e-16"),
        (None, "ratio", "–"),
        ("a|b", "text", "a\\|b"),
    ],
)
def test_a_cell_has_its_unit_and_three_digits(value: Any, unit: str, text: str) -> None:
    assert tables.cell(value, unit) == text


def test_contenders_take_turns() -> None:
    calls: list[str] = []
    samples = measure.interleave(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=3, min_seconds=0.0
    )
    assert [len(times) for times in samples.values()] == [3, 3]
    assert calls[-6:] == ["a", "b"] * 3


def test_a_smoke_run_never_overwrites_results() -> None:
    with pytest.raises(ValueError, match="folder"):
        measure.save("peers", tables=[], versions={}, smoke=True)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_runs(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / script), "--smoke", "--folder", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (written,) = tmp_path.glob("*.json")
    document = json.loads(written.read_text(encoding="utf-8"))
    assert document["smoke"] is True
    assert document["tables"]
    assert tables.full({written.stem: document})


def test_exact_statistics_agree_with_the_baseline() -> None:
    # The contenders' own code, in this process: the benchmark compares what it times.
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from peers import driftgauge_peer, scipy_numpy
    finally:
        sys.path.remove(str(BENCHMARKS))
    reference = data.table(400, 6, 1, kinds=data.KINDS)
    live = data.table(300, 6, 2, kinds=data.KINDS, drift=0.5)
    labels = data.names(6)
    ours = driftgauge_peer.Engine(reference, labels).rows(live)
    for kind in (*scipy_numpy.CONTENDERS.values(), driftgauge_peer.WithoutPlaces):
        contender = kind(reference, labels)
        contender.hold(live)
        for theirs in (contender.rows(live), contender.tick()):
            # scipy rounds cumulative shares in floating point, ours are integers: a few ulps of 1 apart
            np.testing.assert_allclose(theirs["ks"], ours["ks"], rtol=0, atol=1e-12)
            np.testing.assert_allclose(theirs["psi"], ours["psi"], rtol=0, atol=1e-12)

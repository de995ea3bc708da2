"""What every command shares: a light start, quiet pipes, one version, exact answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.cli._program import COMMANDS, program, run
from driftgauge.cli.metrics import markdown_table
from driftgauge.reference import Reference

PROGRAM = [sys.executable, "-m", "driftgauge"]


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit status and stdout of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        run([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom driftgauge.cli import main\n"
        f"sys.argv = ['driftgauge', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'numba', 'numpy', 'pandas', 'prometheus_client', 'pyarrow', 'rich', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_every_command_has_help_for_the_list_and_for_itself() -> None:
    for name in COMMANDS:
        command = program.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == name
        assert command.help
        assert len(command.get_short_help_str(60)) > 10
        assert not command.get_short_help_str(60).endswith("...")
        assert all(getattr(parameter, "help", "x") != "" for parameter in command.params)


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "--version") == (0, f"driftgauge {version('driftgauge')}\n")


def test_metrics_prints_the_catalogue_and_what_the_bridge_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "metrics") == (0, markdown_table())


def test_a_fault_of_our_own_is_never_taken_for_drift(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "broken"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("driftgauge.cli.check._compare", broken)
    with pytest.raises(SystemExit) as stopped:
        run(["check", "a", "b"])
    assert stopped.value.code == 2
    assert "please report" in capsys.readouterr().err


def test_a_reader_that_leaves_early_causes_no_traceback() -> None:
    with subprocess.Popen([*PROGRAM, "metrics"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_name_that_the_terminal_cannot_write_is_escaped(tmp_path: Path) -> None:
    pd.DataFrame({"größe\x1b[31m": np.arange(200.0)}).to_parquet(tmp_path / "train.parquet")
    done = subprocess.run(
        [*PROGRAM, "profile", "train.parquet", "-o", "r"],
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert rb"gr\xf6\xdfe\x1b[31m" in done.stdout.replace(b"\n", b"")
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_file_is_counted_whole_however_it_is_cut(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 150,000 rows: three batches of files.read_batches
    steps = np.arange(150_000)
    frame = pd.DataFrame({"x": (steps * 7919) % 10_007 / 8.0, "kind": np.where(steps % 5 < 2, "a", "b")})
    live = tmp_path / f"live.{ending}"
    frame.to_parquet(live) if ending == "parquet" else frame.to_csv(live, index=False)
    frame.iloc[:20_000].to_parquet(tmp_path / "train.parquet")
    assert answer(capsys, "profile", tmp_path / "train.parquet", "-o", tmp_path / "r")[0] == 0
    status, text = answer(capsys, "check", tmp_path / "r", live, "--format", "json")
    document = json.loads(text)
    reference = Reference.load(tmp_path / "r")
    counts = reference.count(frame)
    layout = reference.layout
    for number, feature in enumerate(document["features"]):
        own = counts[layout.cell_offsets[number] : layout.cell_offsets[number + 1]]
        bins = np.add.reduceat(own, reference.features[number].bin_starts[:-1], dtype=np.int64)
        assert [one["live_rows"] for one in feature["bins"]] == bins.tolist()
    assert document["live"]["rows"] == 150_000
    assert document["reference"]["id"] == reference.id
    assert (status, document["result"]) == (0, "no drift")


def test_the_json_has_the_keys_that_are_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from driftgauge.cli import _formats

    pd.DataFrame({"x": np.arange(500.0)}).to_parquet(tmp_path / "train.parquet")
    answer(capsys, "profile", tmp_path / "train.parquet", "-o", tmp_path / "r")
    _, text = answer(
        capsys, "check", tmp_path / "r", tmp_path / "train.parquet", "--format", "json", "--psi", "0"
    )
    documented = set(re.findall(r"``(\w+)``", _formats.__doc__ or ""))

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    assert keys(json.loads(text)) <= documented


def test_codes_with_leading_zeros_stay_apart_from_profile_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["0123", "123", "456", "456"] * 100
    train, target = tmp_path / "train.csv", tmp_path / "codes.reference"
    train.write_text("\n".join(["zip", *rows]))
    assert answer(capsys, "profile", train, "-o", target, "--categorical", "zip")[0] == 0
    assert set(Reference.load(target).feature("zip").categories) == {"0123", "123", "456"}
    assert answer(capsys, "check", target, train)[0] == 0
    live = tmp_path / "live.csv"
    live.write_text("\n".join(["zip", *(row.lstrip("0") for row in rows)]))
    status, out = answer(capsys, "check", target, live, "--format", "json")
    assert status == 1
    (feature,) = json.loads(out)["features"]
    assert feature["name"] == "zip"

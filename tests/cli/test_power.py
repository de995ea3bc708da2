"""``driftgauge power``: the table, the JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driftgauge.cli._program import run
from driftgauge.power import power
from driftgauge.reference import Reference


@pytest.fixture
def file(tmp_path: Path) -> str:
    data = {"age": [float(i % 97) for i in range(5_000)], "city": ["Bern", "Bern", "Oslo", "Rome"] * 1_250}
    path = tmp_path / "model.ref"
    Reference.fit(data, joint=False).save(path)
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        run(["power", *arguments])
    out, error = capsys.readouterr()
    return int(stopped.value.code or 0), out, error


def test_the_table_has_a_row_for_each_drift_of_each_feature(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, error = asked(capsys, file, "--budget", "30d")
    assert (status, error) == (0, "")
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "feature"
    assert lines[2].startswith("age ")
    assert "mean +0.25 sd" in out
    assert any(line.startswith("city ") and "Bern -20% of itself" in line for line in lines)
    assert "one false alert in 30 days, an evaluation every 60 s with 100 rows" in out


def test_json_has_the_numbers_of_the_function(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = asked(capsys, file, "--format", "json", "--feature", "city", "--shift", "0.5")
    document = json.loads(out)
    table = power(Reference.load(file), shift=0.5)
    assert status == 0
    assert document["rows"] == [row for row in table.to_dict()["rows"] if row["feature"] == "city"]
    assert document["suggestions"] == list(table.suggestions())
    assert document["budget_seconds"] == 90 * 86_400


def test_weights_are_those_of_the_function(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = asked(capsys, file, "--format", "json", "--weight", "age=9", "--weight", "city=0")
    table = power(Reference.load(file), weights={"age": 9, "city": 0})
    assert json.loads(out)["rows"] == list(table.to_dict()["rows"])
    assert {row.feature for row in table.rows} == {"age"}


def test_a_wide_model_shows_its_first_features_and_says_how_many_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "wide.ref")
    column = [0.0, 1.0] * 500
    Reference.fit({f"f{number:02d}": column for number in range(13)}, joint=False).save(path)
    _, out, _ = asked(capsys, path)
    assert "f09" in out
    assert "f10" not in out
    assert "and 3 more features; --feature shows one" in out
    assert "f12" in asked(capsys, path, "--feature", "f12")[1]
    assert (
        len({row["feature"] for row in json.loads(asked(capsys, path, "--format", "json")[1])["rows"]}) == 13
    )


def test_only_features_that_are_asked_for_are_shown(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = asked(capsys, file, "--feature", "city")
    assert "Bern -20%" in out
    assert "mean +0.25 sd  " not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--feature", "cty"), "no feature 'cty' in this reference; there are age, city"),
        (("--shift", "-1"), "shift must be a number of standard deviations above 0"),
        (("--budget", "1h", "--evaluate-every", "1h"), "at least 100 are needed"),
        (("--budget", "3x"), "Invalid value for '--budget': '3x' is no length of time"),
        (("--evaluate-every", "often"), "Invalid value for '--evaluate-every': 'often'"),
        (("--min-effect", "2"), "--min-effect"),
        (("--weight", "age"), "'age' is not a feature's name, =, and a number"),
        (("--weight", "aeg=2"), "weights names 'aeg', which is no feature"),
        (("--rows-per-evaluation", "0"), "--rows-per-evaluation"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_status_2(
    file: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    status, out, error = asked(capsys, file, *arguments)
    assert (status, out) == (2, "")
    assert message in error


def test_a_file_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, error = asked(capsys, "nowhere.ref")
    assert status == 2
    assert "nowhere.ref" in error

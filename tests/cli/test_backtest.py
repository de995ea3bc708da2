"""``driftgauge backtest``: exact answers on a scripted detector, and a story from profile to backtest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from backtest_cases import Scripted, drift

from driftgauge import power  # noqa: F401 - it must know the drift score itself, not its stand-in
from driftgauge.cli._program import run
from driftgauge.reference import Reference

GOLDEN = Path(__file__).resolve().parents[1] / "backtest" / "golden"

# 250 evaluations of 20 rows: a short alert of one feature, a long one that a second feature joins.
SCORES = np.concatenate(
    [np.linspace(0.1, 0.6, 100), np.full(20, 1.05), np.full(50, 0.3), np.linspace(0.9, 1.25, 80)]
)


def frame(rows: int, *, start: int = 0, older: int = 0) -> pd.DataFrame:
    """Rows without chance: each column steps through its values in an order of its own."""
    steps = range(start, start + rows)
    return pd.DataFrame(
        {
            "age": [18 + (37 * i) % 60 + (older if i - start > rows // 2 else 0) for i in steps],
            "city": [("Bern", "Oslo", "Rome")[i % 3] for i in steps],
            "score": [((6151 * i) % 997) / 997 for i in steps],
            "at": pd.date_range("2026-01-01", periods=rows, freq="3s"),
        }
    )


def scripted(reference: Reference, **settings: Any) -> Scripted:
    """Stands in for the drift score: what it finds is given, so that the transcript is about the command."""
    scores = SCORES.tolist()

    def explain(evaluations: int) -> tuple[list[Any], list[Any]]:
        score = scores[min(evaluations, len(scores)) - 1]
        # 180 s and 660 s after the start, by either clock: of the times in the file, or of the evaluations
        onset = 60.0 * (60 if evaluations < 150 else 170)
        if evaluations and settings.get("timed"):
            onset += pd.Timestamp("2026-01-01").timestamp()
        age = drift("age", score, words="location +0.4 sd", onset_timestamp_seconds=onset)
        city = drift(
            "city", score - 0.1, words="Oslo +5.2 %", cause="more_in_cell", cell="Oslo",
            onset_timestamp_seconds=onset,
        )  # fmt: skip
        both = drift("age + score", score - 0.2, kind="virtual", cause="joint", words="location +0.3 sd")
        return [age, city, drift("score", 0.0)], [both]

    return Scripted(reference, scores, budget=settings["budget"], explain=explain)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference and histories."""
    made = tmp_path_factory.mktemp("backtest")
    Reference.fit(
        frame(3_000).drop(columns="at"), model="churn", outputs="score", joint=False,
        created_timestamp_seconds=0.0,
    ).save(made / "churn.reference")  # fmt: skip
    history = frame(5_000, older=12)
    history.to_parquet(made / "history.parquet")
    history.to_csv(made / "history.csv", index=False)
    history[:0].to_parquet(made / "none.parquet")
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as the working directory, on a terminal of no kind."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "100")
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def answer(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        run(line.split()[1:])
    assert isinstance(stopped.value.code, int)
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


def masked(text: str) -> str:
    """*text* without what differs from run to run, and without numbers that are `driftgauge.power`'s own."""
    text = re.sub(r"(is seen after some )[\d,]+(?: to [\d,]+)?", r"\1<rows>", text)
    text = re.sub(r"(a window needs )[\d,]+", r"\1<rows>", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<id>", text)
    text = re.sub(r"\([0-9a-f]{12}\)", "(<id>)", text)
    return re.sub(r'("driftgauge": )"[^"]*"', r'\1"<version>"', text)


TRANSCRIPTS = {
    "backtest": "driftgauge backtest churn.reference history.parquet --window 1000",
    "backtest_time": "driftgauge backtest churn.reference history.parquet --time at --window 900 --window 1h",
    "backtest_json": "driftgauge backtest churn.reference history.parquet --window 1000 --format json",
    "backtest_no_rows": "driftgauge backtest churn.reference none.parquet",
    "backtest_no_reference": "driftgauge backtest nowhere.reference history.parquet --format json",
    "backtest_bad_plot": "driftgauge backtest churn.reference history.parquet --plot drawing.pdf",
    "backtest_bad_weight": "driftgauge backtest churn.reference history.parquet --weight age",
    "backtest_no_time": "driftgauge backtest churn.reference history.parquet --window 1h",
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
) -> None:
    line = TRANSCRIPTS[name]
    timed = "--time" in line
    monkeypatch.setattr(
        "driftgauge.detectors.drift_score.DriftScore",
        lambda reference, **settings: scripted(reference, timed=timed, **settings),
    )
    status, out, err = answer(capsys, line)
    out = re.sub(r'("(?:rows|scores)": \[)[^\]]{2000,}\]', r"\1 … ]", out)  # the course, 250 numbers each
    transcript = f"$ {line}\n--- exit status {status}\n--- stdout\n{masked(out)}--- stderr\n{masked(err)}"
    golden(GOLDEN / f"{name}.txt", transcript)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("ending", ["svg", "html"])
def test_the_drawing_is_what_it_was(
    ending: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
) -> None:
    monkeypatch.setattr("driftgauge.detectors.drift_score.DriftScore", scripted)
    target = tmp_path / f"drawing.{ending}"
    line = f"driftgauge backtest churn.reference history.parquet --window 1000 --plot {target}"
    assert answer(capsys, line)[0] == 1
    text = target.read_text(encoding="utf-8")
    golden(GOLDEN / f"backtest.{ending}", masked(text))
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + len("</svg>")])
    assert not re.search(r"(src|href)=|url\(|@import", text), "one file that needs nothing from anywhere"
    bars = [each for each in svg.iter("{http://www.w3.org/2000/svg}rect") if each.get("class") == "on"]
    assert len(bars) == 2


def test_no_golden_file_is_left_over() -> None:
    expected = {*(f"{name}.txt" for name in TRANSCRIPTS), "backtest.svg", "backtest.html"}
    assert {file.name for file in GOLDEN.iterdir()} == expected


def test_a_name_cannot_steer_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "<script>alert(1)</script>\x1b[31m"
    rows = pd.DataFrame({name: np.arange(600) % 50})
    rows.to_parquet(tmp_path / "h.parquet")
    Reference.fit(rows, joint=False).save(tmp_path / "r")

    def made(reference: Reference, **settings: Any) -> Scripted:
        return Scripted(
            reference, [1.2], budget=settings["budget"], explain=lambda _: ([drift(name, 1.2)], [])
        )

    monkeypatch.setattr("driftgauge.detectors.drift_score.DriftScore", made)
    target = tmp_path / "page.html"
    status, out, _ = answer(capsys, f"driftgauge backtest {tmp_path}/r {tmp_path}/h.parquet --plot {target}")
    text = target.read_text(encoding="utf-8")
    assert status == 1
    assert "<script>" not in text
    assert "\x1b" not in text + out
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.usefixtures("here")
def test_the_json_has_the_keys_that_are_documented(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from driftgauge import _backtest_report

    monkeypatch.setattr("driftgauge.detectors.drift_score.DriftScore", scripted)
    documented = set(re.findall(r"``(\w+)``", _backtest_report.__doc__ or ""))

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    found = set()
    for reference in ("churn", "nowhere"):
        line = f"driftgauge backtest {reference}.reference history.parquet --format json --window 1000"
        found |= keys(json.loads(answer(capsys, line)[1]))
    assert found == documented


@pytest.mark.usefixtures("here")
def test_file_formats_agree(capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for ending in ("parquet", "csv"):
        line = f"driftgauge backtest churn.reference history.{ending} --time at --format json --window 1000"
        status, out, _ = answer(capsys, line)
        document = json.loads(out)
        assert status == document["exit_status"]
        del document["history"]["file"]
        documents.append(document)
    assert documents[0] == documents[1]


@pytest.mark.usefixtures("here")
def test_a_history_without_a_column_of_the_reference_is_refused_unless_it_is_not_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending, write in (("parquet", pd.DataFrame.to_parquet), ("csv", pd.DataFrame.to_csv)):
        path = tmp_path / f"short.{ending}"
        write(frame(2_000).drop(columns=["at", "city"]), path, index=False)
        line = f"driftgauge backtest churn.reference {path} --window 500"
        status, out, err = answer(capsys, line)
        assert (status, out) == (2, "")
        assert "has no column 'city', a feature of the reference; --weight city=0 leaves it out" in err
        status, out, _ = answer(capsys, f"{line} --weight city=0 --format json")
        found = json.loads(out)
        assert status == 0, found["rules"][0]
        crossed = [feature["rules"] for feature in found["features"] if feature["name"] == "city"]
        assert [rule["first_row"] for rule in crossed[0]] == [None, None, None]


def test_a_story_from_profile_to_backtest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(11)

    def rows(count: int, first: str, age: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "at": pd.date_range(first, periods=count, freq="2min"),
                "age": rng.normal(age, 10, count),
                "plan": rng.choice(["free", "paid"], count, p=[0.7, 0.3]),
            }
        )

    rows(20_000, "2026-01-01", 40).to_parquet(tmp_path / "train.parquet")
    calm, moved = rows(5_000, "2026-02-01", 40), rows(2_000, "2026-02-07 22:40", 45)
    back = rows(15_000, "2026-02-10 17:20", 40)
    pd.concat([calm, moved, back]).to_parquet(tmp_path / "history.parquet")
    calm.to_parquet(tmp_path / "calm.parquet")
    target = tmp_path / "churn.reference"
    profile = f"driftgauge profile {tmp_path}/train.parquet -o {target} --time at"
    assert answer(capsys, profile)[0] == 0
    command = f"driftgauge backtest {target} {tmp_path}/history.parquet --time at"
    status, out, _ = answer(capsys, f"{command} --format json")
    document = json.loads(out)
    assert (status, document["result"]) == (1, "drift")
    (alert,) = document["rules"][0]["alerts"]
    # half a standard deviation shows within 300 rows at this budget (drift study: 295)
    assert 5_000 < alert["row"] < 5_450
    assert alert["features"][0] == "age"
    assert alert["causes"][0]["cause"] == "location_up"
    assert abs(alert["causes"][0]["onset_row"] - 5_000) < 200
    assert alert["cleared_row"] > 7_000, "and the alert ends after the drift has"
    status, out, _ = answer(capsys, command)
    assert status == 1
    # It is raised where the last rows moved most, so they say more than half rather than less.
    assert re.search(r"age: location \+0\.[4-9] sd", out)
    status, out, _ = answer(capsys, f"driftgauge backtest {target} {tmp_path}/calm.parquet --time at")
    assert status == 0
    assert "no alert of the drift score" in out

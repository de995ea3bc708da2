"""Transcripts: a command, its exit status, its exact stdout and stderr, in ``golden/``.

``make golden`` writes them anew. Ids, versions and times are masked, and
JSON numbers are compared to 6 significant digits: the last bits depend on which kernels serve.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from driftgauge.cli._program import run

GOLDEN = Path(__file__).with_name("golden")

TRANSCRIPTS = {
    "help": "driftgauge --help",
    "profile": "driftgauge profile train.parquet -o new.reference --model churn --outputs score",
    "profile_csv": "driftgauge profile train.csv -o new.reference --exclude age,joined --categorical branch",
    "profile_json": "driftgauge profile train.parquet -o new.reference --format json --exclude age,score",
    "profile_dates": "driftgauge profile dates.parquet -o new.reference",
    "profile_time": "driftgauge profile timed.parquet -o new.reference --time at --timezone Europe/Rome",
    "profile_time_json": "driftgauge profile timed.parquet -o new.reference --time at --format json",
    "profile_time_drifts": "driftgauge profile moved.csv -o new.reference --time at --no-joint",
    "profile_no_time_column": "driftgauge profile train.parquet -o new.reference --time at",
    "profile_no_timezone": "driftgauge profile timed.parquet -o new.reference --time at --timezone Mars",
    "profile_no_file": "driftgauge profile nowhere.parquet -o new.reference",
    "profile_bad_setting": "driftgauge profile train.parquet -o new.reference --bins 1",
    "profile_no_folder": "driftgauge profile train.parquet -o nowhere/new.reference",
    "check_no_drift": "driftgauge check churn.reference same.parquet",
    "check_drift": "driftgauge check churn.reference drift.parquet",
    "check_drift_csv": "driftgauge check churn.reference drift.csv",
    "check_drift_json": "driftgauge check churn.reference drift.parquet --format json --features city,age",
    "check_drift_markdown": "driftgauge check churn.reference drift.parquet --format markdown",
    "check_drift_junit": "driftgauge check churn.reference drift.parquet --format junit",
    "check_thresholds": "driftgauge check churn.reference drift.parquet --psi off --ks 0.01 --missing off",
    "check_outputs": "driftgauge check churn.reference drift.parquet --kind output",
    "check_few_rows": "driftgauge check churn.reference few.parquet",
    "check_no_rows": "driftgauge check churn.reference none.parquet",
    "check_absent_column": "driftgauge check churn.reference absent.parquet",
    "check_absent_column_junit": "driftgauge check churn.reference absent.parquet --format junit",
    "check_other_columns": "driftgauge check churn.reference dates.parquet",
    "check_damaged_reference": "driftgauge check damaged.reference same.parquet",
    "check_damaged_reference_json": "driftgauge check damaged.reference same.parquet --format json",
    "check_damaged_file": "driftgauge check churn.reference damaged.parquet",
    "check_no_reference": "driftgauge check nowhere.reference same.parquet",
    "check_unknown_feature": "driftgauge check churn.reference same.parquet --features agee",
    "check_nothing_left": "driftgauge check churn.reference same.parquet --features age --kind output",
    "check_bad_threshold": "driftgauge check churn.reference same.parquet --psi much",
    "check_usage": "driftgauge check churn.reference",
    "demo_bad_speed": "driftgauge demo --speed fast",
    "unknown_command": "driftgauge chekc",
}


def frame(
    rows: int, *, start: int = 0, older: int = 0, cities: tuple[str, ...] = ("Bern", "Oslo", "Rome")
) -> pd.DataFrame:
    """Rows without chance: each column steps through its values in an order of its own."""
    steps = range(start, start + rows)
    return pd.DataFrame(
        {
            "age": [18 + (37 * i) % 60 + older for i in steps],
            "income": [
                None if i % 20 == 0 else round(900 * 1.0005 ** ((7919 * i) % 10_007), 2) for i in steps
            ],
            "city": [cities[i % len(cities)] for i in steps],
            "branch": [(11 * i) % 7 for i in steps],
            "member": [i % 3 == 0 for i in steps],
            "score": [((6151 * i) % 997) / 997 for i in steps],
        }
    )


def timed_frame(rows: int) -> pd.DataFrame:
    """Rows at every third minute: a temperature that follows the hour, and a level that does not."""
    steps = range(rows)
    return pd.DataFrame(
        {
            "at": pd.date_range("2026-01-01", periods=rows, freq="3min", tz="UTC"),
            "temperature": [
                10 + 3 * math.sin(2 * math.pi * i / 480) + ((6151 * i * i) % 997) / 500 for i in steps
            ],
            "level": [((7919 * i * i) % 10_007) / 10_007 for i in steps],
        }
    )


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the transcripts name."""
    folder = tmp_path_factory.mktemp("transcripts")
    train = frame(20_000)
    train.to_parquet(folder / "train.parquet")
    train.assign(joined="2026-01-01").to_csv(folder / "train.csv", index=False)
    frame(3_000, start=20_000).to_parquet(folder / "same.parquet")
    drift = frame(3_000, start=20_000, older=15, cities=("Bern", "Lima"))
    drift.loc[drift.index % 4 == 0, "income"] = None
    drift.to_parquet(folder / "drift.parquet")
    drift.to_csv(folder / "drift.csv", index=False)
    drift.drop(columns=["score"]).to_parquet(folder / "absent.parquet")
    frame(99).to_parquet(folder / "few.parquet")
    train.iloc[:0].to_parquet(folder / "none.parquet")
    pd.DataFrame({"joined": pd.date_range("2026-01-01", periods=200)}).to_parquet(folder / "dates.parquet")
    timed = timed_frame(30_000)
    timed.to_parquet(folder / "timed.parquet")
    timed.loc[timed.index > 18_000, "level"] += 1.0
    timed.to_csv(folder / "moved.csv", index=False)
    (folder / "damaged.parquet").write_bytes((folder / "same.parquet").read_bytes()[:-100])
    here = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit):
            run(
                [
                    "profile",
                    "train.parquet",
                    "-o",
                    "churn.reference",
                    "--model",
                    "churn",
                    "--outputs",
                    "score",
                ]
            )
    finally:
        os.chdir(here)
    (folder / "damaged.reference").write_bytes((folder / "churn.reference").read_bytes()[:-100])
    return folder


def masked(text: str) -> str:
    """*text* without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<id>", text)
    text = re.sub(r"\bid [0-9a-f]{12}\b", "id <id>", text)
    text = re.sub(r'("created_timestamp_seconds": )[\d.]+', r"\1<time>", text)
    text = re.sub(r'("driftgauge": )"[^"]*"', r'\1"<version>"', text)
    return re.sub(r"-?\d+\.\d{7,}(e-?\d+)?", lambda number: f"{float(number[0]):.6g}", text)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcript(
    name: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setenv("COLUMNS", "100")
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        run(shlex.split(TRANSCRIPTS[name])[1:])
    captured = capsys.readouterr()
    transcript = (
        f"$ {TRANSCRIPTS[name]}\n"
        f"--- exit status {stopped.value.code}\n"
        f"--- stdout\n{masked(captured.out)}"
        f"--- stderr\n{masked(captured.err)}"
    )
    golden(GOLDEN / f"{name}.txt", transcript)


def test_no_transcript_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(TRANSCRIPTS)

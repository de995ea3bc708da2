"""Parquet and CSV in batches."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftgauge import files
from driftgauge.errors import DataError, MissingExtraError
from driftgauge.files import read_batches, total_rows
from driftgauge.reference import Reference


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    text = rng.choice(["a", "ü, with comma", 'a "quote"', "two\nlines"], 1000)
    return pd.DataFrame(
        {
            "number": rng.normal(size=1000),
            "whole": rng.integers(9, size=1000),
            "text": text,
            "flag": text == "a",
        }
    )


def read(path: Path, **settings: Any) -> pa.Table:
    return pa.concat_tables(read_batches(path, **settings))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# law


@pytest.mark.parametrize("batch_rows", [1, 7, 999, 1000, 65_536])
@pytest.mark.parametrize("name", ["x.parquet", "x.pq", "x.csv", "x.csv.gz", "x.TSV"])
def test_every_file_gives_the_same_reference(
    name: str, batch_rows: int, frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / name
    if "p" in name:
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if "TSV" in name else ",")
    batches = list(read_batches(path, batch_rows=batch_rows))
    assert all(0 < len(batch) <= batch_rows for batch in batches)
    assert sum(map(len, batches)) == 1000
    assert len({batch.schema for batch in batches}) == 1
    fitted = Reference.fit_batches(batches, created_timestamp_seconds=0.0)
    assert fitted.id == Reference.fit(frame, created_timestamp_seconds=0.0).id


# edge


def test_a_csv_type_holds_for_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK_BYTES", 64)  # a few rows a block
    rows = [f"{i},{i},,{i},true" for i in range(40)] + ["40.5,x,7,,0", "1,1,8,,true"]
    table = read(write(tmp_path / "x.csv", "number,text,late,gone,word\n" + "\n".join(rows)))
    assert [str(kind) for kind in table.schema.types] == ["double", "string", "int64", "int64", "string"]
    assert table["text"][0].as_py() == "0"
    assert table["number"][40].as_py() == 40.5


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "int64"),
        (["1", "2.5", ""], "double"),
        (["1", "NaN"], "int64"),
        (["0", "1"], "int64"),
        (["true", "FALSE"], "bool"),
        (["True", "1"], "string"),
        (["2026-01-01", "2026-01-02T10:00:00"], "timestamp[us]"),
        (["2026-01-01", "soon"], "string"),
        (["9007199254740993"], "int64"),
        (["inf", "1e300"], "double"),
        (["NA", "null"], "double"),
    ],
)
def test_csv_types(values: list[str], kind: str, tmp_path: Path) -> None:
    text = "x,y\n" + "".join(f"{value},1\n" for value in values)
    assert str(read(write(tmp_path / "x.csv", text)).schema.field("x").type) == kind


def test_columns_can_be_chosen(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_parquet(tmp_path / "x.parquet")
    for name in ("x.csv", "x.parquet"):
        assert set(read(tmp_path / name, columns=["whole", "flag"]).column_names) == {"whole", "flag"}
        with pytest.raises(DataError, match="no column 'absent'; it has flag, number, text, whole"):
            read(tmp_path / name, columns=["absent", "flag"])


def test_rows_are_known_beforehand_where_the_file_says_so(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert total_rows(tmp_path / "x.parquet") == 1000
    assert total_rows(tmp_path / "x.csv") is None


def test_a_file_without_rows_has_no_batches(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame[:0].to_parquet(tmp_path / "x.parquet")
    assert list(read_batches(tmp_path / "x.parquet")) == []
    assert list(read_batches(write(tmp_path / "x.csv", "a,b\n"))) == []


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv' does not exist"):
        read_batches(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_batches(tmp_path / "folder.csv")


def test_an_unknown_ending_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must end in \.csv, \.csv\.gz, \.parquet, \.pq, \.tsv"):
        read_batches(write(tmp_path / "x.xlsx", ""))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1 and no more"),
        ("x.csv", b""),
        ("x.csv", b"a,b\n1,2\n1,2,3\n"),
        ("x.csv", b"a,b\n1,\xff\xfe\n"),
        ("x.csv", b"a,a\n1,2\n"),
        ("x.csv.gz", b"no gzip"),
        ("x.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 9999)[:-30]),
    ],
)
def test_a_broken_file_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        list(read_batches(tmp_path / name))
    if name == "x.parquet":
        with pytest.raises(DataError, match=name):
            total_rows(tmp_path / name)


def test_batches_have_at_least_one_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="batch_rows must be at least 1, got 0"):
        read_batches(tmp_path / "x.csv", batch_rows=0)


def test_without_pyarrow_the_message_has_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'driftgauge\[files\]'"):
        read_batches(tmp_path / "x.csv")


def test_codes_with_leading_zeros_are_found_again_in_a_file_without_types(tmp_path: Path) -> None:
    codes = ["0123", "0456", "123"]
    reference = Reference.fit({"code": codes * 5, "group": ["1", "2", "3"] * 5})
    path = write(tmp_path / "x.csv", "code,group\n0123,1.0\n0456,\n123,3.0\n")
    (batch,) = read_batches(path, text=("code", "group", "no column"))
    names = [[*reference.feature(name).categories, "unseen", "missing"] for name in ("code", "group")]
    found = [[own[cell] for cell in row] for own, row in zip(names, reference.index(batch), strict=True)]
    # pandas writes the integers of a column with gaps as 1.0
    assert found == [codes, ["1", "missing", "3"]]

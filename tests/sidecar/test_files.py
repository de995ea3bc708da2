"""Files that grow, are renamed, cut and found again, followed from where they stopped."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from event_models import RECORDED, dropped, models, payloads, reference, snapshot, window
from hypothesis import given, settings
from hypothesis import strategies as st
from services import until

from driftgauge import Reference
from driftgauge.sidecar.files import FilesWay
from driftgauge.sidecar.files_positions import places_from_bytes, places_to_bytes
from driftgauge.sidecar.files_sources import Folder, OneFile, source_of
from driftgauge.sidecar.follow import Follower, Position
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.settings import FileSettings


def row(age: float, fraud: int = 1) -> str:
    return json.dumps({"age": age, "amount": 12.5, "fraud": fraud}) + "\n"


def numbered(first: int, last: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(first, last))


def read(follower: Any) -> list[bytes]:
    chunks = follower.chunks() if isinstance(follower, Follower) else follower.new()
    return [line for chunk in chunks for line in chunk.lines]


def again(path: Path, follower: Follower) -> list[bytes]:
    """What a process that starts now reads, from the place that another one left."""
    follower.close()
    other = Follower(path, follower.position)
    try:
        return read(other)
    finally:
        other.close()


# ------------------------------------------------------------------ laws


@given(
    st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" ")), max_size=30),
    st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_however_a_file_is_written_and_whenever_we_start_anew_each_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], seed: int
) -> None:
    path = tmp_path_factory.mktemp("law") / "log"
    rng = random.Random(seed)
    follower = Follower(path, chunk_bytes=16)
    found: list[bytes] = []
    content = b"".join(line + b"\n" for line in lines)
    with path.open("wb", buffering=0) as file:
        while content:
            size = rng.randint(1, len(content))
            file.write(content[:size])
            content = content[size:]
            found += read(follower)
            if rng.random() < 0.4:
                follower.close()
                follower = Follower(path, follower.position, chunk_bytes=16)
    follower.close()
    assert found == [line for line in lines if line.strip()]


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_damaged_places_are_no_places_and_no_error(content: bytes) -> None:
    assert places_from_bytes(content) == {}


def test_places_are_read_as_they_were_written() -> None:
    places = {"/var/log/*": [("/var/log/a", Position(1, 2, 3, 3, "ab", "cd"))], "gone": []}
    assert places_from_bytes(places_to_bytes(places)) == places


# ------------------------------------------------------------------ one file


def test_a_line_is_read_when_its_end_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntw")
    follower = Follower(path)
    assert read(follower) == [b"one"]
    assert again(path, follower) == []
    path.write_bytes(b"one\ntwo\n")
    assert read(follower) == [b"two"]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "log")
    assert read(follower) == []
    (tmp_path / "log").write_bytes(b"one\n")
    assert read(follower) == [b"one"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_renamed_is_read_to_its_end_and_then_the_new_one(
    tmp_path: Path, restart: bool
) -> None:
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 5))
    follower = Follower(path)
    read(follower)
    with path.open("ab") as file:
        file.write(numbered(5, 7))
    path.rename(tmp_path / "log.1")
    path.write_bytes(numbered(7, 9))
    found = again(path, follower) if restart else read(follower)
    assert found == [b"line 5", b"line 6", b"line 7", b"line 8"]


def test_a_writer_that_holds_on_to_the_renamed_file_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab", buffering=0) as file:
        file.write(numbered(0, 2))
        follower = Follower(path)
        read(follower)
        path.rename(tmp_path / "log.1")
        file.write(numbered(2, 4))
        assert read(follower) == [b"line 2", b"line 3"]
    path.write_bytes(numbered(4, 5))
    assert read(follower) == [b"line 4"]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("lines", [1, 5, 50], ids=["shorter", "as long", "longer"])
def test_a_file_that_is_cut_is_read_from_its_beginning(tmp_path: Path, lines: int, restart: bool) -> None:
    """As copytruncate does it: the same file, emptied, and written again before we look."""
    path = tmp_path / "log"
    path.write_bytes(numbered(100, 105))
    follower = Follower(path)
    read(follower)
    with path.open("r+b") as file:
        file.truncate(0)
        file.write(numbered(200, 200 + lines))
    found = again(path, follower) if restart else read(follower)
    assert found == [b"line %d" % number for number in range(200, 200 + lines)]


def test_a_file_that_is_cut_and_begins_alike_is_told_by_what_was_before_the_place(tmp_path: Path) -> None:
    path = tmp_path / "log"
    head = b"x" * 300 + b"\n"
    path.write_bytes(head + numbered(0, 5))
    follower = Follower(path)
    read(follower)
    path.write_bytes(head + numbered(5, 20))
    assert again(path, follower)[1:] == [b"line %d" % number for number in range(5, 20)]


def test_a_file_that_is_cut_and_goes_on_alike_is_told_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    rest = b"x" * 300 + b"\n"
    path.write_bytes(b"one\n" + rest)
    follower = Follower(path)
    read(follower)
    path.write_bytes(b"two\n" + rest)
    assert again(path, follower)[0] == b"two"


def test_what_is_written_between_the_last_look_and_the_renaming_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 2))
    follower = Follower(path)
    looks = Follower._replaced

    def rotate_first(self: Follower) -> bool:
        if not (tmp_path / "log.1").exists():
            with path.open("ab") as file:
                file.write(numbered(2, 3))
            path.rename(tmp_path / "log.1")
            path.write_bytes(numbered(3, 4))
        return looks(self)

    monkeypatch.setattr(Follower, "_replaced", rotate_first)
    assert read(follower) == [b"line 0", b"line 1", b"line 2", b"line 3"]


def test_another_file_with_the_same_inode_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 5))
    follower = Follower(path)
    read(follower)
    position = follower.position
    path.write_bytes(numbered(7, 20))  # the inode stays, as that of a deleted file may be given out again
    assert path.stat().st_ino == position.inode
    assert again(path, follower) == [b"line %d" % number for number in range(7, 20)]


def test_a_line_too_long_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n" + b"x" * 100_000 + b"\ntwo\n" + b"y" * 2_000 + b"\nthree\n")
    follower = Follower(path, line_bytes=1_000, chunk_bytes=512)
    chunks = list(follower.chunks())
    assert [line for chunk in chunks for line in chunk.lines] == [b"one", b"two", b"three"]
    assert sum(chunk.too_long for chunk in chunks) == 2


# ------------------------------------------------------------------ folders


def test_a_folder_is_read_file_by_file_and_those_within_it(tmp_path: Path) -> None:
    for name in ("2026/11/21/01/b.jsonl", "2026/11/21/00/a.jsonl", ".hidden/x.jsonl", "c.jsonl.tmp"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    folder = source_of(str(tmp_path), None)
    assert isinstance(folder, Folder)
    assert read(folder) == [b"2026/11/21/00/a.jsonl", b"2026/11/21/01/b.jsonl"]
    assert read(folder) == []
    (tmp_path / "2026/11/21/01/b.jsonl").write_bytes(b"2026/11/21/01/b.jsonl\nmore\n")
    (tmp_path / "d.ndjson").write_bytes(b"new\n")
    assert read(folder) == [b"more", b"new"]
    assert read(Folder(str(tmp_path), folder.places())) == []


def test_a_file_of_a_pattern_that_is_renamed_is_not_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(numbered(0, 3))
    pattern = source_of(str(tmp_path / "log*"), None)
    read(pattern)
    path.rename(tmp_path / "log.1")
    path.write_bytes(numbered(3, 5))
    with (tmp_path / "log.1").open("ab") as file:
        file.write(numbered(90, 91))
    restarted = source_of(str(tmp_path / "log*"), pattern.places())
    assert sorted(read(restarted)) == sorted(read(pattern)) == [b"line 3", b"line 4", b"line 90"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_begin_at_the_end_leaves_out_what_is_there_the_first_time_only(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(numbered(0, 3) + b"lin")
    place = str(path if kind == "file" else tmp_path)
    source = source_of(place, None, begin="end")
    assert read(source) == []
    with path.open("ab") as file:
        file.write(b"e 3\n")
    restarted = source_of(place, source.places(), begin="end")
    assert read(source) == read(restarted) == [b"line 3"]
    (tmp_path / "later.jsonl").write_bytes(b"new\n")
    assert read(source) == ([b"new"] if kind == "folder" else [])


def test_a_file_that_may_not_be_read_is_told_of_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    source = OneFile(str(path), None)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert read(source) == read(source) == []
    assert [record.message for record in caplog.records] == [f"cannot read {path}: Permission denied"]
    assert read(source) == [b"one"]


# ------------------------------------------------------------------ into the windows


@contextmanager
def following(registry: ModelRegistry, *files: dict[str, Any]) -> Iterator[FilesWay]:
    way = FilesWay([FileSettings(**{"poll": 0.02, **each}) for each in files], registry)
    asyncio.run(way.start())
    try:
        yield way
    finally:
        asyncio.run(way.stop(10))


def rows_of(registry: ModelRegistry, model: str = "") -> int:
    handle = registry.get(model)
    assert handle is not None
    return handle.monitor.snapshot().rows


def wait_for_rows(registry: ModelRegistry, rows: int, model: str = "") -> None:
    until(lambda: rows_of(registry, model) >= rows, f"{rows} rows", 20)


def test_rows_of_a_growing_file_are_counted_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    with models(tmp_path) as registry, following(registry, {"path": str(path)}):
        path.write_text(row(30) + row(34))
        wait_for_rows(registry, 2)
        with path.open("a") as file:
            file.write(row(38)[:10])
            file.flush()
            file.write(row(38)[10:] + "{\n" + "[1, 2]\n" + row(42))
        wait_for_rows(registry, 4)
        found = window(registry)
        counts = payloads(registry)
    assert found["age"] == (4, pytest.approx(36, abs=0.2), 0)
    assert found["fraud"] == (4, pytest.approx(1, abs=0.01), 0)
    assert (counts.way, counts.protocol, counts.decoded) == ("file", "ndjson", 4)
    assert counts.undecodable == {"not_json": 1, "wrong_type": 1}


def test_a_recorded_capture_is_counted_at_its_own_time(tmp_path: Path) -> None:
    """Its second line is two features and an answer; its first has six columns, its third is Parquet."""
    path = tmp_path / "capture"
    path.mkdir()
    lines = (RECORDED / "sagemaker" / "datacapture.jsonl").read_bytes()
    (path / "a.jsonl").write_bytes(lines)
    file = {"path": str(path), "format": "sagemaker_capture"}
    with models(tmp_path) as registry, following(registry, file):
        wait_for_rows(registry, 1)
        until(lambda: payloads(registry).payloads >= lines.count(b"\n"), "all lines", 20)
        counts = payloads(registry)
        found = window(registry)
    assert (counts.decoded, counts.payloads) == (1, lines.count(b"\n"))
    assert found["age"] == (1, pytest.approx(33, abs=0.5), 0)
    assert found["fraud"] == (1, pytest.approx(0, abs=0.01), 0)


def test_lines_may_be_read_by_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "calls.log"
    path.write_text('{"features": [{"age": 33, "sum": 12.5}], "answer": {"score": 1}}\n')
    mapping = {
        "inputs": {"age": "features[].age", "amount": "features[].sum"},
        "outputs": {"fraud": "[answer.score]"},
    }
    file = {"path": str(path), "protocol": "mapping", "mapping": mapping}
    with models(tmp_path) as registry, following(registry, file):
        wait_for_rows(registry, 1)
        found = window(registry)
    assert [found[name][2] for name in ("age", "amount", "fraud")] == [0, 0, 0]


def test_more_lines_than_the_queue_holds_are_all_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text("".join(row(30 + number % 20) for number in range(5_000)))
    limits = {"queue_payloads": 7, "queue_bytes": 20_000}
    with models(tmp_path, settings={"limits": limits}) as registry:
        with following(registry, {"path": str(path)}):
            wait_for_rows(registry, 5_000)
        assert (snapshot(registry).rows, dropped(payloads(registry))) == (5_000, {})


def test_nothing_is_read_while_its_model_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text(row(30))
    with models(tmp_path) as registry, following(registry, {"path": str(path), "model": "churn"}) as way:
        assert way.look() == 0
        reference("churn").save(tmp_path / "references" / "churn.reference")
        registry.reload()
        wait_for_rows(registry, 1, "churn")


def test_after_an_orderly_stop_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    state = {"state": {"directory": str(tmp_path / "state")}}
    fitted = reference()
    rows = 0
    for _ in range(3):
        with path.open("a") as file:
            file.write(row(30) * 10)
        rows += 10
        with models(tmp_path, fitted, settings=state) as registry:
            with following(registry, {"path": str(path)}):
                wait_for_window(registry, rows)
            assert in_window(registry) == rows


def wait_for_window(registry: ModelRegistry, rows: int) -> None:
    until(lambda: in_window(registry) >= rows, f"{rows} rows in the window", 30)


def in_window(registry: ModelRegistry) -> int:
    handle = registry.get()
    assert handle is not None
    return handle.monitor.snapshot().windows[0].rows


def long_memory(folder: Path) -> dict[str, Any]:
    """A window that holds every line of these tests, so that none is hidden that was counted twice."""
    defaults = {"min_rows": 1, "budget": "", "windows": ["1000000 rows"]}
    return {"defaults": defaults, "state": {"directory": str(folder / "state")}}


def _follow_and_save(folder: str, path: str) -> None:
    """In a process that is killed: read, and save as often as possible."""
    fitted = Reference.load(f"{folder}/fitted.reference")
    file = {"path": path, "poll": 0.01}
    settings = long_memory(Path(folder))
    with models(Path(folder), fitted, settings=settings) as registry, following(registry, file):
        while True:
            registry.save()
            Path(folder, f"saved-by-{os.getpid()}").touch()
            time.sleep(0.005)


@pytest.mark.slow
def test_after_kill_9_the_windows_hold_each_line_once(tmp_path: Path) -> None:
    """Lines are written all the time, one by one, while followers are killed at moments of chance.

    What is counted between the place and the copy of the windows is counted twice: at most a group of lines
    a kill, and only if that moment is the one of the last save.
    """
    fitted = reference()
    fitted.save(tmp_path / "fitted.reference")
    path = tmp_path / "rows.ndjson"
    rng = random.Random(5)
    context = multiprocessing.get_context("spawn")
    written = kills = 0
    with path.open("a") as file:
        for _ in range(6):
            process = context.Process(target=_follow_and_save, args=(str(tmp_path), str(path)))
            process.start()
            marker = tmp_path / f"saved-by-{process.pid}"
            until(marker.exists, "the first save", 60)
            end = time.monotonic() + 0.5 + rng.random()
            while time.monotonic() < end:
                file.write(row(30 + written % 20))
                file.flush()
                written += 1
                time.sleep(0.0005)
            process.kill()
            process.join()
            kills += 1
    with models(tmp_path, fitted, settings=long_memory(tmp_path)) as registry:
        assert 0 < in_window(registry) <= written + 20 * kills
        with following(registry, {"path": str(path)}):
            wait_for_window(registry, written)
        found = in_window(registry)
    assert written <= found <= written + 20 * kills  # 2,000 lines a second, looked at every 10 ms

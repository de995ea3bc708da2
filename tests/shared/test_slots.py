"""The file of one process: whole at every moment, and free when the process is gone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from services import until

from driftgauge.shared import _slots
from driftgauge.shared._slots import SlotFile, is_alive, read_newest

OLD, NEW = b"what was said before" * 30, b"what is said now" * 45


def test_a_reader_sees_what_was_said_last(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "a.dgw", b"1")
    for number in range(2, 40):
        said = bytes([number]) * number * 700  # grows past its room again and again
        file.write(said)
        assert read_newest(file.path) == (number, said)
        assert read_newest(file.path, number - 1) == (number, said)
        assert read_newest(file.path, number) == (number, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.dgw"]


def torn_writes(path: Path, file: SlotFile, payload: bytes, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The file as it is when its process is killed after each byte of a write."""
    images, done = [path.read_bytes()], os.pwrite

    def slowly(target: int, data: bytes, offset: int) -> int:
        for at in range(len(data)):
            done(target, data[at : at + 1], offset + at)
            images.append(path.read_bytes())
        return len(data)

    monkeypatch.setattr(os, "pwrite", slowly)
    file.write(payload)
    monkeypatch.undo()
    return images


@pytest.mark.parametrize("earlier", [1, 2, 3])
def test_killed_at_any_byte_of_a_write_it_says_the_old_or_the_new(
    tmp_path: Path, earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = tmp_path / "a.dgw", tmp_path / "copy.dgw"
    file = SlotFile(path, OLD)
    for _ in range(earlier - 1):
        file.write(OLD)
    seen = []
    for image in torn_writes(path, file, NEW, monkeypatch):
        copy.write_bytes(image)
        seen.append(read_newest(copy))
    assert set(seen) == {(earlier, OLD), (earlier + 1, NEW)}
    assert seen == sorted(seen)  # and never the old one again
    assert len(seen) == 1 + len(NEW) + _slots.RECORD.size


def test_a_write_that_the_disk_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SlotFile(tmp_path / "a.dgw", OLD)
    done = os.pwrite

    def full(target: int, data: bytes, offset: int) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return done(target, data[: len(data) // 2], offset)  # as much as fits

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        file.write(NEW)
    monkeypatch.undo()
    assert read_newest(file.path) == (1, OLD)
    file.write(NEW)
    assert read_newest(file.path) == (2, NEW)


def test_a_file_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        SlotFile(tmp_path / "a.dgw", OLD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["empty", "short", "other", "garbage", "zeros", "lengths"])
def test_what_is_no_file_of_a_process_is_a_value_error(tmp_path: Path, damage: str) -> None:
    file = SlotFile(tmp_path / "a.dgw", OLD)
    file.write(NEW)
    data = bytearray(file.path.read_bytes())
    changed = {
        "empty": b"",
        "short": bytes(data[:100]),
        "other": b"PK" + bytes(data[2:]),
        "garbage": bytes(data[:64]) + os.urandom(len(data) - 64),
        "zeros": bytes(data[:64]) + bytes(len(data) - 64),
        "lengths": bytes(data[:64]) + b"\xff" * 120 + bytes(data[184:]),
    }[damage]
    file.path.write_bytes(changed)
    with pytest.raises(ValueError, match=r"a\.dgw"):
        read_newest(file.path)


def test_a_reader_is_never_given_half_of_what_a_writer_says(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "a.dgw", bytes(50_000))
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            file.write(bytes([number % 256]) * (40_000 + number % 7 * 5_000))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        last = 0
        for _ in range(300):
            try:
                generation, said = read_newest(file.path)
            except ValueError:  # overtaken eight times: it is told, and goes by what it knew
                continue
            assert said is not None
            assert len(set(said)) == 1
            assert generation >= last
            last = generation
    finally:
        stop.set()
        writer.join()
    assert last > 1


def test_a_reader_that_is_overtaken_does_not_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SlotFile(tmp_path / "a.dgw", b"1")
    file.write(b"2")
    pread = os.pread

    def overtaken(place: int, length: int, offset: int) -> bytes:
        if offset and file.generation == 2:  # the reader has seen 1 and 2, and comes for 2
            file.write(b"3" * 10_000)  # too large for its slot, so that 1 stays whole
            file.write(b"4")  # in the place of 2
        return pread(place, length, offset)

    monkeypatch.setattr(os, "pread", overtaken)
    assert read_newest(file.path) == (4, b"4")


def test_a_process_lives_until_it_is_killed(tmp_path: Path) -> None:
    story = (
        "import sys, time; from pathlib import Path; from driftgauge.shared._slots import SlotFile;"
        "file = SlotFile(Path(sys.argv[1]), b'said'); time.sleep(600)"
    )
    path = tmp_path / "a.dgw"
    process = subprocess.Popen([sys.executable, "-c", story, str(path)])
    try:
        until(path.exists, "the file of the process")
        assert is_alive(path)
        assert is_alive(path)  # asking twice does not answer itself
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not is_alive(path)
    assert read_newest(path) == (1, b"said")
    assert not is_alive(tmp_path / "nobody.dgw")


def test_a_child_that_closes_the_file_of_its_parent_leaves_it_locked(tmp_path: Path) -> None:
    file = SlotFile(tmp_path / "a.dgw", b"said")
    pid = os.fork()
    if not pid:
        file.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert is_alive(file.path)
    file.close()
    assert not is_alive(file.path)

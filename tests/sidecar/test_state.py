"""Window states on disk: whole or not at all, for their own reference only, at most an interval lost."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from services import until
from sidecar_cases import process, reference, settings_of

from driftgauge.errors import ReferenceFileError
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.sidecar.state import StateStore
from driftgauge.windows import WindowState

INTERVAL_SECONDS = 2.0


def registry_of(tmp_path: Path, text: str = "") -> ModelRegistry:
    head = f'models_folder = "{tmp_path}/models"\n[state]\ndirectory = "{tmp_path}/state"\nkeep = 2\n'
    registry = ModelRegistry(settings_of(tmp_path, head + text))
    registry.reload()
    return registry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one reference."""
    made = tmp_path / "models"
    made.mkdir()
    reference(1).save(made / "a.reference")
    return made


def put(registry: ModelRegistry, rows: int) -> None:
    handle = registry.get()
    assert handle is not None
    handle.observe({"x": np.arange(float(rows))})


def rows_of(registry: ModelRegistry) -> list[int]:
    return [window.rows for snapshot in registry.snapshots() for window in snapshot.windows]


@pytest.mark.usefixtures("folder")
def test_windows_survive_a_restart(tmp_path: Path) -> None:
    text = '[defaults]\nwindows = ["100 rows", "1h"]'
    first = registry_of(tmp_path, text)
    put(first, 30)
    before = first.snapshots()[0]
    first.close()
    second = registry_of(tmp_path, text)
    after = second.snapshots()[0]
    assert rows_of(second) == [30, 30]
    assert after.rows == 0, "counters start again with the process"
    assert before.rows == 30
    second.close()


@pytest.mark.usefixtures("folder")
def test_only_what_has_new_rows_is_saved(tmp_path: Path) -> None:
    registry = registry_of(tmp_path)
    put(registry, 5)
    registry.save()
    first = sorted((tmp_path / "state").rglob("*.window"))
    registry.save()
    assert sorted((tmp_path / "state").rglob("*.window")) == first
    put(registry, 5)
    registry.save()
    assert len(sorted((tmp_path / "state").rglob("*.window"))) == 2, "the one before is kept"
    put(registry, 5)
    registry.save()
    assert len(sorted((tmp_path / "state").rglob("*.window"))) == 2, "and no more"
    registry.close()


def test_state_of_another_reference_is_left_alone_and_comes_back_with_it(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = registry_of(tmp_path)
    put(first, 30)
    first.close()
    reference(2).save(folder / "a.reference")
    second = registry_of(tmp_path)
    assert rows_of(second) == [0]
    old = reference(1).id[:16]
    assert any(
        message.startswith(f"windows of model 'churn' begin empty: what is saved belongs to reference {old}")
        for message in caplog.messages
    )
    put(second, 4)
    second.close()
    reference(1).save(folder / "a.reference")
    third = registry_of(tmp_path)
    assert rows_of(third) == [30]
    third.close()


def test_states_of_old_references_are_forgotten_when_there_are_many(tmp_path: Path, folder: Path) -> None:
    for seed in range(1, 6):
        reference(seed).save(folder / "a.reference")
        registry = registry_of(tmp_path)
        put(registry, seed)
        registry.close()
    kept = {each.name for each in (tmp_path / "state" / "churn").iterdir()}
    assert kept == {reference(seed).id[:16] for seed in (3, 4, 5)}


@pytest.mark.usefixtures("folder")
def test_a_damaged_state_gives_way_to_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = registry_of(tmp_path)
    for rows in (10, 20):
        put(first, rows)
        first.save()
    first.close()
    newest = max((tmp_path / "state").rglob("*.window"), key=lambda each: int(each.parent.name))
    newest.write_bytes(newest.read_bytes()[:-100])
    second = registry_of(tmp_path)
    assert rows_of(second) == [30]
    assert any(
        message.startswith("a saved state of model 'churn' is left out") for message in caplog.messages
    )
    second.close()


@pytest.mark.usefixtures("folder")
def test_other_windows_than_were_saved_begin_empty_and_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = registry_of(tmp_path)
    put(first, 10)
    first.close()
    second = registry_of(tmp_path, '[defaults]\nwindows = ["50 rows"]')
    assert rows_of(second) == [0]
    assert any("is left out" in message for message in caplog.messages)
    second.close()


@pytest.mark.usefixtures("folder")
def test_two_processes_do_not_save_over_each_other(tmp_path: Path) -> None:
    first, second = registry_of(tmp_path), registry_of(tmp_path)
    put(first, 10)
    put(second, 3)
    assert first.save()
    assert not second.save()
    (trouble,) = second.troubles()
    assert trouble.startswith(f"windows cannot be saved: another process saves to '{tmp_path}/state'")
    assert second.snapshots()[0].internal_errors["state"] == 1
    first.close()
    assert second.save(), "it takes over"
    assert second.troubles() == ()
    second.close()


@pytest.mark.usefixtures("folder")
def test_a_directory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    registry = registry_of(tmp_path)
    put(registry, 10)
    assert not registry.save()
    assert rows_of(registry) == [10]
    assert registry.troubles()[0].startswith("windows cannot be saved: ")
    registry.close()


@pytest.mark.usefixtures("folder")
def test_what_a_way_in_attaches_is_saved_with_the_windows(tmp_path: Path) -> None:
    first = registry_of(tmp_path)
    handle = first.get()
    assert handle is not None
    assert handle.attach("files", lambda: b"line 7") is None
    first.close()
    second = registry_of(tmp_path)
    again = second.get()
    assert again is not None
    assert again.attach("files", lambda: 1 / 0) == b"line 7"  # type: ignore[arg-type,return-value]
    put(second, 3)
    assert second.save(), "a way that is broken does not keep windows from being saved"
    second.close()
    third = registry_of(tmp_path)
    last = third.get()
    assert last is not None
    assert last.attach("files", lambda: b"") == b"line 7"
    assert rows_of(third) == [3]
    third.close()


def test_a_save_that_is_cut_short_leaves_the_one_before(tmp_path: Path) -> None:
    store = StateStore(tmp_path, keep=1)
    store.save("m", "id", lambda to: (to / "a").write_text("1") and None, {})

    def half(to: Path) -> None:
        (to / "a").write_text("2")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.save("m", "id", half, {})
    found: list[str] = []
    store.load("m", "id", lambda place: found.append((place / "a").read_text()))
    assert found == ["1"]
    assert [each.name for each in (tmp_path / "m" / "id").iterdir()] == ["1"]


def test_names_of_models_are_safe_on_disk(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "state", keep=1)
    names = ["..", ".", "a/b", "a\\b", "", "é" * 300, "é" * 301, "a b", "\x00"]
    for name in names:
        store.save(name, "id", lambda to, name=name: (to / "name").write_text(name) and None, {})  # type: ignore[misc]
    for name in names:
        found: list[str] = []
        store.load(name, "id", lambda place, found=found: found.append((place / "name").read_text()))  # type: ignore[misc]
        assert found == [name]
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_a_state_of_nobody_is_no_trouble(tmp_path: Path) -> None:
    def fails(_: Path) -> None:
        message = "damaged"
        raise ReferenceFileError(message)

    assert StateStore(tmp_path, keep=1).load("m", "id", fails).notes == []


@pytest.mark.slow
def test_kill_9_under_load_loses_at_most_one_save_interval(tmp_path: Path, folder: Path) -> None:
    """Rows are posted as fast as they are taken; every answered one has its time."""
    config = tmp_path / "driftgauge.toml"
    config.write_text(
        f'models_folder = "{folder}"\n[server]\nlisten = "127.0.0.1:0"\n'
        '[defaults]\nwindows = ["3000000 rows"]\nbudget = ""\n'
        f'[state]\ndirectory = "{tmp_path}/state"\nsave_interval = "{INTERVAL_SECONDS:g}s"\n'
    )
    body = b'{"columns": {"x": [%s]}}' % b",".join(b"%d.5" % n for n in range(50))
    answered: list[float] = []
    stop = threading.Event()
    with process(config, tmp_path / "first.log") as sidecar:
        until(lambda: "model 'churn' added" in " ".join(sidecar.events()), "the model")

        def post() -> None:
            while not stop.is_set():
                try:
                    status, _ = sidecar.ask("/v1/observations", body)
                except OSError:
                    return
                if status == 202:
                    answered.append(time.monotonic())

        threads = [threading.Thread(target=post) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: len(list((tmp_path / "state").rglob("*.window"))) == 2, "two saves")
        time.sleep(1.7 * INTERVAL_SECONDS)  # to be in the middle of things
        killed = time.monotonic()
        sidecar.signal(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
    before = sum(50 for when in answered if when <= killed - INTERVAL_SECONDS)
    shutil.copytree(tmp_path / "state", tmp_path / "copy")  # as it was when it died
    with process(config, tmp_path / "second.log") as sidecar:
        until(lambda: "model 'churn' added" in " ".join(sidecar.events()), "the model")
        status, state = sidecar.ask("/api/v1/state?model=churn&window=3000000rows")
        assert status == 200
        sidecar.signal(signal.SIGTERM)
        sidecar.popen.wait(timeout=30)
    restored = tmp_path / "restored.window"
    restored.write_bytes(state)
    rows = WindowState.load(restored).rows
    offered = 50 * len(answered)
    assert before > 0
    assert before <= rows <= offered + 2 * 50, f"{rows:,} of {offered:,} rows, {before:,} at least"

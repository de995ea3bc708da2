"""The registry: references found, read again, swapped while rows flow, and refused without harm."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sidecar_cases import reference, settings_of

from driftgauge import Monitor
from driftgauge.sidecar.ingest_refused import Refusable, intake_of
from driftgauge.sidecar.models import ModelRegistry
from driftgauge.snapshot import PayloadCounts
from driftgauge.windows import WindowState

ROWS = {"x": np.arange(10.0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for references."""
    made = tmp_path / "models"
    made.mkdir()
    return made


def registry_of(tmp_path: Path, text: str = "", state: bool = False) -> ModelRegistry:
    keep = f'[state]\ndirectory = "{tmp_path}/state"\n' if state else ""
    return ModelRegistry(settings_of(tmp_path, f'models_folder = "{tmp_path}/models"\n{text}\n{keep}'))


def test_every_reference_in_a_folder_is_a_model(tmp_path: Path, folder: Path) -> None:
    reference(model="churn").save(folder / "a.reference")
    reference(model="model").save(folder / "fraud.reference")
    (folder / ".hidden").write_text("no reference")
    registry = registry_of(tmp_path)
    change = registry.reload()
    assert (change["added"], change["failed"]) == (["churn", "fraud"], [])
    assert registry.names() == ("churn", "fraud"), "a nameless reference is called as its file"
    assert [each.model for each in registry.snapshots()] == ["churn", "fraud"]
    registry.close()


def test_one_bad_reference_does_not_stop_the_others(tmp_path: Path, folder: Path) -> None:
    reference().save(folder / "good.reference")
    (folder / "bad.reference").write_bytes(b"PK nothing of the sort")
    registry = registry_of(tmp_path, '[[models]]\nreference = "/nowhere/x.reference"')
    change = registry.reload()
    assert registry.names() == ("churn",)
    assert change["failed"] == ["/nowhere/x.reference", str(folder / "bad.reference")]
    first, second = registry.troubles()
    assert first.startswith("cannot read reference '/nowhere/x.reference': ")
    assert second.startswith(f"cannot read reference '{folder}/bad.reference': ")
    assert registry.reload()["failed"] == [], "a file that looks as before is not read again"
    assert len(registry.troubles()) == 2, "and stays a trouble"
    registry.close()


def test_a_model_has_its_own_settings_and_those_of_defaults(tmp_path: Path, folder: Path) -> None:
    reference().save(tmp_path / "a.reference")
    reference(2, model="other").save(folder / "b.reference")
    text = (
        '[defaults]\nwindows = ["50 rows"]\nbudget = ""\n'
        f'[[models]]\nreference = "{tmp_path}/a.reference"\nname = "mine"\nwindows = ["1h", "20 rows"]\n'
        'budget = "30d"\n'
    )
    registry = registry_of(tmp_path, text)
    registry.reload()
    mine, other = registry.snapshots()
    assert [each.name for each in mine.windows] == ["1h", "20rows"]
    assert [each.name for each in other.windows] == ["50rows"]
    assert mine.model == "mine"
    assert mine.drift is not None
    assert mine.drift.budget_seconds == 30 * 86_400
    assert other.drift is None
    registry.close()


def test_settings_that_do_not_fit_the_reference_are_a_trouble_of_that_model(
    tmp_path: Path, folder: Path
) -> None:
    reference().save(folder / "a.reference")
    reference(2, model="odd").save(tmp_path / "b.reference")
    text = f'[[models]]\nreference = "{tmp_path}/b.reference"\nweights = {{ nobody = 2 }}\n'
    registry = registry_of(tmp_path, text)
    registry.reload()
    assert registry.names() == ("churn",)
    (trouble,) = registry.troubles()
    assert trouble.startswith(f"cannot watch model 'odd' with '{tmp_path}/b.reference': ")
    registry.close()


@pytest.mark.usefixtures("folder")
def test_two_named_models_of_one_name_are_told_apart_or_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a.reference", tmp_path / "b.reference"]
    for seed, path in enumerate(paths):
        reference(seed).save(path)
    text = "".join(f'[[models]]\nreference = "{path}"\n' for path in paths)
    registry = registry_of(tmp_path, text)
    registry.reload()
    assert registry.troubles() == (
        f"'{paths[1]}' and '{paths[0]}' are both called 'churn'; give one of the two [[models]] a name",
    )
    registry.close()


def test_of_one_model_in_a_folder_the_newest_reference_is_in_force(tmp_path: Path, folder: Path) -> None:
    old, new = reference(1, created_seconds=1e9), reference(2, version="2", created_seconds=1.5e9)
    new.save(folder / "a.reference")
    old.save(folder / "b.reference")
    registry = registry_of(tmp_path)
    registry.reload()
    handle = registry.get()
    assert handle is not None
    assert handle.reference.id == new.id
    (folder / "a.reference").unlink()
    assert registry.reload()["changed"] == [], "a file that is replaced may be away for a moment"
    assert registry.reload()["changed"] == ["churn"]
    assert handle.reference.id == old.id
    registry.close()


def test_a_changed_file_changes_the_model_and_the_handle_stays(tmp_path: Path, folder: Path) -> None:
    reference(1).save(folder / "a.reference")
    registry = registry_of(tmp_path)
    registry.reload()
    handle = registry.get("churn")
    assert handle is not None
    intake = handle.intake("ingest", "json", columns=True)
    intake.offer_columns(ROWS, None)
    intake.drain(5)
    reference(2, version="2").save(folder / "a.reference")
    assert registry.reload()["changed"] == ["churn"]
    intake.offer_columns({"x": np.arange(4.0)}, None)
    intake.drain(5)
    snapshot = handle.snapshot()
    assert (snapshot.model_version, snapshot.windows[0].rows) == ("2", 4)
    assert snapshot.payloads[0].decoded == 2, "payloads are counted on"
    assert registry.reload()["kept"] == ["churn"]
    registry.close()


def test_a_file_that_goes_bad_leaves_the_reference_before_it_in_force(tmp_path: Path, folder: Path) -> None:
    good = reference(1)
    good.save(folder / "a.reference")
    registry = registry_of(tmp_path)
    registry.reload()
    (folder / "a.reference").write_bytes(b"half a file")
    assert registry.reload()["failed"] == [str(folder / "a.reference")]
    handle = registry.get()
    assert handle is not None
    assert handle.reference.id == good.id
    assert registry.troubles()[0].endswith("; the reference before it stays in force")
    assert handle.snapshot().internal_errors["reload"] == 1
    good.save(folder / "a.reference")
    registry.reload()
    assert registry.troubles() == ()
    registry.close()


def test_a_mounted_configmap_that_flips_its_link_is_a_change(tmp_path: Path, folder: Path) -> None:
    for seed in (1, 2):
        (folder / f"..{seed}").mkdir()
        reference(seed).save(folder / f"..{seed}" / "a.reference")
    (folder / "..data").symlink_to("..1")
    (folder / "a.reference").symlink_to("..data/a.reference")
    registry = registry_of(tmp_path)
    assert registry.reload()["added"] == ["churn"]
    (folder / "..new").symlink_to("..2")
    (folder / "..new").replace(folder / "..data")
    assert registry.reload()["changed"] == ["churn"]
    assert registry.reload()["kept"] == ["churn"]
    registry.close()


def test_a_model_whose_file_is_gone_goes_with_its_rows_saved(tmp_path: Path, folder: Path) -> None:
    fitted = reference()
    fitted.save(folder / "a.reference")
    registry = registry_of(tmp_path, state=True)
    changes: list[tuple[str, ...]] = []
    registry.on_change(lambda: changes.append(registry.names()))
    registry.reload()
    handle = registry.get()
    assert handle is not None
    handle.observe(ROWS)
    (folder / "a.reference").unlink()
    registry.reload()
    assert registry.reload()["removed"] == ["churn"]
    assert registry.get("churn") is None
    assert changes == [("churn",), ()]
    (saved,) = (tmp_path / "state").rglob("*.window")
    assert WindowState.load(saved).rows == 10
    registry.close()


def test_a_name_is_needed_where_there_are_several(tmp_path: Path, folder: Path) -> None:
    reference(model="a").save(folder / "a.reference")
    reference(model="b").save(folder / "b.reference")
    registry = registry_of(tmp_path)
    assert registry.get() is None
    registry.reload()
    assert registry.get() is None
    assert registry.get("a") is not None
    assert registry.get("c") is None
    registry.close()


def test_intakes_of_two_routes_of_one_protocol_are_one_series(tmp_path: Path, folder: Path) -> None:
    reference().save(folder / "a.reference")
    registry = registry_of(tmp_path)
    registry.reload()
    handle = registry.get()
    assert handle is not None
    one = handle.intake("proxy", "mapping", mapping={"rows": "a"})
    other = handle.intake("proxy", "mapping", mapping={"rows": "b"})
    assert one is not other
    assert handle.intake("proxy", "mapping", mapping={"rows": "a"}) is one
    one.drop("not_ok", 2)
    other.drop("not_ok", 3)
    (counts,) = handle.snapshot().payloads
    assert (counts.payloads, counts.dropped) == (5, {"queue_full": 0, "sampled_out": 0, "not_ok": 5})
    registry.close()


def test_two_decoders_of_one_name_have_an_intake_each(tmp_path: Path, folder: Path) -> None:
    reference().save(folder / "a.reference")
    registry = registry_of(tmp_path)
    registry.reload()
    handle = registry.get()
    assert handle is not None
    one, other = Refusable(name="json"), Refusable(name="json")
    assert intake_of(handle, "file", one) is intake_of(handle, "file", one)
    assert intake_of(handle, "file", one) is not intake_of(handle, "file", other)
    registry.close()


def test_payloads_of_other_processes_of_a_shared_directory_are_told_with_its_own(
    tmp_path: Path, folder: Path
) -> None:
    reference().save(folder / "a.reference")
    registry = registry_of(tmp_path, f'[shared]\ndirectory = "{tmp_path}/shared"')
    registry.reload()
    handle = registry.get()
    assert handle is not None
    handle.intake("ingest", "json", columns=True).drop("not_ok")
    worker = Monitor(reference(), shared_directory=tmp_path / "shared" / handle.name)
    worker.count_payloads(lambda: [PayloadCounts(way="middleware", protocol="json", payloads=7, decoded=7)])
    worker.snapshot()
    found = {each.way: each.payloads for each in handle.snapshot().payloads}
    assert found == {"ingest": 1, "middleware": 7}
    worker.close()
    registry.close()


def test_no_row_is_lost_while_references_are_swapped(tmp_path: Path, folder: Path) -> None:
    """Rows that were decoded are in the windows of one reference or the other, exactly."""
    reference(0, version="0").save(folder / "a.reference")
    registry = registry_of(tmp_path, '[defaults]\nwindows = ["2000000 rows"]', state=True)
    registry.reload()
    handle = registry.get()
    assert handle is not None
    intake = handle.intake("ingest", "json", columns=True)
    stop, taken = threading.Event(), 0

    def feed() -> None:
        nonlocal taken
        while not stop.is_set():
            taken += intake.offer_columns({"x": np.zeros(7)}, None)
            time.sleep(0.0005)  # all of it fits the windows

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for seed in range(1, 6):
            reference(seed, version=str(seed)).save(folder / "a.reference")
            assert registry.reload()["changed"] == ["churn"]
    finally:
        stop.set()
        feeder.join()
    registry.close()
    newest = {each.parent.parent.name: each for each in sorted((tmp_path / "state").rglob("*.window"))}
    assert len(newest) == 6
    assert sum(WindowState.load(each).rows for each in newest.values()) == 7 * taken

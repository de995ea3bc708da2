"""Every way a file can be damaged ends in one clear error, or in the content that was written."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftgauge import _archive
from driftgauge._archive import content_id, read_archive, write_archive
from driftgauge.errors import ReferenceFileError
from driftgauge.reference import PartialReference, Reference

HEADER = {"model": "m", "labels": ["ä", "b"], "number": 0.1}
ARRAYS = {
    "points": np.array([1.5, np.inf, -0.0]),
    "counts": np.array([[1, 2], [3, 4]], np.uint32),
    "empty": np.empty(0, np.int64),
    "scalar": np.array(7, np.uint16),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "good"
    write_archive(path, "thing", HEADER, ARRAYS)
    return path


@pytest.fixture(scope="module")
def saved_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "good"
    small_reference().save(path)
    return path


def small_reference() -> Reference:
    data = {"age": [31, 40, 40, None], "plan": ["a", "b", "a", None], "paid": [True, False, None, True]}
    return Reference.fit(data, outputs="paid", min_category_count=1, created_timestamp_seconds=5.0)


def rebuilt(path: Path, target: Path, change: Any) -> Path:
    """A copy of the zip with *change* applied to its members, by the rules of zip and of ours."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def signed(members: dict[str, bytes], **changes: Any) -> None:
    """Change the header and make its digest right again, as an attacker would."""
    described = json.loads(members["header.json"])
    described.pop("sha256")
    for name in described["arrays"]:
        if f"{name}.npy" in members:
            described["arrays"][name] = _archive.hashlib.sha256(members[f"{name}.npy"]).hexdigest()
    described.update(changes)
    described["sha256"] = _archive.hashlib.sha256(_archive._canonical(described)).hexdigest()
    members["header.json"] = _archive._canonical(described)


# law


def test_what_is_written_is_read(written: Path) -> None:
    header, arrays = read_archive(written, "thing")
    assert header == HEADER
    assert {name: (a.dtype, a.shape) for name, a in arrays.items()} == {
        name: (a.dtype, a.shape) for name, a in ARRAYS.items()
    }
    assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)
    assert all(array.flags.writeable for array in arrays.values())


def test_equal_content_gives_equal_bytes(written: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "again", "thing", dict(reversed(HEADER.items())), dict(reversed(ARRAYS.items())))
    assert (tmp_path / "again").read_bytes() == written.read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(
    data: st.DataObject, saved_reference: Path, tmp_path: Path
) -> None:
    content = bytearray(saved_reference.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    try:
        loaded = Reference.load(damaged)
    except ReferenceFileError:
        return
    # bytes of the zip that mean nothing to us, such as a date
    good = Reference.load(saved_reference)
    assert loaded.id == good.id
    assert loaded.created_timestamp_seconds == good.created_timestamp_seconds


def test_a_file_cut_anywhere_is_refused(saved_reference: Path, tmp_path: Path) -> None:
    content = saved_reference.read_bytes()
    cut = tmp_path / "cut"
    for size in range(len(content)):
        cut.write_bytes(content[:size])
        with pytest.raises(ReferenceFileError):
            Reference.load(cut)


@given(junk=st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_are_no_archive_are_refused(junk: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk"
    path.write_bytes(b"PK\x03\x04" + junk)
    with pytest.raises(ReferenceFileError):
        read_archive(path, "thing")


# oracle


def test_any_zip_tool_and_numpy_read_it(written: Path) -> None:
    with zipfile.ZipFile(written) as archive:
        assert archive.testzip() is None
        with archive.open("counts.npy") as member:
            np.testing.assert_array_equal(np.load(member, allow_pickle=False), ARRAYS["counts"])
        assert json.loads(archive.read("header.json"))["header"] == HEADER


# edge


def test_no_such_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReferenceFileError, match="No such file"):
        read_archive(tmp_path / "absent", "thing")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReferenceFileError, match="cannot read"):
        read_archive(tmp_path, "thing")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY"])
def test_what_is_no_zip_is_called_not_ours(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ReferenceFileError, match="not a driftgauge file"):
        read_archive(tmp_path / "file", "thing")


def test_another_zip_is_called_not_ours(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with pytest.raises(ReferenceFileError, match="not a driftgauge file"):
        read_archive(tmp_path / "other", "thing")


def test_another_kind_is_named(written: Path) -> None:
    with pytest.raises(ReferenceFileError, match="holds a 'thing', a 'reference' is needed"):
        read_archive(written, "reference")


def test_a_partial_is_not_taken_for_a_reference(tmp_path: Path) -> None:
    PartialReference().update({"x": [1.0, 2.0]}).save(tmp_path / "partial")
    with pytest.raises(ReferenceFileError, match="holds a 'partial reference'"):
        Reference.load(tmp_path / "partial")


def test_a_newer_format_asks_for_an_upgrade(written: Path, tmp_path: Path) -> None:
    newer = rebuilt(written, tmp_path / "newer", lambda members: signed(members, format=2))
    with pytest.raises(ReferenceFileError, match=r"file format 2.*upgrade driftgauge"):
        read_archive(newer, "thing")


def _drop(members: dict[str, bytes]) -> None:
    del members["counts.npy"]


def _add(members: dict[str, bytes]) -> None:
    members["more.npy"] = members["counts.npy"]


def _change_array(members: dict[str, bytes]) -> None:
    members["counts.npy"] = members["counts.npy"][:-1] + b"\x09"


def _change_header(members: dict[str, bytes]) -> None:
    members["header.json"] = members["header.json"].replace(b'"m"', b'"n"')


def _bad_json(members: dict[str, bytes]) -> None:
    members["header.json"] = b"{" + members["header.json"]


def _deep_json(members: dict[str, bytes]) -> None:
    members["header.json"] = b"[" * 100_000


def _no_object(members: dict[str, bytes]) -> None:
    members["header.json"] = b"[1]"


def _pickled(members: dict[str, bytes]) -> None:
    stream = _archive.io.BytesIO()
    np.lib.format.write_array(stream, np.array([print], object), allow_pickle=True)
    members["counts.npy"] = stream.getvalue()
    signed(members)


def _terabytes(members: dict[str, bytes]) -> None:
    stream = _archive.io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)}
    np.lib.format.write_array_header_1_0(stream, header)
    members["counts.npy"] = stream.getvalue() + b"\0" * 8
    signed(members)


def _float32(members: dict[str, bytes]) -> None:
    stream = _archive.io.BytesIO()
    np.lib.format.write_array(stream, np.zeros(2, np.float32))
    members["counts.npy"] = stream.getvalue()
    signed(members)


def _no_magic(members: dict[str, bytes]) -> None:
    signed(members, magic="other")


def _header_is_a_list(members: dict[str, bytes]) -> None:
    signed(members, header=[1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_drop, "members missing or added: 'counts.npy'"),
        (_add, "members missing or added: 'more.npy'"),
        (_change_array, "SHA-256 of member 'counts.npy'"),
        (_change_header, "header's SHA-256"),
        (_bad_json, "JSONDecodeError"),
        (_deep_json, "damaged"),
        (_no_object, "not a driftgauge file"),
        (_pickled, "plain numbers"),
        (_terabytes, "needs another number"),
        (_float32, "plain numbers"),
        (_no_magic, "not a driftgauge file"),
        (_header_is_a_list, "not an object"),
    ],
)
def test_each_damage_is_named(written: Path, tmp_path: Path, change: Any, reason: str) -> None:
    damaged = rebuilt(written, tmp_path / "damaged", change)
    with pytest.raises(ReferenceFileError, match=reason):
        read_archive(damaged, "thing")


def test_a_compressed_member_is_refused_before_it_is_unpacked(written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive, zipfile.ZipFile(tmp_path / "bomb", "w") as bomb:
        bomb.writestr("header.json", archive.read("header.json"))
        bomb.writestr("counts.npy", b"\0" * 10_000_000, compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(ReferenceFileError, match="compressed"):
        read_archive(tmp_path / "bomb", "thing")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(written: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(written) as archive, zipfile.ZipFile(tmp_path / "twice", "w") as twice:
        for name in (*archive.namelist(), "counts.npy"):
            twice.writestr(name, archive.read(name))
    with pytest.raises(ReferenceFileError, match="twice"):
        read_archive(tmp_path / "twice", "thing")


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="an archive holds"):
        write_archive(tmp_path / "file", "thing", {}, {"a": np.array([None])})


def test_a_failed_write_leaves_the_older_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_archive(path, "thing", {"old": 1}, {})

    def full(_descriptor: int) -> None:
        message = "no space left on device"
        raise OSError(message)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_archive(path, "thing", {"new": 1}, {})
    monkeypatch.undo()
    assert read_archive(path, "thing")[0] == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def _signed_reference(**changes: Any) -> Any:
    def change(members: dict[str, bytes]) -> None:
        header = json.loads(members["header.json"])["header"]
        for key, value in changes.items():
            if key == "feature":
                header["features"][0].update(value)
            else:
                header[key] = value
        signed(members, header=header)

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {"feature": {"dtype": "complex"}},
        {"feature": {"kind": "target"}},
        {"feature": {"points": 1}},
        {"feature": {"points": 3}},
        {"feature": {"points": -1}},
        {"feature": {"bin_labels": ["all"]}},
        {"feature": {"ks_error_bound": 2.0}},
        {"feature": {"name": "plan"}},
        {"feature": {"single": True}},
        {"features": []},
        {"features": {}},
        {"id": "0" * 64},
        {"model": "another"},
        {"created_timestamp_seconds": "today"},
        {"unnamed_counts": {"plan": [[1]]}},
    ],
)
def test_a_header_that_contradicts_its_arrays_is_refused(
    changes: dict[str, Any], saved_reference: Path, tmp_path: Path
) -> None:
    damaged = rebuilt(saved_reference, tmp_path / "damaged", _signed_reference(**changes))
    with pytest.raises(ReferenceFileError, match="damaged"):
        Reference.load(damaged)


def test_the_content_id_sees_kind_header_and_arrays() -> None:
    base = content_id("thing", HEADER, ARRAYS)
    assert base == content_id("thing", dict(HEADER), dict(ARRAYS))
    assert base != content_id("other", HEADER, ARRAYS)
    assert base != content_id("thing", {**HEADER, "number": 0.2}, ARRAYS)
    assert base != content_id("thing", HEADER, {**ARRAYS, "scalar": np.array(8, np.uint16)})
    assert base != content_id("thing", HEADER, {**ARRAYS, "scalar": np.array(7, np.uint32)})

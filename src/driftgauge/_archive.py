"""Our file format: a zip of plain ``.npy`` arrays and one JSON header, checked to the last byte before use.

References, partial references and window states are all files of this kind. What a reader may rely on:

- members are stored, not compressed, so the bytes do not depend on the compression library, and a small
  file cannot unpack into a large one;
- no pickle is ever read: members are numeric arrays, and their dtype and shape are checked first;
- the header carries a SHA-256 over itself and every array; what does not match is refused;
- writing is atomic: a reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from driftgauge.errors import ReferenceFileError

__all__ = ["FORMAT", "content_id", "damaged", "read_archive", "write_archive"]

FORMAT: Final = 1
_HEADER: Final = "header.json"
_MAGIC: Final = "driftgauge"
_DTYPES: Final = frozenset({"<f8", "<i8", "<i4", "<u8", "<u4", "<u2", "|u1"})
_ZIP_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say; the time of writing is no content
_MAX_FILE_BYTES: Final = 8 << 30  # our choice: 1,000 exact features take 0.5 GiB

Header = dict[str, Any]
Arrays = Mapping[str, NDArray[Any]]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _encode(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array)
    if plain.shape != array.shape:  # ascontiguousarray makes a scalar one-dimensional
        plain = plain.reshape(array.shape)
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    if plain.dtype.str not in _DTYPES:
        message = f"an archive holds {', '.join(sorted(_DTYPES))}, got {plain.dtype.str!r}"
        raise TypeError(message)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, plain, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _describe(kind: str, header: Header, members: Mapping[str, bytes]) -> Header:
    digests = {name: hashlib.sha256(members[name]).hexdigest() for name in sorted(members)}
    return {"magic": _MAGIC, "format": FORMAT, "kind": kind, "header": header, "arrays": digests}


def content_id(kind: str, header: Header, arrays: Arrays) -> str:
    """SHA-256, as 64 hexadecimal digits, over *kind*, *header* and *arrays*; not over any file's bytes."""
    members = {name: _encode(array) for name, array in arrays.items()}
    return hashlib.sha256(_canonical(_describe(kind, header, members))).hexdigest()


def write_archive(path: str | os.PathLike[str], kind: str, header: Header, arrays: Arrays) -> None:
    """Write one file, atomically: a temporary file beside it, flushed to disk, then renamed over it.

    Parameters
    ----------
    path : str or path
        Where to; the folder must exist. An older file of that name is replaced.
    kind : str
        What it is, such as ``'reference'``; `read_archive` asks for the same.
    header : dict
        JSON values only; no NaN.
    arrays : dict of name to array
        float64, int32, int64, uint8, uint16, uint32 or uint64, any shape.

    Raises
    ------
    OSError
        The folder is not there or not writable; the older file, if any, is untouched.
    """
    members = {f"{name}.npy": _encode(array) for name, array in arrays.items()}
    described = _describe(kind, header, {name.removesuffix(".npy"): data for name, data in members.items()})
    described["sha256"] = hashlib.sha256(_canonical(described)).hexdigest()
    members[_HEADER] = _canonical(described)
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as stream:
            _write_zip(stream, members)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # a folder cannot be opened for flushing everywhere; the rename stands
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _write_zip(stream: Any, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members, key=lambda member: (member != _HEADER, member)):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3  # otherwise Windows and Linux write different bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name])


def read_archive(path: str | os.PathLike[str], kind: str) -> tuple[Header, dict[str, NDArray[Any]]]:
    """Read what `write_archive` wrote: the header and the arrays, each checked.

    Raises
    ------
    ReferenceFileError
        Whatever is wrong: no such file, not one of ours, another *kind*, a newer format, cut short, a
        changed byte, a missing or added member, a pickled array. The message says which.
    """
    try:
        size = Path(path).stat().st_size
        if size > _MAX_FILE_BYTES:
            raise damaged(path, f"it has {size:,} bytes, more than the {_MAX_FILE_BYTES:,} that we read")
        data = Path(path).read_bytes()
    except OSError as error:
        message = f"cannot read {os.fspath(path)!r}: {error.strerror or error}"
        raise ReferenceFileError(message) from error
    if not data.startswith(b"PK"):
        message = f"{os.fspath(path)!r} is not a driftgauge file: it does not begin as a zip does"
        raise ReferenceFileError(message)
    try:
        return _parse(path, kind, data)
    except ReferenceFileError:
        raise
    # zipfile, json and numpy raise more than a dozen kinds on hostile bytes, and add some with each release
    except Exception as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def damaged(path: str | os.PathLike[str], why: str) -> ReferenceFileError:
    """The error to raise for a file of ours that is not as it was written."""
    return ReferenceFileError(f"{os.fspath(path)!r} is damaged: {why}; restore it or build it again")


def _parse(path: str | os.PathLike[str], kind: str, data: bytes) -> tuple[Header, dict[str, NDArray[Any]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names):
            raise damaged(path, "a member is there twice")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(data):
                raise damaged(path, f"member {entry.filename!r} is compressed, which ours never are")
        if _HEADER not in names:
            message = f"{os.fspath(path)!r} is not a driftgauge file: it is a zip without {_HEADER!r}"
            raise ReferenceFileError(message)
        described = json.loads(archive.read(_HEADER))
        if not isinstance(described, dict) or described.get("magic") != _MAGIC:
            message = f"{os.fspath(path)!r} is not a driftgauge file: its {_HEADER!r} does not say {_MAGIC!r}"
            raise ReferenceFileError(message)
        written = described.get("format")
        if isinstance(written, int) and written > FORMAT:
            message = (
                f"{os.fspath(path)!r} has file format {written}, this driftgauge reads up to {FORMAT}; "
                "upgrade driftgauge, or build the file again with this version"
            )
            raise ReferenceFileError(message)
        digest = described.pop("sha256", None)
        if digest != hashlib.sha256(_canonical(described)).hexdigest():
            raise damaged(path, "the header's SHA-256 does not match")
        if described["kind"] != kind:
            message = f"{os.fspath(path)!r} holds a {described['kind']!r}, a {kind!r} is needed"
            raise ReferenceFileError(message)
        expected = {f"{name}.npy": name for name in described["arrays"]}
        if set(expected) != set(names) - {_HEADER}:
            odd = sorted(set(expected) ^ (set(names) - {_HEADER}))
            raise damaged(path, f"members missing or added: {', '.join(map(repr, odd))}")
        arrays = {}
        for member, name in expected.items():
            content = archive.read(member)
            if hashlib.sha256(content).hexdigest() != described["arrays"][name]:
                raise damaged(path, f"the SHA-256 of member {member!r} does not match")
            arrays[name] = _decode(path, member, content)
    header = described["header"]
    if not isinstance(header, dict):
        raise damaged(path, "the header is not an object")
    return header, arrays


def _decode(path: str | os.PathLike[str], member: str, content: bytes) -> NDArray[Any]:
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise damaged(path, f"member {member!r} is no .npy file of version 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject or dtype.str not in _DTYPES or fortran:
        raise damaged(path, f"member {member!r} holds {dtype.str!r}, not plain numbers")
    body = content[stream.tell() :]
    # checked before any array is made: a header can claim a shape of many terabytes
    if len(body) != math.prod(shape) * dtype.itemsize:
        raise damaged(
            path, f"member {member!r} has {len(body)} bytes, its shape {shape} needs another number"
        )
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="))

"""Where compiled kernels may be kept on disk: nowhere, unless an image or a service asks for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Final

__all__ = ["VARIABLE", "cache_directory"]

VARIABLE: Final = "NUMBA_DRIFTGAUGE_CACHE_DIR"
"""Names the directory; numba's own is for everybody in the process. Read when kernels are compiled."""

# Removed with the process: the kernels are in memory by then, and the copy is ours alone.
_copies: list[tempfile.TemporaryDirectory[str]] = []


@lru_cache(maxsize=1)
def cache_directory() -> str | None:
    """A directory that numba can read and write, or None where the kernels are to be compiled in memory.

    A prepared directory that cannot be written, as in an image with a read-only root, is copied to the
    directory for temporary files: numba refuses what it cannot write, even where it would only read.
    """
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    try:
        if _writable(asked):
            return asked
        copy = tempfile.TemporaryDirectory(prefix="driftgauge-kernels-", ignore_cleanup_errors=True)
        _copies.append(copy)
        for file in Path(asked).glob("*/*.nb[ci]"):  # contents only: modes there may forbid to write here
            place = Path(copy.name, file.parent.name)
            place.mkdir(exist_ok=True)
            shutil.copyfile(file, place / file.name)
        return copy.name if _writable(copy.name) else None
    except OSError:  # no such directory, no room, nothing that can be written: compile in memory as always
        return None


def _writable(directory: str) -> bool:
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        return False
    return True

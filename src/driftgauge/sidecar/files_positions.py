"""Where reading stopped in each file, as bytes that are saved with the windows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from driftgauge.sidecar.follow import Position

__all__ = ["Places", "places_from_bytes", "places_to_bytes"]

_FORMAT: Final = 1

_log = logging.getLogger("driftgauge.sidecar.files")


Places = Mapping[str, Iterable[tuple[str, Position]]]
"""By the path in the settings: paths of files, and how far each was read."""


def places_to_bytes(places: Places) -> bytes:
    """As they are saved."""
    found = {
        source: [{"path": path, **asdict(position)} for path, position in each]
        for source, each in places.items()
    }
    return json.dumps({"format": _FORMAT, "files": found}, indent=1).encode()


def places_from_bytes(content: bytes) -> dict[str, list[tuple[str, Position]]]:
    """What `places_to_bytes` made; nothing where it cannot be read, which the log says."""
    try:
        found = json.loads(content)
        if found["format"] != _FORMAT:
            _log.warning("places in files are of format %r; files are read anew", found["format"])
            return {}
        return {source: [_place(each) for each in places] for source, places in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        _log.warning("places in files are damaged; files are read anew")
        return {}


def _place(found: dict[str, Any]) -> tuple[str, Position]:
    numbers = {name: int(found[name]) for name in ("device", "inode", "offset", "head_bytes")}
    if min(numbers.values()) < 0:
        raise ValueError
    return str(found["path"]), Position(**numbers, head=str(found["head"]), tail=str(found["tail"]))

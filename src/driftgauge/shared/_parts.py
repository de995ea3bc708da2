"""Window states and counters as a header and arrays, for the files of a shared directory."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge._evaluate import Counters
from driftgauge._payload_sources import add_payloads
from driftgauge._window_specs import spec_from_dict
from driftgauge._window_state import Pane, WindowState
from driftgauge.shared._packing import Arrays, Header
from driftgauge.snapshot import PayloadCounts

__all__ = ["add_counters", "counters_of", "counters_parts", "exact", "state_of", "state_parts"]


def state_parts(prefix: str, state: WindowState) -> tuple[Header, Arrays]:
    """A state without its ring and its evidence."""
    header = {
        "spec": state.spec.to_dict(),
        "rows": state.rows,
        "late_rows": state.late_rows,
        "newest": state.newest,
        "panes": [[pane.number, pane.rows, pane.first_seconds] for pane in state.panes],
    }
    arrays: Arrays = {
        f"{prefix}counts": state.counts,
        f"{prefix}marks": np.array(state.marks, np.float64).reshape(-1, 2),
    }
    for place, pane in enumerate(state.panes):
        arrays[f"{prefix}{place}occupied"] = pane.occupied
        arrays[f"{prefix}{place}counts"] = pane.counts
    return header, arrays


def state_of(prefix: str, reference_id: str, cells: int, header: Header, arrays: Arrays) -> WindowState:
    """The state that `state_parts` was given; ValueError, KeyError or TypeError where it is another thing."""
    counts = exact(arrays[f"{prefix}counts"], np.uint32, cells)
    panes = []
    for place, (number, rows, first_seconds) in enumerate(header["panes"]):
        occupied = exact(arrays[f"{prefix}{place}occupied"], np.uint8, -(-cells // 8))
        kept = arrays[f"{prefix}{place}counts"]
        bits = np.unpackbits(occupied)
        if kept.dtype.kind != "u" or bits[cells:].any() or int(bits.sum()) != kept.size:
            message = f"pane {place} does not fit {cells:,} cells"
            raise ValueError(message)
        panes.append(
            Pane(
                number=int(number),
                rows=int(rows),
                first_seconds=float(first_seconds),
                occupied=occupied,
                counts=kept,
            )
        )
    newest = header["newest"]
    return WindowState(
        spec=spec_from_dict(header["spec"]),
        reference_id=reference_id,
        counts=counts,
        rows=int(header["rows"]),
        late_rows=int(header["late_rows"]),
        marks=tuple((int(rows), float(seconds)) for rows, seconds in arrays[f"{prefix}marks"]),
        newest=None if newest is None else int(newest),
        panes=tuple(panes),
    )


def exact(array: NDArray[Any], dtype: type[np.generic], size: int) -> NDArray[Any]:
    """*array*, which must be of this type and length."""
    if array.dtype != dtype or array.shape != (size,):
        message = f"an array has {array.dtype}{list(array.shape)} in place of {np.dtype(dtype)}[{size}]"
        raise ValueError(message)
    return array


def counters_parts(counters: Counters) -> Header:
    """Counters as JSON values."""
    return {
        "rows_sampled": counters.rows_sampled,
        "rows_sampled_out": counters.rows_sampled_out,
        "rows_dropped": dict(counters.rows_dropped),
        "internal_errors": dict(counters.internal_errors),
        "payloads": [asdict(each) for each in counters.payloads],
    }


def counters_of(header: Header) -> Counters:
    """What `counters_parts` was given."""
    dropped = {str(reason): _count(rows) for reason, rows in header["rows_dropped"].items()}
    sampled, sampled_out = _count(header["rows_sampled"]), _count(header["rows_sampled_out"])
    return Counters(
        rows=sampled + sampled_out + sum(dropped.values()),
        rows_sampled=sampled,
        rows_sampled_out=sampled_out,
        rows_dropped=dropped,
        internal_errors={str(stage): _count(count) for stage, count in header["internal_errors"].items()},
        payloads=tuple(_payload_counts(each) for each in header["payloads"]),
    )


def _payload_counts(header: Header) -> PayloadCounts:
    text = {name: str(header.pop(name)) for name in ("way", "protocol")}
    whole = {name: _count(header.pop(name)) for name in ("payloads", "decoded")}
    parts = {
        name: {str(reason): _count(count) for reason, count in part.items()} for name, part in header.items()
    }
    return PayloadCounts(**text, **whole, **parts)  # type: ignore[arg-type]


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < math.inf:
        message = f"a counter is {value!r}"
        raise ValueError(message)
    return value


def add_counters(parts: list[Counters]) -> Counters:
    """The sum of all *parts*."""
    dropped: dict[str, int] = {}
    errors: dict[str, int] = {}
    for part in parts:
        for totals, own in ((dropped, part.rows_dropped), (errors, part.internal_errors)):
            for name, count in own.items():
                totals[name] = totals.get(name, 0) + count
    return Counters(
        rows=sum(part.rows for part in parts),
        rows_sampled=sum(part.rows_sampled for part in parts),
        rows_sampled_out=sum(part.rows_sampled_out for part in parts),
        rows_dropped=dropped,
        internal_errors=errors,
        payloads=add_payloads(each for part in parts for each in part.payloads),
    )

"""The state of a window as a value: saved, loaded, merged, read by an evaluation.

It holds counts by cell and cell numbers by row, and no value of any row.

A merged state is as good as a window for every statistic: counts add, so the merge of two states evaluates
exactly like one window that was fed with both. A merged state of duration windows can also be resumed.
A merged state of row windows cannot: which of two replicas' rows came first is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._archive import read_archive, write_archive
from driftgauge._window_specs import Duration, WindowSpec, spec_from_dict
from driftgauge.cells import Counts
from driftgauge.errors import ReferenceFileError

__all__ = ["Marks", "Pane", "WindowState"]

KIND: Final = "window-state"
EVIDENCE: Final = "evidence_"  # before the names of its arrays in a file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pane:
    """Rows of one closed pane, packed: one bit a cell, and a count only for the cells that have rows.

    At 1,023 quantile points about half of the 2,051 cells of a continuous feature can ever be hit. Packed
    they take 0.26 kB of bits and 1 or 2 kB of counts; pairs of (cell, count) as uint32 would take 8.2 kB,
    which is as much as the plain array.
    """

    number: int
    """Of `Duration.pane_number`."""
    rows: int
    first_seconds: float
    """When the first of its rows arrived."""
    occupied: NDArray[np.uint8]
    counts: NDArray[np.unsignedinteger[Any]]

    @classmethod
    def of(cls, number: int, rows: int, first_seconds: float, counts: Counts) -> Pane:
        """Pack the counts of a whole window, uint32[C]."""
        occupied = counts != 0
        kept = counts[occupied]
        largest = int(kept.max(initial=0))
        dtype = np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32
        return cls(
            number=number,
            rows=rows,
            first_seconds=first_seconds,
            occupied=np.packbits(occupied),
            counts=kept.astype(dtype),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.occupied.nbytes + self.counts.nbytes

    def cells(self) -> NDArray[np.intp]:
        """Numbers of the cells that have rows, rising."""
        return np.flatnonzero(np.unpackbits(self.occupied))

    def add_to(self, counts: Counts) -> None:
        """Add its rows to the counts of a window."""
        counts[self.cells()] += self.counts

    def take_from(self, *windows: Counts) -> None:
        """Take its rows out of the counts of each of *windows*; they must be in there."""
        cells = self.cells()
        for counts in windows:
            counts[cells] -= self.counts


Evidence = dict[str, NDArray[Any]]
Marks = tuple[tuple[int, float], ...]
"""Rows and arrival time of consecutive runs of rows, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowState:
    """What a window held at one moment.

    Parameters
    ----------
    spec : Rows or Duration
    reference_id : str
        Of the reference whose cells the counts are by.
    counts : uint32[C]
        Rows by cell, all features end to end.
    rows : int
    late_rows : int
        See `DurationWindow.late_rows`.
    ring : uint16[F, rows] or None
        Row windows: the cell of every row, oldest first. None in a merged state and for a duration.
    marks : tuple of (rows, seconds)
        Row windows: when the rows arrived.
    newest : int or None
        Duration windows: number of the newest pane.
    panes : tuple of Pane
        Duration windows, oldest first.
    evidence : dict of name to array, or None
        State of the monitor's detector, in the first of its windows. See `Detector.state`.
    notes : tuple of str
        For people: what a merge had to leave out. Not saved.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.windows import rows
    >>> first, second = (
    ...     WindowState(spec=rows(100), reference_id="a1", counts=np.array([3, 7], dtype=np.uint32), rows=10)
    ...     for _ in range(2)
    ... )
    >>> WindowState.merge([first, second]).counts
    array([ 6, 14], dtype=uint32)
    """

    spec: WindowSpec
    reference_id: str
    counts: Counts
    rows: int
    late_rows: int = 0
    ring: NDArray[np.uint16] | None = None
    marks: Marks = ()
    newest: int | None = None
    panes: tuple[Pane, ...] = ()
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the window: the value of the label `window`."""
        return self.spec.name

    @property
    def resumable(self) -> bool:
        """Whether a window can go on from here; False for merged row windows, which hold counts only."""
        return isinstance(self.spec, Duration) or self.ring is not None

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays, without the evidence."""
        ring = 0 if self.ring is None else self.ring.nbytes
        return self.counts.nbytes + ring + sum(pane.nbytes for pane in self.panes)

    def seconds(self, now_seconds: float) -> float:
        """How far back the oldest row is from *now_seconds*, in seconds; 0 when there is no row."""
        firsts = [seconds for _, seconds in self.marks[:1]] + [pane.first_seconds for pane in self.panes[:1]]
        return max(0.0, now_seconds - min(firsts)) if firsts else 0.0

    def save(self, path: str | PathLike[str]) -> None:
        """Write to *path*, atomically, in the container of a reference; nothing in it is pickled."""
        arrays: dict[str, NDArray[Any]] = {"counts": self.counts}
        header: dict[str, Any] = {
            "spec": self.spec.to_dict(),
            "reference_id": self.reference_id,
            "rows": self.rows,
            "late_rows": self.late_rows,
            "newest": self.newest,
        }
        arrays["mark_rows"] = np.array([rows for rows, _ in self.marks], dtype=np.int64)
        arrays["mark_seconds"] = np.array([seconds for _, seconds in self.marks], dtype=np.float64)
        if self.ring is not None:
            arrays["ring"] = self.ring
        arrays["pane_numbers"] = np.array([pane.number for pane in self.panes], dtype=np.int64)
        arrays["pane_rows"] = np.array([pane.rows for pane in self.panes], dtype=np.int64)
        arrays["pane_seconds"] = np.array([pane.first_seconds for pane in self.panes], dtype=np.float64)
        for place, pane in enumerate(self.panes):
            arrays[f"pane_{place}_occupied"] = pane.occupied
            arrays[f"pane_{place}_counts"] = pane.counts
        for name, array in (self.evidence or {}).items():
            arrays[f"{EVIDENCE}{name}"] = array.astype(np.float64) if array.dtype == np.float32 else array
        header["evidence_float32"] = sorted(  # which our files do not hold
            name for name, array in (self.evidence or {}).items() if array.dtype == np.float32
        )
        write_archive(path, KIND, header, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> WindowState:
        """Read what `save` wrote.

        Raises
        ------
        ReferenceFileError
            When the file is damaged, too new or no window state; the message says which.
        """
        header, arrays = read_archive(path, KIND)
        try:
            state = _from_parts(header, arrays)
        except (KeyError, TypeError, ValueError) as error:  # ConfigError is a ValueError
            message = f"{path} is a driftgauge window state whose parts do not fit together: {error}"
            raise ReferenceFileError(message) from error
        return state

    @classmethod
    def merge(cls, states: Iterable[WindowState], *, now_seconds: float | None = None) -> WindowState:
        """One state of the rows of all *states*: of replicas, or of processes on one host.

        Parameters
        ----------
        states : iterable of WindowState
            At least one; all of one reference and one window specification.
        now_seconds : float, optional
            Duration windows: panes that have left the window by then are not counted. Without it the newest
            pane of all states decides, so that a replica that stopped an hour ago does not count.

        Returns
        -------
        WindowState
            Equal to the state of one window fed with all rows. Of row windows: all the rows of all states,
            which may be more than the size of each, counts only, not `resumable`. Its evidence is the mean
            of theirs, whatever the replicas have in common, and the rows that wait add up; `notes` says so
            where they could not be put together.

        Raises
        ------
        ConfigError
            When there is no state.
        StateError
            When they belong to different references or windows, or a count would pass 2**32 - 1.
        """
        from driftgauge._window_merge import merge_states

        return merge_states(list(states), now_seconds)


def _from_parts(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> WindowState:
    counts = _array(arrays, "counts", "u4", 1)
    mark_rows, mark_seconds = _array(arrays, "mark_rows", "i8", 1), _array(arrays, "mark_seconds", "f8", 1)
    numbers, rows = _array(arrays, "pane_numbers", "i8", 1), _array(arrays, "pane_rows", "i8", 1)
    firsts = _array(arrays, "pane_seconds", "f8", 1)
    panes = []
    listed = zip(numbers.tolist(), rows.tolist(), firsts.tolist(), strict=True)
    for place, (number, held, first) in enumerate(listed):
        occupied = _array(arrays, f"pane_{place}_occupied", "u1", 1)
        kept = _array(arrays, f"pane_{place}_counts", ("u1", "u2", "u4"), 1)
        bits = np.unpackbits(occupied)
        if occupied.size != -(-counts.size // 8) or bits[counts.size :].any() or int(bits.sum()) != kept.size:
            message = f"pane {place} does not fit {counts.size:,} cells"
            raise ValueError(message)
        panes.append(Pane(number=number, rows=held, first_seconds=first, occupied=occupied, counts=kept))
    newest = header["newest"]
    return WindowState(
        spec=spec_from_dict(header["spec"]),
        reference_id=str(header["reference_id"]),
        counts=counts,
        rows=int(header["rows"]),
        late_rows=int(header["late_rows"]),
        ring=_array(arrays, "ring", "u2", 2) if "ring" in arrays else None,
        marks=tuple(zip(mark_rows.tolist(), mark_seconds.tolist(), strict=True)),
        newest=None if newest is None else int(newest),
        panes=tuple(panes),
        evidence=_evidence(header, arrays),
    )


def _evidence(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Evidence | None:
    single = set(header.get("evidence_float32", ()))  # older files have neither
    found = {name.removeprefix(EVIDENCE): name for name in arrays if name.startswith(EVIDENCE)}
    evidence = {
        name: arrays[member].astype(np.float32) if name in single else arrays[member]
        for name, member in found.items()
    }
    return evidence or None


def _array(
    arrays: dict[str, NDArray[Any]], name: str, dtypes: str | tuple[str, ...], dimensions: int
) -> NDArray[Any]:
    array = arrays[name]
    wanted = (dtypes,) if isinstance(dtypes, str) else dtypes
    if array.ndim != dimensions or array.dtype not in [np.dtype(dtype) for dtype in wanted]:
        message = f"{name} has dtype {array.dtype} and shape {array.shape}"
        raise ValueError(message)
    return array

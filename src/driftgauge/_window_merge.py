"""The merge of window states: counts add up, evidence is pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from driftgauge._window_specs import Duration
from driftgauge._window_state import Evidence, Pane, WindowState
from driftgauge.cells import Counts
from driftgauge.errors import ConfigError, StateError

__all__ = ["merge_states"]

MAX_COUNT: Final = 2**32 - 1


def merge_states(states: Sequence[WindowState], now_seconds: float | None) -> WindowState:
    """What `WindowState.merge` says."""
    if not states:
        message = "at least one window state is needed for a merge, got none"
        raise ConfigError(message)
    _check_alike(states)
    spec = states[0].spec
    if isinstance(spec, Duration):
        merged = _merge_panes(spec, states, now_seconds)
    elif len(states) == 1:
        return states[0]
    else:
        rows = sum(state.rows for state in states)
        oldest = [state.marks[0][1] for state in states if state.marks]
        merged = replace(
            states[0],
            counts=_add([state.counts for state in states]),
            rows=rows,
            late_rows=sum(state.late_rows for state in states),
            ring=None,
            marks=((rows, min(oldest)),) if oldest else (),
        )
    evidence, notes = _pooled([state.evidence for state in states if state.evidence])
    earlier = tuple(dict.fromkeys(note for state in states for note in state.notes))
    return replace(merged, evidence=evidence, notes=(*earlier, *notes))


def _pooled(given: Sequence[Evidence]) -> tuple[Evidence | None, tuple[str, ...]]:
    """The evidence of several detectors as that of one; None, and why, where they are not alike."""
    if len(given) < 2:
        return (given[0] if given else None), ()
    from driftgauge.detectors.drift_score import DriftScore

    try:
        return DriftScore.merge_states(given), ()
    except StateError as error:
        return None, (f"the evidence is left out: {error}",)


def _check_alike(states: Sequence[WindowState]) -> None:
    for first, second in pairwise(states):
        if first.reference_id != second.reference_id:
            message = (
                f"window states of different references cannot be merged, got {first.reference_id!r} "
                f"and {second.reference_id!r}; merge only states whose reference_id is the same"
            )
            raise StateError(message)
        if first.spec != second.spec:
            message = (
                f"window states of different windows cannot be merged, got {first.spec!r} "
                f"and {second.spec!r}; open the same window on every replica"
            )
            raise StateError(message)
        if first.counts.size != second.counts.size:
            message = (
                f"window states of reference {first.reference_id!r} must have the same number of cells, "
                f"got {first.counts.size:,} and {second.counts.size:,}; one of them is damaged"
            )
            raise StateError(message)


def _add(counts: Sequence[Counts]) -> Counts:
    total = np.zeros(counts[0].size, dtype=np.uint64)
    for one in counts:
        total += one
    if total.size and int(total.max()) > MAX_COUNT:
        message = f"a cell can count up to {MAX_COUNT:,} rows, the merge has {int(total.max()):,}"
        raise StateError(message)
    return total.astype(np.uint32)


def _merge_panes(spec: Duration, states: Sequence[WindowState], now_seconds: float | None) -> WindowState:
    newest = [state.newest for state in states if state.newest is not None]
    if now_seconds is not None and newest:
        newest.append(spec.pane_number(now_seconds))
    cells = states[0].counts.size
    together: dict[int, list[Pane]] = {}
    for state in states:
        for pane in state.panes:
            if pane.number > max(newest) - spec.panes:
                together.setdefault(pane.number, []).append(pane)
    panes = tuple(_one_pane(together[number], cells) for number in sorted(together))
    counts = np.zeros(cells, dtype=np.uint32)
    for pane in panes:
        pane.add_to(counts)
    return WindowState(
        spec=spec,
        reference_id=states[0].reference_id,
        counts=counts,
        rows=sum(pane.rows for pane in panes),
        late_rows=sum(state.late_rows for state in states),
        newest=max(newest) if newest else None,
        panes=panes,
    )


def _one_pane(panes: Sequence[Pane], cells: int) -> Pane:
    if len(panes) == 1:
        return panes[0]
    parts = []
    for pane in panes:
        part = np.zeros(cells, dtype=np.uint32)
        pane.add_to(part)
        parts.append(part)
    first_seconds = min(pane.first_seconds for pane in panes)
    return Pane.of(panes[0].number, sum(pane.rows for pane in panes), first_seconds, _add(parts))

"""The merged truth: everybody who is there and everybody who has gone, as one monitor would say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from driftgauge._evaluate import Counters
from driftgauge._window_specs import Duration, WindowSpec
from driftgauge._window_state import WindowState
from driftgauge.cells import Counts
from driftgauge.shared._departed import Departed, is_ahead
from driftgauge.shared._folder import Present
from driftgauge.shared._parts import add_counters
from driftgauge.shared._publication import Publication, Sizes, Totals, add_totals

__all__ = ["Merged", "MergedView", "merged", "merged_states", "specs_of_all"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergedView:
    """A window over the rows of all processes, for an evaluation."""

    name: str
    reference_id: str
    counts: Counts
    rows: int
    oldest_seconds: float | None

    def seconds(self, now_seconds: float) -> float:
        """How far back the oldest row is."""
        return 0.0 if self.oldest_seconds is None else max(0.0, now_seconds - self.oldest_seconds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Merged:
    """All that an evaluation needs."""

    windows: tuple[MergedView, ...]
    counters: Counters
    bin_rows: Totals


def merged(present: Present, specs: Iterable[WindowSpec], sizes: Sizes, now_seconds: float) -> Merged:
    """What all processes together have counted, in the windows *specs*."""
    everybody: list[Publication | Departed] = [*present.living.values(), present.departed]
    return Merged(
        windows=tuple(_view(spec, _states(present, spec, now_seconds), sizes, now_seconds) for spec in specs),
        counters=add_counters([one.counters for one in everybody]),
        bin_rows=add_totals([one.bin_rows for one in everybody]),
    )


def merged_states(
    present: Present, specs: Iterable[WindowSpec], sizes: Sizes, now_seconds: float
) -> list[WindowState]:
    """The same windows as states, which can be saved, and merged with those of other hosts."""
    return [
        WindowState.merge(
            _states(present, spec, now_seconds) or [_empty(spec, sizes)], now_seconds=now_seconds
        )
        for spec in specs
    ]


def specs_of_all(present: Present) -> tuple[WindowSpec, ...]:
    """Every window that somebody has, those of the living first."""
    states = [state for one in present.living.values() for state in one.windows]
    states += [window.state for window in present.departed.windows] + list(present.departed.durations)
    return tuple(dict.fromkeys(state.spec for state in states))


def _states(present: Present, spec: WindowSpec, now_seconds: float) -> list[WindowState]:
    living = present.living.values()
    states = [state for one in living for state in one.windows if state.spec == spec]
    if isinstance(spec, Duration):
        states += [state for state in present.departed.durations if state.spec == spec]
        return [state for state in states if not is_ahead(state, now_seconds)]
    dead = present.departed.staying(living)
    return states + [window.state for window in dead if window.state.spec == spec]


def _empty(spec: WindowSpec, sizes: Sizes) -> WindowState:
    return WindowState(
        spec=spec, reference_id=sizes.reference_id, counts=np.zeros(sizes.cells, np.uint32), rows=0
    )


def _view(spec: WindowSpec, states: list[WindowState], sizes: Sizes, now_seconds: float) -> MergedView:
    """Counts of all, less those of panes that are over; without the panes, which no evaluation reads."""
    counts = np.zeros(sizes.cells, np.uint32)
    rows, firsts = 0, []
    over = _last_pane_over(spec, states, now_seconds)
    for state in states:
        counts += state.counts
        rows += state.rows
        firsts += [seconds for _, seconds in state.marks[:1]]
        for pane in state.panes:
            if over is not None and pane.number <= over:
                pane.take_from(counts)
                rows -= pane.rows
            else:
                firsts.append(pane.first_seconds)
                break  # they are in order
    return MergedView(
        name=spec.name,
        reference_id=sizes.reference_id,
        counts=counts,
        rows=rows,
        oldest_seconds=min(firsts, default=None),
    )


def _last_pane_over(spec: WindowSpec, states: list[WindowState], now_seconds: float) -> int | None:
    """Number of the newest pane that has left the window, as `WindowState.merge` has it."""
    newest = [state.newest for state in states if state.newest is not None]
    if not isinstance(spec, Duration) or not newest:
        return None
    return max(*newest, spec.pane_number(now_seconds)) - spec.panes

"""A state is the window: saved, loaded, merged, resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_cases import REFERENCE_ID, any_block, small_layout

from driftgauge._archive import write_archive
from driftgauge._window_state import KIND
from driftgauge.errors import ConfigError, ReferenceFileError, StateError
from driftgauge.windows import WindowSpec, WindowState, duration, rows

LAYOUT = small_layout()
SPECS = [rows(30), rows(500), duration(60, panes=6), duration("1h")]
pushes = st.lists(st.tuples(st.floats(-15, 40), st.integers(0, 25)), min_size=1, max_size=8)
seeds = st.integers(0, 2**32 - 1)


def filled(spec: WindowSpec, *blocks: int, reference_id: str = REFERENCE_ID) -> Any:
    window = spec.open(LAYOUT, reference_id)
    for place, count in enumerate(blocks):
        window.push(any_block(LAYOUT, count, place), 1e9 + 20 * place)
    return window


def same(first: Any, second: Any) -> bool:
    return (
        np.array_equal(first.counts, second.counts)
        and first.rows == second.rows
        and first.seconds(2e9) == second.seconds(2e9)
        and getattr(first, "late_rows", 0) == getattr(second, "late_rows", 0)
    )


# Laws


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@given(before=pushes, after=pushes, seed=seeds)
@settings(max_examples=25, deadline=None)
def test_a_window_restored_from_a_file_goes_on_as_if_it_had_never_stopped(
    tmp_path_factory: pytest.TempPathFactory, spec: Any, before: Any, after: Any, seed: int
) -> None:
    path = tmp_path_factory.mktemp("state") / "window.state"
    never_stopped = spec.open(LAYOUT, REFERENCE_ID)
    now = 1e9
    for place, (step, count) in enumerate(before):
        now += step
        never_stopped.push(any_block(LAYOUT, count, seed + place), now)
    never_stopped.state().save(path)
    restored = spec.open(LAYOUT, REFERENCE_ID)
    restored.push(any_block(LAYOUT, 11, 1), 2e9)  # what is in the window before is forgotten
    restored.restore(WindowState.load(path))
    assert same(restored, never_stopped)
    for place, (step, count) in enumerate(after):
        now += step
        block = any_block(LAYOUT, count, seed - place - 1 & 0xFFFF)
        restored.push(block, now)
        never_stopped.push(block, now)
        assert same(restored, never_stopped)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_merge_has_the_counts_of_all_states_together(spec: Any) -> None:
    states = [filled(spec, 9, 4).state(), filled(spec, 2).state(), filled(spec, 7, 7, 7).state()]
    merged = WindowState.merge(states)
    assert merged.counts.tolist() == np.sum([state.counts for state in states], axis=0).tolist()
    assert merged.rows == sum(state.rows for state in states) == 36
    assert merged.seconds(1e9 + 100) == 100.0


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_the_order_and_the_grouping_of_a_merge_do_not_matter(spec: Any) -> None:
    first, second, third = filled(spec, 9, 4).state(), filled(spec, 2).state(), filled(spec, 7, 7, 7).state()
    one = WindowState.merge([first, second, third])
    other = WindowState.merge([third, WindowState.merge([second, first])])
    assert same(one, other)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_merging_an_empty_state_changes_nothing(spec: Any) -> None:
    state = filled(spec, 9, 4).state()
    assert same(WindowState.merge([state, filled(spec).state()]), state)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_state_does_not_change_when_its_window_goes_on(spec: Any) -> None:
    window = filled(spec, 9, 4)
    state = window.state()
    before = state.counts.tolist()
    window.push(any_block(LAYOUT, 30, 5), 1e9 + 41)
    assert state.counts.tolist() == before
    assert state.rows == 13


def test_a_replica_that_stopped_longer_ago_than_t_is_not_in_the_merge() -> None:
    spec = duration(60, panes=6)
    stopped, alive = spec.open(LAYOUT, REFERENCE_ID), spec.open(LAYOUT, REFERENCE_ID)
    stopped.push(any_block(LAYOUT, 5, 0), 1_000.0)
    alive.push(any_block(LAYOUT, 3, 1), 1_100.0)
    assert WindowState.merge([stopped.state(), alive.state()]).rows == 3
    assert WindowState.merge([stopped.state()]).rows == 5
    assert WindowState.merge([stopped.state()], now_seconds=1_100.0).rows == 0


def test_a_merged_state_of_durations_survives_a_file(tmp_path: Path) -> None:
    merged = WindowState.merge([filled(SPECS[2], 9, 4).state(), filled(SPECS[2], 300).state()])
    merged.save(tmp_path / "merged.state")
    loaded = WindowState.load(tmp_path / "merged.state")
    assert same(loaded, merged)
    assert loaded.resumable


# Refusals


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_a_state_of_another_reference_is_refused(spec: Any) -> None:
    ours, theirs = filled(spec, 3), filled(spec, 3, reference_id="zzz")
    with pytest.raises(StateError, match=r"different references.*'a1b2c3' and 'zzz'"):
        WindowState.merge([ours.state(), theirs.state()])
    with pytest.raises(StateError, match="a state of reference 'zzz' cannot go on"):
        ours.restore(theirs.state())


def test_a_state_of_another_window_is_refused() -> None:
    for spec, other in [
        (rows(30), rows(31)),
        (duration(60), duration(60, panes=6)),
        (rows(30), duration(60)),
    ]:
        with pytest.raises(StateError, match="different windows"):
            WindowState.merge([filled(spec).state(), filled(other).state()])
        with pytest.raises(StateError, match="open the window that the state is of"):
            filled(spec).restore(filled(other).state())


def test_merged_row_windows_hold_counts_only_and_say_so() -> None:
    merged = WindowState.merge([filled(rows(30), 5).state(), filled(rows(30), 6).state()])
    assert not merged.resumable
    with pytest.raises(StateError, match=r"merged state of rows.30. holds counts and no order of rows"):
        filled(rows(30), 1).restore(merged)


def test_a_merge_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one window state"):
        WindowState.merge([])


def test_a_merge_that_a_count_cannot_hold_is_refused() -> None:
    state = filled(rows(30), 1).state()
    full = replace(state, counts=np.full_like(state.counts, 2**31))
    with pytest.raises(StateError, match="4,294,967,295"):
        WindowState.merge([full, full])


def test_a_state_of_other_cells_is_refused() -> None:
    state = filled(rows(30), 1).state()
    cut = replace(state, counts=state.counts[:-1])
    with pytest.raises(StateError, match="damaged"):
        WindowState.merge([state, cut])
    with pytest.raises(StateError, match="damaged"):
        filled(rows(30)).restore(cut)


def contradictions(spec: WindowSpec) -> list[WindowState]:
    state = filled(spec, 3, 4).state()
    wrong_counts = state.counts.copy()
    wrong_counts[0] += 1
    found = [replace(state, counts=wrong_counts), replace(state, rows=state.rows + 1)]
    if state.ring is not None:
        out_of_reach = state.ring.copy()
        out_of_reach[0, 0] = 60_000
        found += [
            replace(state, ring=out_of_reach),
            replace(state, ring=state.ring[:, 1:]),
            replace(state, marks=()),
        ]
    else:
        first, second = state.panes
        assert state.newest is not None
        found += [
            replace(state, panes=(second, first)),
            replace(state, panes=(first,)),
            replace(state, newest=None),
            replace(state, newest=first.number),
            replace(state, newest=state.newest + 100),
        ]
    return found


@pytest.mark.parametrize("spec", [rows(30), duration(60, panes=6)], ids=repr)
def test_a_state_that_contradicts_itself_is_refused_and_the_window_stays_as_it_was(spec: Any) -> None:
    for state in contradictions(spec):
        window = filled(spec, 5)
        before = window.state()
        with pytest.raises(StateError, match="damaged"):
            window.restore(state)
        assert same(window, before)


def damage(change: Callable[[dict[str, Any], dict[str, Any]], None], path: Path, spec: WindowSpec) -> None:
    """Write a file whose container is sound and whose parts are not."""
    from driftgauge._archive import read_archive

    filled(spec, 3, 4).state().save(path)
    header, arrays = read_archive(path, KIND)
    header = {key: header[key] for key in ("spec", "reference_id", "rows", "late_rows", "newest")}
    arrays = dict(arrays)
    change(header, arrays)
    write_archive(path, KIND, header, arrays)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.pop("spec"),
        lambda header, _: header.update(spec={"kind": "moon"}),
        lambda header, _: header.update(spec={"kind": "duration", "seconds": "60", "panes": 6}),
        lambda header, _: header.update(spec=7),
        lambda header, _: header.update(rows="many"),
        lambda _, arrays: arrays.pop("counts"),
        lambda _, arrays: arrays.update(counts=arrays["counts"].astype(np.float64)),
        lambda _, arrays: arrays.update(counts=arrays["counts"].reshape(1, -1)),
        lambda _, arrays: arrays.update(pane_0_occupied=arrays["pane_0_occupied"][1:]),
        lambda _, arrays: arrays.update(pane_1_counts=arrays["pane_1_counts"][1:]),
        lambda _, arrays: arrays.pop("pane_1_counts"),
        lambda _, arrays: arrays.update(pane_seconds=arrays["pane_seconds"][:1]),
        lambda _, arrays: arrays.update(mark_rows=np.array([3])),
    ],
)
def test_a_file_whose_parts_do_not_fit_gives_one_clear_error(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "window.state"
    damage(change, path, duration(60, panes=6))
    with pytest.raises(ReferenceFileError, match=r"window\.state.*do not fit together"):
        WindowState.load(path)


def test_a_file_that_was_cut_short_gives_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "window.state"
    filled(rows(30), 9).state().save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ReferenceFileError):
        WindowState.load(path)


def test_a_reference_is_no_window_state(tmp_path: Path) -> None:
    path = tmp_path / "some.reference"
    write_archive(path, "reference", {}, {"counts": np.zeros(3, np.uint32)})
    with pytest.raises(ReferenceFileError, match=KIND):
        WindowState.load(path)


def test_bytes_are_those_of_the_arrays() -> None:
    state = filled(rows(30), 12).state()
    assert state.nbytes == 4 * LAYOUT.cells + 2 * 12 * 3
    window = filled(duration(60, panes=6), 12, 1)
    pane = window.state().panes[0]
    assert pane.nbytes == -(-LAYOUT.cells // 8) + np.count_nonzero(
        filled(rows(12), 12).counts
    )  # one byte a count
    assert window.nbytes == 2 * 4 * LAYOUT.cells + pane.nbytes

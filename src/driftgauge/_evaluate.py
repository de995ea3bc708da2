"""From the counts of windows to one frozen `Snapshot`.

Statistics of all features come from one call of `kernels.evaluate` a window. The only loop over features
here is the one that makes their snapshot objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge import kernels
from driftgauge._noise_line import NoiseLine
from driftgauge.cells import Counts, Floats
from driftgauge.detectors.noise import DEFAULT_LEVEL
from driftgauge.errors import ConfigError, StateError
from driftgauge.snapshot import (
    DriftSnapshot,
    FeatureSnapshot,
    FeatureStatistics,
    PayloadCounts,
    ReferenceInfo,
    Snapshot,
    WindowSnapshot,
)
from driftgauge.windows import View

if TYPE_CHECKING:
    from driftgauge.layout import Layout
    from driftgauge.reference import Reference

__all__ = ["DEFAULT_MIN_ROWS", "Counters", "evaluate"]

# At 100 rows against 10,000 the critical PSI of ten bins is 0.28: noise passes the customary 0.2.
# Fewer rows say nothing.
DEFAULT_MIN_ROWS: Final = 100

_COLUMN: Final = {name: place for place, name in enumerate(kernels.STATISTICS)}
_QUANTILES: Final = slice(len(kernels.STATISTICS) - len(kernels.QUANTILE_LEVELS), len(kernels.STATISTICS))
# In the order in which `_statistics` unpacks them; a test compares each field with its own function.
_PLAIN: Final = itemgetter(
    *(
        _COLUMN[name]
        for name in (
            "psi", "js", "hellinger", "total_variation", "chi_square", "ks", "wasserstein",
            "shift", "scale_shift", "missing_ratio", "unseen_ratio", "out_of_range_ratio",
            "mean", "standard_deviation", "mean_error_bound",
        )
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Rows as the monitor accounts for them; see the fields of the same names of `Snapshot`."""

    rows: int = 0
    rows_sampled: int = 0
    rows_sampled_out: int = 0
    rows_dropped: Mapping[str, int] = field(default_factory=dict)
    internal_errors: Mapping[str, int] = field(default_factory=dict)
    payloads: tuple[PayloadCounts, ...] = ()


def evaluate(
    reference: Reference,
    windows: Sequence[View],
    *,
    now_seconds: float,
    bin_rows: NDArray[np.int64] | None = None,
    counters: Counters | None = None,
    min_rows: int = DEFAULT_MIN_ROWS,
    level: float = DEFAULT_LEVEL,
    drift: DriftSnapshot | None = None,
    shares: Floats | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Snapshot:
    """Everything there is to say about *windows* at one moment.

    Parameters
    ----------
    reference : Reference
    windows : sequence of windows or window states
        Each of this reference. Duration windows are read as they are: `advance` them first.
    now_seconds : float
        Seconds since the epoch; `WindowSnapshot.seconds` counts back from here.
    bin_rows : int64[bins total], optional
        Rows by bin since the start, from `kernels.add_bin_rows`. Zeros when absent.
    counters : Counters, optional
    min_rows : int
        A window with fewer rows has no statistics. Default 100: there noise alone is a critical PSI of 0.28.
    level : float
        Of the critical values at one look, in (0, 1). Default 0.999. With *drift* there is no such look.
    drift : DriftSnapshot, optional
        What the detector says. Critical values are then those over all looks, at its budget.
    shares : float64[F], optional
        Of the budget, by feature, above 0. Default: an equal share each.
    timer : callable
        Gives seconds; read at the start and the end for `Snapshot.evaluation_seconds`.

    Returns
    -------
    Snapshot
        A statistic that has no meaning, such as KS of a category or of a window where every value is
        missing, is None.

    Raises
    ------
    ConfigError
        When *min_rows* is under 1 or *level* is not between 0 and 1.
    StateError
        When a window belongs to another reference.

    Notes
    -----
    Costs one compiled pass over the cells a window, and about 10 µs a feature for the objects (one window,
    1,023 points, a shared 2-core machine), whatever the length of the window.
    """
    started = timer()
    if min_rows < 1:
        message = f"min_rows must be at least 1, got {min_rows!r}; a window without rows has no statistics"
        raise ConfigError(message)
    tally = counters if counters is not None else Counters()
    layout = reference.layout
    totals = np.zeros(layout.bins, dtype=np.int64) if bin_rows is None else bin_rows
    line = NoiseLine.of(len(layout.features), level, drift, shares)
    views = [_window(reference, window, now_seconds, min_rows, line) for window in windows]
    features = _features(layout, _described(layout), totals)
    return Snapshot(
        model=reference.model,
        model_version=reference.version,
        timestamp_seconds=now_seconds,
        evaluation_seconds=max(0.0, timer() - started),
        reference=ReferenceInfo(
            reference_id=reference.id,
            created_timestamp_seconds=reference.created_timestamp_seconds,
            rows=reference.rows,
        ),
        features=features,
        windows=tuple(views),
        rows=tally.rows,
        rows_sampled=tally.rows_sampled,
        rows_sampled_out=tally.rows_sampled_out,
        rows_dropped=dict(tally.rows_dropped),
        internal_errors=dict(tally.internal_errors),
        drift=drift,
        payloads=tally.payloads,
    )


def _window(
    reference: Reference, window: View, now_seconds: float, min_rows: int, line: NoiseLine
) -> WindowSnapshot:
    layout = reference.layout
    if window.reference_id != reference.id or window.counts.size != layout.cells:
        message = (
            f"window {window.name!r} holds counts on the cells of reference {window.reference_id!r}, "
            f"which cannot be compared with reference {reference.id!r}"
        )
        raise StateError(message)
    enough = window.rows >= min_rows
    seconds = window.seconds(now_seconds)
    return WindowSnapshot(
        name=window.name,
        rows=window.rows,
        seconds=seconds,
        features=_statistics(layout, window.counts, window.rows, seconds, line) if enough else (),
    )


def _statistics(
    layout: Layout, counts: Counts, rows: int, seconds: float, line: NoiseLine
) -> tuple[FeatureStatistics, ...]:
    """Statistics of every feature of one window; the window has rows."""
    table, bins = _computed(layout, counts)
    starts = layout.bin_offsets[:-1]
    reference_rows = np.add.reduceat(layout.reference_bins, starts)
    used = np.add.reduceat((layout.reference_bins + bins > 0).astype(np.int64), starts)
    with np.errstate(divide="ignore"):  # a reference of no rows has no statistics, and they are NaN
        bias = (used - 1) * (1 / rows + 1 / reference_rows)
    psi_line = line.psi(used, reference_rows, rows, seconds)
    # KS is over numbers, so the rows that count are those which are neither NaN nor missing, on each side
    missing = layout.bin_offsets[1:] - 1
    ks_line = line.ks(reference_rows - layout.reference_bins[missing], rows - bins[missing], rows, seconds)
    debiased = table[:, _COLUMN["psi"]] - bias
    made = []
    columns = zip(
        layout.features, table.tolist(), debiased.tolist(), psi_line.tolist(), ks_line.tolist(),
        _by_feature(layout, bins), strict=True,
    )  # fmt: skip
    for feature, row, psi_debiased, psi_critical_, ks_critical_, bin_rows in columns:
        (
            psi, js, hellinger, total_variation, chi_square, ks, wasserstein, shift, scale_shift,
            missing_ratio, unseen_ratio, out_of_range_ratio, mean, standard_deviation, mean_error_bound,
        ) = _PLAIN(row)  # fmt: skip
        numbers = ks == ks
        made.append(
            FeatureStatistics(
                name=feature.name,
                psi=psi,
                psi_debiased=psi_debiased,
                psi_critical=psi_critical_,
                js=js,
                hellinger=hellinger,
                total_variation=total_variation,
                chi_square=chi_square,
                ks=ks if numbers else None,
                ks_critical=ks_critical_ if numbers else None,
                wasserstein=_or_none(wasserstein),
                shift=_or_none(shift),
                scale_shift=_or_none(scale_shift),
                missing_ratio=missing_ratio,
                unseen_ratio=_or_none(unseen_ratio),
                out_of_range_ratio=_or_none(out_of_range_ratio),
                mean=_or_none(mean),
                standard_deviation=_or_none(standard_deviation),
                mean_error_bound=_or_none(mean_error_bound),
                quantiles=_quantiles(row),
                bin_rows=bin_rows,
            )
        )
    return tuple(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """What a `FeatureSnapshot` says of the reference; it never changes."""

    reference_bin_rows: tuple[int, ...]
    missing_ratio: float
    unseen_ratio: float | None
    out_of_range_ratio: float | None
    mean: float | None
    standard_deviation: float | None
    quantiles: tuple[tuple[float, float], ...]


@lru_cache(maxsize=8)  # a layout is compared by identity and never changes
def _described(layout: Layout) -> tuple[_Described, ...]:
    table, bins = _computed(layout, layout.reference)
    described = []
    for row, bin_rows in zip(table.tolist(), _by_feature(layout, bins), strict=True):
        described.append(
            _Described(
                reference_bin_rows=bin_rows,
                missing_ratio=row[_COLUMN["missing_ratio"]],
                unseen_ratio=_or_none(row[_COLUMN["unseen_ratio"]]),
                out_of_range_ratio=_or_none(row[_COLUMN["out_of_range_ratio"]]),
                mean=_or_none(row[_COLUMN["mean"]]),
                standard_deviation=_or_none(row[_COLUMN["standard_deviation"]]),
                quantiles=_quantiles(row),
            )
        )
    return tuple(described)


def _features(
    layout: Layout, described: tuple[_Described, ...], totals: NDArray[np.int64]
) -> tuple[FeatureSnapshot, ...]:
    return tuple(
        FeatureSnapshot(
            name=feature.name,
            kind=feature.kind,
            dtype=feature.dtype,
            bin_labels=feature.bin_labels,
            reference_bin_rows=known.reference_bin_rows,
            bin_rows=bin_rows,
            ks_error_bound=feature.ks_error_bound if feature.dtype == "numeric" else None,
            reference_missing_ratio=known.missing_ratio,
            reference_unseen_ratio=known.unseen_ratio,
            reference_out_of_range_ratio=known.out_of_range_ratio,
            reference_mean=known.mean,
            reference_standard_deviation=known.standard_deviation,
            reference_quantiles=known.quantiles,
        )
        for feature, known, bin_rows in zip(
            layout.features, described, _by_feature(layout, totals), strict=True
        )
    )


def _computed(layout: Layout, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # made anew each time, 160 bytes a feature: shared ones would need a lock between two monitors
    table = np.empty((len(layout.features), len(kernels.STATISTICS)))
    bins = np.empty(layout.bins, dtype=np.int64)
    kernels.evaluate(layout, counts, table, bins)
    return table, bins


def _by_feature(layout: Layout, bins: NDArray[np.int64]) -> list[tuple[int, ...]]:
    values = tuple(bins.tolist())
    ends = layout.bin_offsets.tolist()
    return [values[first:last] for first, last in pairwise(ends)]


def _or_none(value: float) -> float | None:
    return value if value == value else None  # NaN is the one float that is not itself


def _quantiles(row: list[float]) -> tuple[tuple[float, float], ...]:
    values = row[_QUANTILES]
    if values[0] != values[0]:
        return ()
    return tuple(zip(kernels.QUANTILE_LEVELS, values, strict=True))

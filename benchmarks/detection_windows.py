"""Sliding windows as functions of counts in cells, with thresholds found by simulation.

Cells are equal shares of the reference. How far they are from equal shares of the truth follows a Dirichlet
law, whatever the continuous distribution: drawn anew for each stream, so thresholds allow for the reference's
error. The threshold of a statistic is what its maximum over a tenth of the wanted run length exceeds in 1 -
exp(-0.1) of the streams.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["CELLS", "STATISTICS", "delays", "false_alarms", "maxima", "thresholds", "true_shares"]

CELLS = 100
STATISTICS = ("PSI", "G", "KS", "AD")

Floats = NDArray[np.float64]


@njit
def _statistics(counts, reference, window, reference_rows, ordered, out):  # type: ignore[no-untyped-def]
    """PSI of tenths, G of twentieths, KS and AD of all cells; of categories, PSI and G of all cells."""
    cells = counts.size
    out[:] = 0.0
    for which in range(2):
        bins = (10 if which == 0 else 20) if ordered else cells
        each = cells // bins
        total = 0.0
        for b in range(bins):
            live = 0.0
            known = 0.0
            for c in range(b * each, (b + 1) * each):
                live += counts[c]
                known += reference[c]
            if which == 0:
                p = (live + 0.5) / (window + 0.5 * bins)
                q = (known + 0.5) / (reference_rows + 0.5 * bins)
                total += (p - q) * math.log(p / q)
            else:
                both = (live + known) / (window + reference_rows)
                if live > 0:
                    total += 2 * live * math.log(live / (window * both))
                if known > 0:
                    total += 2 * known * math.log(known / (reference_rows * both))
        out[which] = total
    if ordered:
        live = 0.0
        known = 0.0
        for c in range(cells - 1):
            live += counts[c]
            known += reference[c]
            share = known / reference_rows
            apart = live / window - share
            out[2] = max(out[2], abs(apart))
            out[3] += window * apart * apart / (share * (1 - share)) / cells


@njit
def _draw(cumulative, guide):  # type: ignore[no-untyped-def]
    place = np.random.random()  # noqa: NPY002 (numba's own)
    c = guide[int(place * guide.size)]
    while cumulative[c] < place and c < cumulative.size - 1:
        c += 1
    return c


@njit
def _guide(shares, cumulative, guide):  # type: ignore[no-untyped-def]
    total = 0.0
    for c in range(shares.size):
        total += shares[c]
        cumulative[c] = total
    for c in range(shares.size):
        cumulative[c] /= total
    c = 0
    for g in range(guide.size):
        while cumulative[c] < g / guide.size and c < shares.size - 1:
            c += 1
        guide[g] = c


@njit
def _run(  # type: ignore[no-untyped-def]
    seed, truth, changed, reference, window, step, before, after, lines, ordered, highest, first
):
    """Highest statistic over *before* evaluations; then rows from the change to each statistic's alarm.

    An alarm before the change: -1. None: -2.
    """
    np.random.seed(seed)  # noqa: NPY002
    cells = truth.size
    cumulative = np.empty(cells)
    guide = np.empty(1024, np.int64)
    _guide(truth, cumulative, guide)
    reference_rows = reference.sum()
    ring = np.empty(window, np.int64)
    counts = np.zeros(cells)
    out = np.empty(4)
    highest[:] = 0.0
    first[:] = -2.0
    for j in range(window):
        ring[j] = _draw(cumulative, guide)
        counts[ring[j]] += 1
    place = 0
    left = 4
    for t in range(before + after):
        if t == before:
            _guide(changed, cumulative, guide)
        for _ in range(step):
            counts[ring[place]] -= 1
            ring[place] = _draw(cumulative, guide)
            counts[ring[place]] += 1
            place += 1
            if place == window:
                place = 0
        _statistics(counts, reference, float(window), reference_rows, ordered, out)
        for s in range(4):
            if t < before:
                highest[s] = max(highest[s], out[s])
            if first[s] == -2.0 and out[s] > lines[s]:
                first[s] = -1.0 if t < before else (t - before + 1) * step
                left -= 1
        if left == 0:
            return


def true_shares(reference_rows: int, streams: int, seed: int) -> Floats:
    """Shares of the truth in cells that hold equal shares of a reference, float64[streams, CELLS]."""
    return np.random.default_rng(seed).dirichlet(np.full(CELLS, reference_rows / CELLS), size=streams)


def maxima(
    truth: Floats, reference: Floats, window: int, step: int, evaluations: int, *, ordered: bool, seed: int
) -> Floats:
    """Highest of each statistic in each stream, float64[streams, 4]."""
    highest = np.empty((len(truth), 4))
    first = np.empty(4)
    lines = np.full(4, np.inf)
    for r, shares in enumerate(truth):
        _run(
            seed + r,
            shares,
            shares,
            reference[r],
            window,
            step,
            evaluations,
            0,
            lines,
            ordered,
            highest[r],
            first,
        )
    return highest


def thresholds(highest: Floats, share: float = 0.1) -> Floats:
    """The line of each statistic for alarms with a mean distance of 1 / *share* times the run."""
    return np.asarray(np.quantile(highest, math.exp(-share), axis=0))


def false_alarms(highest: Floats, lines: Floats) -> Floats:
    """Share of streams with an alarm."""
    return np.asarray((highest > lines).mean(axis=0))


def delays(
    truth: Floats,
    changed: Floats,
    reference: Floats,
    window: int,
    step: int,
    before: int,
    after: int,
    lines: Floats,
    *,
    ordered: bool,
    seed: int,
) -> Floats:
    """Rows from the change to the alarm, float64[streams, 4]; -1 before it, -2 none."""
    first = np.empty((len(truth), 4))
    highest = np.empty(4)
    for r in range(len(truth)):
        _run(
            seed + r,
            truth[r],
            changed[r],
            reference[r],
            window,
            step,
            before,
            after,
            lines,
            ordered,
            highest,
            first[r],
        )
    return first

"""Five distances of two histograms in one pass over their bins."""

from __future__ import annotations

from math import log, log2, sqrt
from typing import Any

import numpy as np

from driftgauge.kernels._jit import BINS, OUT_FLOATS, VOID, kernel

__all__ = ["distances"]


@kernel(VOID, BINS, BINS, OUT_FLOATS)
def distances(reference: Any, live: Any, out: Any) -> None:
    """Write PSI, Jensen-Shannon, Hellinger, total variation and chi-square, in this order, into ``out[:5]``.

    Notes
    -----
    One function and not five: they share the smoothing, and five compile in five times the time.
    """
    n = 0
    m = 0
    kept = 0
    for b in range(reference.size):
        n += reference[b]
        m += live[b]
        kept += reference[b] + live[b] > 0
    if n == 0 or m == 0:
        for column in range(5):
            out[column] = np.nan
        return
    half = 0.5 * kept
    ratio = sqrt(m / n)
    psi = 0.0
    divergence = 0.0
    squares = 0.0
    apart = 0.0
    chi_square = 0.0
    for b in range(reference.size):
        r = reference[b]
        w = live[b]
        if r + w == 0:
            continue
        q = (r + 0.5) / (n + half)
        p = (w + 0.5) / (m + half)
        psi += (p - q) * log(p / q)
        middle = 0.5 * (p + q)
        divergence += p * log2(p / middle) + q * log2(q / middle)
        squares += (sqrt(p) - sqrt(q)) ** 2
        apart += abs(w / m - r / n)
        chi_square += (ratio * r - w / ratio) ** 2 / (r + w)
    out[0] = psi
    out[1] = sqrt(min(max(0.5 * divergence, 0.0), 1.0))
    out[2] = sqrt(min(0.5 * squares, 1.0))
    out[3] = 0.5 * apart
    out[4] = chi_square

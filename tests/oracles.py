"""What every kernel computes, as plainly as Python can say it. Slow on purpose; the specification."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist

MISSING_BITS = 0x7FF8_0000_0000_07A2


def cell_of(value: float, points: Sequence[float]) -> int:
    """The cell of one value, by the table in ``driftgauge/cells.py``."""
    k = len(points)
    if math.isnan(value):
        bits = struct.unpack("<Q", struct.pack("<d", value))[0]
        return 2 * k + 4 if bits == MISSING_BITS else 2 * k + 3
    if value == -math.inf:
        return 0
    if value == math.inf:
        return 2 * k + 2
    for i, point in enumerate(points):
        if value < point:
            return 2 * i + 1
        if value == point:
            return 2 * i + 2
    return 2 * k + 1


def shares(reference: Sequence[int], live: Sequence[int]) -> list[tuple[float, float]]:
    """Smoothed (reference, live) shares of the bins that are not empty on both sides."""
    kept = [(r, w) for r, w in zip(reference, live, strict=True) if r or w]
    n, m, bins = sum(reference), sum(live), len(kept)
    return [((r + 0.5) / (n + bins / 2), (w + 0.5) / (m + bins / 2)) for r, w in kept]


def psi(reference: Sequence[int], live: Sequence[int]) -> float:
    if not sum(reference) or not sum(live):
        return math.nan
    return sum((p - q) * math.log(p / q) for q, p in shares(reference, live))


def js(reference: Sequence[int], live: Sequence[int]) -> float:
    if not sum(reference) or not sum(live):
        return math.nan
    divergence = 0.0
    for q, p in shares(reference, live):
        middle = (p + q) / 2
        divergence += p * math.log2(p / middle) / 2 + q * math.log2(q / middle) / 2
    return math.sqrt(max(divergence, 0.0))


def hellinger(reference: Sequence[int], live: Sequence[int]) -> float:
    if not sum(reference) or not sum(live):
        return math.nan
    return math.sqrt(sum((math.sqrt(p) - math.sqrt(q)) ** 2 for q, p in shares(reference, live)) / 2)


def total_variation(reference: Sequence[int], live: Sequence[int]) -> float:
    n, m = sum(reference), sum(live)
    if not n or not m:
        return math.nan
    return float(sum(abs(Fraction(w, m) - Fraction(r, n)) for r, w in zip(reference, live, strict=True)) / 2)


def chi_square(reference: Sequence[int], live: Sequence[int]) -> float:
    """Observed against expected in the table of two rows, the expected from its margins."""
    n, m = sum(reference), sum(live)
    if not n or not m:
        return math.nan
    total = Fraction(0)
    for r, w in zip(reference, live, strict=True):
        if r or w:
            for observed, rows in ((r, n), (w, m)):
                expected = Fraction((r + w) * rows, n + m)
                total += (observed - expected) ** 2 / expected
    return float(total)


def ks(reference: Sequence[int], live: Sequence[int]) -> float:
    n, m = sum(reference), sum(live)
    if not n or not m:
        return math.nan
    return float(
        max(
            abs(Fraction(sum(live[: cell + 1]), m) - Fraction(sum(reference[: cell + 1]), n))
            for cell in range(len(live))
        )
    )


def rows_at_places(points: Sequence[float], counts: Sequence[int]) -> list[tuple[Fraction, int]]:
    """Where the rows are thought to lie: (place, rows) for each number cell, places rising."""
    k = len(points)
    exact = [Fraction(point) for point in points]
    placed = [(exact[0], counts[0] + counts[1])]
    for i in range(k):
        placed.append((exact[i], counts[2 * i + 2]))
        if i + 1 < k:
            placed.append(((exact[i] + exact[i + 1]) / 2, counts[2 * i + 3]))
    placed.append((exact[-1], counts[2 * k + 1] + counts[2 * k + 2]))
    return placed


def mean_and_deviation(points: Sequence[float], counts: Sequence[int]) -> tuple[float, float, float]:
    placed = rows_at_places(points, counts) if points else []
    rows = sum(held for _, held in placed)
    if not rows:
        return math.nan, math.nan, math.nan
    mean = sum(place * held for place, held in placed) / rows
    variance = sum((place - mean) ** 2 * held for place, held in placed) / rows
    gaps = zip(points, points[1:], counts[3:], counts[4:], strict=False)
    bound = Fraction(0)
    for i, (low, high, *_) in enumerate(gaps):
        bound += Fraction(counts[2 * i + 3], rows) * (Fraction(high) - Fraction(low)) / 2
    return float(mean), root(variance), float(bound)


def root(square: Fraction) -> float:
    """Square root of a fraction whose own float may be 0 or infinite."""
    if not square:
        return 0.0
    shift = (square.numerator.bit_length() - square.denominator.bit_length()) // 2
    return math.ldexp(math.sqrt(float(square / Fraction(4) ** shift)), shift)


def quantile(points: Sequence[float], counts: Sequence[int], level: float) -> float:
    placed = rows_at_places(points, counts) if points else []
    rows = sum(held for _, held in placed)
    reached = 0
    for place, held in placed:
        reached += held
        if reached >= max(level * rows, 1):
            return float(place)
    return math.nan


def wasserstein(points: Sequence[float], reference: Sequence[int], live: Sequence[int]) -> float:
    """The area between both distribution functions, in reference standard deviations."""
    if not points:
        return math.nan
    left, right = rows_at_places(points, reference), rows_at_places(points, live)
    n, m = sum(held for _, held in left), sum(held for _, held in right)
    deviation = mean_and_deviation(points, reference)[1]
    if not n or not m or not deviation:
        return math.nan
    area = Fraction(0)
    for i in range(len(left) - 1):
        apart = Fraction(sum(h for _, h in right[: i + 1]), m) - Fraction(sum(h for _, h in left[: i + 1]), n)
        area += abs(apart) * (left[i + 1][0] - left[i][0])
    return float(area / Fraction(deviation))


def mean_scores(low_share: float, high_share: float, pieces: int = 20_000) -> tuple[float, float]:
    """Means of z and (z**2 - 1) / sqrt(2) over the normal mass between two shares, by the midpoint rule."""
    normal = NormalDist()
    width = (high_share - low_share) / pieces
    scores = [normal.inv_cdf(low_share + (i + 0.5) * width) for i in range(pieces)]
    return sum(scores) / pieces, sum(z * z - 1 for z in scores) / math.sqrt(2) / pieces


class RowWindow:
    """The last *capacity* rows, as rows."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[tuple[int, ...]] = []

    def push(self, rows: Sequence[tuple[int, ...]]) -> None:
        self.rows = [*self.rows, *rows][-self.capacity :]

    def counts(self, feature: int, cells: int) -> list[int]:
        return [sum(row[feature] == cell for row in self.rows) for cell in range(cells)]

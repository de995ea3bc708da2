"""The bank of alternatives as plain Python says it: one component after the other, and scipy's laws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import beta, norm

EPSILONS = (0.003, 0.01, 0.05, 0.25)
DELTAS = (0.3, 0.6, 0.95)
TILTS = ((0.1, 0.2, 0.4, 0.8, 1.6), (0.1, 0.2, 0.4, 0.8), (0.15, 0.5), (0.15, 0.5))
TILT_WEIGHTS = (0.30, 0.18, 0.035, 0.035)


@dataclass
class Component:
    family: int
    cell: int
    size: float
    weight: float
    log_ratios: list[float]
    log_bounds: list[float]
    exponent: float
    effect: float


def shares_of(counts: Sequence[float]) -> list[float]:
    held = [max(count, 0.5) for count in counts]
    return [count / sum(held) for count in held]


def bounds_of(count: float, rows: float, error: float, effect: float) -> tuple[float, float]:
    r, n = count / effect, rows / effect
    upper = float(beta.ppf(1 - error, r + 1, n - r)) if r < n - 1e-9 else 1.0
    lower = float(beta.ppf(error, r, n - r + 1)) if r > 1e-9 else 0.0
    return upper, lower


def cluster_exponent(jump: float, effect: float) -> float:
    size = (effect + 1) / 2
    if size <= 1.02 or jump <= 0:
        return 1.0

    def too_fast(t: float) -> bool:
        growth = math.exp(t * jump)
        return (growth - 1) / size / (1 - (1 - 1 / size) * growth) > t * (math.exp(jump) - 1)

    high = min(math.log(size / (size - 1)) / jump * (1 - 1e-9), 1.0)
    low = 1e-6
    if not too_fast(high):
        return high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if too_fast(middle) else (middle, high)
    return low


def bank(
    counts: Sequence[float],
    functions: Sequence[Sequence[float]],
    rows: int,
    min_effect: float,
    effects: Sequence[float] | None = None,
    buckets: Sequence[Sequence[float]] | None = None,
) -> list[Component]:
    """All components that are kept, their weights of sum 1."""
    ecells = range(len(counts))
    q = shares_of(counts)
    kappa = 2.5 if rows >= 10_000 else 3.0
    tau = math.sqrt(min_effect)
    error = float(norm.sf(kappa))
    known = effects is not None
    effects = [1.0] * (4 + len(counts)) if effects is None else list(effects)
    usual = statistics.median(effects[4:])
    cell_effects = []
    for c in ecells:
        effect = effects[4 + c]
        cell_effects.append(max(effect, usual) if counts[c] / max(effect, usual) < 20 else effect)
    upper, lower = [], []
    for c in ecells:
        high, low = bounds_of(counts[c], rows, error, 1.0)
        scale = tau * math.sqrt(q[c] * (1 - q[c]))
        upper.append(min(high + scale, 1.0))
        lower.append(max(low - scale, 0.0))
    found: list[Component] = []
    for family, (sizes, weight) in enumerate(zip(TILTS, TILT_WEIGHTS, strict=True)):
        if not any(functions[family]):
            continue
        for size in sizes:
            for theta in (-size, size):
                raw = [theta * functions[family][c] for c in ecells]
                top = max(raw)
                mean = math.log(math.fsum(q[c] * math.exp(raw[c] - top) for c in ecells)) + top
                logs = [value - mean for value in raw]
                found.append(
                    Component(family, -1, theta, weight / 2 / len(sizes), logs, [], 1.0, effects[family])
                )
    for cell in ecells:
        for epsilon in EPSILONS:
            logs = [math.log(1 - epsilon + (epsilon / upper[cell] if c == cell else 0.0)) for c in ecells]
            found.append(Component(4, cell, epsilon, 0.30 / len(q) / 4, logs, [], 1.0, cell_effects[cell]))
        for delta in DELTAS:
            logs = [math.log((1 - delta if c == cell else 1.0) / (1 - delta * lower[cell])) for c in ecells]
            found.append(Component(5, cell, delta, 0.15 / len(q) / 3, logs, [], 1.0, cell_effects[cell]))
    if buckets is None:
        tables = [(list(counts), float(rows))]
    else:
        tables = []
        totals = [sum(bucket[c] for bucket in buckets) for c in ecells]
        for bucket in buckets:
            own = sum(bucket)
            held = [bucket[c] if totals[c] == counts[c] else own / rows * counts[c] for c in ecells]
            tables.append((held, float(own)))
    kept = []
    for one in found:
        for held, number in tables:
            p = shares_of(held) if number >= 1 else q
            one.log_bounds.append(log_bound(one, p, held, max(number, 1.0), kappa, tau, error, upper, lower))
        weight = sum(number for _, number in tables)
        bound = sum(b * number for b, (_, number) in zip(one.log_bounds, tables, strict=True)) / weight
        mean = math.fsum(q[c] * one.log_ratios[c] for c in ecells)
        deviation = math.sqrt(max(math.fsum(q[c] * one.log_ratios[c] ** 2 for c in ecells) - mean**2, 0.0))
        one.exponent = 1 / one.effect
        if one.family == 4:
            jump = one.log_ratios[one.cell] - math.log(1 - one.size)
            one.exponent = min(one.exponent, cluster_exponent(jump, one.effect))
        if one.family < 4:
            for c in ecells:
                clusters = (cell_effects[c] + 1) / 2
                if clusters > 1.02 and one.log_ratios[c] > 0:
                    finite = 0.9 * math.log(clusters / (clusters - 1)) / one.log_ratios[c]
                    one.exponent = min(one.exponent, finite)
        strong = one.effect > 2 and deviation > 0.5 + 1e-9
        unsure = known and one.family >= 4 and counts[one.cell] > 0 and counts[one.cell] / one.effect < 5
        if bound - mean >= 5e-4 and not strong and not unsure:
            kept.append(one)
    total = sum(one.weight for one in kept)
    for one in kept:
        one.weight /= total
    return kept


def log_bound(
    one: Component,
    p: Sequence[float],
    held: Sequence[float],
    rows: float,
    kappa: float,
    tau: float,
    error: float,
    upper: Sequence[float],
    lower: Sequence[float],
) -> float:
    if one.family < 4:
        ratios = [math.exp(value) for value in one.log_ratios]
        mean = math.fsum(a * b for a, b in zip(p, ratios, strict=True))
        variance = math.fsum(a * (b - mean) ** 2 for a, b in zip(p, ratios, strict=True))
        return math.log(mean + (tau + kappa * math.sqrt(one.effect / rows)) * math.sqrt(variance))
    c = one.cell
    high, low = bounds_of(min(held[c], rows), rows, error, one.effect)
    scale = tau * math.sqrt(p[c] * (1 - p[c]))
    if one.family == 4:
        return math.log(1 - one.size + one.size * min(high + scale, 1.0) / upper[c])
    return math.log((1 - one.size * max(low - scale, 0.0)) / (1 - one.size * lower[c]))

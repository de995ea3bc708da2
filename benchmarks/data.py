"""The data of every benchmark, from a seed. NumPy only, so that each peer's environment can import it.

Only `Generator.random` is drawn from: NumPy keeps that stream between versions, while `normal` and the others
may change. The driver still writes the arrays once and all contenders read the same bytes: ``np.log`` may
differ in its last bit between builds.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "fingerprint", "names", "sample", "table"]

Floats = NDArray[np.float64]

KINDS = ("normal", "lognormal", "uniform", "heavy", "integer", "price")
CONTINUOUS = ("normal", "lognormal", "uniform", "heavy")


def _normal(rng: np.random.Generator, rows: int) -> Floats:
    """Box and Muller's transform: two uniforms make one normal."""
    radius = np.sqrt(-2.0 * np.log1p(-rng.random(rows)))
    return np.asarray(radius * np.cos(2.0 * np.pi * rng.random(rows)))


def sample(kind: str, rows: int, seed: int, shift: float = 0.0) -> Floats:
    """Return float64[rows] of one *kind*, moved by *shift* standard deviations of what it is made from.

    ``heavy`` is Student's t with 2 degrees of freedom (no variance), ``integer`` takes about 30 values,
    ``price`` about 3,000 (a lognormal rounded to cents).
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    if kind == "normal":
        return np.asarray(_normal(rng, rows) + shift)
    if kind == "lognormal":
        return np.asarray(np.exp(_normal(rng, rows) + shift), np.float64)
    if kind == "uniform":
        return np.asarray(rng.random(rows) + shift / 12.0**0.5)
    if kind == "heavy":
        return np.asarray(_normal(rng, rows) / np.sqrt(-np.log1p(-rng.random(rows))) + shift)
    if kind == "integer":
        return np.floor(4.0 * (_normal(rng, rows) + shift))
    if kind == "price":
        return np.round(10.0 * np.exp(0.8 * (_normal(rng, rows) + shift)), 2)
    message = f"kind must be one of {sorted(KINDS)}, got {kind!r}"
    raise ValueError(message)


def table(
    rows: int, columns: int, seed: int, *, kinds: tuple[str, ...] = CONTINUOUS, drift: float = 0.0
) -> Floats:
    """Return float64[rows, columns] in C order: the *kinds* in turn, every fifth column moved by *drift*."""
    out = np.empty((rows, columns))
    for column in range(columns):
        kind = kinds[column % len(kinds)]
        moved = drift if column % 5 == 0 else 0.0
        out[:, column] = sample(kind, rows, seed * 100_003 + column, moved)
    return out


def names(columns: int) -> list[str]:
    """Return the column names that go with `table`."""
    return [f"feature_{column:04d}" for column in range(columns)]


def fingerprint(array: Floats) -> str:
    """Return the first 16 hex digits of the SHA-256 of the array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]

"""The changes that detectors are asked to see, as streams of rows. NumPy only: every environment has it.

A reference of standard normal rows; live rows of the same; then the change, for good.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CATEGORIES",
    "CHANGES",
    "DIMENSIONS",
    "LEVELS",
    "PAIRS",
    "categories",
    "pairs",
    "shares_after",
    "stream",
]

Values = NDArray[Any]
Change = Callable[[Values, np.random.Generator], Values]


def _moved(by: float) -> Change:
    return lambda values, rng: values + by  # noqa: ARG005


def _scaled(by: float) -> Change:
    return lambda values, rng: values * by  # noqa: ARG005


def _mixed(share: float, mean: float, deviation: float) -> Change:
    def change(values: Values, rng: np.random.Generator) -> Values:
        chosen = rng.random(values.size) < share
        return np.where(chosen, mean + deviation * rng.standard_normal(values.size), values)

    return change


def _bimodal(values: Values, rng: np.random.Generator) -> Values:
    """Two humps at -0.7 and 0.7, mean and deviation as before."""
    return np.sqrt(1 - 0.7**2) * values + 0.7 * rng.choice([-1.0, 1.0], values.size)


CHANGES: dict[str, Change] = {
    "mean +0.1 sd": _moved(0.1),
    "mean +0.25 sd": _moved(0.25),
    "mean +0.5 sd": _moved(0.5),
    "mean +1 sd": _moved(1.0),
    "sd × 0.8": _scaled(0.8),
    "sd × 1.1": _scaled(1.1),
    "sd × 1.25": _scaled(1.25),
    "two humps": _bimodal,
    "2 % at +4 sd": _mixed(0.02, 4.0, 0.3),
    "10 % at +4 sd": _mixed(0.1, 4.0, 0.3),
    "2 % at one value": _mixed(0.02, 0.3, 0.0),
    "5 % at one value": _mixed(0.05, 0.3, 0.0),
    "10 % at one value": _mixed(0.1, 0.3, 0.0),
}

LEVELS = 50


def _zipf() -> Values:
    shares = np.arange(1, LEVELS + 1) ** -1.1
    return np.asarray(shares / shares.sum())


def shares_after(name: str) -> Values:
    """Shares of the categories after the change; the last is one that the reference has not seen."""
    shares = np.append(_zipf(), 0.0)
    if name == "first category -20 %":
        taken = 0.2 * shares[0]
        shares[1:] *= 1 + taken / shares[1:].sum()
        shares[0] -= taken
    elif name == "fifth category × 1.5":
        shares[4] *= 1.5
    elif name == "second and eighth swapped":
        shares[[1, 7]] = shares[[7, 1]]
    elif name == "1 % unseen":
        shares *= 0.99
        shares[-1] = 0.01
    elif name == "5 % unseen":
        shares *= 0.95
        shares[-1] = 0.05
    return np.asarray(shares / shares.sum())


CATEGORIES = (
    "first category -20 %",
    "fifth category × 1.5",
    "second and eighth swapped",
    "1 % unseen",
    "5 % unseen",
)

PAIRS = {"correlation 0 to 0.3": 0.3, "correlation 0 to 0.5": 0.5, "correlation 0 to 0.8": 0.8}
DIMENSIONS = 10


def stream(name: str, rng: np.random.Generator, before: int, after: int) -> Values:
    """float64[before + after] that changes after *before* rows; *name* of `CHANGES`, or ``'none'``."""
    values = rng.standard_normal(before + after)
    if name != "none" and after:
        values[before:] = CHANGES[name](values[before:], rng)
    return values


def categories(name: str, rng: np.random.Generator, before: int, after: int) -> Values:
    """int64[before + after], categories from 0 on; *name* of `CATEGORIES`, or ``'none'``."""
    return np.concatenate(
        [
            rng.choice(LEVELS + 1, before, p=shares_after("none")),
            rng.choice(LEVELS + 1, after, p=shares_after(name)),
        ]
    )


def pairs(name: str, rng: np.random.Generator, before: int, after: int) -> Values:
    """float64[before + after, 10]; the first two become correlated; *name* of `PAIRS`, or ``'none'``."""
    values = rng.standard_normal((before + after, DIMENSIONS))
    if name != "none":
        by = PAIRS[name]
        values[before:, 1] = by * values[before:, 0] + np.sqrt(1 - by**2) * values[before:, 1]
    return values

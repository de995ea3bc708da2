"""Functions on the e-cells of one stream: the directions in which ordered values drift.

A stream whose e-cells are ordered has four score functions, orthonormal under the reference: location (the
normal score of the rank), scale (its square), and a cubic and a quartic of the rank. What is no number,
between, missing and unseen, has the value 0 in all of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftgauge.cells import Floats

__all__ = ["SCORES", "normal_scores", "reference_shares", "score_functions"]

SCORES: Final = 4

# What is left of a function after the ones before it, relative to it, for it to be a direction of its own.
# 2 ordered e-cells have one direction and 3 have two; rounding leaves 1e-30 of the others.
_INDEPENDENT: Final = 1e-9


def reference_shares(counts: Floats) -> Floats:
    """Share of the reference in each e-cell, float64[K], above 0: an empty e-cell counts as half a row."""
    held = np.maximum(counts, 0.5)
    shares: Floats = held / held.sum()
    return shares


def score_functions(counts: Floats, ordered: int) -> Floats:
    """The four score functions of one stream on its e-cells.

    Parameters
    ----------
    counts : float64[K]
        Reference rows by e-cell.
    ordered : int
        Number of leading e-cells that are ordered, as in `driftgauge.ecells.ECells`.

    Returns
    -------
    float64[4, K]
        Mean 0, variance 1 and uncorrelated under the reference's shares. A row of zeros where there are too
        few ordered e-cells for it: with two there is only the first.

    Examples
    --------
    >>> import numpy as np
    >>> functions = score_functions(np.array([50.0, 50.0]), 2)
    >>> functions[0].round(3).tolist(), functions[1].tolist()
    ([-1.0, 1.0], [0.0, 0.0])

    Notes
    -----
    Mid ranks of the ordered e-cells, with the rows below and above taken to the ends; Gram & Schmidt on z,
    z**2, u**3 and u**4, where z is the normal score and ``u = 2 rank - 1``. The smooth test of Neyman,
    *Skandinavisk Aktuarietidskrift* 20 (1937), in functions that suit a Gaussian.
    """
    functions = np.zeros((SCORES, counts.size))
    if ordered < 2:
        return functions
    from scipy.special import ndtri

    shares = reference_shares(counts)
    mass = _number_mass(counts, ordered)
    mass /= mass.sum()
    rank = np.cumsum(mass) - mass / 2
    normal = ndtri(rank)
    uniform = 2 * rank - 1
    numbers = _spread(np.ones(ordered), counts.size)
    basis = [numbers / np.sqrt(shares @ numbers)]
    for row, values in enumerate((normal, normal**2, uniform**3, uniform**4)):
        function = _spread(values, counts.size)
        whole = shares @ function**2
        for _ in range(2):  # twice is enough to be orthogonal to the last digits
            for known in basis:
                function -= (shares @ (function * known)) * known
        left = shares @ function**2
        if left > _INDEPENDENT * whole:
            functions[row] = function / np.sqrt(left)
            basis.append(functions[row])
    return functions


def normal_scores(counts: Floats, ordered: int) -> Floats:
    """Mean normal score of the reference in each e-cell: what a virtual feature is made of.

    Parameters
    ----------
    counts : float64[K]
    ordered : int
        As in `score_functions`.

    Returns
    -------
    float64[K]
        Variance 1 and mean 0 over the rows that are numbers; 0 for e-cells that are no number; all 0 where
        there are fewer than two ordered e-cells.

    Examples
    --------
    >>> import numpy as np
    >>> normal_scores(np.array([50.0, 50.0, 0.0, 0.0, 9.0]), 2).round(3).tolist()
    [-1.0, 1.0, -1.0, 1.0, 0.0]

    Notes
    -----
    The e-cell from rank ``a`` to ``b`` has ``(phi(z_a) - phi(z_b)) / (b - a)``: Johnson, Kotz &
    Balakrishnan, *Continuous Univariate Distributions* 1, 2nd ed., section 13.10.
    """
    if ordered < 2:
        return np.zeros(counts.size)
    from scipy.special import ndtri

    mass = _number_mass(counts, ordered)
    mass /= mass.sum()
    inside = ndtri(np.cumsum(mass)[:-1])
    density = np.concatenate(([0.0], np.exp(-0.5 * inside**2) / np.sqrt(2 * np.pi), [0.0]))
    scores = -np.diff(density) / mass
    return _spread(scores / np.sqrt(mass @ scores**2), counts.size)


def _has_tails(ordered: int, ecells: int) -> bool:
    """Whether *below* and *above* follow. A number has them and *missing*, a boolean only two others."""
    return ecells - ordered >= 3


def _number_mass(counts: Floats, ordered: int) -> Floats:
    """Rows of the ordered e-cells, at least half a row each, with *below* and *above* taken to the ends."""
    held = np.maximum(counts, 0.5)
    mass = held[:ordered].copy()
    if _has_tails(ordered, counts.size):
        mass[0] += held[ordered]
        mass[-1] += held[ordered + 1]
    return mass


def _spread(values: Floats, ecells: int) -> Floats:
    """Values of the ordered e-cells on all: *below* and *above* as the ends, 0 on what is no number."""
    ordered = values.size
    spread = np.zeros(ecells)
    spread[:ordered] = values
    if _has_tails(ordered, ecells):
        spread[ordered] = values[0]
        spread[ordered + 1] = values[-1]
    return spread

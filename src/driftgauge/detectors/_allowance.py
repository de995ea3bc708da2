"""How much of a difference from the reference counts as no drift: its own errors, and what is too small.

A reference of n rows is off by about ``z sd / sqrt(n)`` in the direction of an alternative, with z standard
normal and sd the deviation of its likelihood ratio. Allowed for are kappa of these standard errors.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftgauge.cells import Floats

__all__ = ["MIN_EFFECT", "most_errors", "needed_errors", "standard_errors"]

MIN_EFFECT: Final = 0.01
"""PSI up to which a difference is no drift, where nothing else is said: a mean moved by a tenth of an sd."""

# Standard errors at most. Of 60 references of 1,000 rows one in eight has shares so unlucky that 2.5 are too
# few (1.9 times the allowed alarms, against 0.13 with 3); from 10,000 rows on, 2.5 gave 0.03.
_FEW_ROWS: Final = 10_000
_MOST: Final = 2.5
_MOST_FEW: Final = 3.0

# The part of the standard errors that holds the budget over references, see `needed_errors`. A step passes
# the line by more than it must, which leaves room: at 0.7 streams of references of 1,000 to 100,000 rows gave
# 0.42 to 0.53 of the alarms that are allowed.
_NEEDED_PART: Final = 0.7


def most_errors(rows: int) -> float:
    """The most standard errors that are allowed for, of a reference of so many rows."""
    return _MOST if rows >= _FEW_ROWS else _MOST_FEW


def needed_errors(evidence: Floats, deviation: Floats, growth: Floats) -> Floats:
    """Standard errors that an alternative needs, times the root of the rows that they are of.

    Parameters
    ----------
    evidence : float64[...]
        Logarithm of the evidence at which it raises an alert, L.
    deviation : float64[...]
        Standard deviation of its likelihood ratio under the reference, sd.
    growth : float64[...]
        Mean of its logarithm a row under the alternative itself, D.

    Notes
    -----
    An error of z standard errors raises ``exp(b (z - kappa))`` times the alarms that are allowed, with
    ``b = L sd / (D sqrt(n))``. Over references the mean of that is 1 at ``kappa = b / 2``: large
    alternatives, which soon decide, need hardly any allowance, and small ones keep the most. Measured at
    10,000 rows: a mean moved by 0.1 sd is seen after 2,830 rows instead of 4,570, and alarms rise from 0.05
    to 0.42 of those allowed.
    """
    needed: Floats = _NEEDED_PART * evidence * deviation / (2 * np.maximum(growth, 1e-12))
    return needed


def standard_errors(needed: Floats, worth: Floats, most: float) -> Floats:
    """Standard errors to allow for, of a reference that is worth so many independent rows."""
    allowed: Floats = np.minimum(needed / np.sqrt(worth), most)
    return allowed

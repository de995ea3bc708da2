"""Which streams have drifted, once the evidence of many is weighed together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import Floats

__all__ = ["drifted_streams"]


def drifted_streams(evidence: Floats, evaluations: float) -> NDArray[np.intp]:
    """Numbers of the streams that have drifted, strongest first.

    Parameters
    ----------
    evidence : float64[S]
        Of each stream, times its share of the budget.
    evaluations : float
        Evaluations between false alerts that the budget allows, A.

    Returns
    -------
    intp[k]
        With the largest k such that the k-th largest evidence is at least ``A / k``.

    Examples
    --------
    >>> import numpy as np
    >>> drifted_streams(np.array([3.0, 60.0, 50.0]), 100.0).tolist()
    [1, 2]

    Notes
    -----
    The e-BH procedure of Wang & Ramdas, *J. R. Statist. Soc. B* 84 (2022), section 4, which holds under any
    dependence; for e-detectors Dandapanthula & Ramdas, arXiv 2501.04130 (2025).
    """
    order = np.argsort(-evidence, kind="stable")
    enough = evidence[order] * np.arange(1, evidence.size + 1) >= evaluations
    found = np.flatnonzero(enough)
    return order[: found[-1] + 1] if found.size else order[:0]

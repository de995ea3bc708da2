"""The largest burst of like rows in a reference, of which a variance tells little where tails are heavy."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge._dependence import LENGTHS, BlockMoments
from driftgauge.cells import Floats

__all__ = ["largest_bursts"]

# A block holds a burst when its rows in an e-cell are so many standard deviations, and so many rows, over
# what was to be expected: among a million blocks of independent rows there is none.
_BURST_ERRORS: Final = 6.0
_BURST_ROWS: Final = 6.0
_USUAL_ERRORS: Final = 3.0

# Clusters of geometric length, such as the time an autoregression stays in an e-cell, have in n rows a
# longest of about ln(n / c) times their mean length c, and tempering by the design effect allows for those.
# In parts of that, the largest burst was 0.18 to 0.36 for autoregressions of 0.9 and 0.99, 0.25 to 0.58 for
# geometric bursts and 0.40 to 1.05 for Pareto's, in 12 references each of 50,000 rows or more.
_LONGEST_PART: Final = 0.38

# A stream is dependent when a score function is, or as many of its functions. Then each ratio of the two
# shortest lengths counts, significant or not: a rare e-cell's 1.2 never is, and taken as 1 it let 36 of 200
# streams of AR(1) 0.5 raise an alarm within a tenth of the budget; this way it is 6.
_SHORT_LEVELS: Final = 2
_DEPENDENT_FUNCTIONS: Final = 3


def largest_bursts(
    moments: BlockMoments, effects: Floats, counts: NDArray[np.uint32], matched: NDArray[np.bool_]
) -> Floats:
    """Rows of the largest burst into one e-cell of each stream, float64[S]; 0 where there was none.

    Parameters
    ----------
    moments : BlockMoments
        S streams of E e-cells together.
    effects : float64[4 * S + E]
        As `BlockMoments.design_effects` gives them.
    counts : uint32[H, E]
        Rows by time bucket.
    matched : bool[S]
        Whether the stream's season is taken out: then its fullest bucket says what is to be expected.

    Notes
    -----
    By how many rows the fullest block is over its expectation and three standard deviations of rows as
    dependent as these.
    """
    offsets = moments.offsets
    bursts = np.zeros(offsets.size - 1)
    total = counts.sum(axis=0, dtype=np.int64) / moments.rows
    for stream in range(bursts.size):
        own = slice(int(offsets[stream]), int(offsets[stream + 1]))
        share = total[own]
        if matched[stream]:
            held = counts[counts[:, own].any(axis=1), own]
            share = (held / held.sum(axis=1, keepdims=True)).max(axis=0)
        first = int(moments.score_offsets[stream]) + 4
        effect = effects[first : first + share.size]
        size = (effect + 1) / 2
        usual = _LONGEST_PART * size * np.log(np.maximum(moments.rows / size, math.e))
        for level, length in enumerate(LENGTHS):
            deviation = np.sqrt(length * share * (1 - share))
            over = moments.most[level, own] - length * share
            burst = over > _BURST_ERRORS * deviation + _BURST_ROWS
            beyond = over - _USUAL_ERRORS * np.sqrt(effect) * deviation
            burst &= beyond > usual
            bursts[stream] = max(bursts[stream], float(beyond[burst].max(initial=0.0)))
    return bursts

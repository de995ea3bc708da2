"""Colours of the boards, which keep apart for readers with any of the three colour deficiencies.

``tests/render/test_boards.py`` measures it. No meaning is carried by red against green, and whatever has a
colour has a name or a number beside it.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "DRIFT",
    "EARLY",
    "FEWER",
    "GREY",
    "LIVE",
    "MORE",
    "PALE_FEWER",
    "PALE_MORE",
    "QUIET",
    "SECOND",
    "THIRD",
]

# Of states: calm, worth a look, drift.
QUIET: Final = "#4477AA"
EARLY: Final = "#F0C93B"
DRIFT: Final = "#C4371C"
# Of lines: live values, a second and a third beside them; what they are compared with is grey and dashed.
LIVE: Final = "#D27E00"
SECOND: Final = "#6FC0EE"
THIRD: Final = "#A818F0"
GREY: Final = "#8E8E8E"
# Of differences: far fewer rows, fewer, (grey), more, far more.
FEWER: Final = "#2C5F9E"
PALE_FEWER: Final = "#8FB4DB"
PALE_MORE: Final = "#F3B562"
MORE: Final = "#B5471B"

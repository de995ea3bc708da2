"""Numbers that both forms of `advance` share."""

from __future__ import annotations

from typing import Final

__all__ = ["LARGEST_EXPONENT", "SCORES"]

SCORES: Final = 4

# No step of more than e^300 either way: evidence stays off infinity, and off the subnormal numbers, which are
# slow. A budget of 1e12 evaluations is e^28.
LARGEST_EXPONENT: Final = 300.0

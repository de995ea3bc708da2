"""The targets that come with driftgauge: kind, and the class as ``module:name``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["BUILT_IN"]

BUILT_IN: Final[Mapping[str, str]] = {}

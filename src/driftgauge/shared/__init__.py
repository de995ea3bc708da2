"""One truth over many processes: a directory in which each says what it has counted, and anyone reads all."""

from __future__ import annotations

from driftgauge.shared._directory import SharedDirectory

__all__ = ["SharedDirectory"]

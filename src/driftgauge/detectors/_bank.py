"""The bank of alternatives that evidence is gathered for, of one stream."""

from __future__ import annotations

from driftgauge.detectors._scores import normal_scores, score_functions

__all__ = ["normal_scores", "score_functions"]

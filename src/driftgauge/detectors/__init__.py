"""What tells drift from noise.

`DriftScore` gathers evidence over time against a budget of false alerts, and is what alerts belong on.
`noise` has the closed-form critical values of effect sizes at one look, `run_length` those over all looks of
a budget; `windows` and `streaming` have other detectors, to compare and to choose. A detector that looks
again and again, with a proven rate of false alarms over all looks, has the form of `Detector`.
"""

from __future__ import annotations

from driftgauge.detectors._words import CAUSES
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.protocol import Detector
from driftgauge.detectors.run_length import ks_critical_run_length, psi_critical_run_length

__all__ = [
    "CAUSES",
    "Detector",
    "DriftScore",
    "ks_critical",
    "ks_critical_run_length",
    "psi_critical",
    "psi_critical_run_length",
]

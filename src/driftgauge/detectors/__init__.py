"""What tells drift from noise.

`DriftScore` gathers evidence over time against a budget of false alerts, and is what alerts belong on.
`noise` has the closed-form critical values of effect sizes. A detector that looks again and again, with a
proven rate of false alarms over all looks, has the form of `Detector`.
"""

from __future__ import annotations

from driftgauge.detectors._words import CAUSES
from driftgauge.detectors.drift_score import DriftScore
from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.protocol import Detector

__all__ = ["CAUSES", "Detector", "DriftScore", "ks_critical", "psi_critical"]

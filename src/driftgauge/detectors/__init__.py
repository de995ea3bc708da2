"""What tells drift from noise.

`noise` has the closed-form critical values of effect sizes. A detector that looks again and again, with a
proven rate of false alarms over all looks, has the form of `Detector`.
"""

from __future__ import annotations

from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.protocol import Detector

__all__ = ["Detector", "ks_critical", "psi_critical"]

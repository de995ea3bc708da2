"""What tells drift from noise.

`noise` has the closed-form critical values of effect sizes at one look. A detector that looks again and
again, with a proven rate of false alarms over all looks, has the form of `Sequential`.
"""

from __future__ import annotations

from driftgauge.detectors.noise import ks_critical, psi_critical
from driftgauge.detectors.sequential import Sequential

__all__ = ["Sequential", "ks_critical", "psi_critical"]

"""From an alert to a retraining run, with brakes: `driftgauge bridge`.

Alertmanager posts what fires; the bridge stores it, decides with its brakes whether a run may start, starts
it where training already lives, and follows it until the new reference is in force.
"""

from __future__ import annotations

__all__: list[str] = []

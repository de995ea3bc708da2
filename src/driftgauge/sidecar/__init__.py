"""The engine as a process of its own, beside whatever serves the model.

``driftgauge sidecar`` runs it from ``driftgauge.toml``; `settings` says what can be set, `models` holds a
monitor for each reference, `app` puts the ways in and the HTTP surface together. Needs
``pip install driftgauge[sidecar]``.
"""

from __future__ import annotations

__all__: list[str] = []

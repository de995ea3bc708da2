"""Dashboards, recording rules and alerts, rendered from the catalogue and a few settings."""

from __future__ import annotations

from driftgauge.render.settings import RenderSettings, load_settings

__all__ = ["RenderSettings", "load_settings"]

"""Prometheus exporter: a monitor's snapshot as metric families, made afresh at each scrape.

Found as ``driftgauge.exporter("prometheus")``; can be imported directly as well.
"""

from __future__ import annotations

from driftgauge_prometheus._collector import SnapshotCollector, SnapshotSource, collector
from driftgauge_prometheus._serve import asgi_app, serve, wsgi_app

__all__ = ["SnapshotCollector", "SnapshotSource", "asgi_app", "collector", "serve", "wsgi_app"]

"""Prometheus exporter: a monitor's snapshot as metric families, made afresh at each scrape.

Found as ``driftgauge.exporter("prometheus")``; can be imported directly as well.
"""

from __future__ import annotations

from driftgauge_prometheus._collector import SnapshotCollector, SnapshotSource, collector
from driftgauge_prometheus._families import FamiliesCollector, scrape_families
from driftgauge_prometheus._serve import asgi_app, serve, wsgi_app
from driftgauge_prometheus._text import SnapshotsSource, scrape

__all__ = [
    "FamiliesCollector",
    "SnapshotCollector",
    "SnapshotSource",
    "SnapshotsSource",
    "asgi_app",
    "collector",
    "scrape",
    "scrape_families",
    "serve",
    "wsgi_app",
]

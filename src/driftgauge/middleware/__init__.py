"""Watches a web application from inside: `asgi` and `wsgi` have a ``DriftgaugeMiddleware`` each.

>>> Route("/predict", protocol="json").matches("POST", "/predict")
True
"""

from __future__ import annotations

from driftgauge.middleware._routes import Route

__all__ = ["Route"]

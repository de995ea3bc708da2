"""The rules and the scraping as objects of the Prometheus Operator."""

from __future__ import annotations

from typing import Any

from driftgauge.render.settings import RenderSettings

__all__ = ["pod_monitor", "prometheus_rule"]

_API: str = "monitoring.coreos.com/v1"


def prometheus_rule(settings: RenderSettings, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The groups of rules as a PrometheusRule."""
    return {**_object(settings, "PrometheusRule"), "spec": {"groups": groups}}


def pod_monitor(settings: RenderSettings) -> dict[str, Any]:
    """A PodMonitor that scrapes every pod with the labels of ``kubernetes.pods``."""
    kubernetes = settings.kubernetes
    endpoint = {"port": kubernetes.port, "path": kubernetes.path, "interval": kubernetes.interval}
    return {
        **_object(settings, "PodMonitor"),
        "spec": {
            "selector": {"matchLabels": dict(kubernetes.pods)},
            "podMetricsEndpoints": [endpoint],
        },
    }


def _object(settings: RenderSettings, kind: str) -> dict[str, Any]:
    kubernetes = settings.kubernetes
    place = {"namespace": kubernetes.namespace} if kubernetes.namespace else {}
    metadata = {"name": kubernetes.name, **place, "labels": dict(kubernetes.labels)}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata}

"""Where rendered files go: Grafana, and the Prometheus Operator of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from driftgauge.errors import ConfigError
from driftgauge.render._toml_values import check_duration

__all__ = ["Boards", "Kubernetes"]

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boards:
    """Of dashboards.

    Parameters
    ----------
    datasource : str
        Name of the Prometheus data source that the boards start with; it can be changed on each board.
    refresh, since : str
        How often a board asks again, and how far back it looks when opened.
    timezone : str
        ``'browser'``, ``'utc'`` or a name of the tz database.
    tags : tuple of str
        By which the boards find each other.
    """

    datasource: str = "default"
    refresh: str = "1m"
    since: str = "24h"
    timezone: str = "browser"
    tags: tuple[str, ...] = ("driftgauge",)

    def __post_init__(self) -> None:
        check_duration("boards.refresh", self.refresh)
        check_duration("boards.since", self.since)
        if not self.tags or not all(self.tags):
            message = f"boards.tags must be one word or more, got {list(self.tags)!r}; links use them"
            raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """Of the PrometheusRule and the PodMonitor for the Prometheus Operator.

    Parameters
    ----------
    name, namespace : str
        Of both objects; without a namespace the one that ``kubectl`` is told decides.
    port : str
        Name of the container's port that serves ``/metrics``.
    path : str
    interval : str
        Between two scrapes.
    labels : mapping of str to str
        By which the operator's Prometheus chooses rules and monitors.
    pods : mapping of str to str
        Labels of the pods that are scraped.
    """

    name: str = "driftgauge"
    namespace: str = ""
    port: str = "driftgauge"
    path: str = "/metrics"
    interval: str = "30s"
    labels: Mapping[str, str] = field(
        default_factory=lambda: {"app.kubernetes.io/name": "driftgauge", "release": "prometheus"}
    )
    pods: Mapping[str, str] = field(default_factory=lambda: {"driftgauge/scrape": "true"})

    def __post_init__(self) -> None:
        check_duration("kubernetes.interval", self.interval)
        for place, name in (("name", self.name), ("namespace", self.namespace), ("port", self.port)):
            if not _NAME.fullmatch(name) and (name or place != "namespace"):
                message = (
                    f"kubernetes.{place} must be of lower-case letters, digits and hyphens, as Kubernetes "
                    f"allows it, got {name!r}"
                )
                raise ConfigError(message)
        if not self.path.startswith("/"):
            message = f"kubernetes.path must begin with a slash, got {self.path!r}; '/metrics' is usual"
            raise ConfigError(message)
        if not self.pods:
            message = "kubernetes.pods must name at least one label; without one every pod would be scraped"
            raise ConfigError(message)

"""The text of a scrape, for a server that has a web framework of its own and perhaps several models."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from driftgauge.snapshot import Snapshot
from driftgauge_prometheus._collector import described, metrics_of

__all__ = ["SnapshotsSource", "answer", "scrape"]


class SnapshotsSource(Protocol):
    """Anything that has snapshots of several models; no two of one model and version."""

    def snapshots(self) -> Sequence[Snapshot]:
        """What is known now, one a model."""


class _Models(Collector):
    def __init__(self, source: SnapshotsSource) -> None:
        self._source: Final = source

    def describe(self) -> Iterator[Metric]:
        return described()

    def collect(self) -> Iterator[Metric]:
        return metrics_of(self._source.snapshots())


def scrape(
    source: SnapshotsSource, *, accept: str = "", encodings: str = "", names: Sequence[str] = ()
) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer to a scrape.

    Parameters
    ----------
    source : SnapshotsSource
    accept, encodings : str
        The headers ``Accept`` and ``Accept-Encoding`` of the request.
    names : sequence of str
        Only these series, as the parameter ``name[]`` asks for; empty for all.

    Returns
    -------
    headers : dict of str to str
    body : bytes
    """
    return answer(_Models(source), accept, encodings, names)


def answer(
    collector: Collector, accept: str, encodings: str, names: Sequence[str]
) -> tuple[dict[str, str], bytes]:
    """Headers and body of what a collector has, in the form and the encoding that are asked for."""
    registry = CollectorRegistry()
    registry.register(collector)
    encoder, content_type = choose_encoder(accept)
    body = encoder(registry.restricted_registry(names) if names else registry)
    headers = {"Content-Type": content_type}
    if gzip_accepted(encodings):
        body = gzip.compress(body, compresslevel=6)
        headers["Content-Encoding"] = "gzip"
    return headers, body

"""The collector: a loop over the catalogue that keeps nothing between scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from driftgauge.catalogue import CATALOGUE, Family, samples
from driftgauge.snapshot import Snapshot

# OpenMetrics has exemplars of counters and histogram buckets only; scores are gauges. An evaluation is what
# noticed a crossing, so the count of evaluations carries it.
_WITH_EXEMPLAR: Final = "driftgauge.drift_evaluations"

__all__ = [
    "SnapshotCollector",
    "SnapshotSource",
    "collector",
    "described",
    "metrics_of",
    "own_registry",
]


class SnapshotSource(Protocol):
    """Anything that has a snapshot to export; a `driftgauge.Monitor` is one."""

    def snapshot(self) -> Snapshot:
        """What is known now."""


class SnapshotCollector(Collector):
    """Collector that asks its source for one snapshot a scrape.

    It keeps no gauges, so a feature, window or reference that is gone leaves no stale series behind.

    Parameters
    ----------
    source : SnapshotSource

    Notes
    -----
    A scrape of 1,000 features and one window has 64,000 series and takes 0.66 s, of which the
    snapshot takes 0.12 s and this loop 0.09 s: 1.5 µs a series. The rest is the text writer of
    prometheus_client, which takes as long for as many plain gauges (``benchmarks/bench_scrape.py``).
    """

    def __init__(self, source: SnapshotSource) -> None:
        self._source: Final = source

    def describe(self) -> Iterator[Metric]:
        """Every family without samples: a registry learns the names without an evaluation."""
        return described()

    def collect(self) -> Iterator[Metric]:
        """Every family that has samples, from one snapshot, in the order of the catalogue."""
        return metrics_of([self._source.snapshot()])


def described() -> Iterator[Metric]:
    """Every family of the catalogue, without samples."""
    return map(_metric, CATALOGUE)


def metrics_of(snapshots: Iterable[Snapshot]) -> Iterator[Metric]:
    """Every family that has samples, those of all *snapshots* together, in the order of the catalogue."""
    given = list(snapshots)
    found = [iter(samples(snapshot)) for snapshot in given]
    waiting = [next(each, None) for each in found]
    for family in CATALOGUE:
        metric = _metric(family)
        name = family.prometheus_name
        for place, entry in enumerate(waiting):
            if entry is not None and entry[0] is family:
                exemplar = _exemplar(given[place]) if family.otel_name == _WITH_EXEMPLAR else None
                metric.samples += [
                    Sample(name, labels, value, None, exemplar)  # type: ignore[arg-type]
                    for labels, value in entry[1]
                ]
                waiting[place] = next(found[place], None)
        if metric.samples:
            yield metric


def collector(monitor: SnapshotSource) -> SnapshotCollector:
    """Collector of *monitor*, for a registry that the host already has.

    Parameters
    ----------
    monitor : SnapshotSource
        A `driftgauge.Monitor`, or anything with ``snapshot()``.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry, generate_latest
    >>> from driftgauge.snapshot import ReferenceInfo, Snapshot
    >>> class Quiet:
    ...     def snapshot(self):
    ...         return Snapshot(
    ...             model="churn", model_version="3", timestamp_seconds=1.7e9, evaluation_seconds=0.0,
    ...             reference=ReferenceInfo(reference_id="ab12", created_timestamp_seconds=1.6e9, rows=500),
    ...             features=(), windows=(), rows=0, rows_sampled=0, rows_sampled_out=0,
    ...         )
    >>> registry = CollectorRegistry()
    >>> registry.register(collector(Quiet()))
    >>> print(generate_latest(registry).decode().splitlines()[-1])
    driftgauge_reference_rows{model="churn",model_version="3"} 500.0
    """
    return SnapshotCollector(monitor)


def own_registry(monitor: SnapshotSource) -> CollectorRegistry:
    """Registry that holds the collector of *monitor* and nothing else."""
    registry = CollectorRegistry()
    registry.register(collector(monitor))
    return registry


def _metric(family: Family) -> Metric:
    # prometheus_client keeps counters without their suffix and adds it when it writes the type.
    name = family.prometheus_name.removesuffix("_total")
    return Metric(name, family.help, family.instrument, family.prometheus_unit)


def _exemplar(snapshot: Snapshot) -> Exemplar | None:
    """The latest score that crossed 1, and the trace of a request that brought a row of its evidence."""
    crossing = None if snapshot.drift is None else snapshot.drift.last_crossing
    if crossing is None or crossing.trace is None:
        return None
    trace_id, span_id = crossing.trace
    return Exemplar({"trace_id": trace_id, "span_id": span_id}, crossing.score, crossing.timestamp_seconds)

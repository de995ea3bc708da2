"""Metrics that are no snapshot of a model: families and samples of whoever has some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from driftgauge_prometheus._text import answer

__all__ = ["FamiliesCollector", "FamilySource", "scrape_families"]


class FamilySource(Protocol):
    """What a family must say; those of the catalogue do."""

    @property
    def prometheus_name(self) -> str:
        """Name of the series."""

    @property
    def prometheus_unit(self) -> str:
        """``'seconds'``, or empty."""

    @property
    def instrument(self) -> str:
        """``'gauge'`` or ``'counter'``."""

    @property
    def help(self) -> str:
        """One line for people."""


Read = Callable[[], Iterable[tuple[FamilySource, Sequence[tuple[Mapping[str, str], float]]]]]


class FamiliesCollector(Collector):
    """Collector of families and samples that are read at each scrape, for a registry.

    Parameters
    ----------
    read : callable
        Families and their samples, labels and value.
    """

    def __init__(self, read: Read) -> None:
        self._read: Final = read

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is, reading says."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every family that was read."""
        for family, found in self._read():
            name = family.prometheus_name
            metric = Metric(
                name.removesuffix("_total"), family.help, family.instrument, family.prometheus_unit
            )
            metric.samples = [Sample(name, dict(labels), value) for labels, value in found]
            yield metric


def scrape_families(
    read: Read, *, accept: str = "", encodings: str = "", names: Sequence[str] = ()
) -> tuple[dict[str, str], bytes]:
    """Headers and body of an answer to a scrape of *read*, as `scrape` answers for snapshots.

    Parameters
    ----------
    read : callable
        Families and their samples, labels and value.
    accept, encodings : str
        The headers ``Accept`` and ``Accept-Encoding`` of the request.
    names : sequence of str
        Only these series; empty for all.
    """
    return answer(FamiliesCollector(read), accept, encodings, names)

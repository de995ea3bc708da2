"""Who else counts payloads for a monitor: the ways in that decode what comes as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from driftgauge.snapshot import PayloadCounts

__all__ = ["PayloadSources", "add_payloads"]

_PARTS = ("undecodable", "dropped", "without_outputs", "forwarded")


class PayloadSources:
    """Functions that say what became of payloads. *failed* is told when one of them raises."""

    def __init__(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed
        self._sources: list[Callable[[], Iterable[PayloadCounts]]] = []
        self._last: dict[int, tuple[PayloadCounts, ...]] = {}

    def add(self, source: Callable[[], Iterable[PayloadCounts]]) -> None:
        """Ask *source* too."""
        self._sources.append(source)

    def read(self) -> tuple[PayloadCounts, ...]:
        """What all of them say, one value for each way and protocol. No lock is held."""
        for place, source in enumerate(self._sources):
            try:
                self._last[place] = tuple(source())
            except Exception as error:  # then it is what it was: no count goes down
                self._failed("shared", error)
        return add_payloads(counts for each in list(self._last.values()) for counts in each)

    def clear(self) -> None:
        """Have heard nothing, in a child after a fork."""
        self._last.clear()


def add_payloads(counts: Iterable[PayloadCounts]) -> tuple[PayloadCounts, ...]:
    """Sums by way and protocol."""
    together: dict[tuple[str, str], list[PayloadCounts]] = {}
    for each in counts:
        together.setdefault((each.way, each.protocol), []).append(each)
    return tuple(
        PayloadCounts(
            way=way,
            protocol=protocol,
            payloads=sum(each.payloads for each in own),
            decoded=sum(each.decoded for each in own),
            **{part: _added(getattr(each, part) for each in own) for part in _PARTS},
        )
        for (way, protocol), own in together.items()
    )


def _added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total

"""One metric: its names, its unit, and how its samples are read from an object of a snapshot.

Names are kept in OpenTelemetry's form and the Prometheus name is derived: dots become underscores, the
unit ``s`` adds ``_seconds``, a counter adds ``_total``. Units in braces, such as ``{row}``, add nothing.
Ratios have the unit ``1`` and carry ``_ratio`` in both forms, because translators disagree on whether to
add it; statistics have no unit at all, for the same reason. Pure and standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal

__all__ = ["Family", "Instrument", "Labels", "Level", "Sample", "Shape", "family", "label_text"]

Instrument = Literal["gauge", "counter"]
Level = Literal[
    "snapshot",
    "reference",
    "window",
    "feature",
    "statistics",
    "drift",
    "feature_drift",
    "virtual_drift",
    "payloads",
]
Shape = Literal["number", "info", "drifted", "by_key", "by_level", "bin_rows", "bin_ratio", "bin_range"]
Labels = Mapping[str, str]
Sample = tuple[Labels, float]

_MODEL: Final = ("model", "model_version")
_FEATURE: Final = (*_MODEL, "feature", "kind")
_LEVEL_LABELS: Final[Mapping[Level, tuple[str, ...]]] = {
    "snapshot": _MODEL,
    "reference": _MODEL,
    "window": (*_MODEL, "window"),
    "feature": _FEATURE,
    "statistics": (*_FEATURE, "window"),
    "drift": _MODEL,
    "feature_drift": _FEATURE,
    "virtual_drift": (*_MODEL, "virtual"),
    "payloads": (*_MODEL, "way", "protocol"),
}
_UNIT_SUFFIXES: Final[Mapping[str, str]] = {"s": "seconds", "1": "ratio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric. Equal by value, prints as code that makes it again.

    Parameters
    ----------
    otel_name : str
        Lower case, dotted, without unit: ``'driftgauge.feature.psi'``.
    unit : str
        UCUM as OpenTelemetry has it: ``''`` for a statistic, ``'1'`` for a ratio (0 to 1), ``'s'``,
        ``'{row}'``.
    instrument : 'gauge' or 'counter'
    own_labels : tuple of str
        Labels beside those of the level.
    help : str
        One line for people.
    level : str
        Which object is read: ``'snapshot'`` itself, its ``'reference'``, each ``'window'``, each
        ``'feature'``, each feature's ``'statistics'`` in each window, the ``'drift'`` snapshot if there is
        one, each ``'feature_drift'`` in it, each ``'virtual_drift'``, or the ``'payloads'`` of each way in.
    attribute : str
        Which attribute of that object; ``''`` is the object itself.
    shape : str
        How it becomes samples: ``'number'`` one; ``'info'`` a constant 1, labelled with the attributes that
        `own_labels` name; ``'drifted'`` how many of those in it have drifted; ``'by_key'`` one a key;
        ``'by_level'`` one a quantile level; ``'bin_rows'``, ``'bin_ratio'`` and ``'bin_range'`` one a bin,
        the first two cumulative.

    Examples
    --------
    >>> family = Family(
    ...     otel_name="driftgauge.window", unit="s", instrument="gauge", own_labels=(),
    ...     help="How far back the window reaches", level="window", attribute="seconds",
    ... )
    >>> family.prometheus_name, family.labels
    ('driftgauge_window_seconds', ('model', 'model_version', 'window'))
    """

    otel_name: str
    unit: str
    instrument: Instrument
    own_labels: tuple[str, ...]
    help: str
    level: Level
    attribute: str
    shape: Shape = "number"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all labels: those of the level, then its own."""
        return _LEVEL_LABELS[self.level] + self.own_labels

    @property
    def prometheus_unit(self) -> str:
        """Unit as Prometheus writes it, ``''`` where there is none: ``'seconds'``, ``'ratio'``."""
        return _UNIT_SUFFIXES.get(self.unit, "")

    @property
    def prometheus_name(self) -> str:
        """Name of the series in Prometheus."""
        name = self.otel_name.replace(".", "_")
        if self.prometheus_unit and not name.endswith(f"_{self.prometheus_unit}"):
            name = f"{name}_{self.prometheus_unit}"
        return f"{name}_total" if self.instrument == "counter" else name

    def read(self, labels: dict[str, str], thing: object, found: list[Sample]) -> None:
        """Append the samples of *thing*, an object of the family's level, to *found*.

        `None` and NaN have no sample. *labels* are those of the level; samples may share them.
        """
        value = getattr(thing, self.attribute) if self.attribute else thing
        _READ[self.shape](self, labels, value, found)


_PREFIX: Final[dict[Level, str]] = {
    "statistics": "feature.",
    "feature": "feature.",
    "feature_drift": "feature.",
    "virtual_drift": "virtual.",
    "window": "window.",
}
_OWN_LABELS: Final[dict[Shape, tuple[str, ...]]] = {
    "by_level": ("level",),
    "bin_rows": ("bin", "next_bin"),
    "bin_ratio": ("bin", "next_bin"),
    "bin_range": ("bin", "range"),
}


def family(
    level: Level,
    name: str,
    help: str,
    *,
    attribute: str | None = None,
    unit: str = "",
    instrument: Instrument = "gauge",
    shape: Shape = "number",
    labels: tuple[str, ...] = (),
) -> Family:
    """Family whose attribute is called like the metric, and whose unit is ``'1'`` when it is a ratio."""
    return Family(
        otel_name=f"driftgauge.{_PREFIX.get(level, '')}{name}".removesuffix("."),
        unit=unit or ("1" if name.endswith("_ratio") else ""),
        instrument=instrument,
        own_labels=labels or _OWN_LABELS.get(shape, ()),
        help=help,
        level=level,
        attribute=name if attribute is None else attribute,
        shape=shape,
    )


def label_text(value: str) -> str:
    """A label value that UTF-8 can carry: one name with half a surrogate would fail the whole scrape.

    Examples
    --------
    >>> label_text("größe"), label_text("half\\ud800")
    ('größe', 'half?')
    """
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _number(_: Family, labels: dict[str, str], value: float | None, found: list[Sample]) -> None:
    if value is not None and not math.isnan(value):
        found.append((labels, value))


def _info(family: Family, labels: dict[str, str], value: object, found: list[Sample]) -> None:
    own = {name: label_text(getattr(value, name)) for name in family.own_labels}
    found.append(({**labels, **own}, 1.0))


def _drifted(_: Family, labels: dict[str, str], value: Iterable[Any], found: list[Sample]) -> None:
    found.append((labels, sum(each.drifted for each in value)))


def _by_key(family: Family, labels: dict[str, str], value: Mapping[str, int], found: list[Sample]) -> None:
    found.extend(({**labels, family.own_labels[0]: key}, count) for key, count in sorted(value.items()))


def _by_level(family: Family, labels: dict[str, str], value: tuple[Pair, ...], found: list[Sample]) -> None:
    for level, quantile in value:
        _number(family, {**labels, family.own_labels[0]: str(level)}, quantile, found)


def _bin_rows(_: Family, labels: dict[str, str], value: tuple[int, ...], found: list[Sample]) -> None:
    names = _bin_names(len(value))
    for name, following, count in zip(names, [*names[1:], ""], accumulate(value), strict=True):
        found.append(({**labels, "bin": name, "next_bin": following}, count))


def _bin_ratio(family: Family, labels: dict[str, str], value: tuple[int, ...], found: list[Sample]) -> None:
    rows: list[Sample] = []
    _bin_rows(family, labels, value, rows)
    total = sum(value)
    if total:
        found.extend((each, count / total) for each, count in rows)


def _bin_range(_: Family, labels: dict[str, str], value: tuple[str, ...], found: list[Sample]) -> None:
    for name, text in zip(_bin_names(len(value)), value, strict=True):
        found.append(({**labels, "bin": name, "range": label_text(text)}, 1.0))


def _bin_names(bins: int) -> list[str]:
    """Bin labels of equal width, so that they sort as text: ``'00'``, ``'01'``, …"""
    width = max(2, len(str(bins - 1)))
    return [f"{number:0{width}d}" for number in range(bins)]


Pair = tuple[float, float]
_READ: Final[Mapping[Shape, Callable[[Family, dict[str, str], Any, list[Sample]], None]]] = {
    "number": _number,
    "info": _info,
    "drifted": _drifted,
    "by_key": _by_key,
    "by_level": _by_level,
    "bin_rows": _bin_rows,
    "bin_ratio": _bin_ratio,
    "bin_range": _bin_range,
}

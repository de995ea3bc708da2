"""What evidence is gathered of: the features of a reference, and the virtual features of its calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import FeatureReference, Floats
from driftgauge.detectors._bank import Bank
from driftgauge.detectors._settings import is_number, shown
from driftgauge.ecells import ECells
from driftgauge.errors import ConfigError

if TYPE_CHECKING:
    from driftgauge.calibration import Calibration, VirtualFeature

__all__ = ["Stream", "banks_of", "shares_of", "streams_of"]

# Parts of the budget. What a model says is one column among many and matters as much as all of them; joint
# drift that no single column shows is rarer. Our choice.
_PARTS: Final = {"input": 0.6, "output": 0.2, "virtual": 0.2}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """One stream of e-cells.

    Parameters
    ----------
    name : str
    kind : 'input', 'output' or 'virtual'
    labels : tuple of str
        Of its K e-cells, for people.
    roles : tuple of str
        What each e-cell is: ``'cell'``, ``'below'``, ``'above'``, ``'between'``, ``'unseen'``, ``'missing'``.
    ordered : int
        Number of leading e-cells that are ordered.
    counts : float64[K]
        Reference rows by e-cell.
    rows : int
        Reference rows.
    design_effects : float32[4 + K] or None
        None: rows are taken as independent.
    bucket_counts : uint32[H, K] or None
    inflation : float64[K] or None
        As `driftgauge.ecells.ECells.inflation`; None where every count was counted.
    largest_burst : float
        Rows of the reference's largest burst into one e-cell; 0 where none is known.
    parts : tuple of str
        Names of the features that a virtual feature is made of.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    roles: tuple[str, ...]
    ordered: int
    counts: Floats
    rows: int
    design_effects: NDArray[np.float32] | None = None
    bucket_counts: NDArray[np.uint32] | None = None
    inflation: Floats | None = None
    largest_burst: float = 0.0
    parts: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of e-cells, K."""
        return len(self.labels)

    def key(self) -> tuple[object, ...]:
        """Equal for two streams that have the same bank."""
        effects, buckets = self.design_effects, self.bucket_counts
        return (
            self.counts.tobytes(),
            self.ordered,
            self.rows,
            None if self.inflation is None else self.inflation.tobytes(),
            None if effects is None else effects.tobytes(),
            None if buckets is None else buckets.tobytes(),
            self.largest_burst,
        )

    def bank(self, min_effect: float, needed: float) -> Bank:
        """Its alternatives, for an alert at the log evidence *needed*."""
        return Bank.of(
            self.counts,
            self.ordered,
            self.rows,
            min_effect=min_effect,
            design_effects=self.design_effects,
            bucket_counts=self.bucket_counts,
            inflation=self.inflation,
            needed=needed,
            largest_burst=self.largest_burst,
        )


def streams_of(
    features: Sequence[FeatureReference], ecells: Sequence[ECells], calibration: Calibration | None
) -> tuple[Stream, ...]:
    """The streams of a reference: features in its order, then virtual features.

    Parameters
    ----------
    features : sequence of FeatureReference
    ecells : sequence of ECells
        Of the same features.
    calibration : Calibration or None
    """
    learned = None if calibration is None else calibration.streams
    in_order = calibration is not None and calibration.in_time_order
    streams = [
        Stream(
            name=feature.name,
            kind=feature.kind,
            labels=own.labels,
            roles=_roles(feature, own),
            ordered=own.ordered,
            counts=own.counts,
            rows=feature.rows,
            design_effects=learned[number].design_effects if learned is not None and in_order else None,
            bucket_counts=None if learned is None else learned[number].bucket_counts,
            inflation=own.inflation,
            largest_burst=learned[number].largest_burst if learned is not None and in_order else 0.0,
        )
        for number, (feature, own) in enumerate(zip(features, ecells, strict=True))
    ]
    if calibration is None:
        return tuple(streams)
    for virtual, stream in zip(calibration.virtual, calibration.streams[len(features) :], strict=True):
        size = stream.counts.size
        streams.append(
            Stream(
                name=virtual.name,
                kind="virtual",
                labels=_labels(virtual),
                roles=("cell",) * size,
                ordered=size,
                counts=stream.counts,
                rows=calibration.rows,
                design_effects=stream.design_effects if in_order else None,
                bucket_counts=stream.bucket_counts,
                largest_burst=stream.largest_burst if in_order else 0.0,
                parts=tuple(features[number].name for number in virtual.features.tolist()),
            )
        )
    return tuple(streams)


def _roles(feature: FeatureReference, ecells: ECells) -> tuple[str, ...]:
    last = ("below", "above", "between", "missing")
    if feature.dtype != "numeric":
        last = ("unseen", "missing")  # type: ignore[assignment]
    elif ecells.size - ecells.ordered == 3:
        last = ("below", "above", "missing")  # type: ignore[assignment]
    return ("cell",) * (ecells.size - len(last)) + last


def _labels(virtual: VirtualFeature) -> tuple[str, ...]:
    text = [f"{edge:.3g}" for edge in virtual.edges]
    if not text:
        return ("(-inf, inf)",)
    pairs = zip(["-inf", *text], [*text, "inf"], strict=True)
    labels = [f"({low}, {high}]" for low, high in pairs]
    labels[-1] = f"({text[-1]}, inf)"
    return tuple(labels)


def shares_of(streams: Sequence[Stream], weights: Mapping[str, float] | None) -> Floats:
    """Share of the budget that each stream has, float64[S], of sum 1.

    Inputs have 60 % together, outputs 20 %, virtual features 20 %, or what that is of those there are.

    Parameters
    ----------
    streams : sequence of Stream
    weights : mapping of names to numbers
        Within its group a stream has a share in proportion to its weight, 1 if not named. 0: not watched, and
        neither is a virtual feature that is not named and is made of it, for it drifts when that does.

    Raises
    ------
    ConfigError
        No mapping, a name that is no stream, a weight below 0 or not finite, or none above 0.
    """
    if weights is not None and not isinstance(weights, Mapping):
        message = f"weights must map names of features to numbers, got {shown(weights)}"
        raise ConfigError(message)
    given = {} if weights is None else {str(name): weight for name, weight in weights.items()}
    unknown = sorted(set(given) - {stream.name for stream in streams})
    if unknown:
        known = ", ".join(repr(name) for name in sorted({stream.name for stream in streams})[:20])
        message = f"weights names {unknown[0]!r}, which is no feature of the reference; there are {known}"
        raise ConfigError(message)
    for name, weight in given.items():
        if not (is_number(weight) and math.isfinite(weight) and weight >= 0):
            message = f"the weight of {name!r} must be a finite number of at least 0, got {shown(weight)}"
            raise ConfigError(message)
    kinds = np.array([stream.kind for stream in streams])
    unwatched = {name for name, weight in given.items() if weight == 0}
    shares = np.array(
        [float(given.get(stream.name, unwatched.isdisjoint(stream.parts))) for stream in streams]
    )
    for kind, part in _PARTS.items():
        own = kinds == kind
        total = shares[own].sum()
        if total > 0:
            shares[own] *= part / total
    if not shares.sum() > 0:
        message = "all weights are 0, so nothing would be watched; leave out weights for equal shares"
        raise ConfigError(message)
    shares /= shares.sum()
    return shares


def banks_of(
    streams: Sequence[Stream], shares: Floats, min_effect: float, log_evaluations: float
) -> tuple[list[Bank], list[int]]:
    """The different banks, and which is each stream's own; empty for one that is not watched."""
    banks: list[Bank] = []
    places: dict[tuple[object, ...], int] = {}
    tables: list[int] = []
    for stream, share in zip(streams, shares, strict=True):
        key = (share, *stream.key()) if share > 0 else ()
        if key not in places:
            places[key] = len(banks)
            needed = log_evaluations - math.log(share) if share > 0 else math.inf
            banks.append(stream.bank(min_effect, needed) if share > 0 else Bank.empty())
        tables.append(places[key])
    return banks, tables

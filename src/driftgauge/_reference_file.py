"""Features laid into a few arrays and a JSON header, and back with every part checked against the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge.cells import MAX_EXACT_POINTS, FeatureReference, round_to_single

__all__ = ["ArrayReader", "pack_features", "unpack_features"]


def pack_features(
    features: Sequence[FeatureReference],
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Header entries, and arrays of all features end to end."""
    header = [
        {
            "name": feature.name,
            "kind": feature.kind,
            "dtype": feature.dtype,
            "points": int(feature.points.size),
            "categories": list(feature.categories),
            "bin_labels": list(feature.bin_labels),
            "exact": bool(feature.exact),
            "ks_error_bound": float(feature.ks_error_bound),
            **({"single": True} if feature.single else {}),
        }
        for feature in features
    ]
    arrays: dict[str, NDArray[Any]] = {
        "points": np.concatenate([feature.points for feature in features]),
        "counts": np.concatenate([feature.counts for feature in features]),
        "bin_starts": np.concatenate([feature.bin_starts for feature in features]),
    }
    return header, arrays


def unpack_features(
    header: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]]
) -> tuple[FeatureReference, ...]:
    """The features that `pack_features` laid down; `ValueError` where the parts do not fit each other."""
    points = ArrayReader(arrays["points"], np.dtype(np.float64))
    counts = ArrayReader(arrays["counts"], np.dtype(np.uint32))
    bin_starts = ArrayReader(arrays["bin_starts"], np.dtype(np.int32))
    features = []
    for entry in header:
        numeric = entry["dtype"] == "numeric"
        size = int(entry["points"])
        cells = 2 * size + 5 if numeric else len(entry["categories"]) + 2
        features.append(
            FeatureReference(
                name=str(entry["name"]),
                kind=entry["kind"],
                dtype=entry["dtype"],
                points=points.take(size),
                categories=tuple(map(str, entry["categories"])),
                counts=counts.take(cells),
                bin_starts=bin_starts.take(len(entry["bin_labels"]) + 1),
                bin_labels=tuple(map(str, entry["bin_labels"])),
                exact=bool(entry["exact"]),
                ks_error_bound=float(entry["ks_error_bound"]),
                single=bool(entry.get("single", False)),
            )
        )
        _check(features[-1])
    for reader in (points, counts, bin_starts):
        reader.finish()
    if not features or len({feature.name for feature in features}) != len(features):
        message = "feature names are absent or repeated"
        raise ValueError(message)
    if len({feature.rows for feature in features}) != 1:
        message = "features have different numbers of rows"
        raise ValueError(message)
    return tuple(features)


def _check(feature: FeatureReference) -> None:
    numeric = feature.dtype == "numeric"
    points, starts = feature.points, feature.bin_starts
    sound = (
        feature.kind in {"input", "output"}
        and feature.dtype in {"numeric", "boolean", "categorical"}
        and 0 < max(points.size, len(feature.categories)) <= MAX_EXACT_POINTS
        and (points.size == 0) != numeric
        and (len(feature.categories) == 0) == numeric
        and len(set(feature.categories)) == len(feature.categories)
        and (feature.dtype != "boolean" or feature.categories == ("false", "true"))
        and bool(np.isfinite(points).all())
        and bool((np.diff(points) > 0).all())
        and starts.size >= 2
        and starts[0] == 0
        and starts[-1] == feature.cells
        and bool((np.diff(starts) > 0).all())
        and 0.0 <= feature.ks_error_bound <= 1.0
        and (not feature.single or (numeric and bool((round_to_single(points) == points).all())))
    )
    if not sound:
        message = f"the parts of feature {feature.name!r} do not fit each other"
        raise ValueError(message)


class ArrayReader:
    """Takes one slice after the other from a flat array."""

    __slots__ = ("array", "start")

    def __init__(self, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
        if array.dtype != dtype or array.ndim != 1:
            message = f"an array holds {array.dtype}[{array.ndim} dimensions], {dtype}[one] is needed"
            raise ValueError(message)
        self.array = array
        self.start = 0

    def take(self, size: int) -> NDArray[Any]:
        stop = self.start + size
        if size < 0 or stop > self.array.size:
            message = "an array is shorter than the header says"
            raise ValueError(message)
        taken = self.array[self.start : stop]
        self.start = stop
        return taken

    def finish(self) -> None:
        if self.start != self.array.size:
            message = "an array is longer than the header says"
            raise ValueError(message)

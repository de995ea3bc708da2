"""A calibration laid into a few arrays and a JSON header, and back with every part checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge._features import FeatureSet
from driftgauge._reference_file import ArrayReader
from driftgauge.calibration import Calibration, StreamCalibration, TimeBuckets, VirtualFeature

__all__ = ["pack_calibration", "unpack_calibration"]


def pack_calibration(calibration: Calibration) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header entry, and arrays of all streams end to end.

    Counts of features are not written: they follow from the features.
    """
    virtual = calibration.virtual
    features = len(calibration.streams) - len(virtual)
    header = {
        "rows": calibration.rows,
        "in_time_order": calibration.in_time_order,
        "cycle": calibration.buckets.cycle,
        "timezone": calibration.buckets.timezone,
        "virtual": [
            {"name": each.name, "features": each.features.size, "edges": each.edges.size}
            | ({"squared": True} if each.squared else {})
            for each in virtual
        ],
        "matched": [stream.bucket_counts is not None for stream in calibration.streams],
        "half_score": calibration.half_score,
        "half_features": list(calibration.half_features),
    }
    bucket_counts = [
        each.bucket_counts.ravel() for each in calibration.streams if each.bucket_counts is not None
    ]
    arrays: dict[str, NDArray[Any]] = {
        "virtual_features": _joined([each.features for each in virtual], np.int32),
        "virtual_weights": _joined([each.weights for each in virtual], np.float64),
        "virtual_edges": _joined([each.edges for each in virtual], np.float64),
        "virtual_counts": _joined([each.counts for each in calibration.streams[features:]], np.float64),
        "bucket_counts": _joined(bucket_counts, np.uint32),
        "design_effects": _joined([each.design_effects for each in calibration.streams], np.float64),
        "largest_bursts": np.array([each.largest_burst for each in calibration.streams]),
    }
    return header, arrays


def _joined(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *(part.astype(dtype) for part in parts)])


def unpack_calibration(
    header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], features: FeatureSet
) -> Calibration:
    """What `pack_calibration` laid down; `ValueError` where the parts do not fit each other."""
    numbers, weights, edges, counts, bucket_counts, effects, bursts = (
        ArrayReader(arrays[name], np.dtype(dtype))
        for name, dtype in (
            ("virtual_features", np.int32),
            ("virtual_weights", np.float64),
            ("virtual_edges", np.float64),
            ("virtual_counts", np.float64),
            ("bucket_counts", np.uint32),
            ("design_effects", np.float64),
            ("largest_bursts", np.float64),
        )
    )
    virtual = tuple(
        VirtualFeature(
            name=str(entry["name"]),
            features=numbers.take(int(entry["features"])),
            weights=weights.take(int(entry["features"])).astype(np.float32),
            squared=bool(entry.get("squared", False)),
            edges=edges.take(int(entry["edges"])),
        )
        for entry in header["virtual"]
    )
    buckets = TimeBuckets(cycle=header["cycle"], timezone=str(header["timezone"]))
    own = [each.counts for each in features.ecells]
    own += [counts.take(each.edges.size + 1) for each in virtual]
    streams = []
    for size, each, matched in zip([each.size for each in own], own, header["matched"], strict=True):
        by_bucket = bucket_counts.take(buckets.size * size).reshape(-1, size) if matched else None
        streams.append(
            StreamCalibration(
                counts=each,
                bucket_counts=by_bucket,
                design_effects=effects.take(size + 4).astype(np.float32),
                largest_burst=float(bursts.take(1)[0]),
            )
        )
    for reader in (numbers, weights, edges, counts, bucket_counts, effects, bursts):
        reader.finish()
    score = header["half_score"]
    calibration = Calibration(
        rows=int(header["rows"]),
        in_time_order=bool(header["in_time_order"]),
        buckets=buckets,
        virtual=virtual,
        streams=tuple(streams),
        half_score=None if score is None else float(score),
        half_features=tuple(map(str, header["half_features"])),
    )
    _check(calibration, features)
    return calibration


def _check(calibration: Calibration, features: FeatureSet) -> None:
    virtual = calibration.virtual
    names = {each.name for each in virtual}
    sound = (
        calibration.rows == features.rows
        and len(names) == len(virtual)
        and not names & set(features.names)
        and all(_sound_virtual(each, len(features.features)) for each in virtual)
        and all(
            bool(np.isfinite(each.design_effects).all())
            and bool((each.design_effects >= 1).all())
            and 0 <= each.largest_burst < math.inf
            and bool(np.isfinite(each.counts).all())
            and bool((each.counts >= 0).all())
            and (each.bucket_counts is None or int(each.bucket_counts.sum()) == calibration.rows)
            for each in calibration.streams
        )
    )
    if not sound:
        message = "the parts of the calibration do not fit each other"
        raise ValueError(message)


def _sound_virtual(virtual: VirtualFeature, features: int) -> bool:
    return bool(
        virtual.features.size > 0
        and (virtual.features >= 0).all()
        and (virtual.features < features).all()
        and np.isfinite(virtual.weights).all()
        and 0 < virtual.edges.size < 255
        and np.isfinite(virtual.edges).all()
        and (np.diff(virtual.edges) > 0).all()
    )

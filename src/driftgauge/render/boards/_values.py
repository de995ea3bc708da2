"""Panels of a feature's values: quantiles, moments, and shares of rows that have no usual value."""

from __future__ import annotations

from driftgauge.render.boards._frame import CATEGORICAL, dashed, painted
from driftgauge.render.palette import LIVE, MORE, SECOND
from driftgauge.render.panels import Json, Query, lines, named
from driftgauge.render.queries_boards import feature_series, mean_of, worst
from driftgauge.render.settings import RenderSettings

__all__ = ["quality", "values"]


def values(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    """Quantiles and moments, live and of the reference."""
    live, normal = (
        feature_series(settings, name) for name in ("feature_quantile", "feature_reference_quantile")
    )
    edge: Json = {"custom__lineWidth": 1, "color": {"mode": "fixed", "fixedColor": LIVE}}
    filled: Json = {"custom__fillBelowTo": "live 0.05", "custom__fillOpacity": 15}
    quantiles = lines(
        "Quantiles",
        "Live quantiles (orange: median, halves and tails) against the reference's (dashed). A band that "
        "moves as a whole is a shift; one that widens, a mixture; a tail alone, outliers. Mean of the "
        "replicas.",
        [
            Query(mean_of(live, "level"), "live {{level}}"),
            Query(mean_of(normal, "level"), "reference {{level}}"),
        ],
        axis="value of the feature",
        lowest=None,
        unit="short",
        noValue=CATEGORICAL,
        overrides=[
            named("live 0.95", **edge, **filled),
            *(named(f"live {each}", **edge) for each in ("0.05", "0.25", "0.75")),
            painted("live 0.5", MORE),
            *(dashed(f"reference {each}") for each in ("0.05", "0.25", "0.5", "0.75", "0.95")),
        ],
    )
    moments = lines(
        "Mean and standard deviation",
        "Live mean and standard deviation with the reference's (dashed); values out of range count as the "
        "nearest in range. A mean that leaves while the median stays means outliers: see out of range. Mean "
        "of replicas.",
        [
            Query(mean_of(feature_series(settings, "feature_mean")), "mean"),
            Query(mean_of(feature_series(settings, "feature_reference_mean")), "reference mean"),
            Query(mean_of(feature_series(settings, "feature_standard_deviation")), "sd"),
            Query(mean_of(feature_series(settings, "feature_reference_standard_deviation")), "reference sd"),
        ],
        axis="value of the feature",
        lowest=None,
        unit="short",
        noValue=CATEGORICAL,
        overrides=[
            painted("mean", LIVE),
            painted("sd", SECOND),
            dashed("reference mean", LIVE),
            dashed("reference sd", SECOND),
        ],
    )
    return [(12, 9, quantiles), (12, 9, moments)]


def quality(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    """Shares of rows that are missing or that the reference does not know, live and of the reference."""

    def of(ratio: str, live: str) -> list[Query]:
        normal = worst(feature_series(settings, f"feature_reference_{ratio}_ratio"))
        return [
            Query(worst(feature_series(settings, f"feature_{ratio}_ratio")), live),
            Query(normal, f"reference {live}"),
        ]

    soft = {"axisSoftMax": settings.thresholds.ratio_rise}
    missing = lines(
        "Missing",
        "Share of rows without a value, and the reference's (dashed). Above it: ask the source, and fix the "
        "data before anything else.",
        of("missing", "missing"),
        axis="share of rows",
        unit="percentunit",
        custom=soft,
        overrides=[painted("missing", LIVE), dashed("reference missing")],
    )
    strange = lines(
        "Not in the reference",
        "Share of rows with a category that the reference does not name, or with a value beyond its finite "
        "ones, and the reference's share of rare categories or infinities (dashed). Above: a new category, "
        "a unit, a sensor.",
        [*of("unseen", "unseen"), *of("out_of_range", "out of range")],
        axis="share of rows",
        unit="percentunit",
        custom=soft,
        overrides=[
            painted("unseen", LIVE),
            painted("out of range", SECOND),
            dashed("reference unseen", LIVE),
            dashed("reference out of range", SECOND),
        ],
    )
    return [(12, 7, missing), (12, 7, strange)]

"""The board of one feature: its distribution against the reference's, and every number about it."""

from __future__ import annotations

from driftgauge.render.boards._frame import (
    CATEGORICAL,
    NO_DRIFT,
    board,
    braces,
    cell,
    choice,
    dashed,
    limits,
    model_variables,
    painted,
    score,
    variable,
)
from driftgauge.render.boards._values import quality, values
from driftgauge.render.palette import (
    DRIFT,
    FEWER,
    GREY,
    LIVE,
    MORE,
    PALE_FEWER,
    PALE_MORE,
    QUIET,
    SECOND,
    THIRD,
)
from driftgauge.render.panels import Json, Query, bars, cells, lines, named, stat, steps, table
from driftgauge.render.queries_bins import bin_excess, bin_share, reference_bin_share
from driftgauge.render.queries_boards import (
    board_series,
    cause,
    drifting_seconds,
    feature_series,
    known,
    mean_of,
    over_noise,
    worst,
)
from driftgauge.render.settings import RenderSettings

__all__ = ["feature_board"]

_SPAN = "$span"


def feature_board(settings: RenderSettings) -> Json:
    """Board of one feature of one model."""
    labels = settings.labels
    here = known(settings)
    names = board_series(settings, "feature_reference_missing_ratio", *here)
    windows = board_series(settings, "window_rows", *here)
    references = board_series(settings, "reference_info", *here)
    variables = [
        *model_variables(settings),
        variable("feature", "Feature", names, labels.feature),
        variable(
            "reference", "Reference", references, "reference_id", hint="Bins of two have nothing in common"
        ),
        variable(
            "window", "Window", windows, labels.window, many=True, hint="Of the statistics; bins have none"
        ),
        choice(
            "span", "Live rows of", ("15m", "1h", "6h", "1d", "7d"), "1h", "Rows that the live bins count"
        ),
    ]
    return board(
        settings,
        "feature",
        "One feature: its distribution against the reference's, and every number about it.",
        variables,
        [
            ("", _numbers(settings)),
            ("Reference against live, by bin", _bins(settings)),
            ("How sure, and how far", _effects(settings)),
            ("Values", values(settings)),
            ("Data quality", quality(settings)),
        ],
    )


def _numbers(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    here = known(settings, feature=True)
    noise = over_noise(settings, "psi", *known(settings, feature=True, window=True))
    panels = [
        stat(
            "Feature drift score",
            "Evidence of drift in this feature on its worst replica. Above 1 its share of the false-alarm "
            "budget is exceeded. Below 0.5 do nothing, however the bars look.",
            Query(worst(feature_series(settings, "feature_drift_score")), "score"),
            graph=True,
            **score(settings),
        ),
        stat(
            "Drifting for",
            "Time since this feature began to drift, by the evidence. Look at what was released then: the "
            "marks in the panels below.",
            Query(drifting_seconds(settings, (), *here), "time"),
            unit="s",
            decimals=1,
            mappings=NO_DRIFT,
            thresholds=steps((None, QUIET), (1, DRIFT)),
        ),
        stat(
            "PSI",
            "How large the change is, on the worst replica and window. From the line of the alerts on it is "
            "large whatever the evidence says; below half of it, it seldom changes what a model says.",
            Query(worst(feature_series(settings, "feature_psi")), "PSI"),
            graph=True,
            unit="short",
            decimals=3,
            thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
        ),
        stat(
            "PSI over noise",
            "PSI as a multiple of what noise alone explains at this window and reference. Up to 1: do "
            "nothing. A large PSI that is all noise wants a longer window.",
            Query(worst(noise), "times noise"),
            unit="short",
            decimals=1,
            thresholds=limits(1, 2),
        ),
        stat(
            "Cause",
            "What most of the evidence is about, and in which cell. Missing or unseen: fix the data. "
            "Location or scale: the world, or a unit. While the score is low it names noise.",
            Query(cause(settings, (), (), *here), "{{cause}} {{cell}}", now=True),
            name=True,
            **score(settings),
        ),
    ]
    return [(width, 4, panel) for width, panel in zip((4, 4, 4, 4, 8), panels, strict=True)]


def _bins(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    now = bars(
        "Now",
        "Share of rows in each bin: the reference's (grey) and live (orange), over all replicas chosen, for "
        "the time in Live rows of. Look which end or category grew; one full bin is a default or a constant.",
        [
            Query(reference_bin_share(settings), "Reference"),
            Query(bin_share(settings, _SPAN), "Live"),
        ],
        columns={"bin": "Order", "range": "Bin"},
        unit="percentunit",
        decimals=0,
        noValue="No rows in this time; choose a longer one above",
        overrides=[
            named("Reference", color={"mode": "fixed", "fixedColor": GREY}),
            named("Live", color={"mode": "fixed", "fixedColor": LIVE}),
        ],
    )
    course = cells(
        "Where rows came and went",
        "Live share of each bin less the reference's, by time: orange has more rows than in the reference, "
        "blue fewer. Grey rows are as they were. The moment where colours set in is when it began.",
        Query(bin_excess(settings, _SPAN), "{{range}}"),
        unit="percentunit",
        decimals=0,
        thresholds=steps((None, FEWER), (-0.1, PALE_FEWER), (-0.03, GREY), (0.03, PALE_MORE), (0.1, MORE)),
        noValue="No rows in this time; choose a longer one above",
    )
    return [(12, 10, now), (12, 10, course)]


def _effects(settings: RenderSettings) -> list[tuple[int, int, Json]]:
    def of(name: str, legend: str) -> Query:
        return Query(worst(feature_series(settings, f"feature_{name}")), legend)

    def signed(name: str, legend: str) -> Query:
        return Query(
            mean_of(feature_series(settings, f"feature_{name}"), settings.labels.window),
            f"{legend} {braces(settings.labels.window)}",
        )

    evidence = lines(
        "Drift score",
        "Evidence over time. It rises while rows look different and falls when they look as before; where "
        "it crosses the line the budget is used up. A slow rise is a small drift, and real all the same.",
        [
            Query(
                worst(feature_series(settings, "feature_drift_score"), settings.labels.instance),
                braces(settings.labels.instance),
            )
        ],
        axis="drift score",
        custom={"axisSoftMax": 1.2 * settings.thresholds.drift_score},
        unit="short",
        decimals=2,
        thresholds=limits(settings.thresholds.drift_score / 2, settings.thresholds.drift_score),
    )
    psi = lines(
        "PSI and noise",
        "PSI, PSI less its mean without drift (debiased), and what noise alone explains (dashed). Below the "
        "dashes: do nothing. Above the dashes and small: watch. Above the line: act.",
        [of("psi", "PSI"), of("psi_debiased", "debiased"), of("psi_critical", "noise")],
        axis="PSI",
        unit="short",
        decimals=3,
        thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi),
        overrides=[painted("PSI", LIVE), painted("debiased", SECOND), dashed("noise")],
    )
    ks = lines(
        "KS and noise",
        "Kolmogorov-Smirnov distance and what noise alone explains (dashed). The error bound says how far "
        "it can be from KS on the raw rows; if it is near the noise, profile with a higher resolution.",
        [of("ks", "KS"), of("ks_critical", "noise"), of("ks_error_bound", "error bound")],
        axis="KS",
        unit="short",
        decimals=3,
        noValue=CATEGORICAL,
        overrides=[painted("KS", LIVE), dashed("noise"), dashed("error bound", THIRD)],
    )
    distances = lines(
        "JS and Hellinger",
        "Two distances from 0 to 1 over the same bins. They rank features against each other; if one is "
        "large while PSI is small, rows moved between bins that had few.",
        [of("js", "Jensen-Shannon"), of("hellinger", "Hellinger")],
        axis="distance",
        unit="short",
        decimals=3,
        overrides=[painted("Jensen-Shannon", LIVE), painted("Hellinger", SECOND)],
    )
    moved = lines(
        "Shift, spread and Wasserstein",
        "Location and spread against the reference's, by ranks and with sign, and the Wasserstein distance, "
        "all in reference standard deviations. One that jumps by a round number is a change of unit. Mean "
        "of replicas.",
        [signed("shift", "shift"), signed("scale_shift", "spread"), signed("wasserstein", "Wasserstein")],
        axis="reference standard deviations",
        lowest=None,
        unit="short",
        decimals=2,
        noValue=CATEGORICAL,
        custom={"axisCenteredZero": True},
        overrides=[
            painted("/^shift /", LIVE),
            painted("/^spread /", SECOND),
            painted("/^Wasserstein /", THIRD),
        ],
    )
    everything = table(
        "All statistics, by window",
        "Every statistic of this feature now, a row a window, on the worst replica. Windows that disagree "
        "date the change: only the short one high means that it is recent.",
        [
            Query(worst(feature_series(settings, f"feature_{name}"), settings.labels.window), title)
            for name, title in (
                ("psi", "PSI"),
                ("psi_critical", "PSI noise"),
                ("ks", "KS"),
                ("ks_critical", "KS noise"),
                ("js", "JS"),
                ("hellinger", "Hellinger"),
                ("wasserstein", "Wasserstein"),
                ("shift", "Shift"),
            )
        ],
        columns={settings.labels.window: "Window"},
        order=[("Window", False)],
        unit="short",
        decimals=3,
        overrides=[
            cell("PSI", paint=True, thresholds=limits(settings.thresholds.psi / 2, settings.thresholds.psi))
        ],
    )
    return [(8, 8, evidence), (8, 8, psi), (8, 8, ks), (8, 8, distances), (8, 8, moved), (8, 8, everything)]

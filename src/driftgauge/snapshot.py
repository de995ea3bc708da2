"""The frozen result of one evaluation. Exporters, pages and reports read nothing else.

Standard library only: an exporter can be written without NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "Crossing",
    "DriftSnapshot",
    "FeatureDrift",
    "FeatureSnapshot",
    "FeatureStatistics",
    "PayloadCounts",
    "ReferenceInfo",
    "Snapshot",
    "WindowSnapshot",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceInfo:
    """Which reference is in force."""

    reference_id: str
    created_timestamp_seconds: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSnapshot:
    """What does not depend on a window: one per feature, in the order of the reference."""

    name: str
    kind: str
    dtype: str
    bin_labels: tuple[str, ...]
    reference_bin_rows: tuple[int, ...]
    bin_rows: tuple[int, ...]
    """Rows by bin since the monitor started; only ever grows."""
    ks_error_bound: float | None
    reference_missing_ratio: float
    reference_unseen_ratio: float | None
    reference_out_of_range_ratio: float | None
    reference_mean: float | None
    reference_standard_deviation: float | None
    reference_quantiles: tuple[tuple[float, float], ...]
    """Pairs (level, value), levels rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureStatistics:
    """One feature in one window. ``None`` where a statistic has no meaning for the feature's type."""

    name: str
    psi: float
    psi_debiased: float
    psi_critical: float
    js: float
    hellinger: float
    total_variation: float
    chi_square: float
    ks: float | None
    ks_critical: float | None
    wasserstein: float | None
    shift: float | None
    scale_shift: float | None
    missing_ratio: float
    unseen_ratio: float | None
    out_of_range_ratio: float | None
    mean: float | None
    standard_deviation: float | None
    mean_error_bound: float | None
    """At most how far `mean` is from the mean of the raw in-range values."""
    quantiles: tuple[tuple[float, float], ...]
    bin_rows: tuple[int, ...]
    """Rows of the window by bin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSnapshot:
    """One window. `features` is empty while the window holds fewer rows than ``min_rows``."""

    name: str
    rows: int
    seconds: float
    """How far back the window reaches from `Snapshot.timestamp_seconds`."""
    features: tuple[FeatureStatistics, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """Evidence that one feature, or one virtual feature, has drifted."""

    name: str
    kind: str
    """``'input'``, ``'output'``, or ``'virtual'`` for what is made of several features."""
    score: float
    """ln(evidence) / ln(budget / weight), at least 0. At 1 its share of the budget is reached."""
    log_evidence: float
    drifted: bool
    """Whether e-BH names it, see `driftgauge.detectors`."""
    cause: str
    """What carries most of the evidence, one of `driftgauge.detectors.CAUSES`: ``'location_up'``."""
    cell: str
    """The e-cell it is about, a label of the reference; empty where it is about all of them."""
    words: str
    """For people: ``'location +0.4 sd'``, ``'(10, 12] +5.2 %'``, ``'unseen +3.1 %'``."""
    onset_timestamp_seconds: float | None
    """When it began, by the evidence; None while there is none (score under 0.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A drift score has crossed 1, upwards or back: what `Monitor.listen` tells of."""

    model: str
    model_version: str
    reference_id: str
    window: str
    """The monitor's first window, whose effect sizes belong beside the score."""
    feature: str
    """Empty for the model as a whole."""
    kind: str
    """``'input'``, ``'output'``, ``'virtual'`` or ``'model'``."""
    direction: str
    """``'up'`` or ``'down'``."""
    score: float
    cause: str
    cell: str
    words: str
    onset_timestamp_seconds: float | None
    timestamp_seconds: float
    """When the evidence was weighed."""
    trace: tuple[str, str] | None
    """Trace and span of a request that brought one of the rows, in hexadecimal; None where none is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSnapshot:
    """The evidence of a drift detector at one moment."""

    score: float
    """Of the model. Above 1 when, and only when, the evidence exceeds the budget."""
    log_evidence: float
    budget_evaluations: float
    budget_seconds: float
    evaluate_seconds: float
    min_effect: float
    evaluations: int
    """Evaluations that took a step since the start or the last reset."""
    pending_rows: int
    """Rows that wait for the next evaluation."""
    dependence: str
    """``'measured'`` when the reference had times, else ``'assumed'``: rows are taken as independent."""
    drifted_features: tuple[str, ...]
    """Names of features, virtual ones included, that have drifted, strongest first."""
    features: tuple[FeatureDrift, ...]
    """Features in the order of the reference."""
    virtual: tuple[FeatureDrift, ...]
    last_crossing: Crossing | None = None
    """The latest score that crossed 1, where somebody listens to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadCounts:
    """What came in as bytes by one way, in one protocol, and what became of it.

    ``payloads == decoded + sum(undecodable.values()) + sum(dropped.values())``, exactly. What still waits to
    be decoded is in none of them.
    """

    way: str
    """``'proxy'``, ``'sink'``, ``'ingest'``, ``'file'`` or ``'middleware'``."""
    protocol: str
    """Name of the decoder: ``'kserve_v1'``; of rows that came as columns, how those were written."""
    payloads: int
    """Requests with their answers, as far as they have one."""
    decoded: int
    """Those whose rows were given to the monitor, whose own counters say what became of each row."""
    undecodable: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    """Those that were never looked into, by reason: ``'queue_full'``, ``'sampled_out'``, ``'not_ok'``."""
    without_outputs: dict[str, int] = field(default_factory=dict)
    """Those of the decoded whose answer could not be read, so that their outputs count as missing."""
    forwarded: dict[str, int] = field(default_factory=dict)
    """What was passed on to somebody else, by outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that driftgauge knows at one moment."""

    model: str
    model_version: str
    timestamp_seconds: float
    evaluation_seconds: float
    reference: ReferenceInfo
    features: tuple[FeatureSnapshot, ...]
    windows: tuple[WindowSnapshot, ...]
    rows: int
    """Rows offered = `rows_sampled_out` + `rows_sampled` + the sum of `rows_dropped`, exactly."""
    rows_sampled: int
    """Rows taken into the windows."""
    rows_sampled_out: int
    rows_dropped: dict[str, int] = field(default_factory=dict)
    internal_errors: dict[str, int] = field(default_factory=dict)
    drift: DriftSnapshot | None = None
    """None when the monitor has no budget."""
    payloads: tuple[PayloadCounts, ...] = ()
    """One for each way and protocol by which payloads came; at most one each."""

"""Settings of a monitor and of a backtest: what is wrong with one is said when it is made, or never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from driftgauge.budget import Budget, one_false_alert
from driftgauge.detectors._settings import check_reference, is_number, shown
from driftgauge.detectors.protocol import Detector
from driftgauge.errors import ConfigError
from driftgauge.reference import Reference
from driftgauge.windows import WindowSpec

__all__ = [
    "DEFAULT_BUDGET",
    "DEFAULT_MIN_EFFECT",
    "check_settings",
    "check_whole",
    "detector_of",
    "specs_of",
]

DEFAULT_BUDGET: Final = one_false_alert()

# A PSI of 0.01 is a mean that moved by a tenth of a standard deviation. Nobody retrains a model for less, and
# without it the day-to-day unrest of real data gives 11 times the false alarms that were promised (a random
# offset of 0.1 sd a day, ten days of reference); with it none.
DEFAULT_MIN_EFFECT: Final = 0.01


def check_settings(
    reference: object,
    windows: object,
    min_rows: object,
    buffer_rows: object,
    tick_seconds: object,
    clock: object,
    rng: object,
) -> tuple[WindowSpec, ...]:
    """The windows of a monitor; settings of a wrong type or out of their range raise `ConfigError`."""
    check_reference(reference)
    specs = specs_of(windows)
    check_whole("min_rows", min_rows)
    check_whole("buffer_rows", buffer_rows)
    if not is_number(tick_seconds) or not 0.001 <= tick_seconds <= 10:  # type: ignore[operator]
        message = f"tick_seconds must be a number from 0.001 to 10, got {shown(tick_seconds)}"
        raise ConfigError(message)
    if not callable(clock):
        message = (
            "clock must be a function without arguments that returns seconds since the epoch, such as "
            f"time.time, got {shown(clock)}"
        )
        raise ConfigError(message)
    if rng is not None and not isinstance(rng, np.random.Generator):
        hint = f"{int(rng)}" if isinstance(rng, (int, np.integer)) else "7"
        message = (
            f"rng must be a numpy.random.Generator or None, got {shown(rng)}; "
            f"use numpy.random.default_rng({hint})"
        )
        raise ConfigError(message)
    return specs


def check_whole(name: str, value: object, least: int = 1) -> int:
    """*value*, which must be a whole number and at least *least*."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        message = f"{name} must be a whole number and at least {least}, got {shown(value)}"
        raise ConfigError(message)
    return int(value)  # type: ignore[call-overload,no-any-return]


def detector_of(
    reference: Reference, budget: object, min_effect: object, weights: object, detector: object
) -> Detector | None:
    """The detector of a monitor; settings of a wrong type or out of their range raise `ConfigError`."""
    if detector is not None:
        return _given(reference, budget, min_effect, weights, detector)
    if budget is not None and not isinstance(budget, Budget):
        hint = repr(budget) if isinstance(budget, str) else "'90d'"
        message = (
            "budget must come from driftgauge.one_false_alert, or be None for no drift score, got "
            f"{shown(budget)}; use budget=driftgauge.one_false_alert(per={hint})"
        )
        raise ConfigError(message)
    if not is_number(min_effect) or not 0 <= min_effect <= 1:  # type: ignore[operator]
        message = f"min_effect must be a PSI from 0 to 1, got {shown(min_effect)}; 0.01 is the default"
        raise ConfigError(message)
    checked = _weights(weights)
    if budget is None:
        return None
    from driftgauge.detectors.drift_score import DriftScore

    return DriftScore(reference, budget=budget, min_effect=float(min_effect), weights=checked)  # type: ignore[arg-type]


def _given(
    reference: Reference, budget: object, min_effect: object, weights: object, detector: object
) -> Detector:
    missing = [
        name
        for name in ("add", "evaluate", "model_score", "reset", "restored", "scores", "state")
        if not callable(getattr(detector, name, None))
    ]
    if isinstance(detector, type) or missing or not isinstance(getattr(detector, "budget", None), Budget):
        lacks = f"lacks {missing[0]}()" if missing else "has no budget"
        if isinstance(detector, type):
            lacks = "is a class and not yet a detector"
        message = (
            "detector must be a driftgauge.detectors.Detector made for this reference, got "
            f"{shown(detector)}, which {lacks}"
        )
        raise ConfigError(message)
    if budget is not DEFAULT_BUDGET or min_effect != DEFAULT_MIN_EFFECT or weights is not None:
        message = (
            "budget, min_effect and weights make the drift score, and a detector was given in its place; "
            f"give them to {type(detector).__name__} instead"
        )
        raise ConfigError(message)
    scores = len(detector.scores())  # type: ignore[attr-defined]
    if scores != len(reference.names):
        message = (
            f"detector has scores for {scores} features, the reference has {len(reference.names)}; "
            "make it for this reference"
        )
        raise ConfigError(message)
    return detector  # type: ignore[return-value]


def _weights(weights: object) -> dict[str, float] | None:
    """*weights* as floats; whether they name features and are in range, the drift score itself says."""
    if weights is None:
        return None
    if not isinstance(weights, Mapping):
        message = f"weights must map names of features to numbers, got {shown(weights)}"
        raise ConfigError(message)
    for name, weight in weights.items():
        if not is_number(weight):
            message = f"the weight of {name!r} must be a number of at least 0, got {shown(weight)}"
            raise ConfigError(message)
    return {str(name): float(weight) for name, weight in weights.items()}


def specs_of(windows: object) -> tuple[WindowSpec, ...]:
    """*windows* as a tuple of specifications, each of its own name."""
    if isinstance(windows, WindowSpec):
        message = f"windows must be a list of windows, got one by itself; use windows=[{windows!r}]"
        raise ConfigError(message)
    if isinstance(windows, (str, bytes)) or not isinstance(windows, Iterable):
        message = f"windows must be a list, got {shown(windows)}; {_hint(windows)}"
        raise ConfigError(message)
    specs = tuple(windows)
    for spec in specs:
        if not isinstance(spec, WindowSpec):
            message = f"windows holds {shown(spec)}, which is no window; {_hint(spec)}"
            raise ConfigError(message)
    names = [spec.name for spec in specs]
    if not names or len(set(names)) < len(names):
        message = f"windows must be at least one and of different names, got {names!r}"
        raise ConfigError(message)
    return specs


def _hint(window: object) -> str:
    """What to write for something that is no window."""
    made = "rows(10_000)"
    if isinstance(window, str):
        made = f"duration({window!r})"
    elif isinstance(window, int) and not isinstance(window, bool):
        made = f"rows({window})"
    return f"use windows=[driftgauge.{made}]"

"""What all detectors are made of, refused with a hint where it is something else."""

from __future__ import annotations

from os import PathLike

import numpy as np

from driftgauge.budget import Budget, one_false_alert
from driftgauge.cells import Floats
from driftgauge.errors import ConfigError

__all__ = ["budget_of", "check_reference", "is_number", "shares_of_features", "shown"]


def budget_of(budget: object) -> Budget:
    """*budget*, or where it is None one false alert in 90 days at an evaluation a minute."""
    if budget is None:
        return one_false_alert()
    if not isinstance(budget, Budget):
        hint = repr(budget) if isinstance(budget, str) else "'90d'"
        message = (
            f"budget must come from driftgauge.one_false_alert, got {shown(budget)}; "
            f"use budget=driftgauge.one_false_alert(per={hint})"
        )
        raise ConfigError(message)
    return budget


def check_reference(reference: object) -> None:
    """Raise `ConfigError` where *reference* is none."""
    from driftgauge.reference import Reference  # which itself replays its rows through a detector

    if not isinstance(reference, Reference):
        hint = "Reference.fit(training_data)"
        if isinstance(reference, (str, PathLike)):
            hint = f"Reference.load({str(reference)!r})"
        message = f"reference must be a Reference, got {shown(reference)}; use driftgauge.{hint}"
        raise ConfigError(message)


def is_number(value: object) -> bool:
    """Whether it is a number and no truth value; it may be NaN."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value in a message, shortened: it may be a table."""
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def shares_of_features(detector: object | None, features: int) -> Floats | None:
    """Share of the budget that each feature has, float64[F]; None without a detector.

    The critical values of a feature are at its share. A detector that does not say shares equally, and a
    feature that is not watched has an equal share too, for its effect sizes are shown all the same.
    """
    if detector is None:
        return None
    equal = np.full(features, 1 / max(features, 1))
    own = getattr(detector, "shares", None)
    return equal if own is None else np.where(own[:features] > 0, own[:features], equal)

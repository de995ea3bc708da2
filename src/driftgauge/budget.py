"""How many false alerts a user accepts. Every threshold follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from driftgauge.errors import ConfigError
from driftgauge.windows import duration

__all__ = ["Budget", "one_false_alert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One false alert of a model in so much time. Made by `one_false_alert`.

    Parameters
    ----------
    per_seconds : float
        Mean time between false alerts that is accepted, in seconds.
    evaluate_seconds : float
        Time between two evaluations, in seconds.
    """

    per_seconds: float
    evaluate_seconds: float

    def __post_init__(self) -> None:
        for name in ("per_seconds", "evaluate_seconds"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
                message = f"{name} must be a finite number above 0, got {value!r}"
                raise ConfigError(message)
        if self.evaluations < 100:
            message = (
                f"a false alert every {_length(self.per_seconds)} at an evaluation every "
                f"{_length(self.evaluate_seconds)} is one in {self.evaluations:.3g} evaluations; at least "
                "100 are needed to tell drift from noise: make per longer or evaluate_every shorter"
            )
            raise ConfigError(message)

    @property
    def evaluations(self) -> float:
        """Evaluations between false alerts, A in the formulas: 129,600 for 90 days at one a minute."""
        return self.per_seconds / self.evaluate_seconds

    @property
    def log_evaluations(self) -> float:
        """ln A: the log evidence at which the model's drift score is 1."""
        return math.log(self.evaluations)


def one_false_alert(
    *, per: str | float | timedelta = "90d", evaluate_every: str | float | timedelta = "60s"
) -> Budget:
    """A budget: at most one false alert of a model *per* so much time, in the mean.

    Parameters
    ----------
    per : str, float or timedelta
        ``'90d'``, ``'2w'``; or seconds. Default 90 days: about one false alert a quarter of a year.
    evaluate_every : str, float or timedelta
        How often evidence is weighed. Default 60 s, a usual scrape interval. Shorter finds a large drift
        sooner and costs a little elsewhere, for the budget has more evaluations in it.

    Returns
    -------
    Budget

    Raises
    ------
    ConfigError
        When a length of time cannot be read, or *per* is under 100 evaluations.

    Examples
    --------
    >>> one_false_alert(per="90d", evaluate_every="60s").evaluations
    129600.0
    """
    return Budget(
        per_seconds=_seconds("per", per), evaluate_seconds=_seconds("evaluate_every", evaluate_every)
    )


def _length(seconds: float) -> str:
    """As people write it, and exactly: ``90d``, ``36h``, ``90s``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _seconds(name: str, length: str | float | timedelta) -> float:
    try:
        return duration(length).seconds
    except ConfigError as error:
        message = (
            f"{name} must be a length of time such as '90d' or '60s', from 1 second to ten years, "
            f"got {length!r}"
        )
        raise ConfigError(message) from error

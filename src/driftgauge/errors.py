"""What driftgauge raises, and never on the predict path.

DriftgaugeError
├── ConfigError          a parameter, a window specification or a file of settings
├── DataError            a column, a frame or a batch that cannot be used
├── ReferenceFileError   a reference or a window state that cannot be read from disk
├── StateError           a window state that does not belong to this reference or window
├── MissingExtraError    an optional package that is not installed
├── TimeOrderWarning     batches whose times go back, so that dependence cannot be measured
└── TrainingDriftWarning a reference whose second half has drifted from its first

The last two are given to `warnings.warn`, and raised only where a filter asks for it.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "DriftgaugeError",
    "MissingExtraError",
    "ReferenceFileError",
    "StateError",
    "TimeOrderWarning",
    "TrainingDriftWarning",
]


class DriftgaugeError(Exception):
    """Base of everything that driftgauge raises."""


class ConfigError(DriftgaugeError, ValueError):
    """A parameter is out of its range; the message names it, its value and what would do."""


class DataError(DriftgaugeError, ValueError):
    """Data cannot be used as a reference or compared with one."""


class ReferenceFileError(DriftgaugeError):
    """A saved file is damaged, too new, or not one of ours."""


class StateError(DriftgaugeError):
    """A window state was made with another reference or another window."""


class MissingExtraError(DriftgaugeError, ImportError):
    """An optional package is needed; the message gives the command that installs it."""


class TimeOrderWarning(DriftgaugeError, UserWarning):  # noqa: N818 - it is a warning
    """Batches do not come in the order of their times, so rows are taken as independent."""


class TrainingDriftWarning(DriftgaugeError, UserWarning):  # noqa: N818 - it is a warning
    """The rows of a reference drift in themselves; the message says which features, and what would do."""

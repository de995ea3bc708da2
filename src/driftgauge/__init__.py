"""Exact drift metrics for models in production, in the monitoring that a team already runs.

Importing this package loads nothing else: every public name is looked up when it is first used (PEP 562),
so that a process which never touches numba, SciPy or a data frame library never pays for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from driftgauge import detectors, errors, statistics
    from driftgauge.budget import Budget, one_false_alert
    from driftgauge.errors import (
        ConfigError,
        DataError,
        DriftgaugeError,
        MissingExtraError,
        ReferenceFileError,
        StateError,
        TimeOrderWarning,
        TrainingDriftWarning,
    )
    from driftgauge.exporters import exporter
    from driftgauge.monitor import Monitor
    from driftgauge.reference import PartialReference, Reference
    from driftgauge.sampling import rate
    from driftgauge.snapshot import Snapshot
    from driftgauge.windows import duration, rows

    __version__: str

__all__ = [
    "Budget",
    "ConfigError",
    "DataError",
    "DriftgaugeError",
    "MissingExtraError",
    "Monitor",
    "PartialReference",
    "Reference",
    "ReferenceFileError",
    "Snapshot",
    "StateError",
    "TimeOrderWarning",
    "TrainingDriftWarning",
    "__version__",
    "detectors",
    "duration",
    "errors",
    "exporter",
    "one_false_alert",
    "rate",
    "rows",
    "statistics",
]

_WHERE: Final = {
    "Budget": "budget",
    "ConfigError": "errors",
    "DataError": "errors",
    "DriftgaugeError": "errors",
    "MissingExtraError": "errors",
    "Monitor": "monitor",
    "PartialReference": "reference",
    "Reference": "reference",
    "ReferenceFileError": "errors",
    "Snapshot": "snapshot",
    "StateError": "errors",
    "TimeOrderWarning": "errors",
    "TrainingDriftWarning": "errors",
    "duration": "windows",
    "exporter": "exporters",
    "one_false_alert": "budget",
    "rate": "sampling",
    "rows": "windows",
}
_MODULES: Final = ("detectors", "errors", "statistics")


def __getattr__(name: str) -> Any:
    from importlib import import_module  # a millisecond that a bare import need not pay

    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("driftgauge")
    elif name in _WHERE:
        value = getattr(import_module(f"driftgauge.{_WHERE[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"driftgauge.{name}")
    else:
        message = f"module 'driftgauge' has no attribute {name!r}"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

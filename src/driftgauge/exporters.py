"""Finds exporters by entry point, so that anyone can add one and the engine imports none."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from driftgauge.errors import ConfigError, MissingExtraError

__all__ = ["GROUP", "exporter", "exporter_names"]

GROUP: Final = "driftgauge.exporters"


def exporter_names() -> tuple[str, ...]:
    """Names of the installed exporters, sorted."""
    return tuple(sorted({found.name for found in entry_points(group=GROUP)}))


def exporter(name: str) -> Any:
    """The installed exporter *name*: the object that its entry point in ``driftgauge.exporters`` names.

    Parameters
    ----------
    name : str
        ``'prometheus'``, ``'otel'``, or whatever another distribution registered.

    Returns
    -------
    module or object
        Each exporter says what it offers; ``'prometheus'`` has ``serve``, ``collector``, ``asgi_app`` and
        ``wsgi_app``, ``'otel'`` has ``start`` and ``register``, each taking a monitor.

    Raises
    ------
    ConfigError
        No distribution has an exporter of that name, or several have different ones.
    MissingExtraError
        The exporter needs a package that is not installed.

    Examples
    --------
    >>> exporter("prometheus").__name__
    'driftgauge_prometheus'
    >>> exporter("promethius")
    Traceback (most recent call last):
    driftgauge.errors.ConfigError: no exporter is called 'promethius'; installed: 'otel', 'prometheus'
    """
    # A development install can list the same entry point twice; only different targets are a conflict.
    found: dict[str, EntryPoint] = {each.value: each for each in entry_points(group=GROUP, name=name)}
    if not found:
        message = (
            f"no exporter is called {name!r}; installed: {', '.join(map(repr, exporter_names())) or 'none'}"
        )
        raise ConfigError(message)
    if len(found) > 1:
        message = f"several exporters are called {name!r}: {', '.join(sorted(found))}; uninstall all but one"
        raise ConfigError(message)
    entry_point = next(iter(found.values()))
    try:
        return entry_point.load()
    except MissingExtraError:
        raise  # which says what installs it
    except ImportError as error:
        message = (
            f"exporter {name!r} cannot be loaded from {entry_point.value!r}: {error}; install what is missing"
        )
        raise MissingExtraError(message) from error

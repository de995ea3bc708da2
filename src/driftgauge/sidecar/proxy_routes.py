"""Which requests through the proxy are decoded, and whose rows they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from driftgauge._paths import path_pattern
from driftgauge.protocols import decoder

if TYPE_CHECKING:
    from driftgauge._payload_intake import Intake
    from driftgauge.sidecar.handle import ModelHandle
    from driftgauge.sidecar.settings import RouteSettings

__all__ = ["Models", "Routes"]

_LONGEST_KEPT: Final = 256  # a longer path is matched each time: 1,024 of them are kept, and not 64 MB

_log = logging.getLogger("driftgauge.sidecar.proxy")


class Models(Protocol):
    """What of a registry is needed."""

    def get(self, name: str = "") -> ModelHandle | None:
        """The model of a name, or the only one."""
        ...

    def count_stray(self, way: str, reason: str) -> int:
        """Count what is of no model."""
        ...


class _Route:
    def __init__(self, settings: RouteSettings) -> None:
        self.settings = settings
        self.method = settings.method.upper()
        self.pattern = path_pattern(settings.path, "routes.path")
        self.kept: dict[str, tuple[ModelHandle, Intake]] = {}
        decoder(settings.protocol, mapping=settings.mapping or None)  # what is wrong is told now

    def name(self, path: str) -> str | None:
        """The model that *path* is about, empty for the only one; None when the route has another path."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        return self.settings.model or match.groupdict().get("model", "")


class Routes:
    """Finds the `Intake` of a request.

    Parameters
    ----------
    routes : sequence of RouteSettings
        The first that has method and path counts.
    models : Models
        A route without a model is about the model that ``{model}`` in its path names, or the only one.

    Raises
    ------
    ConfigError
        When a path, a protocol or a mapping is wrong.
    """

    def __init__(self, routes: Sequence[RouteSettings], models: Models) -> None:
        self._routes = tuple(map(_Route, routes))
        self._models = models
        self._told = False
        self._matched = lru_cache(maxsize=1_024)(self._match)

    def _match(self, method: str, path: str) -> tuple[_Route, str] | None:
        for route in self._routes:
            if route.method == method:
                name = route.name(path)
                if name is not None:
                    return route, name
        return None

    def find(self, method: str, path: str) -> Intake | None:
        """Where an exchange goes; None where it is not to be decoded, or nobody watches its model."""
        match = self._matched if len(path) <= _LONGEST_KEPT else self._match
        found = match(method, path)
        if found is None:
            return None
        route, name = found
        handle = self._models.get(name)
        if handle is None and not route.settings.model:
            name = ""  # one model, called otherwise than in the paths of its server
            handle = self._models.get()
        if handle is None:
            self._tell(route)
            return None
        kept = route.kept.get(name)
        if kept is None or kept[0] is not handle:
            own = route.settings
            kept = (handle, handle.intake("proxy", own.protocol, mapping=own.mapping, sample=own.sample))
            route.kept[name] = kept  # at most one a model: names are those that the registry knows
        return kept[1]

    def _tell(self, route: _Route) -> None:
        self._models.count_stray("proxy", "unknown_model")
        if not self._told:
            self._told = True
            _log.warning(
                "a request of route %r is about a model that nobody watches; it is passed on and not counted",
                route.settings.path,
            )

"""Which requests carry rows, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from driftgauge._paths import path_pattern
from driftgauge.errors import ConfigError

__all__ = ["Route", "check_routes"]

_METHOD: Final = re.compile(r"[A-Z]+\Z")


@dataclass(frozen=True, slots=True)
class Route:
    """Requests that carry rows, and the protocol that they speak.

    Parameters
    ----------
    path : str
        As the wrapped application sees it, without the prefix that it is mounted under. ``{name}`` and ``*``
        stand for one or more characters other than a slash, ``**`` for any characters.
    protocol : str
        One of `driftgauge.protocols.PROTOCOLS`; default ``'auto'``.
    mapping : mapping, optional
        JMESPath expressions for the protocol ``'mapping'``.
    methods : sequence of str
        Default POST only.
    sample : float
        Probability in [0, 1] that an exchange is taken. Default 1.0: every one.

    Raises
    ------
    ConfigError
        When a value is of a wrong type or out of its range.

    Examples
    --------
    >>> route = Route("/v1/models/{model}:predict", protocol="kserve_v1")
    >>> route.matches("POST", "/v1/models/fraud:predict"), route.matches("GET", "/v1/models/fraud:predict")
    (True, False)
    """

    path: str
    protocol: str = "auto"
    mapping: Mapping[str, Any] | None = None
    methods: Sequence[str] = ("POST",)
    sample: float = 1.0

    def __post_init__(self) -> None:
        path_pattern(self.path)
        if isinstance(self.methods, str) or not self.methods or not all(map(_is_method, self.methods)):
            message = f"methods must be HTTP methods in capitals such as ('POST',), got {self.methods!r}"
            raise ConfigError(message)
        sample: object = self.sample
        if isinstance(sample, bool) or not isinstance(sample, int | float) or not 0.0 <= sample <= 1.0:
            message = f"sample must be a probability from 0 to 1, got {self.sample!r}"
            raise ConfigError(message)

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of these."""
        return method in self.methods and path_pattern(self.path).fullmatch(path) is not None


def check_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, when they are routes and at least one.

    Raises
    ------
    ConfigError
        When they are not.
    """
    given = tuple(routes) if isinstance(routes, Iterable) else ()
    if not given or not all(isinstance(route, Route) for route in given):
        message = f"routes must be at least one Route, got {routes!r}; for example [Route('/predict')]"
        raise ConfigError(message)
    return given


def _is_method(method: object) -> bool:
    return isinstance(method, str) and _METHOD.match(method) is not None

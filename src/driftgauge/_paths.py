"""Paths of requests with places in them, as routes of the proxy and of the middlewares have them."""

from __future__ import annotations

import re
from typing import Final

from driftgauge.errors import ConfigError

__all__ = ["path_pattern"]

_PLACE: Final = re.compile(r"\*\*|\*|\{[A-Za-z_][A-Za-z0-9_]*\}|[^*{}]+")


def path_pattern(path: object, key: str = "path") -> re.Pattern[str]:
    """The regular expression of a path, for ``fullmatch``.

    ``{name}`` and ``*`` stand for one or more characters other than a slash, ``**`` for any characters.

    Parameters
    ----------
    path : str
    key : str
        What the setting is called, for the message.

    Raises
    ------
    ConfigError
        When it does not begin with a slash or ``**``, a brace is no ``{name}``, or two have one name.

    Examples
    --------
    >>> match = path_pattern("/v1/models/{model}:predict").fullmatch("/v1/models/fraud:predict")
    >>> match.groupdict() if match else None
    {'model': 'fraud'}
    >>> path_pattern("/predict/*").fullmatch("/predict/a/b")
    """
    places = _PLACE.findall(path) if isinstance(path, str) else []
    names = [place for place in places if place[0] == "{"]
    begins = isinstance(path, str) and path.startswith(("/", "**"))
    if not begins or "".join(places) != path or len(names) != len(set(names)):
        message = (
            f"{key} must begin with a slash, and its braces hold one name each, got {path!r}; "
            "write '/v1/models/{model}:predict', '/predict*', or '/**' for all requests"
        )
        raise ConfigError(message)
    return re.compile("".join(map(_expression, places)), re.DOTALL)


def _expression(place: str) -> str:
    if place in ("*", "**"):
        return "[^/]+" if place == "*" else ".*"
    return f"(?P<{place[1:-1]}>[^/]+)" if place[0] == "{" else re.escape(place)

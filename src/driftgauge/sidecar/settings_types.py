"""Values that settings are made of: places to listen, lengths of time, sizes, windows; read from text."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from driftgauge.errors import ConfigError
from driftgauge.windows import WindowSpec, duration, rows

__all__ = [
    "Bytes",
    "Listen",
    "Long",
    "Seconds",
    "Section",
    "Share",
    "Upstream",
    "WindowText",
    "address_of",
    "upstream_of",
    "window_of",
]

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)?")
_ROWS: Final = re.compile(r"(\d[\d_,]*)\s*rows?")


class Section(BaseModel):
    """A part of the settings: frozen, and refusing keys that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )


def address_of(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[::1]:port`` or ``:port``, which is every address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535 or (":" in host and not host.startswith("[")):
        message = "must be host:port, such as '127.0.0.1:9109', '[::1]:9109' or '0.0.0.0:9109'"
        raise ValueError(message)
    return host.strip("[]") or "0.0.0.0", int(port)


def upstream_of(text: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL, or ``'unix'``, a path and 0.

    Examples
    --------
    >>> upstream_of("https://models:8443"), upstream_of("unix:/run/model.sock")
    (('https', 'models', 8443), ('unix', '/run/model.sock', 0))
    """
    if text.startswith("unix:") and text != "unix:":
        return "unix", text.removeprefix("unix:"), 0
    try:
        url = urlsplit(text)
        port = url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        url, port = urlsplit(""), 0
    rest = url.path.strip("/") or url.query or url.fragment or url.username is not None
    if url.scheme not in ("http", "https") or not url.hostname or rest:
        message = (
            "must be http://host:port, https://host:port or unix:/path of a socket; it has no path, query or "
            "user, because requests are passed on as they are"
        )
        raise ValueError(message)
    return url.scheme, url.hostname, port


def window_of(text: str) -> WindowSpec:
    """A window from ``'10000 rows'`` or ``'24h'``."""
    try:
        found = _ROWS.fullmatch(text.strip().lower())
        return rows(int(re.sub("[_,]", "", found[1]))) if found else duration(text)
    except ConfigError as error:
        message = "must be a number of rows such as '10000 rows', or a length of time such as '24h'"
        raise ValueError(message) from error


def _listen(text: str) -> str:
    if text:
        address_of(text)
    return text


def _upstream(text: str) -> str:
    if text:
        upstream_of(text)
    return text


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    found = _TIME.fullmatch(text)
    if found:
        return float(found[1]) * (0.001 if found[2] == "ms" else 1)
    try:
        return duration(text).seconds
    except ConfigError as error:
        message = "must be a length of time, such as '10s', '500ms' or '1h'"
        raise ValueError(message) from error


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip().lower().replace("_", ""))
    if not found or found[2] not in _UNITS:
        message = "must be a size, such as '16 MiB' or a number of bytes"
        raise ValueError(message)
    return int(float(found[1]) * _UNITS[found[2]])


def _long(text: str) -> str:
    if text:
        try:
            duration(text)
        except ConfigError as error:
            message = "must be a length of time from 1 second to ten years, such as '90d'"
            raise ValueError(message) from error
    return text


def _window(text: str) -> str:
    window_of(text)
    return text


Listen = Annotated[str, AfterValidator(_listen)]
Upstream = Annotated[str, AfterValidator(_upstream)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
Long = Annotated[str, AfterValidator(_long)]
WindowText = Annotated[str, AfterValidator(_window)]
Share = Annotated[float, Field(ge=0, le=1)]

"""Who may do what: probes are free, reading is free, writing from elsewhere needs the token.

=================  =====================================================================
`token_for`        what needs the token
=================  =====================================================================
`remote_writes`    writes that do not come from this host (the default)
`writes`           every write but by the Unix socket
`everything`       everything but probes, and but by the Unix socket
=================  =====================================================================

A write is every POST, and also the window state of a model: it tells the cell of each row, which is more
than any metric does. Without a token nobody from elsewhere can write. A request that was passed on by a
reverse proxy, which its headers say, is from elsewhere. The token comes as ``Authorization: Bearer TOKEN``,
or as the password of ``Basic``, which is what ``http://any:TOKEN@host/`` sends: a KServe payload logger can
be told a URL and nothing more.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from driftgauge.errors import ConfigError
from driftgauge.sidecar.settings import ServerSettings

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Guard"]

PROBES: Final = frozenset({"/-/healthy", "/-/ready"})
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP")

_log = logging.getLogger("driftgauge.sidecar.auth")


class Guard:
    """Says whether a request may be answered.

    Parameters
    ----------
    settings : ServerSettings

    Raises
    ------
    ConfigError
        The file of the token cannot be read or is empty.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._for = settings.token_for
        self._file = Path(settings.token_file) if settings.token_file else None
        self._token = settings.token.get_secret_value().encode()
        if self._file is not None:
            self._token = self._read(self._file)

    def refresh(self) -> None:
        """Read the file of the token again; where it cannot be read the token stays."""
        if self._file is None:
            return
        try:
            self._token = self._read(self._file)
        except ConfigError as error:
            _log.error("%s; the token before it stays in force", error)

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            token = path.read_bytes().strip()
        except OSError as error:
            message = (
                f"server.token_file {str(path)!r} cannot be read: {error.strerror}; give a file with a token"
            )
            raise ConfigError(message) from error
        if not token:
            message = f"server.token_file {str(path)!r} is empty; write a token into it"
            raise ConfigError(message)
        return token

    def refuses(self, request: web.Request) -> tuple[int, str, str] | None:
        """Status, reason and remedy of a request that is not to be answered; None for any other."""
        if request.path in PROBES:
            return None
        write = request.method not in READS
        if write and _from_another_site(request):
            return 403, "cross_site", "a page of another site must not write here"
        local_socket, local = _whence(request)
        if local_socket:
            return None
        if not self._needed(write or _is_state(request), local):
            if write and _by_a_name_of_any_site(request):
                return 403, "cross_site", "a page that writes here without a token must be of localhost"
            return None
        if not self._token:
            return (
                403,
                "no_token",
                "writing from elsewhere needs a token and none is set; set server.token or server.token_file",
            )
        given = _token_of(request.headers.get("Authorization", ""))
        if given is None:
            return 401, "token_missing", "send the header Authorization: Bearer TOKEN"
        if not hmac.compare_digest(given, self._token):
            return 401, "token_wrong", "the token is not the one of server.token or server.token_file"
        return None

    def _needed(self, write: bool, local: bool) -> bool:
        if self._for == "everything":
            return True
        return write and (self._for == "writes" or not local)


def _is_state(request: web.Request) -> bool:
    return request.path == "/api/v1/state" and "window" in request.query


def _whence(request: web.Request) -> tuple[bool, bool]:
    """Whether it came by the Unix socket, and whether from this host."""
    transport = request.transport
    if transport is None:
        return False, False
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple):
        # Of a Unix socket the client has no name. Its own name must be a path, or nothing is known.
        return isinstance(transport.get_extra_info("sockname"), str), True
    if any(name in request.headers for name in FORWARDED):
        return False, False
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return False, False
    mapped = getattr(address, "ipv4_mapped", None)
    return False, bool((mapped or address).is_loopback)


def _from_another_site(request: web.Request) -> bool:
    """Whether a browser sent this for a page of another site, which needs no permission to post a form."""
    if request.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site"):
        return True
    return "Origin" in request.headers and _origin(request)[0] != request.headers.get("Host", "")


def _by_a_name_of_any_site(request: web.Request) -> bool:
    """Whether it is of a page by a name that anybody may have led to this host: its origin proves nothing."""
    if "Origin" not in request.headers:
        return False
    host = _origin(request)[1]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def _origin(request: web.Request) -> tuple[str, str]:
    """Place and host of the page that sent it, as far as they can be read."""
    try:
        url = urlsplit(request.headers["Origin"])
        return url.netloc, url.hostname or ""
    except ValueError:
        return "an origin that is none", ""


def _token_of(header: str) -> bytes | None:
    scheme, _, value = header.strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value.encode("utf-8", "replace")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return None

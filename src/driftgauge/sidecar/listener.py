"""Where the main surface listens: a TCP port with or without TLS, and a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import stat
from pathlib import Path
from typing import Any, Final

from driftgauge.errors import ConfigError
from driftgauge.sidecar.door import Door
from driftgauge.sidecar.settings import ServerSettings
from driftgauge.sidecar.settings_types import address_of

__all__ = ["Tls", "open_sites"]

BACKLOG: Final = 1_024
HANDSHAKE_SECONDS: Final = 10.0


class Tls:
    """A certificate that is read again when its file changes, so that it can be renewed in place.

    Parameters
    ----------
    section : str
        Of the settings, for messages.
    certificate, key : str
        PEM files.
    client_ca : str
        PEM file of authorities that clients must have a certificate from; empty for none.

    Raises
    ------
    ConfigError
        A file cannot be read, or certificate and key do not belong together.
    """

    def __init__(self, section: str, certificate: str, key: str, client_ca: str = "") -> None:
        self._section = section
        self._files = (certificate, key)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()
        self._signature = self._look()
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            try:
                self.context.load_verify_locations(cafile=client_ca)
            except (OSError, ssl.SSLError) as error:
                message = f"{section}.tls_client_ca {client_ca!r} cannot be used: {error}; give a PEM file"
                raise ConfigError(message) from error

    def _load(self) -> None:
        certificate, key = self._files
        try:
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            message = (
                f"{self._section}.tls_certificate {certificate!r} and tls_key {key!r} cannot be used: "
                f"{error}; give two PEM files that belong together"
            )
            raise ConfigError(message) from error

    def _look(self) -> tuple[tuple[int, int], ...]:
        found = []
        for file in self._files:
            with contextlib.suppress(OSError):
                status = Path(file).stat()
                found.append((status.st_mtime_ns, status.st_ino))
        return tuple(found)

    def refresh(self) -> None:
        """Read the files again if they have changed; ConfigError when they cannot be used."""
        signature = self._look()
        if signature != self._signature:
            self._load()
            self._signature = signature


async def open_sites(
    door: Door, settings: ServerSettings, tls: Tls | None
) -> tuple[list[asyncio.AbstractServer], list[str], list[int]]:
    """Listen, and say where: what listens, URLs for people, and the TCP ports.

    Raises
    ------
    ConfigError
        A place is taken or cannot be had.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.AbstractServer] = []
    places: list[str] = []
    ports: list[int] = []
    if settings.listen:
        host, port = address_of(settings.listen)
        secure: Any = {} if tls is None else {"ssl": tls.context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}
        try:
            server = await loop.create_server(door, host, port, backlog=BACKLOG, **secure)
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
            message = (
                f"server.listen {settings.listen!r} {why}; stop what listens there, or take another port"
            )
            raise ConfigError(message) from error
        servers.append(server)
        ports = [int(each.getsockname()[1]) for each in server.sockets]
        name = f"[{host}]" if ":" in host else host
        places.append(f"{'https' if tls else 'http'}://{name}:{ports[0]}")
    if settings.uds:
        try:
            servers.append(await _open_socket(door, settings))
        except ConfigError:
            for each in servers:
                each.close()
            raise
        places.append(f"unix:{settings.uds}")
    return servers, places, ports


async def _open_socket(door: Door, settings: ServerSettings) -> asyncio.AbstractServer:
    path = Path(settings.uds)
    try:
        _clear(path)
        server = await asyncio.get_running_loop().create_unix_server(door, str(path), backlog=BACKLOG)
        path.chmod(int(settings.uds_mode, 8))
        return server
    except OSError as error:
        message = f"server.uds {settings.uds!r} cannot be had: {error}; give a path in a folder of this user"
        raise ConfigError(message) from error


def _clear(path: Path) -> None:
    """Take away the socket of a process that was killed; of one that lives, it is taken."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            message = "there is something else"
            raise OSError(message)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    message = "another process listens there"
    raise OSError(message)

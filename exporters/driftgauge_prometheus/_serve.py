"""Three ways to serve /metrics: a small server of its own, an ASGI app, a WSGI app."""

from __future__ import annotations

import asyncio
import errno
import gzip
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIServer

from prometheus_client import make_wsgi_app, start_http_server
from prometheus_client.exposition import choose_encoder, gzip_accepted

from driftgauge.errors import ConfigError
from driftgauge_prometheus._collector import SnapshotSource, own_registry

__all__ = ["ASGIApp", "WSGIApp", "asgi_app", "serve", "wsgi_app"]

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

DEFAULT_PORT: Final = 9109


def serve(
    monitor: SnapshotSource,
    port: int = DEFAULT_PORT,
    addr: str = "127.0.0.1",
    *,
    certfile: str | None = None,
    keyfile: str | None = None,
    client_cafile: str | None = None,
    client_auth_required: bool = False,
) -> tuple[WSGIServer, Thread]:
    """Serve ``/metrics`` of *monitor* from a daemon thread, with a registry of its own.

    Parameters
    ----------
    monitor : SnapshotSource
        A `driftgauge.Monitor`, or anything with ``snapshot()``.
    port : int
        0 takes any free port; read it from ``server.server_port``. The default is our choice: no exporter
        of Prometheus' default port list that runs beside Python models has it.
    addr : str
        Loopback by default, so that nothing is open to others unasked; ``'0.0.0.0'`` for a container.
    certfile, keyfile : str, optional
        PEM files; both, or neither for plain HTTP.
    client_cafile : str, optional
        Certificates that clients are checked against; needs *client_auth_required* and the two above.
    client_auth_required : bool
        Refuse clients without a certificate from *client_cafile*.

    Returns
    -------
    server : wsgiref.simple_server.WSGIServer
    thread : threading.Thread
        To stop: ``server.shutdown()``, ``server.server_close()``, ``thread.join()``.

    Raises
    ------
    ConfigError
        The port is taken, or the TLS parameters do not belong together.

    Notes
    -----
    With TLS the server of prometheus_client shakes hands on its accepting thread, so a client that connects
    and stays silent holds up the others: keep the port away from strangers.
    """
    _check_tls(certfile, keyfile, client_cafile, client_auth_required)
    try:
        return start_http_server(
            port,
            addr,
            own_registry(monitor),
            certfile=certfile,
            keyfile=keyfile,
            client_cafile=client_cafile,
            client_auth_required=client_auth_required,
        )
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        message = (
            f"port {port!r} on {addr!r} is taken; stop what listens there, or take another port (0 for any)"
        )
        raise ConfigError(message) from error


def asgi_app(monitor: SnapshotSource) -> ASGIApp:
    """ASGI application that answers every path with the metrics of *monitor*; mount it on ``/metrics``.

    The evaluation and the text are made on a thread, so the host's event loop goes on serving meanwhile.

    Parameters
    ----------
    monitor : SnapshotSource
    """
    registry = own_registry(monitor)

    def render(accept: str, encodings: str, names: list[str]) -> tuple[list[tuple[bytes, bytes]], bytes]:
        encoder, content_type = choose_encoder(accept)
        body = encoder(registry.restricted_registry(names) if names else registry)
        headers = [(b"content-type", content_type.encode())]
        if gzip_accepted(encodings):
            body = gzip.compress(body)
            headers.append((b"content-encoding", b"gzip"))
        return [*headers, (b"content-length", str(len(body)).encode())], body

    async def app(
        scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            message = f"the metrics application answers http, got {scope['type']!r}"
            raise ConfigError(message)
        given = {"accept": "", "accept-encoding": ""}
        for raw, value in scope["headers"]:
            name = raw.decode("latin-1").lower()
            if name in given:
                given[name] = ",".join(filter(None, [given[name], value.decode("latin-1")]))
        names = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("name[]", [])
        headers, body = await asyncio.to_thread(render, given["accept"], given["accept-encoding"], names)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def wsgi_app(monitor: SnapshotSource) -> WSGIApp:
    """WSGI application that answers every path with the metrics of *monitor*; mount it on ``/metrics``.

    Parameters
    ----------
    monitor : SnapshotSource
    """
    app: WSGIApp = make_wsgi_app(own_registry(monitor))
    return app


def _check_tls(
    certfile: str | None, keyfile: str | None, client_cafile: str | None, client_auth_required: bool
) -> None:
    # prometheus_client takes each of these halves without a word and serves plain HTTP, or lets anyone in.
    if (certfile is None) != (keyfile is None):
        message = f"certfile and keyfile go together, got {certfile!r} and {keyfile!r}; give both or neither"
        raise ConfigError(message)
    if client_auth_required and (certfile is None or client_cafile is None):
        message = "client_auth_required needs certfile and keyfile, and client_cafile to check clients by"
        raise ConfigError(message)
    if client_cafile is not None and not client_auth_required:
        message = f"client_cafile {client_cafile!r} checks nobody without client_auth_required=True; add it"
        raise ConfigError(message)

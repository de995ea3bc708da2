"""The proxy as one of the sidecar's ways in: made from settings, with its own listener."""

from __future__ import annotations

import logging
import ssl
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from driftgauge.errors import ConfigError
from driftgauge.sidecar.proxy_link import Timeouts
from driftgauge.sidecar.proxy_routes import Routes
from driftgauge.sidecar.proxy_server import Proxy, connector
from driftgauge.sidecar.settings_types import address_of

if TYPE_CHECKING:
    from aiohttp import web

    from driftgauge.sidecar.models import ModelRegistry
    from driftgauge.sidecar.settings import ProxySettings, RouteSettings

__all__ = ["ProxyWay"]

LOG_SECONDS: Final = 60.0
# So long the thread that decodes holds the interpreter when an answer wants it. It is of the whole process.
# Beside Python's 5 ms, in turn on two busy cores, medians of 7 rounds, 100 rows a request: the p99 of one
# client was 9.7 ms against 18.4, of 16 clients 27 against 55, and they had 2.3 times the answers.
SWITCH_SECONDS: Final = 0.0005

_log = logging.getLogger("driftgauge.sidecar.proxy")


class ProxyWay:
    """Takes requests on a port of its own, passes them to the model server, and its answers back.

    Parameters
    ----------
    settings : ProxySettings
        Off while its `listen` is empty.
    routes : sequence of RouteSettings
        What is decoded; everything else is passed on all the same.
    models : ModelRegistry

    Raises
    ------
    ConfigError
        When an address, a route or a certificate is wrong.
    """

    def __init__(
        self,
        settings: ProxySettings,
        routes: Sequence[RouteSettings],
        models: ModelRegistry,
    ) -> None:
        self._settings = settings
        self._models = models
        self._told_seconds = -LOG_SECONDS
        self._proxy: Proxy | None = None
        self._tls: ssl.SSLContext | None = None
        self.port = 0
        """Where it listens, once it does."""
        if not settings.listen:
            return
        if settings.tls_certificate:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            _load(
                self._tls.load_cert_chain, "proxy.tls_certificate", settings.tls_certificate, settings.tls_key
            )
        self._proxy = Proxy(
            connector(settings.upstream, self._upstream_tls(), settings.upstream_server_name),
            Routes(routes, models).find,
            body_bytes=models.settings.limits.body_bytes,
            timeouts=Timeouts(
                connect_seconds=settings.connect_timeout,
                response_seconds=settings.read_timeout,
                idle_seconds=settings.idle_timeout,
            ),
            most=settings.max_connections,
            failed=self._failed,
            gave_up=self._gave_up,
        )

    def _upstream_tls(self) -> ssl.SSLContext | None:
        settings = self._settings
        if not settings.upstream.startswith("https:"):
            return None
        context = ssl.create_default_context()
        if settings.upstream_ca:
            _load(context.load_verify_locations, "proxy.upstream_ca", settings.upstream_ca)
        if not settings.upstream_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        return 0 if self._proxy is None else self._proxy.connections

    async def start(self) -> None:
        """Listen."""
        if self._proxy is None:
            return
        sys.setswitchinterval(SWITCH_SECONDS)
        host, port = address_of(self._settings.listen)
        self.port = await self._proxy.start(host, port, self._tls)
        _log.info("requests on port %d are passed to %s", self.port, self._settings.upstream)

    async def stop(self, drain_seconds: float) -> None:
        """Take no more clients, let answers that are due go out for so long, and end."""
        if self._proxy is not None:
            await self._proxy.stop(drain_seconds)

    def routes(self) -> list[web.RouteDef]:
        """None of the main listener's."""
        return []

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._told_seconds >= LOG_SECONDS:
            self._told_seconds = now
            # The type only, for a message may hold values.
            _log.error("watching a connection failed: %s; its traffic goes on", type(error).__name__)

    def _gave_up(self) -> None:
        connections = self._models.count_stray("proxy", "unfollowed")
        if str(connections).strip("0") == "1":  # 1, 10, 100: HTTP/2 may be all that there is
            _log.warning(
                "%d connections so far could not be followed as HTTP/1.1; they are passed on, and no further "
                "request on them is counted",
                connections,
            )


def _load(load: object, key: str, *paths: str) -> None:
    try:
        load(*paths)  # type: ignore[operator]
    except (OSError, ssl.SSLError) as error:
        message = f"{key} cannot be read, got {paths[0]!r}: {error}; give the path of a PEM file"
        raise ConfigError(message) from error

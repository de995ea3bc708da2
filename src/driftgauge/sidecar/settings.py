"""What can be set: ``driftgauge.toml``, and an environment variable for every key.

A key ``listen`` of ``[server]`` is ``DRIFTGAUGE_SERVER__LISTEN``; of the second of ``[[models]]`` it is
``DRIFTGAUGE_MODELS__1__REFERENCE``. The environment wins over the file. Lists and tables may be given whole,
as JSON; lists of texts with commas as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from driftgauge.protocols import PROTOCOLS, Limits
from driftgauge.sidecar.settings_otel import OtelSettings
from driftgauge.sidecar.settings_types import (
    Bytes,
    Listen,
    Long,
    Seconds,
    Section,
    Share,
    Upstream,
    WindowText,
)

__all__ = [
    "FileSettings",
    "IngestSettings",
    "LimitSettings",
    "LogSettings",
    "ModelDefaults",
    "ModelSettings",
    "OtelSettings",
    "ProxySettings",
    "ReloadSettings",
    "RouteSettings",
    "ServerSettings",
    "SharedSettings",
    "SidecarSettings",
    "SinkSettings",
    "StateSettings",
    "load_settings",
]


class ServerSettings(Section):
    """The main listener: metrics, page, API, sink and ingest."""

    listen: Listen = Field(
        default="127.0.0.1:9109", description="host:port; empty for none, with uds; port 0 is any"
    )
    uds: str = Field(default="", description="path of a Unix socket with the same surface; empty for none")
    uds_mode: str = Field(default="660", pattern="^[0-7]{3}$", description="who may use the socket, octal")
    tls_certificate: str = Field(default="", description="PEM file with the certificate chain")
    tls_key: str = Field(default="", description="PEM file with the key")
    tls_client_ca: str = Field(default="", description="PEM file; clients must have a certificate from it")
    token: SecretStr = Field(default=SecretStr(""), description="bearer token that writes need")
    token_file: str = Field(default="", description="file that holds the token; read again when it changes")
    token_for: Literal["remote_writes", "writes", "everything"] = Field(
        default="remote_writes", description="what needs the token; probes never do"
    )
    max_connections: int = Field(default=1_000, ge=1, description="connections at a time; more get 503")
    max_header_bytes: Bytes = Field(default=16 << 10, description="largest header field and request line")
    not_ready: Seconds = Field(default=5.0, description="time between 'not ready' and the drain, on SIGTERM")
    drain: Seconds = Field(default=15.0, description="time that open requests have to end, on SIGTERM")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if not self.listen and not self.uds:
            message = "listen and uds are both empty, so nobody could reach it; give one of them"
            raise ValueError(message)
        if bool(self.tls_certificate) != bool(self.tls_key):
            message = "tls_certificate and tls_key go together; give both or neither"
            raise ValueError(message)
        if self.tls_client_ca and not self.tls_certificate:
            message = "tls_client_ca needs tls_certificate and tls_key; give them too"
            raise ValueError(message)
        if self.token.get_secret_value() and self.token_file:
            message = "token and token_file are both given; leave one out"
            raise ValueError(message)
        if self.token_for != "remote_writes" and not (self.token.get_secret_value() or self.token_file):
            message = f"token_for = {self.token_for!r} needs a token; give token or token_file"
            raise ValueError(message)
        return self


class ModelDefaults(Section):
    """What a model is watched with, where its own table does not say."""

    windows: tuple[WindowText, ...] = Field(
        default=("10000 rows",), min_length=1, description="windows, such as '10000 rows' and '24h'"
    )
    budget: Long = Field(
        default="90d", description="one false alert in so much time; empty for no drift score"
    )
    evaluate_every: Long = Field(default="60s", min_length=1, description="time between two evaluations")
    min_effect: Share = Field(default=0.01, description="changes of at most this PSI are no drift")
    sample: Share = Field(default=1.0, description="share of rows that is taken")
    min_rows: int = Field(default=100, ge=1, description="windows with fewer rows have no statistics")


class ModelSettings(Section):
    """A model: its reference and, where they differ from ``[defaults]``, its settings."""

    reference: str = Field(min_length=1, description="path of a file that `driftgauge profile` wrote")
    name: str = Field(default="", description="the label `model`; empty for the name in the reference")
    windows: tuple[WindowText, ...] | None = Field(default=None, min_length=1, description="as in [defaults]")
    budget: Long | None = Field(default=None, description="as in [defaults]")
    evaluate_every: Long | None = Field(default=None, min_length=1, description="as in [defaults]")
    min_effect: Share | None = Field(default=None, description="as in [defaults]")
    sample: Share | None = Field(default=None, description="as in [defaults]")
    min_rows: int | None = Field(default=None, ge=1, description="as in [defaults]")
    weights: dict[str, float] = Field(
        default={}, description="how much a feature matters, the others being 1"
    )


def _protocol(name: str) -> str:
    if name not in PROTOCOLS:
        message = f"must be one of {', '.join(map(repr, PROTOCOLS))}"
        raise ValueError(message)
    return name


class _Decoded(Section):
    """What every way with a protocol has."""

    model: str = Field(default="", description="name of the model; empty where there is only one")
    protocol: str = Field(default="auto", description="how payloads are read; one of `driftgauge.protocols`")
    mapping: dict[str, Any] = Field(
        default={}, description="JMESPath expressions, for the protocol 'mapping'"
    )
    sample: Share = Field(default=1.0, description="share of payloads that is looked into")

    @field_validator("protocol")
    @classmethod
    def _known(cls, name: str) -> str:
        return _protocol(name)

    @model_validator(mode="after")
    def _mapped(self) -> Self:
        if bool(self.mapping) != (self.protocol == "mapping"):
            message = "mapping and protocol = 'mapping' go together; give both or neither"
            raise ValueError(message)
        return self


class ProxySettings(Section):
    """The reverse proxy in front of the model server; off while `listen` is empty."""

    listen: Listen = Field(default="", description="host:port to take requests on; empty for no proxy")
    upstream: Upstream = Field(default="", description="http://host:port of the model server, or unix:/path")
    tls_certificate: str = Field(default="", description="PEM file with the certificate chain")
    tls_key: str = Field(default="", description="PEM file with the key")
    connect_timeout: Seconds = Field(default=5.0, description="time to connect to the upstream")
    read_timeout: Seconds = Field(
        default=300.0, description="longest silence of the upstream; 0 for no limit"
    )
    idle_timeout: Seconds = Field(default=75.0, description="time that a kept-alive connection may be idle")
    max_connections: int = Field(default=0, ge=0, description="connections to the upstream; 0 for no limit")
    upstream_ca: str = Field(
        default="", description="PEM file of authorities that the upstream is checked by"
    )
    upstream_verify: bool = Field(default=True, description="whether the upstream's certificate is checked")
    upstream_server_name: str = Field(
        default="", description="name in its certificate, where the URL has another"
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if bool(self.listen) != bool(self.upstream):
            message = "listen and upstream go together; give both, or neither for no proxy"
            raise ValueError(message)
        if bool(self.tls_certificate) != bool(self.tls_key):
            message = "tls_certificate and tls_key go together; give both or neither"
            raise ValueError(message)
        return self


class RouteSettings(_Decoded):
    """Requests through the proxy that are decoded."""

    path: str = Field(min_length=1, description="such as '/v1/models/{model}:predict' or '/predict*'")
    method: str = Field(default="POST", description="HTTP method")


class SinkSettings(_Decoded):
    """The sink of a KServe payload logger; off while `path` is empty."""

    path: str = Field(default="", description="where events are posted, such as '/events'; empty for no sink")
    tee: str = Field(default="", description="URL that every event is forwarded to unchanged; empty for none")
    tee_timeout: Seconds = Field(default=5.0, description="time that the other sink has to answer")
    pair_seconds: Seconds = Field(default=60.0, description="how long a request waits for its response")
    pair_payloads: int = Field(default=10_000, ge=1, description="how many halves may wait for the other")
    unpaired: Literal["drop", "inputs"] = Field(
        default="drop", description="what becomes of a request without a response"
    )
    pair_bytes: Bytes = Field(default=64 << 20, description="how large the halves that wait may be together")


class IngestSettings(Section):
    """Rows that others post; off when `path` is empty."""

    path: str = Field(default="/v1/observations", description="where rows are posted; empty for none")


class FileSettings(_Decoded):
    """A file or folder that grows and is followed from where it stopped."""

    path: str = Field(min_length=1, description="a file, a folder or a glob")
    format: Literal["ndjson", "sagemaker_capture"] = Field(default="ndjson", description="what a line is")
    begin: Literal["start", "end"] = Field(default="start", description="where to begin the first time")
    poll: Seconds = Field(default=1.0, gt=0, description="how often it is looked at")


class StateSettings(Section):
    """Window states that outlive the process; off while `directory` is empty."""

    directory: str = Field(default="", description="where windows are saved; empty for nowhere")
    save_interval: Seconds = Field(default=10.0, gt=0, description="at most so much is lost by kill -9")
    keep: int = Field(default=5, ge=0, description="states of other references that are kept, a model")


class ReloadSettings(Section):
    """How references that change are noticed; SIGHUP and POST /-/reload always work."""

    interval: Seconds = Field(default=5.0, description="how often files are looked at; 0 for never")


class SharedSettings(Section):
    """The directory that processes share, one folder in it a model; off while it is empty."""

    directory: str = Field(
        default="", description="parent of the folders given to Monitor(shared_directory=)"
    )


class LogSettings(Section):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is told"
    )
    format: Literal["json", "text"] = Field(
        default="json", description="one JSON object a line, or text for people"
    )


class LimitSettings(Section):
    """How large a payload may be, and how much may wait."""

    body_bytes: Bytes = Field(default=Limits().body_bytes, description="of a body as it came")
    decompressed_bytes: Bytes = Field(
        default=Limits().decompressed_bytes, description="of a body, decompressed"
    )
    rows: int = Field(default=Limits().rows, ge=1, description="of one payload")
    columns: int = Field(default=Limits().columns, ge=1, description="of one payload")
    values: int = Field(default=Limits().values, ge=1, description="in one JSON text")
    depth: int = Field(default=Limits().depth, ge=1, description="lists within lists")
    text_chars: int = Field(
        default=Limits().text_chars, ge=1, description="longer texts are other categories"
    )
    queue_payloads: int = Field(default=1_000, ge=1, description="payloads that may wait, a model and way")
    queue_bytes: Bytes = Field(default=64 << 20, description="bytes that may wait, a model and way")

    def of_payloads(self) -> Limits:
        """The limits that decoders hold."""
        own = self.model_dump(exclude={"queue_payloads", "queue_bytes"})
        return Limits(**own)


class SidecarSettings(Section):
    """Everything that can be set.

    Examples
    --------
    >>> settings = load_settings(None, environ={"DRIFTGAUGE_SERVER__LISTEN": "127.0.0.1:9200"})
    >>> settings.server.listen, settings.state.save_interval
    ('127.0.0.1:9200', 10.0)
    >>> load_settings(None, environ={"DRIFTGAUGE_SERVER__LISTEN": "9200"})
    Traceback (most recent call last):
    driftgauge.errors.ConfigError: server.listen must be host:port, such as '127.0.0.1:9109', '[::1]:9109' or
    '0.0.0.0:9109', got '9200' (DRIFTGAUGE_SERVER__LISTEN)
    """

    server: ServerSettings = ServerSettings()
    models_folder: str = Field(default="", description="every reference in it is a model; empty for none")
    defaults: ModelDefaults = ModelDefaults()
    models: tuple[ModelSettings, ...] = ()
    proxy: ProxySettings = ProxySettings()
    routes: tuple[RouteSettings, ...] = ()
    sink: SinkSettings = SinkSettings()
    ingest: IngestSettings = IngestSettings()
    files: tuple[FileSettings, ...] = ()
    state: StateSettings = StateSettings()
    reload: ReloadSettings = ReloadSettings()
    shared: SharedSettings = SharedSettings()
    otel: OtelSettings = OtelSettings()
    log: LogSettings = LogSettings()
    limits: LimitSettings = LimitSettings()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [model.name for model in self.models if model.name]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"models has {twice[0]!r} twice; give each model a name of its own"
            raise ValueError(message)
        return self

    def to_toml(self) -> str:
        """As a file that gives these settings, the token masked."""
        from driftgauge.sidecar.settings_toml import to_toml

        return to_toml(self)


def load_settings(path: str | PathLike[str] | None, *, environ: Mapping[str, str]) -> SidecarSettings:
    """Settings from a file and the environment.

    Parameters
    ----------
    path : str or path, optional
        Of a TOML file; None for the environment only.
    environ : mapping of str to str

    Raises
    ------
    ConfigError
        When a key or a value is wrong; the message names each, and what would do.
    """
    from driftgauge.sidecar.settings_sources import read_settings

    return read_settings(SidecarSettings, path, environ)

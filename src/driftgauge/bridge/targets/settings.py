"""What targets that are called by HTTP have in common in their settings."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from driftgauge.bridge.targets.secrets import in_file, looked_up, one_line
from driftgauge.sidecar.settings_types import Seconds, Section

__all__ = [
    "BasicSettings",
    "HeaderName",
    "HttpSettings",
    "Secret",
    "SecretPlace",
    "TokenSettings",
    "Url",
    "url",
]

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token


def url(text: str) -> str:
    """The URL without a slash at its end; ValueError where it is none, or holds a user or password."""
    try:
        parts = urlsplit(text)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong or not text.isprintable() or " " in text:
        message = "must be a URL, such as 'https://airflow.example.com'"
        raise ValueError(message)
    if parts.username is not None or parts.password is not None:
        message = "must have no user and password in it; give username, password or token beside it"
        raise ValueError(message)
    return text.rstrip("/")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        message = "must be the name of an HTTP header, such as 'X-Api-Key'"
        raise ValueError(message)
    return text


def _value(text: str) -> str:
    if not text.isprintable():
        message = "must be one line, as it is the value of an HTTP header"
        raise ValueError(message)
    return text


class SecretPlace(SecretStr):
    """Where a secret lies, as long as nobody has looked: reading settings needs no secrets."""

    def __init__(self, place: dict[str, str]) -> None:
        super().__init__(str(place))
        self.place = place


def _secret(given: Any) -> Any:
    return SecretPlace(given) if looked_up(given) else given


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Url = Annotated[str, AfterValidator(url)]
HeaderName = Annotated[str, AfterValidator(_name)]
HeaderValue = Annotated[str, AfterValidator(_value)]


class HttpSettings(Section):
    """A system that is called by HTTP."""

    url: Url = Field(description="where its API is")
    headers: dict[HeaderName, HeaderValue] = Field(default={}, description="sent with every request")
    secret_headers: dict[HeaderName, Secret] = Field(default={}, description="headers that are never shown")
    ca_file: str = Field(default="", description="PEM file of authorities that its certificate is checked by")
    timeout: Seconds = Field(default=30.0, gt=0, description="time that one request may take")


class TokenSettings(HttpSettings):
    """A system that takes a token."""

    token: Secret = Field(default=SecretStr(""), description="the token")
    token_file: str = Field(default="", description="file that holds the token; read at every request")

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token.get_secret_value() and self.token_file:
            message = "token and token_file are both given; leave one out"
            raise ValueError(message)
        return self

    def the_token(self) -> str:
        """The token; empty where there is none."""
        return in_file(self.token_file, "token_file") if self.token_file else one_line(self.token, "token")


class BasicSettings(TokenSettings):
    """A system that takes a token, or a user and a password."""

    username: str = Field(default="", description="user, where there is no token")
    password: Secret = Field(default=SecretStr(""), description="its password")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.username and (self.token_file or self.token.get_secret_value()):
            message = "username and a token are both given; leave one out"
            raise ValueError(message)
        return self

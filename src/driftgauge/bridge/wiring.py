"""From settings to what runs: targets with their secrets, routes with their templates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from driftgauge.bridge.decide import Route
from driftgauge.bridge.records import Closer
from driftgauge.bridge.settings import BridgeSettings, TargetTable
from driftgauge.bridge.targets import Target, target_class
from driftgauge.bridge.targets.secrets import looked_up
from driftgauge.bridge.templates import PayloadTemplate
from driftgauge.errors import ConfigError

__all__ = ["Wiring", "masked", "wire"]

SECRET_BYTES: Final = 64 << 10
MASK: Final = "********"


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the engine works with.

    Parameters
    ----------
    settings : BridgeSettings
    routes : tuple of Route
    targets, payloads : mapping
        By the name of the target, and of the route.
    closer : Closer or None
    """

    settings: BridgeSettings
    routes: tuple[Route, ...]
    targets: Mapping[str, Target]
    payloads: Mapping[str, PayloadTemplate]
    closer: Closer | None = None

    def route(self, name: str) -> Route | None:
        """The route of this name."""
        return next((each for each in self.routes if each.settings.name == name), None)


def wire(settings: BridgeSettings, environ: Mapping[str, str] = os.environ) -> Wiring:
    """Everything that *settings* name, made and checked.

    Parameters
    ----------
    settings : BridgeSettings
    environ : mapping of str to str
        Where ``{ env = "NAME" }`` is looked up.

    Raises
    ------
    ConfigError
        A target's table, a secret or a template is wrong.
    """
    targets = {}
    for number, table in enumerate(settings.targets):
        try:
            kind = target_class(table.kind)
        except ConfigError as error:
            message = f"targets[{number}].kind ({table.name}): {error}"
            raise ConfigError(message) from error
        targets[table.name] = kind(_settings_of(kind, table, number, environ))  # type: ignore[call-arg]
    payloads = {
        route.name: PayloadTemplate(route.payload, f"payload of route {route.name!r}")
        for route in settings.routes
    }
    return Wiring(
        settings, tuple(map(Route.of, settings.routes)), targets, payloads, _closer(settings, environ)
    )


def _closer(settings: BridgeSettings, environ: Mapping[str, str]) -> Closer | None:
    if not settings.closings:
        return None
    from importlib import import_module

    closings = [
        _with_secrets(each, f"closings[{number}]", environ) for number, each in enumerate(settings.closings)
    ]
    closer: Closer = import_module("driftgauge.bridge.closing").closer(closings)
    return closer


def masked(settings: BridgeSettings, environ: Mapping[str, str] = os.environ) -> str:
    """The settings as TOML, secrets masked; of targets what their kind fills in by itself too."""
    from driftgauge.sidecar.settings_toml import to_toml

    lines = [to_toml(settings.model_copy(update={"targets": ()}))]
    for number, table in enumerate(settings.targets):
        filled = _settings_of(target_class(table.kind), table, number, environ)
        names = to_toml(TargetTable(name=table.name, kind=table.kind))
        lines.append(f"\n[[targets]]\n{names}{to_toml(_hidden(filled, table.model_extra))}")
    return "".join(lines)


def _hidden(shown: Any, given: Any) -> Any:
    """What is shown, with a mask at each place that *given* has looked up: a header may be a secret too."""
    if looked_up(given) and isinstance(shown, str):
        return MASK
    if isinstance(given, dict) and isinstance(shown, BaseModel):
        names = {field.alias or name: name for name, field in type(shown).model_fields.items()}
        hidden = {
            names[key]: _hidden(getattr(shown, names[key]), each)
            for key, each in given.items()
            if key in names
        }
        return shown.model_copy(update=hidden)
    if isinstance(given, dict) and isinstance(shown, dict):
        return {key: _hidden(each, given.get(key)) for key, each in shown.items()}
    if isinstance(given, list) and isinstance(shown, list | tuple):
        return [_hidden(*pair) for pair in zip_longest(shown, given[: len(shown)])]
    return shown


def _settings_of(
    kind: type[Target],
    table: TargetTable,
    number: int,
    environ: Mapping[str, str],
) -> BaseModel:
    where = f"targets[{number}]"
    given = {
        key: _resolved(value, f"{where}.{key}", environ) for key, value in (table.model_extra or {}).items()
    }
    try:
        return kind.settings.model_validate(given)
    except ValidationError as error:
        # What was given is not told: it may be a secret in the wrong place.
        told = [
            f"{_place(where, each['loc'])} ({table.name}, {table.kind}): "
            f"{str(each['msg']).removeprefix('Value error, ')}"
            for each in error.errors(include_url=False, include_input=False)
        ]
    known = ", ".join(sorted(kind.settings.model_fields))
    raise ConfigError("\n".join([*told, f"a target of kind {table.kind!r} has {known}"]))


def _place(where: str, location: Sequence[Any]) -> str:
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _with_secrets(value: Any, where: str, environ: Mapping[str, str]) -> Any:
    """The value, settings of a closing or a part of them, with each secret looked up."""
    from driftgauge.bridge.targets.settings import SecretPlace

    if isinstance(value, SecretPlace):
        return SecretStr(_resolved(value.place, where, environ))
    if isinstance(value, dict):
        return {key: _with_secrets(each, f"{where}.{key}", environ) for key, each in value.items()}
    if isinstance(value, BaseModel):
        parts = {name: _with_secrets(each, f"{where}.{name}", environ) for name, each in value}
        return value.model_copy(update=parts)
    return value


def _resolved(value: Any, where: str, environ: Mapping[str, str]) -> Any:
    """The value with each ``{ env = … }`` and ``{ file = … }`` replaced."""
    if isinstance(value, list):
        return [_resolved(each, where, environ) for each in value]
    if not isinstance(value, dict):
        return value
    if not looked_up(value):
        return {key: _resolved(each, f"{where}.{key}", environ) for key, each in value.items()}
    if "env" in value:
        if value["env"] not in environ:
            message = f"{where} asks for the variable {value['env']!r}, which is not set; set it"
            raise ConfigError(message)
        return environ[value["env"]]
    try:
        with Path(value["file"]).open("rb") as file:
            return file.read(SECRET_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{where} asks for the file {value['file']!r}, which is no text that can be read; give one"
        raise ConfigError(message) from error

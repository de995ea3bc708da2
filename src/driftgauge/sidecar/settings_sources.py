"""Settings from a TOML file and from the environment, and words for what is wrong with them.

pydantic-settings reads environment variables too. It cannot name an element of a list, ignores a variable
with a mistyped name, and says neither which variable was wrong nor what would do; so this is our own.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from driftgauge.errors import ConfigError

__all__ = ["PREFIX", "environment_name", "read_settings"]

PREFIX: Final = "DRIFTGAUGE_"
CONFIG: Final = "DRIFTGAUGE_CONFIG"  # names the file itself
_CREDENTIALS: Final = re.compile("//.*@")  # of a URL
# Kubernetes gives these to every pod beside a Service called driftgauge.
_KUBERNETES: Final = re.compile(r"DRIFTGAUGE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)")

Place = tuple[str | int, ...]
Settings = TypeVar("Settings", bound=BaseModel)


def environment_name(place: Sequence[str | int]) -> str:
    """Variable of a key: ``('models', 0, 'reference')`` is ``DRIFTGAUGE_MODELS__0__REFERENCE``."""
    return PREFIX + "__".join(str(part) for part in place).upper()


def read_settings(
    model: type[Settings], path: str | PathLike[str] | None, environ: Mapping[str, str]
) -> Settings:
    """Settings of *model* from the file *path* with the variables of *environ* laid over it."""
    values = {} if path is None else _read(Path(path))
    given: dict[Place, str] = {}
    for name in sorted(environ, key=_in_order):
        if name.startswith(PREFIX) and name != CONFIG:
            _lay_over(model, values, name, environ[name], given)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        told = [_tell(model, each, values, path, given) for each in error.errors(include_url=False)]
    raise ConfigError("\n".join(dict.fromkeys(told)))


def _in_order(name: str) -> list[tuple[int, str]]:
    """Elements of a list by number: the tenth comes after the second, and a list before its elements."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split("__")]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"there is no file {str(path)!r}; give the path of a settings file"
        raise ConfigError(message) from error
    except OSError as error:
        message = f"cannot read {str(path)!r}: {error.strerror}; make it readable for this user"
        raise ConfigError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{str(path)!r} is no TOML: {error}; texts need quotes, tables are [name] or [[name]]"
        raise ConfigError(message) from error


def _lay_over(
    model: type[BaseModel], values: dict[str, Any], name: str, text: str, given: dict[Place, str]
) -> None:
    parts = name.removeprefix(PREFIX).lower().split("__")
    if len(parts) == 1 and parts[0] not in model.model_fields:
        if _KUBERNETES.fullmatch(name):
            return
        _refuse_name(model, name, parts[0], ())
    place: list[str | int] = []
    at: Any = values
    kind: Any = model
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if part not in kind.model_fields:
                _refuse_name(kind, name, part, place)
            kind = kind.model_fields[part].annotation
            step: str | int = part
        elif (element := _element(kind)) is not None:
            if not part.isdecimal() or int(part) > len(at):
                message = (
                    f"{name}: {part!r} is no place in {_shown(place)}, which has {len(at)} so far; "
                    f"use {environment_name([*place, len(at)])}, or the whole list as JSON"
                )
                raise ConfigError(message)
            step, kind = int(part), element
        else:
            message = f"{name}: {_shown(place)} has no keys; use {environment_name(place)}"
            raise ConfigError(message)
        place.append(step)
        if last:
            found = _value(kind, text, name, place)
            if isinstance(at, list) and step == len(at):
                at.append(found)
            else:
                at[step] = found
        elif isinstance(at, list):
            if step == len(at):
                at.append({})
            at = at[int(step)]
        else:
            at = at.setdefault(step, [] if _element(kind) is not None else {})
        if not last and not isinstance(at, dict | list):
            message = f"{name}: {_shown(place)} is {at!r} in the file, no table; correct the file"
            raise ConfigError(message)
    given[tuple(place)] = name


def _element(kind: Any) -> Any:
    """What a list holds: of ``tuple[X, ...]``, and of ``tuple[X, ...] | None``; None for anything else."""
    options = [kind, *getattr(kind, "__args__", ())]
    for option in options:
        if getattr(option, "__origin__", None) is tuple:
            return option.__args__[0]
    return None


def _value(kind: Any, text: str, name: str, place: Place | list[str | int]) -> Any:
    """The value of a variable: JSON for tables and lists, the text itself for all else."""
    table = isinstance(kind, type) and issubclass(kind, BaseModel)
    table = table or getattr(kind, "__origin__", None) is dict
    element = _element(kind)
    if not table and element is None:
        return text
    if element is not None and not text.lstrip().startswith("["):
        if not text.strip():
            return []
        if not (isinstance(element, type) and issubclass(element, BaseModel)):
            return [part.strip() for part in text.split(",")]
    try:
        return json.loads(text)
    except ValueError as error:
        wanted = '{"key": value}' if table else '[{"key": value}]'
        # What was given is not told: a whole table may hold secrets.
        message = f"{_shown(place)} must be JSON such as {wanted} ({name}): {error}"
        raise ConfigError(message) from error


def _refuse_name(model: type[BaseModel], name: str, part: str, place: Sequence[str | int]) -> None:
    near = difflib.get_close_matches(part, model.model_fields, n=1)
    if near:
        hint = f"did you mean {environment_name([*place, near[0]])}?"
    else:
        hint = f"{_shown(place) or 'settings'} has {', '.join(sorted(model.model_fields))}"
    message = f"{name} names no key; {hint}"
    raise ConfigError(message)


def _shown(place: Sequence[str | int]) -> str:
    """``models[0].reference``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _tell(
    model: type[BaseModel],
    error: Any,
    values: dict[str, Any],
    path: str | PathLike[str] | None,
    given: Mapping[Place, str],
) -> str:
    place, at, section, field = _walk(model, error["loc"], values)
    key = _shown(place)
    source = next((given[place[:n]] for n in range(len(place), 0, -1) if place[:n] in given), "")
    where = f" ({source or path})" if source or path else ""
    if error["type"] == "extra_forbidden":
        known = section.model_fields
        near = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        return f"{key} is no key{where}; {hint}"
    if error["type"] == "missing":
        about = field.description if field is not None else "it is needed"
        return f"{key} is missing{where}; give {about}, or set {environment_name(place)}"
    words = str(error["msg"]).removeprefix("Value error, ")
    words = re.sub("^(Input|String) should", "must", words)
    secret = field is not None and field.annotation is SecretStr
    got = (
        ""
        if isinstance(at, dict)
        else f", got {'a secret' if secret else _CREDENTIALS.sub('//…@', repr(at))}"
    )
    if error["type"] == "value_error":
        told = f"{key} {words}" if words.startswith("must ") else f"{key + ': ' if key else ''}{words}"
        return f"{told}{got}{where}"
    remedy = f"; it is: {field.description}" if field is not None and field.description else ""
    return f"{key} {words}{got}{where}{remedy}"


def _walk(
    model: type[BaseModel], location: Sequence[str | int], values: Any
) -> tuple[Place, Any, type[BaseModel], Any]:
    """Key, value, section and field of where pydantic found something; it adds words of its own, left out."""
    place: list[str | int] = []
    at: Any = values
    kind: Any = model
    section: type[BaseModel] = model
    field: Any = None
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            section = kind
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field is not None else None
        elif isinstance(part, int) and _element(kind) is not None:
            kind = _element(kind)
        elif not (isinstance(at, dict) and part in at):
            break
        place.append(part)
        at = at.get(part) if isinstance(at, dict) else at[int(part)] if isinstance(at, list) else at
    return tuple(place), at, section, field

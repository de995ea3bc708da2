"""Settings as TOML, for ``--print-config``: the standard library reads it and does not write it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pydantic import BaseModel, SecretStr

__all__ = ["to_toml"]

MASK: Final = "********"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(settings: BaseModel) -> str:
    """Every key and its value, in the order of the settings. What is None is left out."""
    lines: list[str] = []
    tables: list[tuple[str, Any]] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            tables.append((f"[{name}]", value))
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            tables.extend((f"[[{name}]]", each) for each in value)
        elif value is not None and value != ():  # an empty one may be of tables
            lines.append(f"{name} = {_value(value)}")
    for header, section in tables:
        lines += ["", header]
        for name in type(section).model_fields:
            value = getattr(section, name)
            if value is not None:
                lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, SecretStr):
        return _value(MASK if value.get_secret_value() else "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(str(name))} = {_value(each)}" for name, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # JSON escapes all that TOML wants escaped but DEL, and TOML reads all that JSON writes: but surrogates,
    # which no valid text has.
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if isinstance(value, str)
        else repr(value)
    )


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)

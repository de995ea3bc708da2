"""Values of a settings file against the defaults they replace: the same keys, the same types."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from driftgauge.errors import ConfigError

__all__ = ["check_duration", "check_label", "check_selector", "check_url", "duration_text", "read_table"]

Table = TypeVar("Table")

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_DURATION: Final = re.compile(r"(?:\d+y)?(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?")
_DURATION_PART: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_STRING: Final = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
_MATCHER: Final = rf"\s*[a-zA-Z_][a-zA-Z0-9_]*\s*(?:=|!=|=~|!~)\s*{_STRING}\s*"
_SELECTOR: Final = re.compile(rf"(?:{_MATCHER}(?:,{_MATCHER})*)?")


def check_duration(name: str, value: str, *, zero: bool = False) -> float:
    """Seconds of a duration in PromQL's notation.

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> check_duration("ranges.long", "1h30m")
    5400.0
    """
    if value and _DURATION.fullmatch(value):
        seconds = float(
            sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _DURATION_PART.findall(value))
        )
        if seconds > 0 or zero:
            return seconds
    message = f"{name} must be a duration as in PromQL, such as '5m' or '1h30m', got {value!r}"
    raise ConfigError(message)


def duration_text(seconds: float) -> str:
    """PromQL's notation of whole seconds, rounded up.

    Examples
    --------
    >>> duration_text(check_duration("ranges.short", "90m") + 300)
    '1h35m'
    """
    left, text = math.ceil(seconds), ""
    for unit in ("h", "m", "s"):
        count, left = divmod(left, int(_UNIT_SECONDS[unit]))
        text += f"{count}{unit}" if count else ""
    return text


def check_label(name: str, value: str) -> None:
    """Raises ConfigError unless *value* can name a label."""
    if not _LABEL.fullmatch(value):
        message = f"{name} must be a label's name of letters, digits and underscores, got {value!r}"
        raise ConfigError(message)


def check_selector(name: str, value: str) -> None:
    """Raises ConfigError unless *value* is label matchers, or nothing."""
    if not _SELECTOR.fullmatch(value):
        message = (
            f"{name} must be label matchers without braces, such as 'namespace=\"scoring\"', got {value!r}"
        )
        raise ConfigError(message)


def check_url(name: str, value: str) -> None:
    """Raises ConfigError unless *value* is an address of the web without a fragment or a final slash."""
    if not re.fullmatch(r"https?://[^\s#{}\"]*[^\s#{}\"/]", value):
        message = f"{name} must be an http or https address without # and final /, got {value!r}"
        raise ConfigError(message)


def read_table(prefix: str, table: object, default: Table, renamed: Mapping[str, str] | None = None) -> Table:
    """*default*, a dataclass or a mapping, with the values of *table*.

    Parameters
    ----------
    prefix : str
        Name of the table, for messages; empty for the top of the file.
    table : mapping
        As TOML gives it.
    default : dataclass or mapping
        Which keys there are, and of what types. A mapping's values are tables and come back as they are,
        those that *table* does not name left out.
    renamed : mapping of str to str, optional
        Keys of the file that are called otherwise here.

    Raises
    ------
    ConfigError
        Unknown keys, wrong types, or what *default*'s own checks refuse.
    """
    if not isinstance(table, dict):
        message = f"{prefix} must be a table, got {table!r}; write it as [{prefix}]"
        raise ConfigError(message)
    renamed = renamed or {}
    known = _known(default, renamed)
    dot = f"{prefix}." if prefix else ""
    unknown = sorted(set(table) - set(known))
    if unknown:
        message = f"unknown settings {[dot + name for name in unknown]!r}; there are {sorted(known)!r}"
        raise ConfigError(message)
    if not is_dataclass(default) or isinstance(default, type):
        return table  # type: ignore[return-value]  # the caller reads the tables in it
    changes = {
        renamed.get(name, name): _typed(dot + name, value, known[name]) for name, value in table.items()
    }
    return replace(default, **changes)


def _known(default: object, renamed: Mapping[str, str]) -> dict[str, Any]:
    """Each key of a file with the value that stands for it."""
    if not is_dataclass(default) or isinstance(default, type):
        assert isinstance(default, Mapping)
        return dict(default)
    back = {inside: outside for outside, inside in renamed.items()}
    values = {each.name: getattr(default, each.name) for each in fields(default)}
    return {back.get(name, name): value for name, value in values.items()}


def _typed(name: str, value: object, default: object) -> object:
    """*value* as the type of *default*."""
    if isinstance(default, Mapping):
        if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
            return dict(value)
        message = f"{name} must be a table of texts, got {value!r}"
    elif isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        message = f"{name} must be a list of texts, got {value!r}"
    elif isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif type(value) is type(default):
        return value
    else:
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
        message = f"{name} must be {words[type(default)]}, got {value!r}"
    raise ConfigError(message)

"""Secrets of targets: read when they are needed, and never shown.

In the file of settings a secret is given as ``{ env = "NAME" }`` or ``{ file = "/path" }``, which is replaced
by what lies there when the settings are read. A ``token_file`` is read at every call, as Kubernetes and Vault
write a new token there while we run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from driftgauge.bridge.targets import Permanent

if TYPE_CHECKING:
    from pydantic import SecretStr


__all__ = ["hidden", "in_file", "looked_up", "one_line"]

SHORTEST: Final = 4  # hiding each "a" of a message would hide the message


def looked_up(value: Any) -> bool:
    """Whether it is ``{ env = "NAME" }`` or ``{ file = "/path" }``.

    Examples
    --------
    >>> looked_up({"env": "TOKEN"}), looked_up("TOKEN")
    (True, False)
    """
    return (
        isinstance(value, dict)
        and set(value) in ({"env"}, {"file"})
        and all(isinstance(each, str) for each in value.values())
    )


def one_line(given: SecretStr, what: str) -> str:
    """The secret, without the white space around it; empty where it is.

    Raises
    ------
    Permanent
        It has several lines or other characters that no header may hold; *what* names it.
    """
    found = given.get_secret_value().strip()
    if found and not found.isprintable():
        message = f"{what} has several lines or characters that cannot be shown; it must be one line"
        raise Permanent(message)
    return found


def in_file(path: str, what: str) -> str:
    """The secret that the file holds, as one line.

    Raises
    ------
    Permanent
        The file cannot be read, is empty, or has several lines.
    """
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no text"
        message = f"{what} {path!r} cannot be read: {told}; give a file with a token"
        raise Permanent(message) from None
    if not found or not found.isprintable():
        message = f"{what} {path!r} is empty or has several lines; it must be one line"
        raise Permanent(message)
    return found


def hidden(text: str, secrets: Iterable[str]) -> str:
    """*text* with each secret in it replaced by ``***``."""
    for each in sorted(set(secrets), key=len, reverse=True):
        if len(each) >= SHORTEST:
            text = text.replace(each, "***")
    return text

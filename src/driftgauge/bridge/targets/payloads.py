"""Payloads in the forms that systems take, and made harmless where a system would expand what is in them.

Values come from labels of alerts in the end. Argo, GitLab and Kubernetes replace ``{{...}}``, ``$NAME`` and
``$(NAME)`` in what they are given, so a label could otherwise read what it names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["RUN_ID", "as_json", "pick", "texts", "without_braces", "without_dollars", "without_references"]

RUN_ID: Final = "DRIFTGAUGE_RUN_ID"
_PERCENT: Final = re.compile(r"%(?=\w+%)")


def texts(payload: Mapping[str, Any], harmless: Callable[[str], str] = str) -> dict[str, str]:
    """Each value as text: a text as it is, anything else as JSON, both made *harmless*.

    Examples
    --------
    >>> texts({"model": "fraud", "features": ["age"], "score": 0.5, "window": None})
    {'model': 'fraud', 'features': '["age"]', 'score': '0.5', 'window': ''}
    """
    return {str(key): _text(value, harmless) for key, value in payload.items()}


def as_json(value: Any) -> str:
    """*value* as JSON; what is no number there, NaN and infinity, as null.

    Examples
    --------
    >>> as_json({"score": float("nan"), "words": "größer"})
    '{"score": null, "words": "größer"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _text(value: Any, harmless: Callable[[str], str]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return harmless(value)
    # Texts inside are made harmless before they are quoted, so that the JSON stays JSON.
    return as_json(_each(value, harmless))


def _each(value: Any, harmless: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, Mapping):
        return {harmless(str(key)): _each(each, harmless) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_each(each, harmless) for each in value]
    return value


def without_braces(value: Any) -> Any:
    """*value* with every ``{{`` in its texts broken up: Argo would expand it.

    Examples
    --------
    >>> without_braces({"model": "{{workflow.name}}"})
    {'model': '{ {workflow.name}}'}
    """
    return _each(value, lambda text: text.replace("{{", "{ {"))


def without_dollars(text: str) -> str:
    """*text* as a GitLab variable that is not expanded: ``$$`` for ``$``, ``%%`` where ``%NAME%`` begins.

    Examples
    --------
    >>> without_dollars("$CI_JOB_TOKEN %PATH% 95% drift")
    '$$CI_JOB_TOKEN %%PATH% 95% drift'
    """
    return _PERCENT.sub("%%", text.replace("$", "$$"))


def without_references(text: str) -> str:
    """*text* as the value of a container's variable that is not expanded: ``$$(`` for ``$(``.

    Examples
    --------
    >>> without_references("$(PASSWORD) costs $5")
    '$$(PASSWORD) costs $5'
    """
    return text.replace("$(", "$$(")


def pick(body: Any, *path: str, default: Any = "") -> Any:
    """What lies at *path* in decoded JSON; *default* where there is nothing.

    Examples
    --------
    >>> pick({"status": {"phase": "Running"}}, "status", "phase")
    'Running'
    """
    for name in path:
        if isinstance(body, Mapping):
            body = body.get(name)
        elif isinstance(body, list) and name.isdecimal() and int(name) < len(body):
            body = body[int(name)]
        else:
            return default
    return default if body is None else body

"""Payloads: a structure from the settings whose texts are Jinja templates, filled in from a run.

The structure stays as it is written: a label can become a text in it and nothing else, whatever quotes and
braces it holds. A text that is one expression and nothing else, ``"{{ features }}"``, becomes its value, with
its type; any other text becomes a text. Templates run in Jinja's sandbox, without loaders and globals,
and a name that is not there is an error.

=====================  ==================================================================================
`run_id`               the run's id, the same after a crash
`model`                its name; also `model_version`, `reference_id`, `window`, `dashboard`, `route`,
                       `target`
`features`             those that moved: each with `name`, `kind`, `alert`, `score`, `words`
`alert_keys`           fingerprint and start of each alert
`started_seconds`      when the run was decided
=====================  ==================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from driftgauge.bridge.targets import Feature, RunRequest
from driftgauge.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["EXAMPLE", "PayloadTemplate"]

PAYLOAD_BYTES: Final = 1 << 20
_EXPRESSION: Final = re.compile(r"\{\{((?:(?!\{\{|\}\}|\{%|\{#).)*)\}\}", re.DOTALL)

EXAMPLE: Final = RunRequest(
    run_id="driftgauge-churn-0123456789ab",
    key="0123456789ab" + "0" * 52,
    route="retrain",
    target="training",
    model="churn",
    model_version="3",
    reference_id="ab12",
    features=(Feature("age", "input", "DriftgaugeFeatureDrift", 1.4, "Input age of churn has drifted"),),
    window="24h",
    dashboard="https://grafana.example.com/d/driftgauge-model",
    alert_keys=("a032df54591bc2cd@2026-11-21T01:33:49.335000Z",),
    started_seconds=1_795_224_830.0,
)
"""A run that templates are tried with when the settings are read."""

Filled = Callable[[Mapping[str, Any]], Any]


class PayloadTemplate:
    """The payload of a route.

    Parameters
    ----------
    structure : mapping
        As the settings have it; empty for the whole of `RunRequest.as_dict`.
    where : str
        For messages.

    Raises
    ------
    ConfigError
        A template cannot be read, or cannot be filled in from an example.

    Examples
    --------
    >>> template = PayloadTemplate({"conf": {"model": "{{ model }}", "moved": "{{ features | length }}"}})
    >>> template.fill(EXAMPLE)
    {'conf': {'model': 'churn', 'moved': 1}}
    """

    def __init__(self, structure: Mapping[str, Any], where: str = "payload") -> None:
        try:
            from jinja2 import StrictUndefined, TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            message = "the bridge's templates need jinja2; pip install driftgauge[bridge]"
            raise MissingExtraError(message) from error
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        environment.globals.clear()
        try:
            self._fill = _compiled(environment, dict(structure)) if structure else None
            self.fill(EXAMPLE)
        except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError) as error:
            message = f"{where} cannot be filled in: {error}; names are {', '.join(EXAMPLE.as_dict())}"
            raise ConfigError(message) from error

    def fill(self, run: RunRequest) -> dict[str, Any]:
        """The payload of *run*: values that JSON has.

        Raises
        ------
        jinja2.TemplateError, ValueError, TypeError, ArithmeticError, LookupError
            It cannot be filled in, is no JSON or is larger than a megabyte.
        """
        values = run.as_dict()
        filled = values if self._fill is None else self._fill(values)
        text = json.dumps(filled, allow_nan=False)
        if len(text) > PAYLOAD_BYTES:
            message = f"the payload has {len(text)} characters, at most {PAYLOAD_BYTES} may be"
            raise ValueError(message)
        payload: dict[str, Any] = json.loads(text)
        return payload


def _compiled(environment: SandboxedEnvironment, given: Any) -> Filled:
    if isinstance(given, dict):
        parts = {str(key): _compiled(environment, each) for key, each in given.items()}
        return lambda values: {key: part(values) for key, part in parts.items()}
    if isinstance(given, list | tuple):
        items = [_compiled(environment, each) for each in given]
        return lambda values: [item(values) for item in items]
    if isinstance(given, str) and "{" in given:
        return _of_text(environment, given)
    return lambda _: given


def _of_text(environment: SandboxedEnvironment, text: str) -> Filled:
    alone = _EXPRESSION.fullmatch(text.strip())
    if alone:
        found = environment.compile_expression(alone[1].strip("-+ "), undefined_to_none=False)
        return lambda values: _known(found(**values))
    template = environment.from_string(text)
    return lambda values: template.render(**values)


def _known(value: Any) -> Any:
    """The value, or the error of one that is not there."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)
    return value

"""Any JSON at all, by JMESPath expressions in the configuration.

==================  ======================================================================================
key                 what it says
==================  ======================================================================================
``rows``            where the rows are, ``"instances"`` say; without it, the whole body
``inputs``          where each feature is, ``{age = "customer.age"}``: in a row where ``rows`` is given, else
                    in the body, as a column. A single expression: where the rows are, as ``rows``
``output_rows``     the same of the response
``outputs``         the same of the response
==================  ======================================================================================

A column expression such as ``features[].age`` leaves out rows in which there is nothing, as JMESPath's
projections do, and columns then differ in length. With ``rows`` and ``inputs`` what is absent from a row is
missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from driftgauge.errors import ConfigError, MissingExtraError
from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, read_json
from driftgauge.protocols._tables import Side, from_any
from driftgauge.protocols._types import Column, Decoded, Limits, Message

try:
    import jmespath  # type: ignore[import-untyped]
    from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]
except ImportError as error:  # pragma: no cover - the tests' environment has it
    _ABSENT = "the protocol 'mapping' needs jmespath; pip install driftgauge[sidecar]"
    raise MissingExtraError(_ABSENT) from error

__all__ = ["Mapped"]

_KEYS: Final = ("inputs", "output_rows", "outputs", "rows")


class Mapped(BaseDecoder):
    """The decoder ``mapping``.

    Parameters
    ----------
    limits : Limits
    mapping : mapping
        See the module.

    Raises
    ------
    ConfigError
        When it has other keys, none that says where inputs or outputs are, or no JMESPath.
    """

    name = "mapping"

    def __init__(self, limits: Limits, mapping: Mapping[str, Any] | None) -> None:
        super().__init__(limits)
        if not mapping:
            message = (
                "protocol 'mapping' needs a mapping that says where features are, "
                "such as {'rows': 'instances', 'inputs': {'age': 'user.age'}, 'outputs': '@'}"
            )
            raise ConfigError(message)
        unknown = sorted(set(mapping) - set(_KEYS))
        if unknown:
            message = f"mapping has the key {unknown[0]!r}; the keys there are: {', '.join(_KEYS)}"
            raise ConfigError(message)
        self._inputs = _Half(mapping, "rows", "inputs")
        self._outputs = _Half(mapping, "output_rows", "outputs")

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The inputs, as ``rows`` and ``inputs`` say."""
        return self._inputs.read(read_json(message, self.limits), side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """The outputs, as ``output_rows`` and ``outputs`` say."""
        return self._outputs.read(read_json(message, self.limits), side)


class _Half:
    """Expressions for one half of an exchange, compiled."""

    def __init__(self, mapping: Mapping[str, Any], rows_key: str, features_key: str) -> None:
        rows, features = mapping.get(rows_key), mapping.get(features_key)
        if isinstance(features, str):
            if rows is not None:
                message = (
                    f"mapping.{features_key} is one expression, {features!r}, beside mapping.{rows_key}; "
                    "leave one of them out"
                )
                raise ConfigError(message)
            rows, rows_key, features = features, features_key, None
        self._rows = None if rows is None else _compiled(rows, f"mapping.{rows_key}")
        self._features: dict[str, Any] = {}
        if features is None:
            return
        if not isinstance(features, Mapping):
            message = (
                f"mapping.{features_key} must be an expression or a table of them, got {features!r}; "
                "write {age = 'customer.age'}"
            )
            raise ConfigError(message)
        for name, expression in features.items():
            self._features[str(name)] = _compiled(expression, f"mapping.{features_key}.{name}")

    def read(self, body: Any, side: Side) -> Decoded:
        """Columns of what the expressions find."""
        found = body if self._rows is None else _search(self._rows, body)
        if not self._features:
            if found is None:
                raise Unfit(reason="bad_mapping", detail="the mapping finds no rows")
            return from_any(found, side, flat_row=True)
        wanted = {name: self._features[name] for name in side.expected if name in self._features}
        if not wanted:
            raise side.unknown()
        if self._rows is not None:
            return _from_rows(found, wanted, side)
        columns: dict[str, Column] = {}
        for name, expression in wanted.items():
            value = _search(expression, found)
            if value is None:
                continue
            columns[name] = side.clean(value if type(value) is list else [value])
        if not columns:
            raise Unfit(reason="bad_mapping", detail="the mapping finds none of the features")
        rows = len(next(iter(columns.values())))
        side.check_rows(rows)
        return side.decoded(columns, rows, names_given=True)


def _from_rows(found: Any, wanted: Mapping[str, Any], side: Side) -> Decoded:
    if found is None:
        raise Unfit(reason="bad_mapping", detail="the mapping finds no rows")
    rows = found if type(found) is list else [found]
    side.check_rows(len(rows))
    columns: dict[str, Column] = {
        name: side.clean([_search(expression, row) for row in rows]) for name, expression in wanted.items()
    }
    if all(value is None for column in columns.values() for value in column):
        raise Unfit(reason="bad_mapping", detail="the mapping finds none of the features in any row")
    return side.decoded(columns, len(rows), names_given=True)


def _compiled(expression: Any, key: str) -> Any:
    if not isinstance(expression, str):
        message = f"{key} must be a JMESPath expression, got {expression!r}"
        raise ConfigError(message)
    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        reason = str(error).strip().splitlines()[0]
        message = f"{key} is {expression!r}, which is not JMESPath: {reason}; see https://jmespath.org"
        raise ConfigError(message) from error


def _search(expression: Any, value: Any) -> Any:
    try:
        return expression.search(value)
    except (JMESPathError, TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
        detail = f"an expression of the mapping does not fit the body: {type(error).__name__}"
        raise Unfit(reason="bad_mapping", detail=detail) from error

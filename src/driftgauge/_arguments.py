"""Where the inputs are among the arguments of a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from driftgauge._capture import SHAPE, UNSUPPORTED, Refused, looks_like_data, other_rows
from driftgauge.errors import ConfigError

__all__ = ["Arguments", "Selector", "quoted"]

Selector = Callable[..., Any] | Sequence[str]


class Arguments:
    """Finds the inputs of one function, as `Monitor.watch` describes.

    Parameters
    ----------
    input_names : tuple of str
        Of the reference.
    inputs : callable or sequence of str, optional
    function : callable, optional
        For the names of its parameters.

    Attributes
    ----------
    names : tuple of str
        Of the columns of data that has none of its own.
    skip : int
        1 for a method that is watched where it is defined, whose first argument is the instance; else 0.
    plain : bool
        Whether the first argument, if it looks like data, is what is wanted.

    Raises
    ------
    ConfigError
        When *inputs* names neither parameters nor inputs.
    """

    def __init__(
        self, input_names: tuple[str, ...], inputs: Selector | None, function: Callable[..., Any] | None
    ) -> None:
        self.names = input_names
        self._inputs = input_names
        self._parameters = _parameters(function)
        in_class = self._parameters[:1] in (("self",), ("cls",)) and not inspect.ismethod(function)
        self.skip = 1 if in_class else 0
        self._select = inputs if callable(inputs) else None
        self._by_name: tuple[str, ...] = ()
        if inputs is None:
            if input_names and set(input_names) <= set(self._parameters):
                self._by_name = input_names
        elif not callable(inputs):
            self._use_names(tuple(inputs))
        self.plain = inputs is None and not self._by_name and len(input_names) > 0

    def _use_names(self, names: tuple[str, ...]) -> None:
        if names and set(names) <= set(self._parameters):
            self._by_name = names
        elif set(self._inputs) & set(names):
            self.names = names
        else:
            message = (
                f"inputs must name parameters of the function or columns, got {list(names)!r}; "
                f"the function has {list(self._parameters)!r}, the reference {sorted(self._inputs)!r}"
            )
            raise ConfigError(message)

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The inputs of a call.

        Raises
        ------
        Refused
            When there are none.
        """
        if self._select is not None:
            return self._select(*args, **kwargs)
        if self._by_name:
            named = self._bind(self._by_name, args, kwargs)
            if len(self._by_name) == 1 and named:
                value = named[self._by_name[0]]
                return value if looks_like_data(value) else named
            return named
        for value in (*args[self.skip :], *kwargs.values()):
            if looks_like_data(value):
                return value
        named = self._bind(self._inputs, args, kwargs)
        if named:
            return named
        scalars = args[self.skip :]
        if len(scalars) == len(self._inputs):
            return list(scalars)
        if scalars or not kwargs:
            types = [type(value).__name__ for value in scalars]
            raise Refused(
                UNSUPPORTED, max(map(other_rows, scalars), default=1), f"arguments of types {quoted(types)}"
            )
        raise Refused(SHAPE, 1, f"arguments {quoted(list(kwargs))}")

    def _bind(self, names: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = dict(zip(self._parameters, args, strict=False))
        return {
            name: source[name]
            for name in names
            for source in (kwargs, positional)
            if name in source  # a name in both is predict's to complain of
        }


def quoted(names: Sequence[object]) -> str:
    """*names* for a log line: 50 of them, 60 characters each, for a request may have made them up."""
    shown = ", ".join(repr(str(name)[:60]) for name in list(names)[:50])
    return f"[{shown}{', …' if len(names) > 50 else ''}]"


def _parameters(function: Callable[..., Any] | None) -> tuple[str, ...]:
    if function is None:
        return ()
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(parameter.name for parameter in parameters if parameter.kind not in variable)

"""What all decoders share: the door through which nothing is raised."""

from __future__ import annotations

from typing import ClassVar

from driftgauge.protocols._reading import Unfit
from driftgauge.protocols._tables import Side
from driftgauge.protocols._types import Decoded, Limits, Message, Names, Undecodable

__all__ = ["BaseDecoder"]


class BaseDecoder:
    """A decoder made of two readings that may raise `Unfit`.

    Parameters
    ----------
    limits : Limits
    """

    name: ClassVar[str]
    both_halves: ClassVar[bool] = False

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def __repr__(self) -> str:
        """As in the configuration."""
        return f"<decoder {self.name!r}>"

    def request(self, message: Message, names: Names) -> Decoded | Undecodable:
        """The inputs of a request, or why they cannot be read. It never raises."""
        side = Side(names.inputs, self.limits, self.name, categorical=names.categorical)
        return self._read(message, side, response=False, request=None)

    def response(self, message: Message, names: Names, request: Decoded | None) -> Decoded | Undecodable:
        """The outputs of a response, or why they cannot be read. It never raises."""
        rows = None if request is None else request.rows
        side = Side(names.outputs, self.limits, self.name, rows, names.categorical)
        return self._read(message, side, response=True, request=request)

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The inputs; `Unfit` is raised where they cannot be read."""
        raise NotImplementedError

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:
        """The outputs; `Unfit` is raised where they cannot be read."""
        raise NotImplementedError

    def _read(
        self, message: Message, side: Side, *, response: bool, request: Decoded | None
    ) -> Decoded | Undecodable:
        try:
            if response:
                return self.read_response(message, side, request)
            return self.read_request(message, side)
        except Unfit as unfit:
            return Undecodable(unfit.reason, unfit.detail)
        except RecursionError:
            return Undecodable("too_deep", "values are nested too deep to be read at all")
        except MemoryError:
            return Undecodable("too_large", "there is not enough memory to read it")
        except Exception as error:
            return Undecodable("internal_error", f"a {type(error).__name__} in the decoder {self.name!r}")

"""Bare JSON without an envelope, as services that people write themselves have it.

``{"age": 33, "amount": 12.5}`` is one row, ``[{…}, {…}]`` and ``[[33, 12.5], [51, 99.0]]`` are rows, and
``{"age": [33, 51], "amount": [12.5, 99.0]}`` are columns. A list of as many values as there are features is
one row.
"""

from __future__ import annotations

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import read_json
from driftgauge.protocols._tables import Side, from_any
from driftgauge.protocols._types import Decoded, Message

__all__ = ["PlainJson"]


class PlainJson(BaseDecoder):
    """The decoder ``json``."""

    name = "json"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """One row, rows or columns."""
        return from_any(read_json(message, self.limits), side, flat_row=True)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """One value, one row, rows or columns."""
        return from_any(read_json(message, self.limits), side)

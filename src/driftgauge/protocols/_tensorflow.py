"""TensorFlow Serving's REST, and KServe V1, which is its row form.

Row form: ``{"instances": [row, …]}`` and ``{"predictions": [row, …]}``. Column form: ``{"inputs": …}`` and
``{"outputs": …}``, each a dict of columns or the one tensor there is. Classify and regress: ``{"examples":
[dict, …]}`` and ``{"results": …}``.
"""

from __future__ import annotations

from typing import Any

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._reading import Unfit, read_json
from driftgauge.protocols._tables import Side, from_any, from_rows
from driftgauge.protocols._types import Decoded, Message

__all__ = ["KserveV1", "Tensorflow", "only_key"]


def only_key(value: Any, keys: tuple[str, ...]) -> tuple[str, Any]:
    """The one of *keys* that an object has, and what is there."""
    if type(value) is not dict:
        raise Unfit(reason="wrong_type", detail=f"the body is a {type(value).__name__}, not an object")
    found = [key for key in keys if key in value]
    if not found:
        raise Unfit(reason="missing_key", detail=f"the body has none of {', '.join(keys)}")
    if len(found) > 1:
        raise Unfit(reason="several_keys", detail=f"the body has {' and '.join(found)}")
    return found[0], value[found[0]]


def rows_of(value: Any) -> list[Any]:
    """A list of rows; refused when it is no list."""
    if type(value) is not list:
        raise Unfit(reason="wrong_type", detail=f"rows are a {type(value).__name__}, not a list")
    return value


class KserveV1(BaseDecoder):
    """The decoder ``kserve_v1``. KServe's servers take ``inputs`` in place of ``instances`` too."""

    name = "kserve_v1"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """Rows under ``instances``, or rows or columns under ``inputs``."""
        key, value = only_key(read_json(message, self.limits), ("instances", "inputs"))
        return from_rows(rows_of(value), side) if key == "instances" else from_any(value, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """Whatever is under ``predictions``, or ``outputs``."""
        _, value = only_key(read_json(message, self.limits), ("predictions", "outputs"))
        return from_any(value, side)


class Tensorflow(BaseDecoder):
    """The decoder ``tensorflow``."""

    name = "tensorflow"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """Rows under ``instances`` or ``examples``, columns under ``inputs``."""
        body = read_json(message, self.limits)
        key, value = only_key(body, ("instances", "inputs", "examples"))
        if key == "inputs":
            return from_any(value, side)
        rows = rows_of(value)
        shared = body.get("context")
        if key == "examples" and type(shared) is dict:  # features that all examples have in common
            if any(type(row) is not dict for row in rows):
                raise Unfit(reason="wrong_type", detail="an example is not an object")
            rows = [shared | row for row in rows]
        return from_rows(rows, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """Rows under ``predictions`` or ``results``, columns under ``outputs``."""
        key, value = only_key(read_json(message, self.limits), ("predictions", "outputs", "results"))
        if key != "results":
            return from_any(value, side)
        return from_rows([_classes(row) for row in rows_of(value)], side)


def _classes(row: Any) -> Any:
    """One result: of classify, ``[["ok", 0.9], ["fraud", 0.1]]``, a dict; of regress a number."""
    if type(row) is not list:
        return row
    if not all(type(pair) is list and len(pair) == 2 and type(pair[0]) is str for pair in row):
        raise Unfit(reason="wrong_shape", detail="a result is not a list of labels and scores")
    return dict(row)

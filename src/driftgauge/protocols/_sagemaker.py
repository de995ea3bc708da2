"""SageMaker's endpoints: CSV without a header, JSON lines, or JSON, each side by its own content type.

A first line of CSV in which a feature's name stands is a header, which MLflow's CSV has on the same path.
An answer of one line with as many values as there were rows is one value a row, as XGBoost's has it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._csv import csv_column, csv_rows
from driftgauge.protocols._reading import Unfit, content_type, open_body, parse_json, read_json
from driftgauge.protocols._tables import Side, from_any, from_rows
from driftgauge.protocols._types import Column, Decoded, Message

__all__ = ["CSV_TYPES", "JSON_LINES_TYPES", "Sagemaker", "SagemakerCsv", "SagemakerJsonLines"]

CSV_TYPES: Final = ("text/csv", "application/csv", "text/x-csv")
JSON_LINES_TYPES: Final = (
    "application/jsonlines",
    "application/json-lines",
    "application/x-jsonlines",
    "application/x-ndjson",
)
_ENVELOPES: Final = ("instances", "predictions")
_WRAPPERS: Final = ("data", "features", "values")
"""Around a row of built-in algorithms: ``{"features": […]}``, ``{"data": {"features": {"values": […]}}}``."""


class Sagemaker(BaseDecoder):
    """The decoder ``sagemaker``; without a content type, what starts like JSON is JSON, all else CSV."""

    name = "sagemaker"
    default: ClassVar[str] = ""

    def read_request(self, message: Message, side: Side) -> Decoded:
        """The rows of a request."""
        return self._rows(message, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """The rows of a response."""
        return self._rows(message, side)

    def _rows(self, message: Message, side: Side) -> Decoded:
        kind = content_type(message.headers)
        if kind not in CSV_TYPES and kind not in JSON_LINES_TYPES and "json" not in kind:
            if kind not in ("", "text/plain", "application/octet-stream"):
                raise Unfit(
                    reason="unsupported_content_type", detail="neither CSV nor JSON by its content type"
                )
            kind = self.default
        if kind in CSV_TYPES:
            return _from_csv(csv_rows(open_body(message, self.limits), self.limits), side)
        if kind in JSON_LINES_TYPES:
            return _from_json_rows(self._lines(message), side)
        if not kind and open_body(message, self.limits).lstrip()[:1] not in (b"{", b"["):
            return _from_csv(csv_rows(open_body(message, self.limits), self.limits), side)
        value = read_json(message, self.limits)
        if type(value) is dict:
            for envelope in _ENVELOPES:
                if type(value.get(envelope)) is list:
                    return _from_json_rows(value[envelope], side)
            if len(value) == 1 and next(iter(value)) in _WRAPPERS:
                return _from_json_rows([value], side)
        return from_any(value, side)

    def _lines(self, message: Message) -> list[Any]:
        body = open_body(message, self.limits)
        if body.count(b",") + body.count(b"\n") > self.limits.values:
            raise Unfit(reason="too_many_values", detail=f"more than {self.limits.values} values")
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) > self.limits.rows:
            raise Unfit(reason="too_many_rows", detail=f"{len(lines)} rows; at most {self.limits.rows}")
        return [parse_json(line, self.limits) for line in lines]


class SagemakerCsv(Sagemaker):
    """The decoder ``sagemaker_csv``: CSV, unless the content type says otherwise."""

    name = "sagemaker_csv"
    default = "text/csv"


class SagemakerJsonLines(Sagemaker):
    """The decoder ``sagemaker_jsonlines``: JSON lines, unless the content type says otherwise."""

    name = "sagemaker_jsonlines"
    default = "application/jsonlines"


def _from_json_rows(rows: list[Any], side: Side) -> Decoded:
    for wrapper in _WRAPPERS:
        if wrapper not in side.known and rows and all(_is_wrapped(row, wrapper) for row in rows):
            rows = [row[wrapper] for row in rows]
    return from_rows(rows, side)


def _is_wrapped(row: Any, wrapper: str) -> bool:
    return type(row) is dict and len(row) == 1 and type(row.get(wrapper)) in (dict, list)


def _from_csv(rows: list[list[str]], side: Side) -> Decoded:
    names = list(side.expected)
    header = [cell.strip() for cell in rows[0]]
    wanted = side.places(header)
    if wanted:
        rows = rows[1:]
    elif len(rows) == 1 and len(names) == 1 and side.rows == len(rows[0]):
        rows = [[cell] for cell in rows[0]]
    side.check_rows(len(rows))
    widths = set(map(len, rows))
    side.check_columns(max(widths))
    if len(widths) > 1:
        raise Unfit(reason="wrong_shape", detail="lines have different numbers of cells")
    if wanted:
        if widths != {len(header)}:
            raise Unfit(reason="wrong_shape", detail="lines have another number of cells than the header")
        places = wanted
    elif widths != {len(names)}:
        raise side.misfit(widths.pop())
    else:
        places = {name: place for place, name in enumerate(names)}
    columns: dict[str, Column] = {
        name: csv_column([row[place] for row in rows], name, side) for name, place in places.items()
    }
    return side.decoded(columns, len(rows), names_given=bool(wanted))

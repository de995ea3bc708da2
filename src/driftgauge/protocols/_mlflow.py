"""MLflow's ``/invocations``: five forms of a request, one of a response.

``dataframe_split``, ``dataframe_records``, ``instances`` and ``inputs`` in JSON, exactly one of them, and CSV
with a header. Responses are ``{"predictions": …}``. ``params`` go to the model and are not looked at.
"""

from __future__ import annotations

from typing import Any

from driftgauge.protocols._base import BaseDecoder
from driftgauge.protocols._csv import csv_column, csv_rows
from driftgauge.protocols._reading import Unfit, content_type, open_body, read_json
from driftgauge.protocols._tables import Side, from_any, from_matrix
from driftgauge.protocols._tensorflow import only_key, rows_of
from driftgauge.protocols._types import Column, Decoded, Message

__all__ = ["Mlflow"]

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class Mlflow(BaseDecoder):
    """The decoder ``mlflow``."""

    name = "mlflow"

    def read_request(self, message: Message, side: Side) -> Decoded:
        """Rows or columns in whichever form they came."""
        if content_type(message.headers) in ("text/csv", "application/csv"):
            return self._csv(message, side)
        form, value = only_key(read_json(message, self.limits), _FORMS)
        if form == "dataframe_split":
            return self._split(value, side)
        return from_any(value, side)

    def read_response(self, message: Message, side: Side, request: Decoded | None) -> Decoded:  # noqa: ARG002
        """Whatever is under ``predictions``."""
        _, value = only_key(read_json(message, self.limits), ("predictions",))
        return self._split(value, side) if _is_split(value) else from_any(value, side)

    def _csv(self, message: Message, side: Side) -> Decoded:
        header, *rows = csv_rows(open_body(message, self.limits), self.limits)
        side.check_rows(len(rows))
        side.check_columns(len(header))
        if set(map(len, rows)) != {len(header)}:
            detail = f"a line has another number of cells than the header's {len(header)}"
            raise Unfit(reason="wrong_length", detail=detail)
        places = side.places(header)
        if not places:
            raise side.unknown()
        columns: dict[str, Column] = {
            name: csv_column([row[place] for row in rows], name, side) for name, place in places.items()
        }
        return side.decoded(columns, len(rows), names_given=True)

    def _split(self, value: Any, side: Side) -> Decoded:
        """A data frame as ``{"columns": […], "data": [[…], …]}``; an index is not looked at."""
        _, data = only_key(value, ("data",))
        rows = rows_of(data)
        names = value.get("columns")
        if names is None:
            return from_any(rows, side)
        if type(names) is not list or any(type(name) not in (str, int) for name in names):
            raise Unfit(reason="wrong_type", detail="columns are not a list of names")
        numbered = all(type(name) is int for name in names)  # pandas numbers columns that have no names
        return from_matrix([str(name) for name in names], rows, side, or_by_position=numbered)


def _is_split(value: Any) -> bool:
    return type(value) is dict and {"columns", "data"} <= set(value) <= {"columns", "index", "data"}

"""Recorded payloads of real servers, beside these tests, and what they say.

Those of KServe, MLflow, MLServer, Seldon and Triton were recorded from the servers themselves (November
2026), by clients that sent the same two rows: age 33 and amount 12.5, age 51 and amount 99. The events of
KServe's logger, SageMaker's, TensorFlow Serving's and TorchServe's are written from source or documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from driftgauge.protocols import Decoded, Exchange, Message, Names

PAYLOADS = Path(__file__).parent / "payloads"
INPUTS = ("age", "amount")
ONE_LABEL = Names(INPUTS, ("label",))
TWO_SCORES = Names(INPUTS, ("ok", "fraud"))
LABEL_AND_PARTS = Names(INPUTS, ("label", "proba_0", "proba_1"))
ROWS = {"age": [33, 51], "amount": [12.5, 99.0]}
SCORES = [0.9999999937223485, 6.277651459394965e-09, 0.0, 1.0]


def recorded(name: str, headers: Mapping[str, str] | None = None, path: str = "") -> Message:
    """A body as it was recorded."""
    return Message((PAYLOADS / name).read_bytes(), headers or {}, path)


def as_json(value: Any, headers: Mapping[str, str] | None = None, path: str = "") -> Message:
    """A body that holds a value as JSON."""
    return Message(json.dumps(value).encode(), headers or {}, path)


def head(name: str) -> dict[str, str]:
    """Headers of a recorded response or event, names in lower case."""
    lines = (PAYLOADS / name).read_text(encoding="latin-1").split("\n\n")[0].splitlines()[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def event(name: str) -> Message:
    """A recorded event of KServe's payload logger."""
    _, _, body = (PAYLOADS / name).read_bytes().partition(b"\n\n")
    return Message(body, head(name))


def plain(columns: Mapping[str, Any] | None) -> dict[str, list[Any]] | None:
    """Columns as lists of Python values."""
    if columns is None:
        return None
    return {
        name: column.tolist() if isinstance(column, np.ndarray) else list(column)
        for name, column in columns.items()
    }


def rows_of(found: Any) -> dict[str, list[Any]]:
    """Columns of what was decoded, which must have been."""
    assert isinstance(found, Decoded), found
    columns = plain(found.columns)
    assert columns is not None
    assert {len(column) for column in columns.values()} == {found.rows}
    return columns


def halves(found: Any) -> tuple[dict[str, list[Any]] | None, dict[str, list[Any]] | None]:
    """Inputs and outputs of an exchange, which must have been decoded."""
    assert isinstance(found, Exchange), found
    return plain(found.inputs), plain(found.outputs)

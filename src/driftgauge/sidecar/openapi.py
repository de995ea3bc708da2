"""What the sink and ingest take and answer, as parts of an OpenAPI 3.1 description."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["ARROW_TYPES", "JSON_TYPES", "LINES_TYPES", "ingest_openapi", "sink_openapi"]

JSON_TYPES: Final = ("application/json",)
LINES_TYPES: Final = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
)
ARROW_TYPES: Final = ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file")

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TOKEN: Final[list[dict[str, list[str]]]] = [{}, {"token": []}]
_BINARY: Final = {"type": "string", "format": "binary"}

_VALUE: Final = {
    "description": "What a feature has in one row; null where it is missing",
    "type": ["number", "string", "boolean", "null"],
}
_ROW: Final = {
    "description": "Values of a row by the names of inputs and outputs; other names are passed over",
    "type": "object",
    "minProperties": 1,
    "additionalProperties": True,
}
_OBSERVATIONS: Final = {
    "description": "Rows of one model, as rows or as columns",
    "type": "object",
    "properties": {
        "model": {"type": "string", "description": "Its name; may be left out where there is one model"},
        "rows": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Row"}},
        "columns": {
            "description": "Values by the names of features, all of one length",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "array", "items": {"$ref": "#/components/schemas/Value"}},
        },
    },
    "oneOf": [{"required": ["rows"]}, {"required": ["columns"]}],
    "additionalProperties": False,
}
_TAKEN: Final = {
    "type": "object",
    "required": ["model", "rows", "missing_features"],
    "properties": {
        "model": {"type": "string"},
        "rows": {"type": "integer", "minimum": 1},
        "missing_features": {
            "description": "Features of the reference that no row had; they count as missing",
            "type": "array",
            "items": {"type": "string"},
        },
    },
    "additionalProperties": False,
}


def _failing(**texts: str) -> dict[str, Any]:
    return {status.lstrip("_"): {"description": text, "content": _PROBLEM} for status, text in texts.items()}


_GUARDED: Final = _failing(
    _401="The token is missing or wrong", _403="Not from elsewhere, or not without a token"
)


def ingest_openapi(path: str) -> dict[str, Any]:
    """Of ``POST /v1/observations``.

    Parameters
    ----------
    path : str
        Where rows are posted; empty for nowhere.

    Examples
    --------
    >>> list(ingest_openapi("/v1/observations")["paths"])
    ['/v1/observations']
    """
    if not path:
        return {}
    content = {
        **{each: {"schema": {"$ref": "#/components/schemas/Observations"}} for each in JSON_TYPES},
        **{
            each: {"schema": {"type": "string", "description": "One Row a line"}, "example": '{"age": 33}\n'}
            for each in LINES_TYPES
        },
        **{each: {"schema": _BINARY} for each in ARROW_TYPES},
    }
    operation = {
        "operationId": "observe",
        "summary": "Count rows of a model",
        "description": "All rows of a body are taken or none. Bodies may be compressed with gzip or deflate.",
        "parameters": [
            {
                "name": "model",
                "in": "query",
                "description": "Its name, where the body does not say it and there are several",
                "required": False,
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "202": {
                "description": "The rows are counted within a moment",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Taken"}}},
            },
            **_failing(
                _400="The rows cannot be read; reason says why",
                _404="There is no such model",
                _408="The body did not arrive in time",
                _413="The body is too large, as it came or decompressed",
                _415="The content type is none of these",
                _501="A package that reads this form is not installed",
            ),
            "503": {
                "description": "Rows come faster than they are counted; try again",
                "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
                "content": _PROBLEM,
            },
            **_GUARDED,
        },
        "security": _TOKEN,
    }
    return {
        "paths": {path: {"post": operation}},
        "components": {
            "schemas": {"Observations": _OBSERVATIONS, "Row": _ROW, "Taken": _TAKEN, "Value": _VALUE}
        },
    }


def sink_openapi(path: str) -> dict[str, Any]:
    """Of the sink of a payload logger.

    Parameters
    ----------
    path : str
        Where events are posted; empty for nowhere.
    """
    if not path:
        return {}
    event = {"type": "object", "description": "A CloudEvent 1.0 in structured mode"}
    content = {
        "application/cloudevents+json": {"schema": event},
        "application/cloudevents-batch+json": {"schema": {"type": "array", "items": event}},
        "*/*": {"schema": _BINARY},
    }
    answers = {
        "200": {"description": "The event is taken, or dropped and counted. Empty"},
        **_failing(
            _408="The event did not arrive in time",
            _413="The event is larger than the limit",
            _415="This is no CloudEvent",
            _503="Too many events arrive at a time",
        ),
        **_GUARDED,
    }

    def operation(name: str, summary: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
        headers = [
            {
                "name": header,
                "in": "header",
                "description": "In binary mode",
                "required": False,
                "schema": {"type": "string"},
            }
            for header in ("Ce-Id", "Ce-Type", "Ce-Inferenceservicename", "Ce-Namespace")
        ]
        return {
            "operationId": name,
            "summary": summary,
            "parameters": [*parameters, *headers],
            "requestBody": {"required": True, "content": content},
            "responses": answers,
            "security": _TOKEN,
        }

    model = {
        "name": "model",
        "in": "path",
        "description": "Name of the model",
        "required": True,
        "schema": {"type": "string"},
    }
    return {
        "paths": {
            path: {"post": operation("event", "Take an event of a payload logger", [])},
            path + "/{model}": {
                "post": operation(
                    "event_of_model", "Take an event of a payload logger, of one model", [model]
                )
            },
        }
    }

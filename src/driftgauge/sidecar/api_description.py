"""The HTTP surface for machines: OpenAPI 3.1 of every address that is turned on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["description"]

_TEXT: Final = {"text/plain": {"schema": {"type": "string"}}}
_JSON: Final = {"application/json": {"schema": {"type": "object"}}}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def description(ways: Iterable[object]) -> dict[str, Any]:
    """The description, with what the ways in say of their own paths by ``openapi()``."""
    paths: dict[str, Any] = {
        "/": {"get": _operation("status", "A page with models, windows and worst features", ["text/html"])},
        "/metrics": {
            "get": _operation(
                "metrics",
                "Every metric of every model, for Prometheus",
                ["text/plain", "application/openmetrics-text"],
                [_query("name[]", "Only these series", many=True)],
            )
        },
        "/-/healthy": {"get": _operation("healthy", "Whether the process answers", ["text/plain"])},
        "/-/ready": {
            "get": _operation(
                "ready",
                "Whether models are loaded and nothing is being stopped",
                ["text/plain"],
                failing=(503,),
            )
        },
        "/-/reload": {
            "post": {
                **_operation(
                    "reload", "Read every reference again, now", ["application/json"], failing=(500,)
                ),
                "security": [{}, {"token": []}],
            }
        },
        "/api/v1/snapshot": {
            "get": _operation(
                "snapshot",
                "Everything that is known: windows, statistics, evidence, counters",
                ["application/json"],
                [_query("model", "One model; without it all of them")],
                failing=(404,),
            )
        },
        "/api/v1/state": {
            "get": {
                **_operation(
                    "state",
                    "Models, references and windows; with window, the state of one window, which merges with "
                    "others of the same reference (driftgauge.windows.WindowState)",
                    ["application/json", "application/zip"],
                    [_query("model", "One model"), _query("window", "Name of a window, such as 24h")],
                    failing=(404,),
                ),
                "security": [{}, {"token": []}],
            }
        },
        "/openapi.json": {"get": _operation("openapi", "This description", ["application/json"])},
    }
    schemas: dict[str, Any] = {}
    for way in ways:
        own: dict[str, Any] = getattr(way, "openapi", dict)()
        paths.update(own.get("paths", {}))
        schemas.update(own.get("components", {}).get("schemas", {}))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "driftgauge sidecar",
            "version": "1",
            "summary": "Drift of what a model sees and says",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **schemas,
                "Problem": {
                    "type": "object",
                    "description": "RFC 9457",
                    "required": ["title", "status", "reason", "detail"],
                    "properties": {
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "reason": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    }


def _operation(
    name: str,
    summary: str,
    types: list[str],
    parameters: list[dict[str, Any]] | None = None,
    failing: tuple[int, ...] = (),
) -> dict[str, Any]:
    content = {each: {"schema": {"type": "object" if "json" in each else "string"}} for each in types}
    return {
        "operationId": name,
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {
            "200": {"description": "Done", "content": content},
            **{str(status): {"description": "Not done", "content": _PROBLEM} for status in failing},
            "401": {"description": "The token is missing or wrong", "content": _PROBLEM},
            "403": {"description": "Not from elsewhere, or not without a token", "content": _PROBLEM},
        },
    }


def _query(name: str, text: str, *, many: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}} if many else {"type": "string"}
    return {"name": name, "in": "query", "description": text, "required": False, "schema": schema}

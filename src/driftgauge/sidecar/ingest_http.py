"""Bodies of requests, read within limits, and answers for people."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from driftgauge.protocols import Message

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["BodyRoom", "headers_of", "message_of", "problem", "told"]

BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive."""


class BodyRoom:
    """Memory for bodies that arrive or wait to be parsed, over all requests.

    Parameters
    ----------
    body_bytes : int
        Of one body.
    all_bytes : int
        Of all of them at a time.
    """

    def __init__(self, body_bytes: int, all_bytes: int) -> None:
        self.body_bytes = body_bytes
        self.all_bytes = all_bytes
        self.taken = 0

    async def read(self, request: web.Request) -> bytes | str:
        """The body as it came; or why not: ``'too_large'``, ``'queue_full'``, ``'aborted'``."""
        if (request.content_length or 0) > self.body_bytes:
            return "too_large"
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.content.iter_any():
                    size += len(part)
                    self.taken += len(part)
                    if size > self.body_bytes:
                        return "too_large"
                    if self.taken > self.all_bytes:
                        return "queue_full"
                    parts.append(part)
        except TimeoutError:
            return "aborted"
        except OSError:  # aiohttp's ClientConnectionError, ConnectionResetError
            return "aborted"
        finally:
            self.taken -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @contextlib.contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Count *size* bytes that have arrived, as long as they wait to be parsed."""
        self.taken += size
        try:
            yield
        finally:
            self.taken -= size


def headers_of(request: web.Request) -> dict[str, str]:
    """Headers with names in lower case; of one that came twice the first."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), value)
    return headers


def message_of(request: web.Request, body: bytes) -> Message:
    """What decoders take."""
    return Message(body, headers_of(request), request.path)


def told(status: int, answer: dict[str, Any]) -> web.Response:
    """An answer in JSON."""
    from aiohttp import web

    return web.Response(status=status, text=json.dumps(answer) + "\n", content_type="application/json")


def problem(status: int, reason: str, detail: str, *, retry_seconds: int = 0) -> web.Response:
    """What went wrong, as RFC 9457 has it, with the reason that counters have.

    After a body that was not read to its end the connection is closed: its rest would be taken for a request.
    """
    from aiohttp import web

    answer = {"title": HTTPStatus(status).phrase, "status": status, "reason": reason, "detail": detail}
    headers = {"Retry-After": str(retry_seconds)} if retry_seconds else {}
    response = web.Response(
        status=status,
        text=json.dumps(answer) + "\n",
        content_type="application/problem+json",
        headers=headers,
    )
    if reason in ("too_large", "queue_full", "aborted"):
        response.force_close()
    return response

"""A model behind gunicorn or uvicorn, whose workers share a directory and write down what they were given.

Settings come from the environment: ``SHARED`` is the directory, ``ROWS`` the folder of what was given.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import shared_cases
from numpy.typing import NDArray

import driftgauge
from driftgauge.monitor import Monitor

monitor = Monitor(
    shared_cases.reference(),
    windows=shared_cases.WINDOWS,
    budget=driftgauge.one_false_alert(per="30m", evaluate_every="1s"),
    shared_directory=os.environ["SHARED"],
)
_metrics = driftgauge.exporter("prometheus")
_wsgi_metrics, _asgi_metrics = _metrics.wsgi_app(monitor), _metrics.asgi_app(monitor)


@monitor.watch
def predict(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    return inputs[:, 0] / 100 + 0.1


def answer(body: bytes) -> bytes:
    """Predict rows of two inputs; what the monitor was given is appended to the file of this process."""
    inputs = np.frombuffer(body).reshape(-1, 2).copy()
    outputs = predict(inputs)
    whole = np.column_stack((inputs, outputs))
    target = os.open(Path(os.environ["ROWS"]) / str(os.getpid()), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(target, whole.tobytes())  # one call, so that it is all there or not when the process is killed
    os.close(target)
    return str(os.getpid()).encode()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/metrics":
        return _wsgi_metrics(environ, start_response)
    body = answer(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/metrics":
        await _asgi_metrics(scope, receive, send)
        return
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part["body"], part.get("more_body", False)
    said = answer(body)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]}
    )
    await send({"type": "http.response.body", "body": said})

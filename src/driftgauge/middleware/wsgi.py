"""Watches a WSGI application: of Flask, Django, Pyramid, Bottle or anything else that makes one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from driftgauge.middleware._exchange import Exchange
from driftgauge.middleware._routes import Route
from driftgauge.middleware._watcher import Watcher

__all__ = ["DriftgaugeMiddleware", "Route"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[Any]]


class DriftgaugeMiddleware(Watcher):
    """An application whose exchanges on some routes are counted by a monitor, and which is otherwise itself.

    Parameters
    ----------
    app : WSGI application
    monitor : Monitor
    routes : iterable of Route
        Which requests carry rows; the first that matches counts. All else passes untouched.
    limits : Limits
        How large an exchange may be; a larger one is dropped as ``too_large``, and passes all the same.
    queue_payloads, queue_bytes : int
        How many exchanges may wait to be decoded, and what they and those under way may hold, for each
        protocol. Default 1,000 and 64 MiB; what comes on top is dropped as ``queue_full``.

    Raises
    ------
    ConfigError
        When a parameter is of a wrong type or out of its range.
    MissingExtraError
        When a protocol needs a library that is not installed.

    Examples
    --------
    With Flask: ``app.wsgi_app = DriftgaugeMiddleware(app.wsgi_app, monitor, [Route("/predict")])``. By hand:

    >>> import io
    >>> import numpy as np
    >>> from driftgauge import Monitor, Reference
    >>> train = {"age": np.arange(20.0, 60.0), "score": np.linspace(0.0, 1.0, 40)}
    >>> monitor = Monitor(Reference.fit(train, outputs=["score"]), min_rows=1)
    >>> def serve(environ, start_response):
    ...     environ["wsgi.input"].read()
    ...     start_response("200 OK", [("Content-Type", "application/json")])
    ...     return [b'{"predictions": [0.5]}']
    >>> app = DriftgaugeMiddleware(serve, monitor, [Route("/v1/models/*:predict", protocol="kserve_v1")])
    >>> environ = {
    ...     "REQUEST_METHOD": "POST",
    ...     "PATH_INFO": "/v1/models/fraud:predict",
    ...     "CONTENT_LENGTH": "21",
    ...     "wsgi.input": io.BytesIO(b'{"instances": [[33]]}'),
    ... }
    >>> answer = app(environ, lambda status, headers: None)
    >>> list(answer), answer.close()
    ([b'{"predictions": [0.5]}'], None)
    >>> app.drain(5.0), monitor.snapshot().rows, monitor.snapshot().payloads[0].decoded
    (True, 1, 1)

    Notes
    -----
    Chunks are passed on as they are and when they are. Exchanges are counted when the server closes the
    answer. Those with a status other than 2xx are dropped as ``not_ok``, those cut short as ``aborted``, and
    those given before the request was read, or sent by the server from a file, as ``unpaired``.
    """

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[Any]:
        """Serve one request."""
        app: Application = self.app
        exchange = self._begin(environ)
        if exchange is None:
            return app(environ, start_response)
        if "wsgi.input" in environ:
            environ["wsgi.input"] = _Input(environ["wsgi.input"], exchange, _length(environ))
        try:
            answer = app(environ, _started(exchange, start_response))
        except Exception:
            exchange.fail()
            raise
        if _is_file(answer, environ.get("wsgi.file_wrapper")):
            # Servers send their own kind of answer faster, and know it by its type.
            exchange.response.lose("unpaired")
            exchange.finish(complete=True)
            return answer
        return _SizedAnswer(answer, exchange) if hasattr(answer, "__len__") else _Answer(answer, exchange)

    def _begin(self, environ: Environ) -> Exchange | None:
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace") or "/"
            exchange = self.begin(environ["REQUEST_METHOD"], path)
            if exchange is not None:
                exchange.request.see(_headers(environ))
        except Exception:  # a server of its own kind: nobody's business here
            return None
        return exchange


def _is_file(answer: object, file_wrapper: object) -> bool:
    return isinstance(file_wrapper, type) and isinstance(answer, file_wrapper)


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for name in ("CONTENT_TYPE", "HTTP_CONTENT_ENCODING", "HTTP_INFERENCE_HEADER_CONTENT_LENGTH"):
        yield name.removeprefix("HTTP_").replace("_", "-"), environ.get(name) or ""


def _length(environ: Environ) -> int | None:
    """How long the request says it is; None when it ends where its stream ends."""
    try:
        return max(0, int(environ.get("CONTENT_LENGTH") or ""))
    except ValueError:
        return None


def _started(exchange: Exchange, start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], *more: Any, **named: Any) -> Any:
        write = start_response(status, headers, *more, **named)
        try:
            exchange.status = int(status.split(" ", 1)[0])
            exchange.response.see(headers)
        except Exception:
            exchange.response.lose("internal_error")
        if write is None:
            return None

        def tell(chunk: Any) -> Any:
            told = write(chunk)
            exchange.response.add(chunk)
            return told

        return tell

    return start


class _Input:
    """The request's body as its reader sees it: whatever the server's stream can do, and nothing else."""

    READS: Final = frozenset({"read", "read1", "readline", "readlines", "readinto", "readinto1"})

    def __init__(self, stream: Any, exchange: Exchange, length: int | None) -> None:
        self._stream = stream
        self._exchange = exchange
        self._left = length
        self._seen(b"", at_end=length == 0)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        if name in self.READS:
            return functools.partial(self._read, name, found)
        return functools.partial(self._seek, found) if name == "seek" else found

    def __iter__(self) -> Iterator[bytes]:
        for line in self._stream:
            self._seen(line, at_end=False)
            yield line
        self._seen(b"", at_end=True)

    def _seek(self, seek: Callable[..., Any], *where: Any) -> Any:
        if not self._exchange.request_complete:  # what is read again must not be counted again
            self._exchange.request.lose("unpaired")
        return seek(*where)

    def _read(self, name: str, read: Callable[..., Any], *size: Any, **named: Any) -> Any:
        found = read(*size, **named)
        try:
            if name.startswith("readinto"):
                chunk = bytes(memoryview(size[0]).cast("B")[: found or 0])
            else:
                chunk = b"".join(found) if name == "readlines" else found or b""
            asked = next(iter(size or named.values()), -1)
            everything = asked is None or (isinstance(asked, int) and asked < 0)
            self._seen(chunk, at_end=(asked != 0 and not chunk) or (everything and name != "readline"))
        except Exception:
            self._exchange.request.lose("internal_error")
        return found

    def _seen(self, chunk: bytes, *, at_end: bool) -> None:
        if self._exchange.request_complete:
            return
        self._exchange.request.add(chunk)
        if self._left is not None:
            self._left -= len(chunk)
        if at_end if self._left is None else self._left <= 0:
            self._exchange.request_complete = True


class _Answer:
    """What the application answers, chunk by chunk."""

    def __init__(self, answer: Iterable[Any], exchange: Exchange) -> None:
        self._answer = answer
        self._exchange = exchange
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._answer:
            yield chunk
            self._exchange.response.add(chunk)
        self._ended = True

    def close(self) -> None:
        try:
            if hasattr(self._answer, "close"):
                self._answer.close()
        finally:
            self._exchange.finish(complete=self._ended)


class _SizedAnswer(_Answer):
    """An answer of known length, by which servers see that one chunk is all there is."""

    def __len__(self) -> int:
        return len(self._answer)  # type: ignore[arg-type]

"""KServe's payload logger as it behaves, and a sink for its events. The real one is Go, in a cluster.

As in kserve `pkg/logger`: a request's event is sent with the request, a response's event only after a
status of 200; both carry the request's content type; one connection an event; nothing is tried again; the
body is passed as it is, and of the headers only what is listed below.
"""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

HOP = {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}
Seen = tuple[tuple[tuple[str, str], ...], bytes]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server:
    """A server of the standard library on a loopback port of its own."""

    def __init__(self) -> None:
        owner = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                owner.take(self)

            do_GET = do_POST  # noqa: N815 - the base class wants it so

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, handler: _Handler) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def seen(headers: Any, body: bytes) -> Seen:
    """An event as its receiver sees it, without what belongs to the connection."""
    kept = (
        (name.lower(), value) for name, value in headers if name.lower().startswith(("ce-", "content-type"))
    )
    return tuple(sorted(kept)), body


class EventSink(_Server):
    """Keeps the events that it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Seen] = []

    def take(self, handler: _Handler) -> None:
        self.events.append(seen(handler.headers.items(), handler.body()))
        handler.answer(200, [], b"")


class Logger(_Server):
    """Passes requests on to a model server, and sends events of them to a sink."""

    def __init__(self, upstream: str, sink: str) -> None:
        super().__init__()
        self._upstream = urlsplit(upstream)
        self._sink = urlsplit(sink)
        self.events: list[Seen] = []
        self.sent = 0
        self.refused = 0

    def take(self, handler: _Handler) -> None:
        body = handler.body()
        passed = {name: value for name, value in handler.headers.items() if name.lower() not in HOP}
        inference = handler.command == "POST" and handler.path.partition("?")[0].endswith(
            ("predict", "infer")
        )
        event_id = handler.headers.get("Ce-Id") or str(uuid.uuid4())
        content_type = handler.headers.get("Content-Type", "")
        if inference:
            self._log("request", event_id, content_type, body)
        connection = http.client.HTTPConnection(str(self._upstream.hostname), self._upstream.port, timeout=30)
        connection.request(handler.command, handler.path, body or None, passed)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        if inference and answer.status == 200:
            self._log("response", event_id, content_type, read)
        headers = [each for each in answer.getheaders() if each[0].lower() not in HOP]
        handler.answer(answer.status, headers, read)

    def _log(self, kind: str, event_id: str, content_type: str, body: bytes) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        headers = {
            "Content-Type": content_type,
            "Ce-Id": event_id,
            "Ce-Specversion": "1.0",
            "Ce-Type": f"org.kubeflow.serving.inference.{kind}",
            "Ce-Source": "http://localhost:9081/",
            "Ce-Time": now,
            "Ce-Recordedtime": now,
            "Ce-Inferenceservicename": "risk",
            "Ce-Namespace": "ml",
            "Ce-Component": "predictor",
            "Ce-Endpoint": "default",
            "Ce-Metadata": "{}",
            "Ce-Annotations": "{}",
        }
        self.events.append(seen(headers.items(), body))
        threading.Thread(target=self._send, args=(headers, body), daemon=True).start()

    def _send(self, headers: dict[str, str], body: bytes) -> None:
        connection = http.client.HTTPConnection(str(self._sink.hostname), self._sink.port, timeout=30)
        connection.request("POST", self._sink.path, body, {"User-Agent": "Go-http-client/1.1", **headers})
        self.refused += connection.getresponse().status != 200
        connection.close()
        self.sent += 1


@contextmanager
def logging_in_front_of(upstream: str, sink: str) -> Iterator[Logger]:
    """A logger between clients and a model server."""
    with Logger(upstream, sink) as logger:
        yield logger

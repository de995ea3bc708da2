"""A training system on loopback, in the test's own thread of asyncio or in a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Trainer:
    """Takes runs by their id, and knows an id again: 409.

    `starts` counts the runs that were started, by id, and `calls` the requests. `script` holds statuses that
    are answered first, and then *moods* is asked; an answer of 0 is given by closing the connection after the
    run was started. One that does not know ids starts what it is told as often as it is told.
    """

    def __init__(self, *, knows_ids: bool = True, moods: Callable[[], int] = lambda: 200) -> None:
        self.starts: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.payloads: list[dict[str, Any]] = []
        self.script: list[int] = []
        self.answers_after: Callable[[], float] = lambda: 0.0
        self.lock = threading.Lock()
        self._knows_ids, self._moods = knows_ids, moods
        trainer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = trainer.take(self.headers["Idempotency-Key"], body)
                time.sleep(trainer.answers_after())
                self._answer(status)

            def do_GET(self) -> None:
                self._answer(200)

            def _answer(self, status: int) -> None:
                if not status:
                    self.close_connection = True
                    return
                text = b'{"id": "x", "state": "succeeded"}'
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:  # whoever asked was killed
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def take(self, run_id: str, body: dict[str, Any]) -> int:
        with self.lock:
            self.calls[run_id] += 1
            status = self.script.pop(0) if self.script else self._moods()
            if status >= 300:
                return status
            if self.starts[run_id] and self._knows_ids:
                return 409
            self.starts[run_id] += 1
            self.payloads.append(body)
            return status

    def __enter__(self) -> Trainer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

"""An X-Ray for `ot-bridge demo --xray`: takes PutTraceSegments on loopback and keeps the documents.

After AWS X-Ray's API reference, "PutTraceSegments".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeXRay(ThreadingHTTPServer):
    """Keeps what it is sent. documents: in the order they came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.documents: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take(self) -> list[dict[str, Any]]:
        """The documents that came since the last time."""
        taken, self.documents = self.documents, []
        return taken


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeXRay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path == "/TraceSegments" and "AWS4-HMAC-SHA256" in self.headers.get("Authorization", "")
        if known:
            self.server.documents += map(json.loads, json.loads(body)["TraceSegmentDocuments"])
        answer = b'{"UnprocessedTraceSegments":[]}' if known else b'{"message":"not PutTraceSegments"}'
        self.send_response(200 if known else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def fake_xray() -> Iterator[FakeXRay]:
    """Runs one."""
    with FakeXRay() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()

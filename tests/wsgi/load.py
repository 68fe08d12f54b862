"""Many requests from many clients, and the accounting of their spans."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.wsgi.collector import Collector

PATHS = ("list", "stream", "file", "write", "post", "fail")
STATUS = {"fail": 500}
POSTED = b"x" * 1000
BODIES = {
    "list": b"hello",
    "stream": b"chunk" * 3,
    "file": Path(__file__).with_name("site.py").read_bytes(),
    "write": b"hello",
    "post": POSTED,
}


@dataclass
class Load:
    """What was sent: the caller's trace and span id of each request, by trace id. wrong: what came back."""

    port: int
    paths: tuple[str, ...] = PATHS
    sent: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def run(self, requests: int, clients: int) -> Load:
        """Sends `requests` requests from `clients` threads, each with a connection that it keeps."""
        threads = [
            threading.Thread(target=self._client, args=(range(n, requests, clients),)) for n in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self

    def _client(self, numbers: range) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        for number in numbers:
            path = self.paths[number % len(self.paths)]
            try:
                self._request(connection, path)
            except (OSError, HTTPException):  # a kept connection that the server has closed meanwhile
                connection.close()
                self._request(connection, path)
        connection.close()

    def _request(self, connection: HTTPConnection, path: str) -> None:
        trace, span = random.randbytes(16), random.randbytes(8)
        headers = {"traceparent": f"00-{trace.hex()}-{span.hex()}-01"}
        body = POSTED if path == "post" else None
        connection.request("POST" if body else "GET", f"/{path}/{span.hex()}", body, headers)
        response = connection.getresponse()
        got, traceparent = response.read(), response.getheader("traceparent") or ""
        self.sent[trace] = span, path
        if response.status != STATUS.get(path, 200) or got != BODIES.get(path, got):
            self.wrong.append(f"{path}: {response.status} {got[:100]!r}")
        elif traceparent and trace.hex() not in traceparent:
            self.wrong.append(f"{path}: another trace: {traceparent}")

    def check(self, collector: Collector) -> list[str]:
        """The errors found: spans that are lost, duplicated, or have a wrong parent."""
        spans: list[Any] = collector.spans
        servers = {span.trace_id: span for span in spans if span.name == "ServeHTTP"}
        works = {span.trace_id: span for span in spans if span.name == "work"}
        doubled = [key for key, n in Counter((span.trace_id, span.name) for span in spans).items() if n > 1]
        found = [*self.wrong, *(f"doubled: {key}" for key in doubled)]
        if len({span.span_id for span in spans}) < len(spans):
            found.append("two spans with one id")
        for trace, (caller, path) in self.sent.items():
            server, work = servers.get(trace), works.get(trace)
            if server is None or work is None:
                found.append(f"lost: {path}")
            elif server.parent_span_id != caller or work.parent_span_id != server.span_id:
                found.append(f"foreign parent: {path}")
        found.extend(
            "a trace that nobody sent" for trace in servers.keys() | works.keys() if trace not in self.sent
        )
        return found

"""What stands at the other end, on loopback: an OTLP collector, and an agent with strategies and credits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Server:
    """Responds with the (status, bytes) of `respond(path, body)`. `requests`: those that came, in order."""

    def __init__(self, respond: Callable[[str, bytes], tuple[int, bytes]]) -> None:
        self.respond = respond
        self.requests: list[tuple[str, bytes]] = []
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer.arrived:
                    outer.requests.append((self.path, body))
                    outer.arrived.notify_all()
                status, content = outer.respond(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _serve

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def wait_for(self, condition: Callable[[], object], seconds: float = 20) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: bool(condition()), seconds), self.requests

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Collector(Server):
    """Takes spans over OTLP/HTTP."""

    def __init__(self) -> None:
        super().__init__(lambda path, body: (200, b""))

    @property
    def resource_spans(self) -> list[Any]:
        return [
            each
            for path, body in list(self.requests)
            if path == "/v1/traces"
            for each in ExportTraceServiceRequest.FromString(body).resource_spans
        ]

    @property
    def spans(self) -> list[Any]:
        return [span for each in self.resource_spans for scope in each.scope_spans for span in scope.spans]

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    @property
    def resource(self) -> dict[str, Any]:
        """The attributes of the process that sent the first span."""
        return {
            each.key: getattr(each.value, each.value.WhichOneof("value"))
            for each in self.resource_spans[0].resource.attributes
        }


class Agent(Server):
    """Answers `/sampling` with `strategy` and `/credits` with `balance` for every requested name."""

    def __init__(self) -> None:
        self.strategy: Any = {}
        self.status = 200
        self.balance = 1.0
        super().__init__(self._respond)

    def _respond(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/credits"):
            operations = parse_qs(urlsplit(path).query)["operations"]
            balances = [{"operation": name, "balance": self.balance} for name in operations]
            return self.status, json.dumps({"balances": balances}).encode()
        strategy = self.strategy
        return self.status, strategy if isinstance(strategy, bytes) else json.dumps(strategy).encode()


@contextmanager
def running(server: Any) -> Iterator[Any]:
    try:
        yield server
    finally:
        server.close()

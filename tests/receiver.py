"""OTLP receivers on loopback, over HTTP and gRPC, that keep each request they get, decoded.

They take what the OpenTelemetry Collector takes by default: 4 MiB a gRPC message, 20 MiB an HTTP body, gzip
or not, protobuf. `HttpReceiver()` and `GrpcReceiver()` are context managers.
"""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from typing_extensions import Self

MAX_HTTP_BODY = 20 * 1024 * 1024  # bytes


class Receiver:
    """endpoint: what an exporter's `endpoint` takes. requests: messages, in the order of their coming."""

    endpoint: str

    def __init__(self) -> None:
        self._came = threading.Condition()
        self.requests: list[ExportTraceServiceRequest] = []

    def take(self, body: bytes) -> bytes:
        """Keeps a request; the answer to it."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            self.requests.append(request)
            self._came.notify_all()
        return ExportTraceServiceResponse().SerializeToString()

    @property
    def spans(self) -> list[Any]:
        """All spans of all requests, as protobuf messages."""
        with self._came:
            return [
                span
                for request in self.requests
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def wait(self, spans: int, timeout: float = 20.0) -> list[Any]:
        """The spans, once there are so many or `timeout` seconds are over."""
        with self._came:
            self._came.wait_for(lambda: len(self.spans) >= spans, timeout)
        return self.spans

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class HttpReceiver(Receiver):
    """OTLP over HTTP, protobuf."""

    def __init__(self) -> None:
        super().__init__()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status = 200 if len(body) <= MAX_HTTP_BODY else 413
                answer = receiver.take(body) if status == 200 else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class GrpcReceiver(Receiver):
    """OTLP over gRPC, without TLS."""

    def __init__(self) -> None:
        super().__init__()
        self._server = grpc.server(ThreadPoolExecutor(2))
        export: Any = grpc.unary_unary_rpc_method_handler(lambda body, context: self.take(body))
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": export}),)
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.endpoint = f"127.0.0.1:{port}"

    def close(self) -> None:
        self._server.stop(None).wait()


def plain(value: AnyValue) -> Any:
    """An attribute's value as Python has it."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(map(plain, value.array_value.values))
    return getattr(value, kind)


def attributes(owner: Any) -> dict[str, Any]:
    """The attributes of a span, an event, a link or a resource."""
    return {pair.key: plain(pair.value) for pair in owner.attributes}

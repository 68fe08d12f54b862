"""OTLP receivers on loopback, over HTTP and gRPC, that keep each request they get, decoded.

They take what the OpenTelemetry Collector takes by default: 4 MiB a gRPC message, 20 MiB an HTTP body, gzip
or not, protobuf. `HttpReceiver()` and `GrpcReceiver()` are context managers. An HttpReceiver also follows a
script: `HttpReceiver(Response(503), CLOSE)` answers the first request by 503, hangs up at the second, takes
the third.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

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
        """Keeps a request and returns the response to it."""
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


class Response(NamedTuple):
    """The response of an HttpReceiver to one request.

    headers: laid over Content-Type and Content-Length. raw: all bytes of the response, in place of the
    fields before it. wait: seconds before it. drip: seconds between its bytes. cut: so many of its bytes
    are sent, and the connection is closed. end: the connection is closed after it, without a header for this.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    raw: bytes | None = None
    wait: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    end: bool = False

    def bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        defaults = {"Content-Type": "application/x-protobuf", "Content-Length": str(len(self.body))}
        lines = [
            f"HTTP/1.1 {self.status} Told",
            *(f"{k}: {v}" for k, v in {**defaults, **self.headers}.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


HANG = Response(wait=3600)
CLOSE = Response(cut=0)


class Seen(NamedTuple):
    """A request as it came. headers: by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float  # time.monotonic()


class HttpReceiver(Receiver):
    """OTLP over HTTP, protobuf, on kept connections.

    script: the responses to the first requests; those that follow get `always`, or are taken. tls: a server's
    context. seen: every request. connections: how many were made. `requests`: what is answered by 2xx.
    """

    def __init__(
        self,
        *script: Response,
        always: Response | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__()
        self._script = list(script)
        self._always = always
        self.seen: list[Seen] = []
        self.connections = 0
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", port), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.port: int = self._server.server_address[1]
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.endpoint = f"{self.base}/v1/traces"

    def respond(self, body: bytes, encoding: str) -> Response:
        """Keeps what is answered by 2xx."""
        with self._came:
            response = self._script.pop(0) if self._script else self._always
        if encoding in ("gzip", "deflate"):
            body = zlib.decompress(body, zlib.MAX_WBITS | 32)
        if response is None:
            response = Response() if len(body) <= MAX_HTTP_BODY else Response(413)
        if 200 <= response.status < 300 and response.cut is None and response.wait < 3600:
            self.take(body)
        return response

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                receiver.connections += 1
                receiver._open.add(self.connection)

            def finish(self) -> None:
                receiver._open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                receiver.seen.append(Seen(self.command, self.path, headers, body, time.monotonic()))
                response = receiver.respond(body, headers.get("content-encoding", ""))
                receiver._closing.wait(response.wait)
                data = response.bytes()[: response.cut]
                for start in range(0, len(data), 1) if response.drip else ():
                    receiver._closing.wait(response.drip)
                    self.wfile.write(data[start : start + 1])
                if not response.drip:
                    self.wfile.write(data)
                self.close_connection |= response.end or response.cut is not None

            do_GET = do_PUT = do_POST

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def hang_up(self) -> None:
        """Closes all connections from this side."""
        for sock in tuple(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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

"""A collector that discards all spans: OTLP over HTTP, and jaeger-client's packets over UDP."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from typing_extensions import Self


class Sink:
    """Listens on two loopback ports in its `with` block. `taken` counts received bytes by protocol."""

    def __init__(self) -> None:
        self.taken = {"http": 0, "udp": 0}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._packets.bind(("127.0.0.1", 0))
        self.ports = self._server.server_address[1], self._packets.getsockname()[1]

    def _handler(sink) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # the connection is kept, as collectors do

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                self.rfile.read(length)
                sink.taken["http"] += length
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        return Handler

    def _receive(self) -> None:
        while packet := self._packets.recv(65536):
            self.taken["udp"] += len(packet)

    def __enter__(self) -> Self:
        for work in (self._server.serve_forever, self._receive):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._packets.getsockname())  # ends `_receive`
        self._packets.close()

"""`Catcher`: what both clients send to, on loopback: a UDP socket, and an OTLP endpoint over HTTP."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, TypeAlias

from typing_extensions import Self

from ot_bridge.cli.packets import Seen, from_otlp, from_packet

_Decode: TypeAlias = Callable[[bytes], Iterable[Seen]]
_END: Final = b"end"  # of what is on its way: too short to be a packet


class Catcher:
    """A context manager; `variables` has ot_bridge send here, `udp_port` is for jaeger-client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: list[Seen] = []
        self._drained = threading.Event()
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._udp.bind(("127.0.0.1", 0))
        self.udp_port: int = self._udp.getsockname()[1]
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._keep))
        self._http.daemon_threads = True
        port = self._http.server_address[1]
        self.variables = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://127.0.0.1:{port}/v1/traces",
        }

    def take(self) -> list[Seen]:
        """The spans that came since the last time."""
        self._drained.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(_END, ("127.0.0.1", self.udp_port))
        self._drained.wait(5)
        with self._lock:
            spans, self._spans = self._spans, []
        return spans

    def _keep(self, decode: _Decode, data: bytes) -> None:
        found = list(decode(data))
        with self._lock:
            self._spans.extend(found)

    def _receive(self) -> None:
        while data := self._udp.recv(1 << 16):
            if data == _END:
                self._drained.set()
            else:
                self._keep(from_packet, data)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._reader = threading.Thread(target=self._receive, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.udp_port))
        self._reader.join(5)
        self._udp.close()


def _handler(
    keep: Callable[[Callable[[bytes], Iterable[Seen]], bytes], None],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            packed = self.headers.get("Content-Encoding") == "gzip"
            keep(from_otlp, gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return Handler

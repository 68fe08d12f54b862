"""An HTTP proxy on loopback: requests in absolute form, and tunnels (CONNECT)."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

from typing_extensions import Self


class Proxy:
    """seen: method, target and headers (by lower-case name) of each request to it. status: what a CONNECT is
    answered by. A context manager.
    """

    def __init__(self, status: int = 200) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.status = status
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.authority = f"127.0.0.1:{self._server.server_address[1]}"

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _see(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                proxy.seen.append((self.command, self.path, headers))

            def do_POST(self) -> None:
                self._see()
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                onward = HTTPConnection(url.netloc, timeout=10)
                kept = {name: value for name, value in self.headers.items() if not name.startswith("Proxy")}
                with contextlib.closing(onward):
                    onward.request("POST", url.path, body, kept)
                    response = onward.getresponse()
                    content = response.read()
                self.send_response(response.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_CONNECT(self) -> None:
                self._see()
                self.close_connection = True
                if proxy.status != 200:
                    self.send_error(proxy.status)
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port))) as onward:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_pump, args=(onward, self.connection))
                    back.start()
                    _pump(self.connection, onward)
                    back.join()

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)

"""The loopback HTTP that the demos share: an application on Werkzeug's server, and requests to it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Runs a WSGI application; gives its port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def get(port: int, path: str, headers: Mapping[str, str]) -> int:
    """The status of a GET. The server has closed the response's body by then, and its span with it."""
    lines = [f"GET {path} HTTP/1.0", "Host: localhost", *map(": ".join, headers.items())]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return int(answer.split(b" ", 2)[1])

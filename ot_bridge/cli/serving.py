"""HTTP on loopback for the demos: runs applications on the viewer's server, and sends requests to them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ot_bridge.view.serving import Server, bound


@contextmanager
def serving(app: Any) -> Iterator[int]:
    """Runs a WSGI application on a free port of 127.0.0.1. Yields the port."""
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(app, listening, print)
    try:
        yield server.port
    finally:
        server.stop()


def get(port: int, path: str, headers: Mapping[str, str]) -> int:
    """Sends a GET and returns the status.

    The server has closed the response's body by then, so the span has ended.
    """
    lines = [f"GET {path} HTTP/1.0", "Host: localhost", *map(": ".join, headers.items())]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        response = b""
        while received := connection.recv(65536):
            response += received
    return int(response.split(b" ", 2)[1])

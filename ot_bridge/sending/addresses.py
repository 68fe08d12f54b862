"""The addresses of a host, which are looked up at the exit of a process, too."""

from __future__ import annotations

import _socket
import socket
from typing import Any


def addresses(host: str | bytes, port: int, kind: socket.SocketKind) -> list[tuple[int, int, int, str, Any]]:
    """What `socket.getaddrinfo` gives. Raises OSError.

    gevent and eventlet look names up in a thread, and since Python 3.12 none starts at the exit. There the
    caller waits for the C library.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=kind))
    except RuntimeError:
        return list(_socket.getaddrinfo(host, port, type=kind))

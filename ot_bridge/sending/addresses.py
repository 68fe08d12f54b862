"""Looks up the addresses of a host, even at the exit of a process."""

from __future__ import annotations

import _socket
import socket
from typing import Any


def addresses(host: str | bytes, port: int, kind: socket.SocketKind) -> list[tuple[int, int, int, str, Any]]:
    """The result of `socket.getaddrinfo`. Raises OSError.

    gevent and eventlet look up names in a thread, which Python 3.12 and later do not start at the exit. In
    that case the calling thread calls the C library itself.
    """
    try:
        return list(socket.getaddrinfo(host, port, type=kind))
    except RuntimeError:
        return list(_socket.getaddrinfo(host, port, type=kind))

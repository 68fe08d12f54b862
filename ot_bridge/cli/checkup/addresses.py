"""Finds what listens at an address: nothing, HTTP/1, HTTP/2 (a gRPC server) or TLS. No span is sent."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

REFUSED: Final = "nothing listens"
UNKNOWN: Final = "no such name"
SILENT: Final = "no connection"
MUTE: Final = "no answer in time"
CLOSED: Final = "closes the connection"
HTTP: Final = "HTTP/1.1"
HTTP2: Final = "HTTP/2"
TLS: Final = "TLS"

_SECONDS: Final = 1.0  # seconds for each step
_SETTINGS: Final = 4  # RFC 9113, 6.5: a server's first frame
_ALERT: Final = b"\x15\x03"  # RFC 8446, 5.1


def probe(host: str, port: int) -> str:
    """Returns what listens at the address, as one of this module's constants."""
    try:
        connection = socket.create_connection((host, port), _SECONDS)
    except socket.gaierror:
        return UNKNOWN
    except ConnectionRefusedError:
        return REFUSED
    except OSError:  # no route, or no response in time
        return SILENT
    with connection:
        try:
            lines = ("GET / HTTP/1.1", f"Host: {host}", "Content-Length: 0", "Connection: close", "", "")
            connection.sendall("\r\n".join(lines).encode())
            response = _first(connection)
        except TimeoutError:
            return MUTE
        except OSError:
            response = b""
    return protocol_of(response) or (TLS if _speaks_tls(host, port) else CLOSED)


def _first(connection: socket.socket) -> bytes:
    """The first bytes of the response, as many as are needed to recognize it."""
    connection.settimeout(_SECONDS)
    end = time.monotonic() + _SECONDS
    response = b""
    while len(response) < 512 and time.monotonic() < end:
        try:
            more = connection.recv(512)
        except TimeoutError:
            break
        if not more:
            break
        response += more
        if len(response) > 9 and not response.startswith(b"HTTP/"):
            break
    if not response and time.monotonic() >= end:
        raise TimeoutError
    return response


def protocol_of(response: bytes) -> str:
    """The protocol of a response that begins with these bytes; "" if it cannot be told."""
    if response.startswith(b"HTTP/1"):
        return TLS if b" 400 " in response[:16] and b"HTTPS" in response.upper() else HTTP
    if response.startswith(_ALERT):
        return TLS
    return HTTP2 if len(response) > 3 and response[3] == _SETTINGS else ""


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), _SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        return "WRONG_VERSION" not in str(error) and "record layer" not in str(error)
    except OSError:
        return False

"""Whether the collector of an exporter refuses connections, where the exporter itself does not say.

OpenTelemetry's exporters try again for 10 s when nothing listens at their address, and have no attribute that
tells. So the exit of a process, which waits 1 s in place of 5 s for such a collector, tries to connect.
"""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

from ot_bridge.delivery.log import target

_SECONDS: Final = 0.1
_LOCAL: Final = ("127.0.0.1", "::1")
_PORTS: Final = {"http": 80, "https": 443, "": 4317}


def refuses(exporter: object) -> bool:
    """Whether every address of the exporter's collector refuses a connection.

    False where that cannot be told at once: the exporter has no address, or one with a name that has to be
    looked up, or the connection takes longer than 0.1 s.
    """
    text = target(exporter)
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        families = [(_family(address), address) for address in (_LOCAL if host == "localhost" else (host,))]
    except (ValueError, KeyError, OSError):
        return False
    return all(_refused(family, address, port) for family, address in families)


def _family(address: str) -> socket.AddressFamily:
    """Raises OSError for what is no numeric address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.inet_pton(family, address)
    return family


def _refused(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(_SECONDS)
            attempt.connect((address, port))
    except TimeoutError:
        return False
    except OSError:  # refused, or there is no IPv6
        return True
    return False

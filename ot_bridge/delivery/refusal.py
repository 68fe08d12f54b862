"""Whether the collector of an exporter refuses connections, where the exporter itself does not report it.

OpenTelemetry's exporters try again for 10 s when nothing listens at their address, and have no attribute
for this state. So the exit of a process, which waits 1 s in place of 5 s for such a collector, tries to
connect.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Final
from urllib.parse import urlsplit

from ot_bridge.delivery.log import address

_SECONDS: Final = 0.1  # for one connection
_PROBED: Final = 1.0  # seconds between two probes
_KNOWN: Final = 60.0  # seconds between two look-ups of the collector's name
_PORTS: Final = {"http": 80, "https": 443, "": 4317}


class Probe:
    """Finds out whether every address of one exporter's collector refuses connections.

    The export thread looks the name up, since that may take as long as the system's resolver takes. Any
    thread may read `refused`, which takes 0.1 s for each address at most.
    """

    def __init__(self) -> None:
        self._places: list[tuple[Any, Any]] = []  # family and address of a socket
        self._known_until = 0.0  # time.monotonic()
        self._probe_at = 0.0  # time.monotonic()
        self._refused = False

    def look_up(self, exporter: object) -> None:
        """Finds the addresses of the collector, at most once a minute. There are none if that fails."""
        if time.monotonic() >= self._known_until:
            self._places = _places(address(exporter))
            self._known_until = time.monotonic() + _KNOWN

    @property
    def refused(self) -> bool:
        """Whether all addresses refuse. False if that is unknown: no address, or an attempt takes longer."""
        if time.monotonic() >= self._probe_at:
            self._probe_at = time.monotonic() + _PROBED
            self._refused = bool(self._places) and all(_refused(*place) for place in self._places)
        return self._refused


def _places(text: str) -> list[tuple[Any, Any]]:
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port = parts.port or _PORTS[parts.scheme]
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM) if parts.hostname else []
    except (ValueError, KeyError, OSError, RuntimeError):  # gevent looks up in a thread, and none may start
        return []
    return [(family, where) for family, _, _, _, where in found]


def _refused(family: Any, where: Any) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(_SECONDS)
            attempt.connect(where)
    except TimeoutError:
        return False
    except OSError:  # refused, or there is no IPv6
        return True
    return False

"""jaeger-client's small helpers."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

_BOOLEANS: Final[Mapping[str, bool]] = {
    "false": False,
    "0": False,
    "none": False,
    "true": True,
    "1": True,
}


def get_boolean(string: object, default: bool) -> bool:
    """What a configuration file's yes or no means; what is neither is `default`."""
    return _BOOLEANS.get(str(string).lower(), default)


def local_ip() -> str | None:
    """The address of this machine that others can reach it at, as far as it can tell; no packet is sent."""
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "127.0.0.1"
    return (_address_towards("10.255.255.255") or address) if address.startswith("127.") else address


def _address_towards(host: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 1))
        except OSError:
            return None
        return str(probe.getsockname()[0])


class ErrorReporter:
    """Logs an error at most once in `log_interval_minutes`, and never in the first of these."""

    def __init__(
        self, metrics: Any, logger: logging.Logger | None = None, log_interval_minutes: float = 15
    ) -> None:
        self.logger = logger
        self.log_interval_minutes = log_interval_minutes
        self._last_error_reported_at = time.time()

    def error(self, *args: Any) -> None:
        now = time.time()
        if self.logger is None or now <= self._last_error_reported_at + self.log_interval_minutes * 60:
            return
        self.logger.error(*args)
        self._last_error_reported_at = now

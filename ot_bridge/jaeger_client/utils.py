"""jaeger-client's small helpers."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

_SIOCGIFADDR: Final = 0x8915  # netdevice(7)
_BOOLEANS: Final[Mapping[str, bool]] = {
    "false": False,
    "0": False,
    "none": False,
    "true": True,
    "1": True,
}


def get_boolean(string: object, default: bool) -> bool:
    """The boolean that a configuration value stands for; `default` if it stands for none."""
    return _BOOLEANS.get(str(string).lower(), default)


def local_ip() -> str | None:
    """The address at which other machines probably reach this one. Sends no packet."""
    try:
        address = socket.gethostbyname(socket.gethostname())
    except (OSError, UnicodeError):  # a host without a name, or whose name cannot be looked up
        address = "127.0.0.1"
    return (get_local_ip_by_socket() or address) if address.startswith("127.") else address


def host_name() -> str | None:
    """The name of this machine, or None."""
    try:
        return socket.gethostname()
    except (OSError, UnicodeError):
        return None


def get_local_ip_by_socket() -> str | None:
    """The source address of packets to another network, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def get_local_ip_by_interfaces() -> str | None:
    """The address of the first common interface (eth0, en0, wlan0, ...) that has one, or None."""
    for name in (f"{kind}{number}" for kind in ("eth", "en", "wlan") for number in range(3)):
        try:
            address = interface_ip(name.encode())
        except OSError:
            continue
        if address is not None:
            return address
    return None


def interface_ip(interface: bytes) -> str | None:
    """The IPv4 address of an interface; None on Windows. Raises OSError."""
    try:
        from fcntl import ioctl
    except ImportError:  # Windows
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        ifreq = ioctl(probe.fileno(), _SIOCGIFADDR, interface[:15].ljust(256, b"\0"))
    return socket.inet_ntoa(ifreq[20:24])


class ErrorReporter:
    """Logs an error at most once in `log_interval_minutes`, and none in the first interval."""

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

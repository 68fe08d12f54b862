"""Classifies the errors of failed requests."""

from __future__ import annotations

import errno
import socket
from typing import Final, NamedTuple

_UNREACHABLE: Final = frozenset(
    (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)
)
_CLOSED_TLS: Final = frozenset(("SSLEOFError", "SSLZeroReturnError", "SSLSyscallError"))


class CannotConnect(Exception):
    """Raised if the configuration allows no connection, so that another attempt would fail as well."""


class Trouble(NamedTuple):
    """The class of an error. reason: the key in `failed`. again: whether another attempt may succeed."""

    reason: str
    text: str
    again: bool


def trouble(error: Exception) -> Trouble:
    """What an error of a connection means: refused, timed out, broken, or a fault of TLS."""
    text = f"{error}" or type(error).__name__
    if isinstance(error, TimeoutError):
        return Trouble("timeout", "no answer came in time", True)
    if isinstance(error, socket.gaierror) or getattr(error, "errno", None) in _UNREACHABLE:
        return Trouble("refused", f"nothing listens there ({text})", True)
    name = type(error).__name__
    if name.startswith("SSL") and name not in _CLOSED_TLS:
        return Trouble("other", f"TLS failed, and another attempt would fail as well ({text})", False)
    if isinstance(error, OSError):
        return Trouble("other", f"the connection broke ({text})", True)
    return Trouble("other", text, False)

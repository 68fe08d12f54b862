"""Splits URLs, hosts and ports for attributes. All functions take linear time in the length of the text.

The part of a URL in front of its path, the origin, is read once and kept. The number and the length of kept
origins are bounded, and they never contain a path, a query or a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_MOST: Final = 1024  # maximum number of kept origins; when there are more, all are forgotten
_LONGEST: Final = 300  # maximum length of a kept origin
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]{0,30})://"
    r"(?P<user>[^/?#]*@)?"
    r"(?P<host>\[[0-9A-Za-z:.%\-_~]+\]|[^\s\[\]:@/?#\\]*)"
    r"(?P<port>:[0-9]{0,5})?"
)
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Za-z:.%\-_~]+\]|[^\s\[\]:@/?#\\,;=]+):([0-9]{1,5})")
_USUAL: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """The part of a URL in front of its path. host: without brackets, "" if there is none.

    explicit_port: the port in the URL, or None. port: the same, else the scheme's default port, else None.
    user: whether the URL names a user. clean: the origin without that user. client, server: the attributes
    for the origin in a client's or a server's span, without `url.full`.
    """

    scheme: str
    host: str
    explicit_port: int | None
    port: int | None
    user: bool
    clean: str
    client: Mapping[str, Any]
    server: Mapping[str, Any]


_known: dict[str, Origin] = {}
known_origin: Final = _known.get  # text -> its origin, if it was split before; none of them has a user


def split(url: str) -> tuple[Origin | None, str]:
    """The origin (None if the URL is not absolute or cannot be read), and the rest of the URL."""
    end = url.find("/", 8)  # searched after `https://`; kept origins have no other slashes
    text = url if end < 0 else url[:end]
    known = _known.get(text)
    if known is not None:
        return known, url[end:] if end >= 0 else ""
    start = url.find("://")
    if start <= 0:
        return None, url
    end = url.find("/", start + 3)
    text = url if end < 0 else url[:end]
    if "?" in text or "#" in text:
        end = min(at for at in (text.find("?"), text.find("#")) if at >= 0)
        text = text[:end]
    origin = _read(text)
    if origin is not None and not origin.user and len(text) <= _LONGEST:
        if len(_known) >= _MOST:
            _known.clear()
        _known[text] = origin
    return origin, url[len(text) :]


def _read(text: str) -> Origin | None:
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    port = match["port"] or ":"
    number = int(port[1:]) if len(port) > 1 else None
    if number is not None and not 0 < number < 65536:
        return None
    user = match["user"] is not None
    clean = f"{match['scheme']}://{_REDACTED if user else ''}{text[match.start('host') :]}"
    scheme = match["scheme"].lower()
    host = match["host"].strip("[]")
    known = _USUAL.get(scheme) if number is None else number
    client, server = _named(host, known), {"url.scheme": scheme, **_named(host, number)}
    return Origin(scheme, host, number, known, user, clean, client, server)


def _named(host: str, port: int | None) -> dict[str, Any]:
    pairs = ("server.address", host or None), ("server.port", port)
    return {name: value for name, value in pairs if value is not None}


_REDACTED: Final = "REDACTED:REDACTED@"


def host_and_port(text: str) -> tuple[str, int] | None:
    """`host:port`; None for any other text. An IPv6 host loses its brackets."""
    match = _HOST_AND_PORT.fullmatch(text)
    port = number(match[2], 1, 65535) if match else None
    return None if match is None or port is None else (match[1].strip("[]"), port)


def number(value: Any, low: int, high: int) -> int | None:
    """Converts an int, a float or a text to a whole number; None if it is not between `low` and `high`."""
    kind = type(value)
    if kind is str:
        if not (len(value) <= 5 and value.isascii() and value.isdigit()):
            return None
        value = int(value)
    elif kind is float:
        if not low <= value <= high or value != int(value):
            return None
        value = int(value)
    elif kind is not int:
        return None
    return value if low <= value <= high else None

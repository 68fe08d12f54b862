"""Parses the URL of a receiver or a proxy, and shows it in messages without secrets."""

from __future__ import annotations

import re
from binascii import b2a_base64
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:%-")
_NOT_QUOTED: Final = "/%:=&?~+!$,;'@()*[]"  # characters that are not quoted in a path or query
_SCHEME: Final = r"\s*[A-Za-z][A-Za-z0-9+.\-]*://"


class Url(NamedTuple):
    """A parsed URL.

    scheme: `http` or `https`. host: ASCII, an IPv6 address without brackets. path, query: quoted, the query
    with its `?`. authorization: the value of a Basic authorization header, from `user:password@`.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str
    authorization: str | None

    @property
    def authority(self) -> str:
        """Host and port, as in a CONNECT request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def netloc(self) -> str:
        """Host and port as in a Host header: the scheme's own port is left out."""
        return self.authority.removesuffix(f":{_PORTS[self.scheme]}")

    @property
    def text(self) -> str:
        """The whole URL, with its query."""
        return f"{self}{self.query}"

    def __str__(self) -> str:
        """The URL without user, password and query, for messages."""
        return f"{self.scheme}://{self.netloc}{self.path}"


def parse(text: str) -> Url:
    """Parses a URL. The message of its ValueError contains nothing of the text."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise ValueError("this is no URL") from None
    if parts.scheme not in _PORTS:
        raise ValueError("a URL begins with http:// or https://")
    host = _ascii(parts.hostname or "")
    return Url(
        parts.scheme,
        host,
        _PORTS[parts.scheme] if port is None else port,
        quote(parts.path, _NOT_QUOTED),
        quote(f"?{parts.query}", _NOT_QUOTED) if parts.query else "",
        _basic(parts.netloc.rpartition("@")[0]),
    )


def _ascii(host: str) -> str:
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError:
            raise ValueError("the host's name cannot be read") from None
    if not host or not _HOST.issuperset(host):
        raise ValueError("a URL needs a host")
    return host


def _basic(user: str) -> str | None:
    """The header value of RFC 7617 for a percent-encoded `user:password`."""
    if not user:
        return None
    name, _, password = user.partition(":")
    pair = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return f"Basic {b2a_base64(pair, newline=False).decode()}"


def without_secrets(text: str) -> str:
    """`text`, which need not be a URL, without anything that may be a user, a password or a query."""
    match = re.match(_SCHEME, text)
    scheme = match[0] if match else ""
    rest = text[len(scheme) :]
    shown, *hidden = re.split("[?#]", rest)
    if any("@" in part for part in hidden):  # of a query, or the end of a password
        return f"{scheme}..."
    return f"{scheme}{shown.rpartition('@')[2]}"
